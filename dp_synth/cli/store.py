"""`dp-synth benchmark diff`: how the results of two runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.display import one_line

if TYPE_CHECKING:
    from dp_synth.benchmark.diff import FailureChange, StoreDiff

EXIT_DIFFERENT = 4
MOST_NAMED = 10  # cells of each kind that are named; the others are counted

FirstStore = Annotated[str, typer.Argument(metavar="A", help="Folder or address of a store.")]
SecondStore = Annotated[str, typer.Argument(metavar="B", help="The store to compare it with.")]


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
    width = max(len(name) for name, _ in counts)
    lines = [f"{name:<{width}}  {count:>6}" for name, count in counts]
    lines += _metric_lines(found)
    here, there = ("; ".join(machines) for machines in found.machines)
    if here != there:
        lines += ["", f"different values are of {here} in {first}", f"and of {there} in {second}"]
    lines += _named("different values", [change.series for change in found.changed])
    failures = [_failure(change) for change in found.failures]
    lines += _named("different failures (A | B)", failures)
    lines += _named(f"only in {first}", found.only_first)
    lines += _named(f"only in {second}", found.only_second)
    return lines


def _metric_lines(found: StoreDiff) -> list[str]:
    rows = found.by_metric
    if not rows:
        return []
    width = max(len("metric"), *(len(row.metric) for row in rows))
    lines = ["", f"{'metric':<{width}}  {'cells':>6}  largest difference"]
    for row in rows:
        apart = "in one store alone" if row.largest is None else f"{row.largest:.3g}"
        lines.append(f"{row.metric:<{width}}  {row.cells:>6}  {apart}")
    return lines


def _failure(change: FailureChange) -> str:
    return f"{change.series}: {change.first or 'done'} | {change.second or 'done'}"


def _named(title: str, cells: Sequence[object]) -> list[str]:
    if not cells:
        return []
    more = len(cells) - MOST_NAMED
    rest = [f"  and {more} more"] if more > 0 else []
    return ["", f"{title}:", *(f"  {cell}" for cell in cells[:MOST_NAMED]), *rest]
