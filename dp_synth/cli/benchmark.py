"""`dp-synth benchmark`: run a grid, export, draw, rank and compare what was found."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dp_synth.cli.arguments import find_modules_here
from dp_synth.cli.outputs import aligned, bar, write_text
from dp_synth.errors import InputError
from dp_synth.formatting import one_line
from dp_synth.readers import parse_json, read_json_lines

if TYPE_CHECKING:
    import pandas as pd
    from rich.progress import Progress as Bar

    from dp_synth.benchmark import Grid, Status, Store
    from dp_synth.benchmark.diff import StoreDiff

EXIT_DIFFERENT = 4

EXIT_INTERRUPTED = 130

MOST_NAMED = 10  # cells of each kind that are named; the others are counted

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

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="GRID.yaml|STORE|RECORDS.jsonl...",
        help="Grids that were run, their results, or exported records.",
    ),
]

Metric = Annotated[str, typer.Option(help="What is compared, such as tv2 or auc:MODEL.")]

Task = Annotated[str, typer.Option(help="Whose cells: utility or leakage.")]

FirstStore = Annotated[str, typer.Argument(metavar="A", help="Folder or address of a store.")]

SecondStore = Annotated[str, typer.Argument(metavar="B", help="The store to compare it with.")]


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


@contextmanager
def _progress(told: list[Status]) -> Iterator[Callable[[Status], None]]:
    """Show a bar on standard error, moved by the function that is given; it notes what it is told.

    There is none where the first tally says that nothing is left to do.
    """
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    counts = TextColumn(
        "{task.fields[done]} done, {task.fields[failed]} failed, {task.fields[left]} left"
    )
    with ExitStack() as stack:
        shown: Bar | None = None

        def report(tally: Status) -> None:
            nonlocal shown
            told.append(tally)
            todo = told[0].total - told[0].done
            if shown is None and todo:
                shown = stack.enter_context(
                    bar(BarColumn(), counts, TimeRemainingColumn(), stays=True)
                )
                shown.add_task("", total=todo, done=tally.done, failed=0, left=todo)
            elif shown is not None:
                shown.update(
                    shown.task_ids[0],
                    completed=todo - tally.left,
                    done=tally.done,
                    failed=tally.failed,
                    left=tally.left,
                )

        yield report


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
    from dp_synth.figures import draw_all, not_shown

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


def rank(
    sources: Sources,
    metric: Metric,
    epsilon: Annotated[
        float | None, typer.Option(help="Of one epsilon; by default each is a block of its own.")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", help="Only this one, and others so named; by default all."),
    ] = None,
    task: Task = "utility",
    out: Annotated[
        Path | None, typer.Option(help="Folder for ranks.json, ranks.pdf and ranks.png.")
    ] = None,
) -> None:
    """Rank methods over tables: mean ranks, Friedman's test, critical difference, pairs.

    A failed cell takes the score of independent columns without noise, or a worse one where that
    would reward failing, and is counted beside its method. With fewer than three tables there
    are ranks and no test.
    """
    from dp_synth.benchmark import statistics

    records = records_of(sources)
    found = statistics.ranking(records, metric, epsilon, task=task, methods=methods)
    typer.echo(found)
    if out is None:
        return
    from dp_synth.figures import write_ranks

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder")
    written = write_ranks(found, out)
    write_text(out / "ranks.json", json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n")
    for path in (*written, out / "ranks.json"):
        typer.echo(path)


def compare(
    sources: Sources,
    first: Annotated[str, typer.Option(help="A method, such as mst.")],
    second: Annotated[str, typer.Option(help="Another, or a baseline.")],
    metric: Metric,
    task: Task = "utility",
) -> None:
    """Compare two methods seed by seed: mean difference, interval, exact p-values.

    Each table and budget is a comparison of its own, and Holm's correction is for all of them.
    """
    from dp_synth.benchmark import statistics

    typer.echo(statistics.paired(records_of(sources), first, second, metric, task=task))


def report(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="GRID.yaml|STORE|RECORDS.jsonl...",
            help="Grids that were run, their results, or exported records, on one page.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    card: Annotated[
        list[Path] | None, typer.Option(help="A data card to summarise; may be given again.")
    ] = None,
) -> None:
    """Write one HTML file with curves, trade-off, ranks, costs and failures.

    It holds all that it needs, asks nobody for anything and opens without a network.
    """
    from dp_synth.report.benchmark_page import write_page
    from dp_synth.report.card import DataCard

    records = records_of(sources)
    stores = [source for source in sources if not source.endswith(".jsonl")]
    found = [_manifest(place_of(source)) for source in stores]
    written = write_page(
        records,
        out,
        manifests=[manifest for manifest in found if manifest],
        cards=[DataCard.load(path).to_dict() for path in card or ()],
        stores=[Path(source).name for source in sources],
    )
    typer.echo(written)


def _manifest(place: str) -> dict[str, object]:
    """Return what made a store's records; nothing where it does not say."""
    from dp_synth.benchmark import store_at

    path = store_at(place).folder / "manifest.json"
    if not path.exists():
        return {}
    try:
        content = parse_json(path.read_bytes())
    except InputError as error:
        raise InputError(f"{path}: not JSON: {error}; run the grid again") from None
    return content if isinstance(content, dict) else {}


def diff(
    first: FirstStore,
    second: SecondStore,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"End with {EXIT_DIFFERENT} where they differ.")
    ] = False,
) -> None:
    """Say which cells stand in one store alone, and which values or failures differ.

    Cells are matched by table, task, synthesizer with settings, budget and seed, whatever version
    of the code made them. Times and memory are not compared.
    """
    from dp_synth.benchmark.diff import diff as differ
    from dp_synth.benchmark.store import store_at

    found = differ(store_at(first), store_at(second))
    for line in _lines(found, first, second):
        typer.echo(one_line(line))
    for name, damaged in zip((first, second), found.damaged, strict=True):
        if damaged:
            typer.echo(f"dp-synth: warning: {name}: {damaged} damaged files left out", err=True)
    if exit_code and not found.is_same:
        raise typer.Exit(EXIT_DIFFERENT)


def _lines(found: StoreDiff, first: str, second: str) -> list[str]:
    counts = (
        ("equal", found.equal),
        ("different values", len(found.changed)),
        ("different failures", len(found.failures)),
        (f"only in {first}", len(found.only_first)),
        (f"only in {second}", len(found.only_second)),
    )
    lines = aligned([(name, f"{count:>6}") for name, count in counts])
    rows = [("metric", " cells", "largest difference")]
    for row in found.by_metric:
        apart = "in one store alone" if row.largest is None else f"{row.largest:.3g}"
        rows.append((row.metric, f"{row.cells:>6}", apart))
    if found.by_metric:
        lines += ["", *aligned(rows)]
    here, there = ("; ".join(machines) for machines in found.machines)
    if here != there:
        lines += ["", f"different values are of {here} in {first}", f"and of {there} in {second}"]
    failures = [
        f"{one.series}: {one.first or 'done'} | {one.second or 'done'}" for one in found.failures
    ]
    named: dict[str, Sequence[object]] = {
        "different values": [change.series for change in found.changed],
        "different failures (A | B)": failures,
        f"only in {first}": found.only_first,
        f"only in {second}": found.only_second,
    }
    for title, cells in named.items():
        if cells:
            lines += ["", f"{title}:", *(f"  {cell}" for cell in cells[:MOST_NAMED])]
        if len(cells) > MOST_NAMED:
            lines.append(f"  and {len(cells) - MOST_NAMED} more")
    return lines


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
        lines: list[Any] = []
        if source.endswith(".jsonl"):
            with suppress(InputError):  # whoever reads it as records says what is wrong
                lines = list(read_json_lines(source))
        if lines and all(isinstance(line, dict) and is_audit(line) for line in lines):
            audits += lines
        else:
            others.append(source)
    return audits, others
