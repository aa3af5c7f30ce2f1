"""`dp-synth benchmark`: run a grid, say how far it is, export and draw what it found."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import find_modules_here
from dp_synth.display import one_line
from dp_synth.errors import InputError
from dp_synth.readers import read_json_lines

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.benchmark import Grid, Status, Store

EXIT_INTERRUPTED = 130

GridFile = Annotated[Path, typer.Argument(metavar="GRID.yaml", help="What to run.")]
StorePlace = Annotated[
    str | None,
    typer.Option(
        help="Folder or fsspec URL of the results; results/<name of the grid> by default."
    ),
]


Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Over the file's: key=value, such as seeds=2 or utility.epsilons=[1]."
    ),
]


def run(
    grid: GridFile,
    settings: Settings = None,
    store: StorePlace = None,
    jobs: Annotated[
        int, typer.Option(help="Processes, of one thread each; one a core by default.", min=1)
    ] = os.cpu_count() or 1,
    dask: Annotated[
        str | None, typer.Option(help="Address or scheduler file of a Dask cluster that runs them.")
    ] = None,
    retry: Annotated[bool, typer.Option(help="Try failed cells again.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, and how long it may take.")
    ] = False,
) -> None:
    """Run every cell of a grid that is not done yet, and gather the records.

    Stop it at any time: the next run goes on where this one ended, and tries failed cells again.
    A failed cell is a row with its error; the exit code is 0 unless every cell failed.
    """
    from dp_synth import benchmark

    find_modules_here()
    content = benchmark.Grid.load(grid, settings or [])
    place = store or benchmark.default_store(content)
    if dry_run:
        _forecast(content, place, jobs)
        return
    told: list[Status] = []
    try:
        with _progress(told) as report:
            benchmark.run_grid(
                content, place, jobs=jobs, dask=dask or "", retry=retry, report=report
            )
    except KeyboardInterrupt:
        words = ["dp-synth", "benchmark", "run", str(grid), "--store", place]
        words += [word for setting in settings or [] for word in ("--set", setting)]
        again = shlex.join(words)
        typer.echo(f"dp-synth: stopped; finished cells are kept; go on with: {again}", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if told[0].done == told[0].total:
        typer.echo("nothing to do: every cell of this grid is done already")
    _say(told[-1], benchmark.store_at(place))


def _forecast(grid: Grid, place: str, jobs: int) -> None:
    """Print the cells that are left by kind, with time and memory as cells of the kind took."""
    from dp_synth import benchmark

    cells = benchmark.plan(grid)
    rows = benchmark.forecast(benchmark.outcomes(benchmark.store_at(place), cells))
    width = max(len(row.synthesizer) for row in rows)
    for row in rows:
        time = "time unknown" if row.total is None else f"{row.total:.0f} s"
        memory = "" if row.peak_mb is None else f", {row.peak_mb:.0f} MB"
        kind = f"{row.dataset:<12} {row.task:<8} {row.synthesizer:<{width}}"
        typer.echo(f"{kind} {row.left:>5} cells, {time}{memory}")
    unknown = sum(row.left for row in rows if row.seconds is None)
    known = sum(row.total or 0.0 for row in rows) / jobs
    left = sum(row.left for row in rows)
    parts = [f"{known:.0f} s with {jobs} processes"] if unknown < left or not left else []
    parts += [f"{unknown} of kinds that never ran here"] if unknown else []
    typer.echo(f"{left} of {len(cells)} cells left: {', and '.join(parts)}")


def _say(tally: Status, store: Store) -> None:
    """Say how many cells are done, why others are not, and where the records are."""
    if tally.failed == tally.total:
        raise InputError(f"every cell failed, the first with {next(iter(tally.reasons))}")
    if tally.failed:
        typer.echo(
            f"dp-synth: warning: {tally.failed} of {tally.total} cells failed; "
            f"traces are in {store.failures}",
            err=True,
        )
    typer.echo(f"{tally.done} of {tally.total} cells done; records: {store.records}")


def status(grid: GridFile, settings: Settings = None, store: StorePlace = None) -> None:
    """Say how many cells of a grid are done, failed (and why), and left, also while it runs."""
    from dp_synth import benchmark

    find_modules_here()
    content = benchmark.Grid.load(grid, settings or [])
    place = store or benchmark.default_store(content)
    tally = benchmark.status(benchmark.plan(content), benchmark.store_at(place))
    typer.echo(f"{place}: {tally.done} done, {tally.failed} failed, {tally.left} left")
    for reason, count in sorted(tally.reasons.items()):
        typer.echo(f"  {count} x {one_line(reason)}")


def export(
    source: Annotated[
        str, typer.Argument(metavar="GRID.yaml|STORE", help="A grid that was run, or its results.")
    ],
    out: Annotated[Path, typer.Option(help="File to write, such as records.jsonl.")],
    command: Annotated[
        str | None, typer.Option(help="What made the store; of a grid known by itself.")
    ] = None,
) -> None:
    """Write the gathered records as lines of JSON to commit, each with the command that made it."""
    from dp_synth import benchmark

    if not source.endswith((".yaml", ".yml")) and not command:
        raise InputError("say with --command what made the store; every record will name it")
    records = gathered(source)
    benchmark.write_record_file(records, out, command or f"dp-synth benchmark run {source}")
    failed = (records["error"] != "").sum()
    typer.echo(f"{len(records)} records, {failed} of them failed cells: {out}")


def plot(
    sources: Annotated[
        list[str],
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
    what both found, with a warning where the live value is not one that another seed could give.
    """
    from dp_synth.citation import label_of
    from dp_synth.figures import draw_all, label_by, not_shown

    label_by(label_of)
    audits, sources = audits_among(sources)
    records = records_of(sources)
    stores = [source for source in sources if not source.endswith(".jsonl")]
    place = place_of(stores[0]) if stores else ""
    if out is None and (not stores or "://" in place):
        raise InputError("say with --out where to draw: records alone or at a URL have no folder")
    folder = out or Path(place) / "figures"
    written = draw_all(records, folder, audits=audits)
    missing = not_shown(records)
    if not written:
        named = ", ".join(map(str, sources))
        why = missing or ["no cell of a synthesizer is done"]
        raise InputError(f"nothing to draw in {named}: {'; '.join(why)}")
    for line in missing:
        typer.echo(f"dp-synth: {line}", err=True)
    _say_what_live_cells_found(records)
    for path in written:
        typer.echo(path)


def _say_what_live_cells_found(records: pd.DataFrame) -> None:
    from dp_synth import benchmark

    for found in benchmark.compare(records):
        typer.echo(found)
        if not found.agrees:
            here, there = found.machines
            typer.echo(
                f"dp-synth: warning: {found.cell}: the live value lies outside of where another "
                f"seed's is expected; it is of {here}, the records are of {there}",
                err=True,
            )
    for line in benchmark.failures(records):
        typer.echo(f"dp-synth: warning: {line}", err=True)


def gathered(source: str) -> pd.DataFrame:
    """Return the records of a store, or of the one that a grid has by default."""
    from dp_synth import benchmark

    return benchmark.read_records(benchmark.store_at(place_of(source)))


def place_of(source: str) -> str:
    """Return the store that ``source`` names, or that the grid of this file has by default."""
    from dp_synth import benchmark

    if not source.endswith((".yaml", ".yml")):
        return source
    find_modules_here()
    return benchmark.default_store(benchmark.Grid.load(source))


def records_of(sources: Sequence[str]) -> pd.DataFrame:
    """Return the records of grids that were run, stores and exported files, each once."""
    from dp_synth import benchmark

    files = [source for source in sources if source.endswith(".jsonl")]
    stores = [source for source in sources if source not in files]
    return benchmark.combined(
        [gathered(source) for source in stores],
        [benchmark.read_record_file(Path(path)) for path in files],
    )


def audits_among(sources: Sequence[str]) -> tuple[list[dict[str, object]], list[str]]:
    """Return the records of those files that hold audits, and the other sources."""
    from dp_synth.figures import is_audit

    audits: list[dict[str, object]] = []
    others = []
    for source in sources:
        lines = lines_of(source) if source.endswith(".jsonl") else []
        if lines and all(map(is_audit, lines)):
            audits += lines
        else:
            others.append(source)
    return audits, others


def lines_of(source: str) -> list[dict[str, object]]:
    """Return the mappings of a file of JSON lines; nothing where it holds anything else."""
    found = []
    try:
        for line in read_json_lines(source):
            if not isinstance(line, dict):
                return []
            found.append(line)
    except InputError:
        return []  # whoever reads it as records says what is wrong
    return found


@contextmanager
def _progress(told: list[Status]) -> Iterator[Callable[[Status], None]]:
    """Show a bar on standard error, moved by the function that is given; it notes what it is told.

    There is none where the first tally says that nothing is left to do.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    counts = "{task.fields[done]} done, {task.fields[failed]} failed, {task.fields[left]} left"
    columns = (BarColumn(), TextColumn(counts), TimeRemainingColumn())
    bar = Progress(
        *columns, console=Console(stderr=True), redirect_stdout=False, redirect_stderr=False
    )

    def report(tally: Status) -> None:
        told.append(tally)
        todo = told[0].total - told[0].done
        if len(told) > 1:
            completed, failed, left = todo - tally.left, tally.failed, tally.left
            bar.update(
                bar.task_ids[0], completed=completed, done=tally.done, failed=failed, left=left
            )
        elif todo:
            bar.add_task("", total=todo, done=tally.done, failed=0, left=todo)
            bar.start()

    try:
        yield report
    finally:
        if bar.task_ids:
            bar.stop()
