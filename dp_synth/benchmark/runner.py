"""Runner of grids: cells that are left are run by an executor, stored, gathered and forecast.

What has ended is never run again. `run_grid` does all of it in one call; it alone loads what plans
and measures cells, so that work of another kind starts fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from dp_synth import extensions
from dp_synth.benchmark.cell import LIMITED, Cell, Outcome
from dp_synth.benchmark.executor import Completed, Executor, Work, local_executor
from dp_synth.benchmark.provenance import summarise, write_manifest
from dp_synth.benchmark.store import Store, gather, open_store, outcomes, read, read_records, save
from dp_synth.errors import InputError, missing_extra

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.benchmark.grid import Grid

GIVEN_UP = Outcome(error="GivenUp: cells of other seeds came to a limit")
RESULTS = Path("results")
MOST_JOBS = 4_096  # processes of one machine


@dataclass(frozen=True)
class Status:
    """How many cells are done, how many failed with which reason, and how many are left.

    >>> status = Status(done=2, reasons={"ValueError: no": 1}, left=3)
    >>> status.failed, status.total
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

    def after(self, outcome: Outcome) -> Status:
        """Return the status once a cell that was left has ended."""
        if not outcome.error:
            return Status(self.done + 1, self.reasons, self.left - 1)
        reasons = Counter(self.reasons) + Counter([outcome.error])
        return Status(self.done, dict(reasons), self.left - 1)


Tally = Status  # its name in the version before, for one version more


def status(cells: Iterable[Cell], store: Store) -> Status:
    """Return what the store holds of these cells; nothing is run."""
    found = [None if one is None else one.error for _, one in outcomes(store, cells)]
    reasons = Counter(error for error in found if error)
    return Status(found.count(""), dict(reasons), found.count(None))


def unfinished(cells: Iterable[Cell], store: Store, *, retry: bool = True) -> list[Cell]:
    """Return the cells that have not ended, and with ``retry`` those that failed, in order."""
    found = outcomes(store, cells)
    return [cell for cell, outcome in found if outcome is None or (retry and outcome.error)]


def run(
    cells: Iterable[Cell],
    store: Store,
    executor: Executor,
    *,
    report: Callable[[Status], None] = lambda status: None,
    retry: bool = True,
    give_up: int | None = None,
) -> Status:
    """Let ``executor`` run what is unfinished and return the status of all ``cells``.

    A cell that fails is a row with its reason, whatever it did; with ``retry`` failed cells of
    earlier runs are tried again. Once ``give_up`` cells that differ by their seeds alone came to
    a limit, the others are rows that say so. ``report`` is called after each cell. A cell that
    another run on the same store finishes meanwhile is not run here. KeyboardInterrupt ends the
    processes, keeps every cell that has ended, and goes on to the caller.
    """
    everything = list(cells)
    done_so_far = status(everything, store)
    todo = unfinished(everything, store, retry=retry)
    if retry:
        done_so_far = Status(done=done_so_far.done, left=len(todo))
    limited = Counter[Cell]()
    if not retry:  # those of earlier runs are not tried again, and count
        before = ((cell, one) for cell, one in outcomes(store, everything) if one is not None)
        limited.update(_any_seed(cell) for cell, one in before if one.error.startswith(LIMITED))

    def settle(cell: Cell, outcome: Outcome) -> None:
        nonlocal done_so_far
        limited[_any_seed(cell)] += outcome.error.startswith(LIMITED)
        done_so_far = done_so_far.after(outcome)
        report(done_so_far)

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

    with closing(executor(still_left())) as ended:
        for cell, outcome in ended:
            save(store, cell, outcome)
            settle(cell, outcome)
    return done_so_far


def _any_seed(cell: Cell) -> Cell:
    return replace(cell, seed=0)


def run_grid(
    grid: Grid | Mapping[str, object] | str | Path,
    store: str | Path | None = None,
    *,
    jobs: int = 1,
    dask: str = "",
    retry: bool = True,
    report: Callable[[Status], None] = lambda status: None,
) -> pd.DataFrame:
    """Run every cell of a grid that is not done yet, and return the grid's records.

    ``grid`` may be a file, or its content as a mapping, in which classes, functions, objects with
    their settings and tables (`datasets.from_frame`) may stand for names, also those of a notebook
    or a script; ``store`` a folder or an address of fsspec, ``results/<name of the grid>`` by
    default. Cells run in ``jobs`` processes, or on the cluster whose scheduler is at ``dask``. A
    stopped run goes on where it was; with ``retry`` failed cells are tried again. A failed cell is
    a record with its ``error``. ``report`` is told how far the grid is, at first and after each
    cell. InputError for a grid, a table or a store that is not as it should be; nothing is run
    then.
    """
    from dp_synth.benchmark.cell_run import plan

    if jobs < 1:
        raise InputError(f"jobs must be 1 or more, got {jobs}")
    if jobs > MOST_JOBS:
        raise InputError(f"jobs must be at most {MOST_JOBS:,}, got {jobs:,}")
    content = _loaded(grid)
    cells, place = plan(content), open_store(store or default_store(content))
    before = status(cells, place)
    report(before)
    if before.done < before.total:
        executor = _executor(content, jobs, dask)
        give_up, started = content.limits.give_up, datetime.now(UTC)
        completed: list[tuple[Cell, Outcome]] = []

        def noted(left: Iterator[Cell]) -> Completed:
            with closing(executor(left)) as pairs:
                for pair in pairs:
                    completed.append(pair)
                    yield pair

        try:
            run(cells, place, noted, report=report, retry=retry, give_up=give_up)
        finally:  # whatever happens, that it was run is written down
            used = None if dask else jobs
            summary = summarise(cells, completed, started=started, jobs=used, cluster=dask)
            write_manifest(place, content.model_dump(mode="json"), summary)
    gather(place, cells)
    return read_records(place)


def default_store(grid: Grid) -> str:
    """Return the folder of a grid's results where none is named."""
    return str(RESULTS / grid.name)


def _loaded(given: object) -> Grid:
    from dp_synth.benchmark.grid import Grid

    if isinstance(given, Grid):
        return given
    if isinstance(given, (str, Path)):
        return Grid.load(given)
    return Grid.from_dict(dict(given) if isinstance(given, Mapping) else given)


def _executor(grid: Grid, jobs: int, scheduler: str) -> Executor:
    """Return who runs the cells of a grid: a cluster if ``scheduler`` is an address of one."""
    from dp_synth.benchmark.cell_run import SessionCells, run_cell

    limits, objects = grid.cell_limits(), extensions.packed(grid.named())
    fresh = grid.utility is not None and grid.utility.costs
    work: Work = SessionCells(objects) if objects else run_cell
    if not scheduler:
        return local_executor(work, jobs, limits, fresh=fresh)
    try:
        from dp_synth.benchmark.dask import dask_executor
    except ImportError:
        raise missing_extra("a cluster", "dask", "cluster") from None
    return dask_executor(work, scheduler, limits, fresh=fresh)


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
    kinds: dict[tuple[str, str, str], list[Outcome | None]] = {}
    for cell, outcome in ended:
        kinds.setdefault((cell.dataset, cell.task, cell.synthesizer), []).append(outcome)
    found = []
    for kind, all_of in kinds.items():
        known = [one for one in all_of if one is not None and not one.error]
        seconds = [one.wall_seconds for one in known if one.wall_seconds is not None]
        peaks = [one.peak_mb for one in known if one.peak_mb is not None]
        took = mean(seconds) if seconds else None
        found.append(Forecast(*kind, len(all_of) - len(known), took, max(peaks, default=None)))
    return found
