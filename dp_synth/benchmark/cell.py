"""One combination of a grid, what names it for ever, and what running it gave."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dp_synth
from dp_synth._version import __version__
from dp_synth.benchmark.machine import UNKNOWN, Machine

if TYPE_CHECKING:
    from dp_synth.accounting import Adjacency

Record = dict[str, str | float | int | None]

# The columns of the gathered records, in order, and the kind of each.
RECORD_COLUMNS: dict[str, type] = {
    "dataset": str,
    "task": str,
    "synthesizer": str,
    "settings": str,
    "epsilon": float,
    "delta": float,
    "adjacency": str,
    "seed": int,
    "metric": str,
    "value": float,
    "low": float,
    "high": float,
    "seconds": float,
    "wall_seconds": float,
    "peak_mb": float,
    "budget": str,
    "version": str,
    "processor": str,
    "torch": str,
    "kernels": str,
    "error": str,
}

# Columns that the first records lack, and what stands there.
ADDED: Record = {
    "wall_seconds": None,
    "peak_mb": None,
    "budget": "",
    "processor": "",
    "torch": "",
    "kernels": "",
}


def canonical_json(value: Mapping[str, object]) -> str:
    """Return the one JSON text of ``value``: sorted keys, no blanks, no NaN.

    >>> canonical_json({"b": (1, 2), "a": None})
    '{"a":null,"b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


SHOWING = frozenset({"cli", "figures", "report", "statistics"})  # parts that decide no result


@cache
def code_digest() -> str:
    """Return the SHA-256 of the package's modules, those that only show results left out."""
    package = Path(dp_synth.__file__).parent
    modules = (path.relative_to(package) for path in package.rglob("*.py"))
    deciding = sorted(path for path in modules if not SHOWING.intersection(path.parts))
    digest = hashlib.sha256()
    for path in deciding:
        digest.update(path.as_posix().encode() + b"\0" + (package / path).read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Cell:
    """What is run once: a table, a task, a synthesizer or baseline, a budget and a seed.

    ``settings`` holds every field of the synthesizer, defaults included, and ``options`` those of
    the task, both as canonical JSON. A baseline has no budget: epsilon, delta and adjacency are
    None, so that its key does not depend on them. ``code`` tells versions of what this package
    does not ship apart: a digest of third-party modules, or the versions of a peer.
    """

    dataset: str
    dataset_sha256: str
    task: str
    synthesizer: str
    settings: str
    epsilon: float | None
    delta: float | None
    adjacency: Adjacency | None
    seed: int
    options: str
    code: str = ""

    @property
    def key(self) -> str:
        """SHA-256 of all that decides the result, the code of this package included."""
        text = canonical_json({**asdict(self), "version": __version__, "package": code_digest()})
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def is_baseline(self) -> bool:
        """Whether the rows come from a baseline instead of a fitted synthesizer."""
        return self.epsilon is None


@dataclass(frozen=True)
class Measured:
    """One measured value with its 95 % interval; None where there is none."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Outcome:
    """What a cell gave: measured values, or the error that it ended in.

    ``seconds`` is the processor time of the fit, of a peer's whole process, None for baselines.
    ``wall_seconds`` and ``peak_mb`` are of the whole cell, its process and that one's children.
    ``budget`` says who vouches for epsilon: "ledger", "peer-declared", or "" for baselines.
    ``machine`` is what the cell ran on, ``ledger`` the text of the fit's ledger. The latter and
    ``trace`` are never part of a record.
    """

    measured: tuple[Measured, ...] = ()
    seconds: float | None = None
    wall_seconds: float | None = None
    peak_mb: float | None = None
    budget: str = ""
    machine: Machine = UNKNOWN
    ledger: str = ""
    error: str = ""
    trace: str = ""

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Outcome:
        """Return the outcome of ``asdict``'s fields, also of those before machines were known.

        KeyError or TypeError where there are others.
        """
        measured = tuple(Measured(**value) for value in fields["measured"])
        machine = Machine(**fields.get("machine", {}))
        return cls(**{**fields, "measured": measured, "machine": machine})


def measured(metric: str, value: float, low: float, high: float) -> Measured:
    """Return the measured value with numbers that are not finite turned into None."""
    numbers = [float(x) if math.isfinite(x) else None for x in (value, low, high)]
    return Measured(metric, *numbers)


def records(cell: Cell, outcome: Outcome) -> list[Record]:
    """Return one record for each measured value, or one that holds the error.

    >>> cell = Cell("adult", "00", "utility", "mst", "{}", 1.0, 1e-5, "add_remove", 0, "{}")
    >>> row, = records(cell, Outcome(error="ValueError: no"))
    >>> row["metric"], row["value"], row["error"]
    ('', None, 'ValueError: no')
    """
    values = outcome.measured or (Measured("", None, None, None),)
    return [
        {
            "dataset": cell.dataset,
            "task": cell.task,
            "synthesizer": cell.synthesizer,
            "settings": cell.settings,
            "epsilon": cell.epsilon,
            "delta": cell.delta,
            "adjacency": cell.adjacency,
            "seed": cell.seed,
            "metric": value.metric,
            "value": value.value,
            "low": value.low,
            "high": value.high,
            "seconds": outcome.seconds,
            "wall_seconds": outcome.wall_seconds,
            "peak_mb": outcome.peak_mb,
            "budget": outcome.budget,
            "version": __version__,
            **asdict(outcome.machine),
            "error": outcome.error,
        }
        for value in values
    ]
