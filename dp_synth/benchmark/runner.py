"""Cells that are left, worked through by a crew; what has ended is never run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

from dp_synth.benchmark.cell import Cell, Outcome
from dp_synth.benchmark.crew import Crew
from dp_synth.benchmark.store import Store, outcomes, read, save
from dp_synth.benchmark.worker import LIMITED

GIVEN_UP = Outcome(error="GivenUp: cells of other seeds came to a limit")


@dataclass(frozen=True)
class Tally:
    """How many cells are done, how many failed with which reason, and how many are left.

    >>> tally = Tally(done=2, reasons={"ValueError: no": 1}, left=3)
    >>> tally.failed, tally.total
    (1, 6)
    """

    done: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    left: int = 0

    @property
    def failed(self) -> int:
        """Cells that ended in an error; the next run tries them again."""
        return sum(self.reasons.values())

    @property
    def total(self) -> int:
        """All cells of the grid."""
        return self.done + self.failed + self.left

    def after(self, outcome: Outcome) -> Tally:
        """Return the tally once a cell that was left has ended."""
        if not outcome.error:
            return Tally(self.done + 1, self.reasons, self.left - 1)
        reasons = Counter(self.reasons) + Counter([outcome.error])
        return Tally(self.done, dict(reasons), self.left - 1)


def status(cells: Iterable[Cell], store: Store) -> Tally:
    """Return what the store holds of these cells; nothing is run."""
    done, left, reasons = 0, 0, Counter[str]()
    for _, outcome in outcomes(store, cells):
        if outcome is None:
            left += 1
        elif outcome.error:
            reasons[outcome.error] += 1
        else:
            done += 1
    return Tally(done, dict(reasons), left)


def unfinished(cells: Iterable[Cell], store: Store, *, retry: bool = True) -> list[Cell]:
    """Return the cells that have not ended, and with ``retry`` those that failed, in order."""
    found = outcomes(store, cells)
    return [cell for cell, outcome in found if outcome is None or (retry and outcome.error)]


def run(
    cells: Iterable[Cell],
    store: Store,
    crew: Crew,
    *,
    report: Callable[[Tally], None] = lambda tally: None,
    retry: bool = True,
    give_up: int | None = None,
) -> Tally:
    """Let ``crew`` run what is unfinished and return the tally of all ``cells``.

    A cell that fails is a row with its reason, whatever it did; with ``retry`` failed cells of
    earlier runs are tried again. Once ``give_up`` cells that differ by their seeds alone came to
    a limit, the others are rows that say so. ``report`` is called after each cell. A cell that
    another run on the same store finishes meanwhile is not run here. KeyboardInterrupt ends the
    processes, keeps every cell that has ended, and goes on to the caller.
    """
    everything = list(cells)
    tally = status(everything, store)
    todo = unfinished(everything, store, retry=retry)
    if retry:
        tally = Tally(done=tally.done, left=len(todo))
    limited = Counter[Cell]()
    if not retry:  # those of earlier runs are not tried again, and count
        limited.update(_limited_before(everything, store))

    def settle(cell: Cell, outcome: Outcome) -> None:
        nonlocal tally
        limited[_any_seed(cell)] += outcome.error.startswith(LIMITED)
        tally = tally.after(outcome)
        report(tally)

    def still_left() -> Iterator[Cell]:
        """Give the cells one by one, each looked up once more."""
        for cell in todo:
            found = read(store, cell)
            if found is not None and not found.error:
                settle(cell, found)
            elif give_up is not None and limited[_any_seed(cell)] >= give_up:
                save(store, cell, GIVEN_UP)
                settle(cell, GIVEN_UP)
            else:
                yield cell

    with closing(crew(still_left())) as ended:
        for cell, outcome in ended:
            save(store, cell, outcome)
            settle(cell, outcome)
    return tally


def _limited_before(cells: Iterable[Cell], store: Store) -> Iterator[Cell]:
    for cell, outcome in outcomes(store, cells):
        if outcome is not None and outcome.error.startswith(LIMITED):
            yield _any_seed(cell)


def _any_seed(cell: Cell) -> Cell:
    return replace(cell, seed=0)
