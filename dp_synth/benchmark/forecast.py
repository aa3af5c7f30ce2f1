"""How long a grid will take and how much memory, from cells like its own that ended before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from dp_synth.benchmark.cell import Cell, Outcome

Kind = tuple[str, str, str]  # dataset, task, synthesizer


@dataclass(frozen=True)
class Forecast:
    """Cells of one kind that are left, with what those that ended took on average.

    ``seconds`` (on the clock, a cell) and ``peak_mb`` (the most) are None where no cell of this
    kind has ended: nothing is guessed.
    """

    dataset: str
    task: str
    synthesizer: str
    left: int
    seconds: float | None
    peak_mb: float | None

    @property
    def total(self) -> float | None:
        """Seconds that all cells of the kind will take, one after the other."""
        return None if self.seconds is None else self.left * self.seconds


def forecast(ended: Iterable[tuple[Cell, Outcome | None]]) -> list[Forecast]:
    """Return a forecast for each kind of the cells, given with the outcomes of those that ended.

    Failed cells tell nothing of the time that the others take, and are counted as left.
    """
    left: dict[Kind, int] = {}
    known: dict[Kind, list[Outcome]] = {}
    for cell, outcome in ended:
        kind = (cell.dataset, cell.task, cell.synthesizer)
        done = outcome is not None and not outcome.error
        left[kind] = left.get(kind, 0) + (not done)
        if outcome is not None and done:
            known.setdefault(kind, []).append(outcome)
    return [_of_kind(kind, count, known.get(kind, [])) for kind, count in left.items()]


def _of_kind(kind: Kind, left: int, known: list[Outcome]) -> Forecast:
    seconds = [one.wall_seconds for one in known if one.wall_seconds is not None]
    peaks = [one.peak_mb for one in known if one.peak_mb is not None]
    return Forecast(*kind, left, mean(seconds) if seconds else None, max(peaks) if peaks else None)
