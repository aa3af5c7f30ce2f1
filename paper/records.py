"""The committed records that the paper is made of, as lists of lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "paper"
RESULTS = "benchmarks/results"

Record = Mapping[str, object]


@lru_cache(maxsize=32)
def lines(name: str) -> tuple[Record, ...]:
    """Return the lines of a file of records, named from the top of the repository."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def chosen(name: str, **wanted: object) -> list[Record]:
    """Return the lines that have all of these values; KeyError-free where a line lacks one."""
    return [line for line in lines(name) if all(line.get(k) == v for k, v in wanted.items())]


def number_of(line: Record, name: str) -> float:
    """Return a number of a line, or of its ``values``."""
    values = line.get("values")
    inner = values if isinstance(values, Mapping) else {}
    found = inner.get(name, line.get(name))
    if not isinstance(found, (int, float)):
        raise KeyError(f"no number {name!r} in {dict(line)}")
    return float(found)
