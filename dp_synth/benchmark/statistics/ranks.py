"""Methods ranked over tables: Friedman's test, Nemenyi's critical difference, pairs after Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dp_synth.benchmark.statistics.direction import Better, better
from dp_synth.benchmark.statistics.failures import FLOOR, adjusted
from dp_synth.benchmark.statistics.methods import BLOCK
from dp_synth.benchmark.statistics.rank_tests import Groups, Tests, tests_of, why_no_tests
from dp_synth.errors import InputError
from dp_synth.extensions import nearest

DECIMALS = 12  # scores that agree so far are tied


@dataclass(frozen=True, eq=False)
class Ranking:
    """Mean ranks of methods over blocks, 1 being best, and which of them can be told apart.

    ``scores`` and ``ranks`` have a row a block (table and budget) and a column a method.
    ``failures`` counts the cells of each method that failed and took another score. ``notes``
    say what else a reader must know: why there is no test, what was left out.
    """

    metric: str
    task: str
    better: Better
    scores: pd.DataFrame
    ranks: pd.DataFrame
    mean_ranks: Mapping[str, float]  # best first
    failures: Mapping[str, int]
    tests: Tests | None
    notes: tuple[str, ...]

    @property
    def blocks(self) -> int:
        """How many tables and budgets were ranked over."""
        return len(self.ranks)

    @property
    def critical_difference(self) -> float | None:
        """Nemenyi's critical difference of mean ranks; None where there is no test."""
        return None if self.tests is None else self.tests.critical_difference

    @property
    def groups(self) -> Groups:
        """The runs of methods that Nemenyi's test cannot tell apart."""
        return () if self.tests is None else self.tests.groups

    def to_dict(self) -> dict[str, object]:
        """Return all of it as JSON can hold it."""
        scores = self.scores.reset_index().to_dict("records")
        return {
            "metric": self.metric,
            "task": self.task,
            "better": self.better,
            "blocks": [{str(name): value for name, value in row.items()} for row in scores],
            "mean_ranks": dict(self.mean_ranks),
            "failures": dict(self.failures),
            "tests": None if self.tests is None else self.tests.to_dict(),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        over = "1 block" if self.blocks == 1 else f"{self.blocks} blocks"
        lines = [f"{self.metric} ({self.better} is better), mean ranks over {over}:"]
        width = max(map(len, self.mean_ranks))
        for method, rank in self.mean_ranks.items():
            failed = self.failures[method]
            said = f"  ({failed} failed)" if failed else ""
            lines.append(f"  {rank:5.2f}  {method:<{width}}{said}".rstrip())
        if self.tests is not None:
            lines.append(str(self.tests))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def ranking(
    records: pd.DataFrame,
    metric: str,
    epsilon: float | None = None,
    *,
    task: str = "utility",
    methods: Sequence[str] | None = None,
    floor: str = FLOOR,
) -> Ranking:
    """Return how fitted methods rank by ``metric`` over tables, as Demsar 2006 compares them.

    A block is a table at ``epsilon``; without it, a table at each epsilon. A score is the mean
    over seeds, failed ones with the score that ``adjusted`` gives them. Ranked are ``methods``, all
    by default, over the blocks in which each of them was run. Ties share their mean rank.
    """
    cells = adjusted(records, metric, task=task, floor=floor)
    chosen = _chosen(cells, epsilon, methods)
    table = chosen.pivot_table(
        index=list(BLOCK), columns="method", values="value", aggfunc="mean"
    ).round(DECIMALS)
    scores = table.dropna()
    if scores.empty:
        raise InputError(
            "no table and budget has a score of every method; name methods that were run together"
        )
    way = better(metric, task)
    ranks = scores.rank(axis=1, ascending=way == "lower")
    used = chosen[pd.MultiIndex.from_frame(chosen[list(BLOCK)]).isin(scores.index)]
    failures = used.groupby("method")["failed"].sum()
    means = ranks.mean().sort_values(kind="stable")
    why = why_no_tests(*ranks.shape)
    tests = None if why else tests_of(scores, ranks[means.index])
    notes = [why] if tests is None else tests.notes
    return Ranking(
        metric=metric,
        task=task,
        better=way,
        scores=scores,
        ranks=ranks,
        mean_ranks={str(name): float(rank) for name, rank in means.items()},
        failures={str(name): int(count) for name, count in failures.items()},
        tests=tests,
        notes=(*_notes_on_blocks(table, scores, used), *notes),
    )


def _chosen(
    cells: pd.DataFrame, epsilon: float | None, methods: Sequence[str] | None
) -> pd.DataFrame:
    if epsilon is not None:
        known = ", ".join(f"{value:g}" for value in sorted(cells["epsilon"].unique()))
        cells = cells[cells["epsilon"] == epsilon]
        if cells.empty:
            raise InputError(f"no cell at epsilon {epsilon:g}; there are: {known}")
    names = sorted(cells["method"].unique())
    strange = [name for name in methods or () if name not in names]
    if strange:
        raise InputError(f"no method {strange[0]!r} was fitted; {nearest(strange[0], names)}")
    chosen = names if methods is None else list(dict.fromkeys(methods))
    if len(chosen) < 2:
        raise InputError(f"a ranking is of two methods or more, got {', '.join(chosen) or 'none'}")
    return cells[cells["method"].isin(chosen)]


def _notes_on_blocks(table: pd.DataFrame, scores: pd.DataFrame, used: pd.DataFrame) -> list[str]:
    notes = []
    if len(table) > len(scores):
        notes.append(f"{len(table) - len(scores)} blocks without a score of each method left out")
    if scores.index.get_level_values("dataset").has_duplicates:
        notes.append(
            "several budgets of one table are no independent blocks: p-values are too small"
        )
    failed = used[used["failed"]]
    if len(failed):
        took = ", ".join(sorted(failed["took"].unique()))
        notes.append(f"{len(failed)} failed cells took the score of: {took}")
    return notes
