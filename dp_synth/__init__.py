"""Differentially private synthesizers on one exact budget, and the attacks that try them.

Names are loaded when they are first used, so that a command or a worker process pays for what it
needs alone. They stand in ``__init__.pyi``.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
