"""What a comparison of a release with today's records found, as people and files have it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import ClassVar

from dp_synth._version import __version__
from dp_synth.formatting import rounded_down, rounded_up
from dp_synth.monitor.drift import Interval
from dp_synth.readers import parse_json
from dp_synth.types import Clique

FORMAT, VERSION = "dp_synth.drift", 1

NOT_TO_PUBLISH = "computed from exact records: not differentially private, not to be published"

NULLS = {
    True: "today's records are a sample of the population that the fitted ones came from",
    False: "today's records are a sample of the release's model: what the model has missed from "
    "the beginning counts as drift",
}
"""What is tested, of a release with measured marginals and of one without."""


@dataclass(frozen=True)
class Drift:
    """How far one column or pair has moved: a total variation over ``cells``, with its interval.

    ``exceeds`` says that it is above the tolerance, but for the chance of a false alarm.
    """

    columns: Clique
    cells: int
    value: float
    low: float
    high: float
    exceeds: bool


@dataclass(frozen=True)
class DriftReport:
    """Drift of all columns and pairs that were compared, and by what guarantee it is known.

    All lower ends hold at once with a chance of 1 - ``alarm_rate``, and so do all upper ends: a
    drift is found where there is none beyond ``tolerance`` no more often than ``alarm_rate``.
    ``null`` says what is tested. ``records_then`` and ``records_now`` are noisy. ``epsilon`` and
    ``delta`` were spent on today's records; they are None of an internal report, whose numbers are
    exact and may not be published. Of a ``seeded`` one the noise can be taken away.
    """

    null: str
    alarm_rate: float
    tolerance: float
    records_then: float
    records_now: float
    drifts: tuple[Drift, ...]
    epsilon: float | None
    delta: float | None
    statement: str
    seeded: bool
    at: str
    dp_synth: str = __version__

    format: ClassVar[str] = FORMAT
    version: ClassVar[int] = VERSION

    @property
    def is_internal(self) -> bool:
        """Whether exact records were looked at, so that nothing of it may be published."""
        return self.epsilon is None

    @property
    def found(self) -> tuple[Drift, ...]:
        """The columns and pairs that have drifted beyond the tolerance."""
        return tuple(one for one in self.drifts if one.exceeds)

    @property
    def worst(self) -> Drift:
        """The column or pair of the highest upper end."""
        return max(self.drifts, key=lambda one: one.high)

    @property
    def digest(self) -> str:
        """SHA-256 of the report's fields, by which it is known again."""
        written = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def summary(self) -> str:
        """The finding in one sentence."""
        names = [" and ".join(one.columns) for one in self.found]
        beyond = f" beyond {self.tolerance:g}" if self.tolerance else ""
        worst = f"no column or pair has moved by more than {rounded_up(self.worst.high)}"
        if names:
            return f"drift{beyond} in {len(names)} of {len(self.drifts)}: {', '.join(names)}"
        if all((one.low, one.high) == (0, 1) for one in self.drifts):
            return "nothing can be told of a drift: too few records, then or now, for the noise"
        return f"no drift{beyond} found in {len(self.drifts)} columns and pairs; {worst}"

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells of a table to show, the largest lower end first, with a heading."""
        shown: list[tuple[str, ...]] = [("columns", "drift", "low", "high", "verdict")]
        for one in sorted(self.drifts, key=lambda one: (-one.low, -one.value)):
            ends = rounded_down(one.low), rounded_up(one.high)
            name = " and ".join(one.columns)
            shown.append((name, f"{one.value:.4f}", *ends, "DRIFT" if one.exceeds else ""))
        return shown

    def to_dict(self) -> dict[str, object]:
        """Return the report as a JSON object; an internal one says that it is not to be published.

        Names of columns are lists.
        """
        head: dict[str, object] = {"format": FORMAT, "version": VERSION}
        if self.is_internal:
            head["internal"] = NOT_TO_PUBLISH
        return {**head, "summary": self.summary, **_as_lists(asdict(self))}

    def to_json(self) -> str:
        """Return the text of the report's file."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


def _as_lists(fields: Mapping[str, object]) -> dict[str, object]:
    """Return fields as JSON reads them back."""
    found: dict[str, object] = parse_json(json.dumps(dict(fields)))
    return found


def drift_of(columns: Clique, cells: int, interval: Interval, tolerance: float) -> Drift:
    """Return the drift that an interval tells of, judged by a tolerance."""
    return Drift(
        columns, cells, interval.value, interval.low, interval.high, interval.low > tolerance
    )


def now() -> str:
    """Return this moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
