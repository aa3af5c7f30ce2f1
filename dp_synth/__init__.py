"""Differentially private synthesizers on one exact budget, and the attacks that try them.

Names are loaded when they are first used, so that a command or a worker process pays for what it
needs alone. They stand in ``__init__.pyi``.
"""

from lazy_loader import attach_stub

_loaded, __dir__, __all__ = attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Return a public name, loaded now (PEP 562); AttributeError for any other."""
    found = _loaded(name)
    if name == "figures":
        found.label_by(_label_of)
    return found


def _label_of(name: str) -> str | None:
    """Return what figures call a method: it says so itself, and figures know no method."""
    from dp_synth.citation import label_of

    return label_of(name)
