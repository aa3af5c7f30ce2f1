"""The committed records that the paper is made of, as lists of lines."""

from __future__ import annotations

from functools import lru_cache

from benchmarks.measured import ROOT, Record, read, value_of
from benchmarks.measured import chosen as chosen_of

PAPER = ROOT / "paper"
RESULTS = "benchmarks/results"


@lru_cache(maxsize=32)
def lines(name: str) -> tuple[Record, ...]:
    """Return the lines of a file of records, named from the top of the repository."""
    return tuple(read(ROOT / name))


def chosen(name: str, **wanted: object) -> list[Record]:
    """Return the lines of a file that have all of these values."""
    return chosen_of(lines(name), **wanted)


number_of = value_of  # of a line, or of its ``values``

__all__ = ["PAPER", "RESULTS", "ROOT", "Record", "chosen", "lines", "number_of"]
