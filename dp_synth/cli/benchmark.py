"""`dp-synth benchmark`: run a grid, say how far it is, export and draw what it found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.benchmark import Cell, Grid, Store, Tally

RESULTS = Path("results")
EXIT_INTERRUPTED = 130

GridFile = Annotated[Path, typer.Argument(metavar="GRID.yaml", help="What to run.")]
StoreFolder = Annotated[
    Path | None, typer.Option(help="Folder of the results; results/<name of the grid> by default.")
]


def run(
    grid: GridFile,
    store: StoreFolder = None,
    jobs: Annotated[
        int, typer.Option(help="Processes, of one thread each; one a core by default.", min=1)
    ] = os.cpu_count() or 1,
) -> None:
    """Run every cell of a grid that is not done yet, and gather the records.

    Stop it at any time: the next run goes on where this one ended, and tries failed cells again.
    A failed cell is a row with its error; the exit code is 0 unless every cell failed.
    """
    try:
        _run(grid, store, jobs)
    except KeyboardInterrupt:
        again = " ".join(
            ["dp-synth benchmark run", str(grid), *(["--store", str(store)] * bool(store))]
        )
        typer.echo(f"dp-synth: stopped; finished cells are kept; go on with: {again}", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _run(path: Path, folder: Path | None, jobs: int) -> None:
    from dp_synth import benchmark

    grid = benchmark.Grid.load(path)
    store = benchmark.open_store(folder or _default_store(grid))
    cells = benchmark.plan(grid)
    tally = benchmark.status(cells, store)
    if tally.done == tally.total:
        typer.echo("nothing to do: every cell of this grid is done already")
    else:
        with _progress(tally) as report:
            tally = benchmark.run(cells, store, jobs=jobs, work=benchmark.run_cell, report=report)
    _finish(grid, store, cells, tally)


def _finish(grid: Grid, store: Store, cells: tuple[Cell, ...], tally: Tally) -> None:
    """Gather the records and say where they are."""
    from dp_synth import benchmark

    benchmark.write_manifest(store, grid.model_dump(mode="json"))
    records = benchmark.gather(store, cells)
    if tally.failed == tally.total:
        raise InputError(f"every cell failed, the first with {next(iter(tally.reasons))}")
    if tally.failed:
        typer.echo(
            f"dp-synth: warning: {tally.failed} of {tally.total} cells failed; "
            f"traces are in {store.failures}",
            err=True,
        )
    typer.echo(f"{tally.done} of {tally.total} cells done; records: {records}")


def status(grid: GridFile, store: StoreFolder = None) -> None:
    """Say how many cells of a grid are done, failed (and why), and left."""
    from dp_synth import benchmark

    content = benchmark.Grid.load(grid)
    folder = store or _default_store(content)
    tally = benchmark.status(benchmark.plan(content), benchmark.Store(folder))
    typer.echo(f"{folder}: {tally.done} done, {tally.failed} failed, {tally.left} left")
    for reason, count in sorted(tally.reasons.items()):
        typer.echo(f"  {count} x {reason}")


def export(
    source: Annotated[
        Path, typer.Argument(metavar="GRID.yaml|STORE", help="A grid that was run, or its results.")
    ],
    out: Annotated[Path, typer.Option(help="File to write, such as records.jsonl.")],
    command: Annotated[
        str | None, typer.Option(help="What made the store; of a grid known by itself.")
    ] = None,
) -> None:
    """Write the gathered records as lines of JSON to commit, each with the command that made it."""
    from dp_synth import benchmark

    if source.is_dir() and not command:
        raise InputError("say with --command what made the store; every record will name it")
    records = _gathered(source)
    benchmark.write_record_file(records, out, command or f"dp-synth benchmark run {source}")
    failed = (records["error"] != "").sum()
    typer.echo(f"{len(records)} records, {failed} of them failed cells: {out}")


def plot(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="GRID.yaml|STORE|RECORDS.jsonl...",
            help="Grids that were run, their results, or exported records, on one figure.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the figures; figures/ of the first store by default."),
    ] = None,
) -> None:
    """Draw utility, leakage and the trade-off between them as PDF and PNG.

    What stands in several sources is drawn once. Cells of a grid or store whose method has
    exported records as well are live: open markers beside the records, and a line each that says
    what both found, with a warning where they are further apart than seeds are.
    """
    from dp_synth import benchmark
    from dp_synth.figures import draw_all

    files = [source for source in sources if source.suffix == ".jsonl"]
    stores = [source for source in sources if source not in files]
    records = benchmark.combined(
        [_gathered(source) for source in stores],
        [benchmark.read_record_file(path) for path in files],
    )
    folder = out or (_folder_of(stores[0]) / "figures" if stores else None)
    if folder is None:
        raise InputError("say with --out where to draw: records alone have no folder")
    written = draw_all(records, folder)
    if not written:
        named = ", ".join(map(str, sources))
        raise InputError(f"nothing to draw in {named}: no cell of a synthesizer is done")
    _say_what_live_cells_found(records)
    for path in written:
        typer.echo(path)


def _say_what_live_cells_found(records: pd.DataFrame) -> None:
    from dp_synth import benchmark

    for found in benchmark.compare(records):
        typer.echo(found)
        if not found.agrees:
            typer.echo(
                f"dp-synth: warning: {found.cell}: live and recorded differ by more than "
                f"recorded seeds do ({found.spread:.4f})",
                err=True,
            )
    for line in benchmark.failures(records):
        typer.echo(f"dp-synth: warning: {line}", err=True)


def _gathered(source: Path) -> pd.DataFrame:
    """Return the records of a store, or of the one that a grid has by default."""
    from dp_synth import benchmark

    return benchmark.read_records(benchmark.Store(_folder_of(source)))


def _folder_of(source: Path) -> Path:
    from dp_synth import benchmark

    return source if source.is_dir() else _default_store(benchmark.Grid.load(source))


def _default_store(grid: Grid) -> Path:
    return RESULTS / grid.name


@contextmanager
def _progress(start: Tally) -> Iterator[Callable[[Tally], None]]:
    """Show a bar on standard error, moved by the function that is given."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn(
            "{task.fields[done]} done, {task.fields[failed]} failed, {task.fields[left]} left"
        ),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        todo = start.total - start.done
        task = bar.add_task("", total=todo, done=start.done, failed=0, left=todo)

        def report(tally: Tally) -> None:
            bar.update(
                task,
                completed=todo - tally.left,
                done=tally.done,
                failed=tally.failed,
                left=tally.left,
            )

        yield report
