"""What can be named: synthesizers, attacks, metrics and tables, with what each says of itself."""

from __future__ import annotations

import dataclasses

from commands import cell, first_line

import dp_synth
from dp_synth import datasets
from dp_synth.attacks import ATTACKS
from dp_synth.datasets.sources import ADULT, NAMED
from dp_synth.metrics import METRICS
from dp_synth.synthesizers import SYNTHESIZERS
from paper.documents import markdown


def synthesizers() -> str:
    """Return a table of synthesizers with their settings and defaults."""
    rows = []
    for name, kind in SYNTHESIZERS.items():
        fields = ", ".join(f"`{f.name}` = {_default(f)}" for f in dataclasses.fields(kind))
        rows.append([f"`{name}`", f"{first_line(kind)} Class `{kind.__name__}`.", fields])
    return markdown(["name", "what it does", "settings and defaults"], rows)


def attacks() -> str:
    """Return a table of attacks and what a view must hold for each."""
    rows = []
    for name, kind in ATTACKS.items():
        said = f"{first_line(kind)} Class `{kind.__name__}`."
        rows.append([f"`{name}`", said, kind.needs_in_words(), kind.measures])
    return markdown(["name", "what it scores", "needs", "measures"], rows)


def metrics() -> str:
    """Return a table of metrics, and which way each is better."""
    rows = [[f"`{m.name}`", cell(m.description), m.better] for m in METRICS.values()]
    return markdown(["name", "what it is", "better is"], rows)


def tables() -> str:
    """Return a table of the tables that can be loaded by name, with citation and licence."""
    known = {"adult": ADULT, **NAMED}
    rows = [
        [f"`{name}`", cell(known[name].citation), cell(known[name].licence)]
        for name in datasets.names()
    ]
    return markdown(["name", "whom to cite", "licence"], rows)


def names() -> str:
    """Return a table of what the package itself exports, with the first line of each."""
    said = {"__version__": "the version", "SYNTHESIZERS": "Every synthesizer by its name."}
    rows = []
    for name in dp_synth.__all__:
        thing = getattr(dp_synth, name)
        place = getattr(thing, "__module__", "dp_synth")
        rows.append([f"`{name}`", said.get(name) or first_line(thing), f"`{place}`"])
    return markdown(["name", "what it is", "where it is defined"], rows)


def _default(field: dataclasses.Field[object]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"{field.default!r}"
    if field.default_factory is not dataclasses.MISSING:
        return f"{field.default_factory()!r}"
    return "must be given"


PARTS = {
    "synthesizers": synthesizers,
    "attacks": attacks,
    "metrics": metrics,
    "tables": tables,
    "names": names,
}
