"""A grid in one call: planned, its store opened, what is left run and written down, gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dp_synth import extensions
from dp_synth.benchmark.cell import Cell, Outcome
from dp_synth.benchmark.cluster import dask_crew
from dp_synth.benchmark.crew import Crew, Ended, local_crew
from dp_synth.benchmark.grid import Grid
from dp_synth.benchmark.manifest import summarise, write_manifest
from dp_synth.benchmark.runner import Tally, run, status
from dp_synth.benchmark.sources import plan
from dp_synth.benchmark.store import Store, gather, open_store, read_records
from dp_synth.benchmark.tasks import SessionCells, run_cell
from dp_synth.benchmark.worker import Work
from dp_synth.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

RESULTS = Path("results")
MOST_JOBS = 4_096  # processes of one machine


def run_grid(
    grid: Grid | Mapping[str, object] | str | Path,
    store: str | Path | None = None,
    *,
    jobs: int = 1,
    dask: str = "",
    retry: bool = True,
    report: Callable[[Tally], None] = lambda tally: None,
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
    if jobs < 1:
        raise InputError(f"jobs must be 1 or more, got {jobs}")
    if jobs > MOST_JOBS:
        raise InputError(f"jobs must be at most {MOST_JOBS:,}, got {jobs:,}")
    content = _grid(grid)
    cells = plan(content)
    left = _Run(content, cells, open_store(store or default_store(content)), jobs, dask)
    tally = status(cells, left.store)
    report(tally)
    if tally.done < tally.total:
        left.go(retry=retry, report=report)
    gather(left.store, cells)
    return read_records(left.store)


def default_store(grid: Grid) -> str:
    """Return the folder of a grid's results where none is named."""
    return str(RESULTS / grid.name)


def _grid(given: object) -> Grid:
    if isinstance(given, Grid):
        return given
    if isinstance(given, (str, Path)):
        return Grid.load(given)
    return Grid.from_dict(dict(given) if isinstance(given, Mapping) else given)


@dataclass(frozen=True)
class _Run:
    """One run of a grid: its cells, where they are kept, and who works through them."""

    grid: Grid
    cells: tuple[Cell, ...]
    store: Store
    jobs: int
    scheduler: str  # address of a Dask scheduler, "" for processes of this machine

    def go(self, *, retry: bool, report: Callable[[Tally], None]) -> None:
        """Run what is left and, whatever happens, write down that it was run."""
        started = datetime.now(UTC)
        ended: list[tuple[Cell, Outcome]] = []
        crew = self._crew()

        def noted(cells: Iterator[Cell]) -> Ended:
            with closing(crew(cells)) as pairs:
                for pair in pairs:
                    ended.append(pair)
                    yield pair

        give_up = self.grid.limits.give_up
        try:
            run(self.cells, self.store, noted, report=report, retry=retry, give_up=give_up)
        finally:
            summary = summarise(
                self.cells,
                ended,
                started=started,
                jobs=None if self.scheduler else self.jobs,
                cluster=self.scheduler,
            )
            write_manifest(self.store, self.grid.model_dump(mode="json"), summary)

    def _crew(self) -> Crew:
        limits, objects = self.grid.cell_limits(), extensions.packed(self.grid.named())
        work: Work = SessionCells(objects) if objects else run_cell
        if self.scheduler:
            return dask_crew(work, self.scheduler, limits)
        return local_crew(work, self.jobs, limits)
