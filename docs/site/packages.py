"""What can be named: synthesizers, attacks, metrics and tables, with what each says of itself."""

from __future__ import annotations

import dataclasses

import dp_synth
from dp_synth import datasets
from dp_synth.attacks import ATTACKS
from dp_synth.datasets.sources import ADULT, NAMED
from dp_synth.metrics import METRICS
from dp_synth.synthesizers import SYNTHESIZERS


def synthesizers() -> str:
    """Return a table of synthesizers with their settings and defaults."""
    rows = []
    for name, kind in SYNTHESIZERS.items():
        fields = ", ".join(f"`{f.name}` = {_default(f)}" for f in dataclasses.fields(kind))
        rows.append(f"| `{name}` | {_first_line(kind)} Class `{kind.__name__}`. | {fields} |")
    return _table(("name", "what it does", "settings and defaults"), rows)


def attacks() -> str:
    """Return a table of attacks and what a view must hold for each."""
    rows = [
        f"| `{name}` | {_first_line(kind)} Class `{kind.__name__}`. | {kind.needs_in_words()} "
        f"| {kind.measures} |"
        for name, kind in ATTACKS.items()
    ]
    return _table(("name", "what it scores", "needs", "measures"), rows)


def metrics() -> str:
    """Return a table of metrics, and which way each is better."""
    rows = [f"| `{m.name}` | {_cell(m.description)} | {m.better} |" for m in METRICS.values()]
    return _table(("name", "what it is", "better is"), rows)


def tables() -> str:
    """Return a table of the tables that can be loaded by name, with citation and licence."""
    known = {"adult": ADULT, **NAMED}
    rows = [
        f"| `{name}` | {_cell(known[name].citation)} | {_cell(known[name].licence)} |"
        for name in datasets.names()
    ]
    return _table(("name", "whom to cite", "licence"), rows)


def names() -> str:
    """Return a table of what the package itself exports, with the first line of each."""
    rows = []
    for name in dp_synth.__all__:
        thing = getattr(dp_synth, name)
        said = "the version" if name == "__version__" else _first_line(thing)
        said = "Every synthesizer by its name." if name == "SYNTHESIZERS" else said
        rows.append(f"| `{name}` | {said} | `{getattr(thing, '__module__', 'dp_synth')}` |")
    return _table(("name", "what it is", "where it is defined"), rows)


def _default(field: dataclasses.Field[object]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"{field.default!r}"
    if field.default_factory is not dataclasses.MISSING:
        return f"{field.default_factory()!r}"
    return "must be given"


def _first_line(kind: object) -> str:
    return _cell((kind.__doc__ or "").split("\n\n", 1)[0])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def _table(head: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows])


PARTS = {
    "synthesizers": synthesizers,
    "attacks": attacks,
    "metrics": metrics,
    "tables": tables,
    "names": names,
}
