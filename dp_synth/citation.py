"""Whom to cite: BibTeX of every method, attack and table, and of the toolkit beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from dp_synth._version import __version__
from dp_synth.datasets.sources import ADULT, NAMED
from dp_synth.errors import InputError
from dp_synth.extensions import nearest

TOOLKIT = "dp_synth"
TITLE = (
    "dp_synth: differentially private synthesizers, one exact budget, attacks and trade-off curves"
)
AUTHOR = "{The dp_synth developers}"
YEAR = "2026"  # of this version
KEYS: Mapping[str, tuple[str, ...]] = {  # name: entries of references.bib, nearest first
    "independent": (),
    "mst": ("mckenna2021",),
    "published_mst": ("mckenna2021",),
    "aim": ("mckenna2022",),
    "clique_tree": ("mckenna2021", "mckenna2022"),
    "privbayes": ("zhang2017",),
    "mwem": ("hardt2012", "mckenna2019"),
    "marginal_generator": ("liu2021", "chen2025"),
    "dpgan": ("xie2018", "abadi2016"),
    "dpctgan": ("xu2019", "rosenblatt2020", "fang2022", "bie2023", "abadi2016"),
    "pategan": ("jordon2019", "papernot2017"),
    "patectgan": ("rosenblatt2020", "xu2019", "papernot2017"),
    "closest_record": ("yao2025",),
    "density_ratio": ("breugel2023",),
    "nearest_records": ("hilprecht2019",),
    "records_within_radius": ("hilprecht2019",),
    "distance_difference": ("meeus2023",),
    "domias": ("breugel2023",),
    "gen_lra": ("ward2025",),
    "classifier": ("hayes2019",),
    "marginal_ratio": ("golob2024", "golob2024marginals"),
    "transcript_ratio": ("neyman1933",),
    "lira": ("carlini2022",),
    "rmia": ("zarifzadeh2024",),
    "targeted_counts": ("houssiau2022",),
    "groundhog": ("stadler2022",),
    "attribute_inference": ("giomi2023",),
    "singling_out": ("giomi2023",),
    "linkability": ("giomi2023",),
    "linear_reconstruction": ("annamalai2024",),
    "reconsyn": ("ganev2023",),
    "vulnerability": ("meeus2023",),
    "audit": ("annamalai2024audit", "neyman1933", "delong1988", "clopper1934"),
    "one_run": ("steinke2023", "mahloujifar2025"),
}


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
    entries, name = _entries(), _name_of(what)
    if name in KEYS:
        return "\n\n".join([*(entries[key] for key in KEYS[name]), _toolkit()])
    if name == TOOLKIT:
        return _toolkit()
    tables = {"adult": ADULT, **NAMED}
    if name in tables:
        return "\n\n".join([_table(name, tables[name].citation), _toolkit()])
    known = sorted([*KEYS, *tables, TOOLKIT])
    raise InputError(f"nothing to cite is called {name!r}; {nearest(name, known)}")


def _name_of(what: object) -> str:
    """Return what a method, its class, a release or a table goes by; of a function its name."""
    if isinstance(what, str):
        return what
    called = (getattr(what, where, None) for where in ("name", "synthesizer", "__name__"))
    name = next((name for name in called if isinstance(name, str)), type(what).__name__)
    plain = {key.replace("_", ""): key for key in KEYS}  # TargetedCounts is targeted_counts
    return plain.get(name.lower(), name)


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
