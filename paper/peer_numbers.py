"""Other libraries in the same benchmark, as numbers of the text; none where none is recorded."""

from __future__ import annotations

from collections.abc import Iterator

from paper.number import Number
from paper.records import RESULTS, ROOT, Record, lines, number_of

PEERS = f"{RESULTS}/peers.jsonl"
EPSILON = 1.0
METRICS = {"tv2": ("tv", 4), "auc:lightgbm": ("auc", 3), "auc:gradient_boosting": ("auc", 3)}
TAKEN = {"seconds": ("seconds", 1), "peak_mb": ("megabytes", 0)}  # by one of a cell's lines


def peers() -> Iterator[tuple[str, Number]]:
    """Yield names and numbers of every library that was measured, at one epsilon."""
    if not (ROOT / PEERS).exists():
        return
    measured = [line for line in lines(PEERS) if line["epsilon"] == EPSILON and not line["error"]]
    for name in measured_peers():
        own = [line for line in measured if line["synthesizer"] == name]
        short = f"peer_{name}".replace("/", "_")
        for metric, (value, decimals) in METRICS.items():
            found = [number_of(line, "value") for line in own if line["metric"] == metric]
            if found:
                said = f"{metric} of {name} at epsilon {EPSILON:g}"
                yield f"{short}_{value}", Number.over_seeds(found, decimals, PEERS, said)
        for column, (value, decimals) in TAKEN.items():
            found = [number_of(line, column) for line in own if line["metric"] == "tv2"]
            if found:
                said = f"{column} of {name} at epsilon {EPSILON:g}, a whole process"
                yield f"{short}_{value}", Number.over_seeds(found, decimals, PEERS, said)


def measured_peers() -> list[str]:
    """Return the synthesizers of the comparison in its order; those without a value as well."""
    return list(dict.fromkeys(str(line["synthesizer"]) for line in _at_epsilon()))


def failure(name: str) -> str:
    """Return why a library gave nothing, in its own words; nothing where it gave something."""
    own = [line for line in _at_epsilon() if line["synthesizer"] == name]
    errors = [str(line["error"]) for line in own]
    return errors[0] if errors and all(errors) else ""


def command() -> str:
    """Return the command that measured the libraries."""
    return str(lines(PEERS)[0]["command"])


def _at_epsilon() -> list[Record]:
    there = (ROOT / PEERS).exists()
    return [line for line in lines(PEERS) if line["epsilon"] == EPSILON] if there else []
