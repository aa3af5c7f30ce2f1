"""Lines of results: read, as means over seeds, and as tables of a document."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dp_synth.records import Spread

Record = dict[str, object]

RECORDS = Path(__file__).with_name("results")

NAMES = {
    ("mst", "as_published"): "mst, as published",
    ("aim", "all_gaussian"): "aim, all Gaussian",
    ("held-out rows", ""): "fresh real rows",
}


def arguments() -> argparse.ArgumentParser:
    """Return what all measuring scripts are told: where to keep results, and how many seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=RECORDS, help="folder for lines of JSON")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resume", action="store_true", help="keep what is there already")
    return parser


def read(results: Path) -> list[Record]:
    """Return the lines of a file of results; none when it is not there."""
    return [json.loads(x) for x in results.read_text().splitlines()] if results.exists() else []


@dataclass(frozen=True)
class Results:
    """The lines of one file, found by table, method and epsilon."""

    records: Sequence[Record]

    def by_seed(self, table: str, method: str, epsilon: float, value: str) -> dict[int, float]:
        """Return one value of every fit that gave it."""
        found = {}
        for record in self._of(table, method, epsilon):
            values = record.get("values")
            if isinstance(values, Mapping) and value in values:
                found[int(str(record["seed"]))] = float(values[value])
        return found

    def spread(self, table: str, method: str, epsilon: float, value: str) -> Spread | None:
        """Return the spread of a value over seeds; None where no fit gave it."""
        found = self.by_seed(table, method, epsilon, value)
        return Spread.of(list(found.values())) if found else None

    def difference(self, table: str, methods: tuple[str, str], epsilon: float) -> Spread | None:
        """Return by how much the first method's TV is above the second's, seed by seed."""
        one, other = (self.by_seed(table, method, epsilon, "tv") for method in methods)
        both = sorted(one.keys() & other.keys())
        return Spread.of([one[seed] - other[seed] for seed in both]) if both else None

    def shown(self, table: str, method: str, epsilon: float, value: str, decimals: int) -> str:
        """Return a cell of a table: the spread, or why there is none."""
        spread = self.spread(table, method, epsilon, value)
        if spread is not None:
            return spread.shown(decimals)
        return next(
            (str(r["error"]) for r in self._of(table, method, epsilon) if "error" in r), "-"
        )

    def largest(self, table: str, method: str, epsilon: float, value: str) -> str:
        """Return the largest value of all seeds, without decimals."""
        found = self.by_seed(table, method, epsilon, value)
        return f"{max(found.values()):.0f}" if found else "-"

    def _of(self, table: str, method: str, epsilon: float) -> list[Record]:
        wanted = (table, method, epsilon)
        return [r for r in self.records if (r["table"], _method(r), r["epsilon"]) == wanted]


def _method(record: Record) -> str:
    name, settings = str(record["synthesizer"]), record["settings"]
    changed = next(iter(settings), "") if isinstance(settings, Mapping) else ""
    return NAMES.get((name, changed), name)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "|" + "|".join(cells) + "|" if cells == lines[1] else "| " + " | ".join(cells) + " |"
        for cells in lines
    )
