"""Lines of results: read, kept, found by what they say, and shown as means over seeds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from dp_synth import __version__
from dp_synth.files import written_whole
from dp_synth.records import Spread

Record = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"  # that the standing comparisons made

NAMES = {
    ("published_mst", ""): "mst, as published",
    ("mst", "as_published"): "mst, as published",  # in lines of older versions
    ("aim", "all_gaussian"): "aim, all Gaussian",
    ("held-out rows", ""): "fresh real rows",
}


def arguments(description: str | None = None) -> argparse.ArgumentParser:
    """Return what all measuring scripts are told: where to keep results, and how many seeds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for lines of JSON")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resume", action="store_true", help="keep what is there already")
    return parser


def read(results: Path) -> list[Record]:
    """Return the lines of a file of results; none when it is not there."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def keep(results: Path, lines: Iterable[Mapping[str, object]], **more: object) -> None:
    """Write lines of results, and ``more`` in each, in place of those that were there."""
    results.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(results) as passing:
        text = "".join(json.dumps({**line, **more}) + "\n" for line in lines)
        passing.write_text(text, encoding="utf-8")


def append(results: Path, line: Mapping[str, object]) -> None:
    """Write one more line, with the version of the package."""
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, "version": __version__}, allow_nan=False) + "\n")


def chosen(records: Iterable[Mapping[str, Any]], **wanted: object) -> list[Record]:
    """Return the lines that have all of these values."""
    return [dict(line) for line in records if wanted.items() <= line.items()]


def value_of(line: Mapping[str, Any], name: str) -> float:
    """Return a number of a line, or of its ``values``; KeyError where there is none."""
    found = {**line, **line.get("values", {})}.get(name)
    if not isinstance(found, (int, float)):
        raise KeyError(f"no number {name!r} in {dict(line)}")
    return float(found)


def by_seed(records: Iterable[Mapping[str, Any]], value: str, **wanted: object) -> dict[int, float]:
    """Return one value of the lines that have these values, in the order of their seeds."""
    found = {line["seed"]: value_of(line, value) for line in chosen(records, **wanted)}
    return dict(sorted(found.items()))


def shown(values: Sequence[float], decimals: int, *, sign: bool = False) -> str:
    """Return the mean with its interval as text; a dash where there is no value.

    >>> shown([1.0, 1.2, 1.4], 1), shown([2.0], 1, sign=True), shown([], 1)
    ('1.2 ± 0.5', '+2.0', '-')
    """
    return Spread.of(values).shown(decimals, sign=sign) if len(values) else "-"


def least_seconds(
    work: Callable[[], object], repeats: int = 1, clock: Callable[[], float] = perf_counter
) -> float:
    """Return the least that a piece of work takes of several times, by one clock."""
    taken = []
    for _ in range(repeats):
        start = clock()
        work()
        taken.append(clock() - start)
    return min(taken)


@dataclass(frozen=True)
class Results:
    """The lines of one file, found by table, method and epsilon."""

    records: Sequence[Record]

    def by_seed(self, table: str, method: str, epsilon: float, value: str) -> dict[int, float]:
        """Return one value of every fit that gave it."""
        gave = [r for r in self._of(table, method, epsilon) if value in r.get("values", ())]
        return by_seed(gave, value)

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

    def cells(
        self, table: str, method: str, epsilon: float, columns: Mapping[str, int | None]
    ) -> list[str]:
        """Return a cell a value: its spread with so many decimals, or the largest where None."""
        key = (table, method, epsilon)
        return [
            self.largest(*key, value) if decimals is None else self.shown(*key, value, decimals)
            for value, decimals in columns.items()
        ]

    def _of(self, table: str, method: str, epsilon: float) -> list[Record]:
        wanted = (table, method, epsilon)
        return [r for r in self.records if (r["table"], _method(r), r["epsilon"]) == wanted]


def _method(record: Record) -> str:
    name, changed = record["synthesizer"], next(iter(record["settings"]), "")
    return NAMES.get((name, changed), name)
