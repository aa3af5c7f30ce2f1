"""Methods by name: whom to cite for each, in BibTeX, and what figures call it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from dp_synth._version import __version__
from dp_synth.attacks.registry import ATTACKS, CITABLE, GUESSES
from dp_synth.audit.auditor import CITABLE as OF_AUDITS
from dp_synth.datasets.sources import ADULT, NAMED
from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.metrics import METRICS
from dp_synth.synthesizers import SYNTHESIZERS

TOOLKIT = "dp_synth"
TITLE = (
    "dp_synth: differentially private synthesizers, one exact budget, attacks and trade-off curves"
)
AUTHOR = "{The dp_synth developers}"
YEAR = "2026"  # of this version


def cite(what: object) -> str:
    """Return BibTeX of a synthesizer, attack or table, and of this version of the toolkit.

    ``what`` is a name of ``dp-synth list``, or what goes by one: ``MST()``, its class, an attack,
    a release, a table of `datasets.load`. ``"dp_synth"`` is the toolkit alone. A method of our
    own comes with the papers in whose line it stands. InputError for what is not known.

    >>> print(cite("aim").splitlines()[0])
    @article{mckenna2022,
    >>> cite("dp_synth").count("@")
    1
    """
    known, name = methods(), _name_of(what)
    own = known.get(name, what)  # of what is not known by its name, what it says of itself
    if (keys := getattr(own, "cites", None)) is not None:
        return "\n\n".join([*map(_entry, keys), _toolkit()])
    if name == TOOLKIT:
        return _toolkit()
    tables = {"adult": ADULT, **NAMED}
    if name in tables:
        return "\n\n".join([_table(name, tables[name].citation), _toolkit()])
    there = sorted([*known, *tables, TOOLKIT])
    raise InputError(f"nothing to cite is called {name!r}; {nearest(name, there)}")


def methods() -> dict[str, object]:
    """Return synthesizers, attacks, metrics and further citable functions, by name."""
    classes = (*SYNTHESIZERS.values(), *ATTACKS.values(), *GUESSES.values(), *METRICS.values())
    return {_name_of(one): one for one in (*classes, *CITABLE, *OF_AUDITS)}


def label_of(name: str) -> str | None:
    """Return what figures call a method: its label or name; None for what is not known.

    >>> label_of("pategan"), label_of("tv1"), label_of("no_such_method")
    ('PATE-GAN', 'tv1', None)
    """
    known = methods()
    return (getattr(known[name], "figure_label", "") or name) if name in known else None


def _name_of(what: object) -> str:
    """Return what a method, its class, a release or a table goes by; of a function its name."""
    if isinstance(what, str):
        return what
    called = (getattr(what, where, None) for where in ("name", "synthesizer", "__name__"))
    return next((name for name in called if isinstance(name, str)), type(what).__name__)


def _entry(key: str) -> str:
    return key if key.startswith("@") else _entries()[key]


@lru_cache(maxsize=1)
def _entries() -> dict[str, str]:
    """Return the text of each entry of the references, by its key."""
    text = files("dp_synth").joinpath("references.bib").read_text(encoding="utf-8")
    found = re.findall(r"^@\w+\{(\w+),\n.*?^\}$", text, flags=re.DOTALL | re.MULTILINE)
    starts = [match.start() for match in re.finditer(r"^@", text, flags=re.MULTILINE)]
    ends = [*starts[1:], len(text)]
    pieces = (text[start:end].strip() for start, end in zip(starts, ends, strict=True))
    return dict(zip(found, pieces, strict=True))


def _toolkit() -> str:
    return _bibtex(
        TOOLKIT, {"author": AUTHOR, "title": TITLE, "year": YEAR, "note": f"Version {__version__}"}
    )


def _table(name: str, citation: str) -> str:
    """Return an entry for a table, whose citation is a sentence that may end with a DOI."""
    words, _, doi = citation.partition(", doi:")
    return _bibtex(name, {"title": words, "note": "Data set", **({"doi": doi} if doi else {})})


def _bibtex(key: str, fields: Mapping[str, str]) -> str:
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items()]
    return "\n".join([f"@misc{{{key},", *lines, "}"])
