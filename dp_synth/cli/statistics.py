"""`dp-synth benchmark rank` and `compare`: which method is better, and whether that is chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.benchmark import records_of
from dp_synth.errors import InputError

if TYPE_CHECKING:
    from dp_synth.benchmark import statistics

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="GRID.yaml|STORE|RECORDS.jsonl...",
        help="Grids that were run, their results, or exported records.",
    ),
]
Metric = Annotated[str, typer.Option(help="What is compared, such as tv2 or auc:MODEL.")]
Task = Annotated[str, typer.Option(help="Whose cells: utility or leakage.")]


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

    found = statistics.ranking(
        records_of(sources),
        metric,
        epsilon,
        task=task,
        methods=methods,
    )
    typer.echo(found)
    if out is not None:
        for path in _write(found, out):
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


def _write(found: statistics.Ranking, folder: Path) -> list[Path]:
    from dp_synth.citation import label_of
    from dp_synth.figures import label_by, write_ranks
    from dp_synth.files import written_whole

    label_by(label_of)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file; name a folder")
    written = write_ranks(found, folder)
    path = folder / "ranks.json"
    with written_whole(path) as passing:
        text = json.dumps(found.to_dict(), indent=1, allow_nan=False)
        passing.write_text(text + "\n", encoding="utf-8")
    return [*written, path]
