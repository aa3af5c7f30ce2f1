"""Whether the order of methods holds over many public tables, and what more budget gives.

The marginal methods alone: `tradeoff` has the networks and what rows leak, on three tables.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

import dp_synth as dps
from benchmarks.inputs import boosted
from benchmarks.measured import ROOT
from dp_synth.benchmark import Grid, read_record_file, run_grid, write_record_file
from dp_synth.benchmark.statistics import Comparison, Ranking, paired, ranking
from dp_synth.figures.curves import draw_series, ended, spread
from dp_synth.figures.style import (
    BASELINES,
    FULL_WIDTH,
    below,
    draw_band,
    epsilon_axis,
    named,
    new_figure,
)
from dp_synth.metrics import Compared, Estimate
from dp_synth.records import Spread
from experiments.outline import RECORDS, Experiment, ends, log_axis, timed
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
STORE, GRID = ROOT / "results" / "many-tables", HERE / "grid.yaml"
COMMAND = "python -m experiments many-tables"
JOBS = 2
TV, AUC = "tv2", "auc_boosted"
CENSUS, CENSUS_RECORDS = f"{__name__}:census", 48_000
TABLES = {
    "adult_discrete": "Adult, coded",
    "bank_marketing": "bank marketing",
    "credit_default_taiwan": "credit default",
    "nist_ma2019": "NIST, MA 2019",
    "nltcs": "NLTCS",
    "spambase": "Spambase",
    "german_credit": "German credit",
    "cervical_cancer": "cervical cancer",
    "census": "census income",
}
RECOMMENDED, BASE = ("clique_tree", "mst", "aim"), "independent"
SHOWN_EPSILON = 1.0
TV_TICKS = (0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
SAID_BASELINES = ("independent_without_noise", "fresh_rows")
IDENTITY = ("dataset", "synthesizer", "settings", "epsilon", "seed", "metric")


@dataclass(frozen=True)
class Part:
    """Methods at some epsilons and with so many seeds; on all tables where none is named."""

    methods: Sequence[str]
    epsilons: Sequence[float]
    seeds: int
    classified: bool = False
    tables: Sequence[str] = ()


QUICK_OF_AIM = (  # where a fit takes it no more than some ten CPU seconds
    "adult_discrete",
    "bank_marketing",
    "nist_ma2019",
    "german_credit",
    "cervical_cancer",
)
EPSILONS = (0.1, 0.3, 1.0, 3.0, 10.0)
PARTS = {
    "columns and trees": Part(("independent", "mst"), EPSILONS, 5),
    "clique tree": Part(("clique_tree",), EPSILONS, 5, classified=True),
    "others": Part(("privbayes", "mwem"), (1.0,), 3),
    "AIM": Part(("aim",), (1.0,), 3, classified=True),
    "AIM, other epsilons": Part(
        ("aim",), (0.1, 0.3, 3.0, 10.0), 3, classified=True, tables=QUICK_OF_AIM
    ),
}


# Measure


def census() -> dps.datasets.Dataset:
    """Return the census table of 1994 and 1995, its first records in the order of its split."""
    data = dps.datasets.load("kdd_census_train")
    train = data.train[: CENSUS_RECORDS * 3 // 5]
    holdout, reference = (part[: CENSUS_RECORDS // 5] for part in (data.holdout, data.reference))
    digest = f"{data.sha256[:-5]}{CENSUS_RECORDS}"
    return replace(data, train=train, holdout=holdout, reference=reference, sha256=digest)


def auc(compared: Compared) -> Mapping[str, Estimate]:
    """Return that of boosting where the label has two values: a metric of grids."""
    schema = compared.real.schema
    label = next((c for c in schema.columns if c.name == schema.label), None)
    return boosted(compared) if label is not None and len(label.texts) == 2 else {}


def measure(resume: bool) -> None:
    """Run the parts of the grid one after the other, and gather their records in one file."""
    if "DP_SYNTH_DATA" not in os.environ:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    if not resume:
        shutil.rmtree(STORE, ignore_errors=True)
    found: list[pd.DataFrame] = []
    for name, part in PARTS.items():
        with timed(HERE, name):
            found.append(run_grid(content(part), STORE, jobs=JOBS, retry=False))
        rows = pd.concat(found, ignore_index=True)
        rows = rows[rows["metric"].isin((TV, AUC)) | (rows["error"] != "")]
        rows = rows.assign(dataset=rows["dataset"].str.rpartition(":")[2])
        write_record_file(rows.drop_duplicates(list(IDENTITY)), HERE / RECORDS, COMMAND)


def content(part: Part) -> dict[str, object]:
    """Return the grid of one part."""
    grid: dict[str, object] = yaml.safe_load(GRID.read_text("utf-8"))
    metrics: list[object] = [TV, auc] if part.classified else [TV]
    return grid | {
        "dataset": list(part.tables) or [*grid["dataset"], CENSUS],  # type: ignore[misc]
        "synthesizers": list(part.methods),
        "seeds": part.seeds,
        "utility": {"epsilons": list(part.epsilons), "metrics": metrics},
    }


# Compare


def compared_with_columns(found: pd.DataFrame, method: str) -> list[Comparison]:
    """Return by how much a method's TV is above that of independent columns, seed by seed.

    Of a method that gave no rows there is nothing.
    """
    if not ((found["synthesizer"] == method) & (found["metric"] == TV)).any():
        return []
    return list(paired(found, method, BASE, TV).comparisons)


def is_worse(one: Comparison) -> bool:
    """Tell whether the whole interval lies above 0: TV is higher than that of columns."""
    return one.low is not None and one.low > 0


def worse(found: pd.DataFrame) -> list[tuple[str, Comparison]]:
    """Return the recommended methods, and where each is worse than columns beyond its interval."""
    return [
        (method, one)
        for method in RECOMMENDED
        for one in compared_with_columns(found, method)
        if is_worse(one)
    ]


@dataclass(frozen=True)
class Step:
    """From one epsilon to the next: how much a method's score changes, over common seeds."""

    table: str
    method: str
    metric: str
    epsilons: tuple[float, float]
    change: Spread

    @property
    def is_back(self) -> bool:
        """Whether the score gets worse, beyond the interval of its change."""
        worse = self.change.mean if self.metric == TV else -self.change.mean
        return worse > self.change.half


def steps(found: pd.DataFrame, metric: str) -> Iterator[Step]:
    """Yield each step of budget of the recommended methods, by table and method."""
    rows = found[(found["metric"] == metric) & found["synthesizer"].isin(RECOMMENDED)]
    for (table, method), own in rows.groupby(["dataset", "synthesizer"], sort=False):
        by_epsilon = own.pivot_table(index="seed", columns="epsilon", values="value")
        for low, high in pairwise(sorted(by_epsilon.columns)):
            changes = (by_epsilon[high] - by_epsilon[low]).dropna().to_numpy(float)
            if len(changes) > 1:
                yield Step(table, method, metric, (low, high), Spread.of(changes))


def ranked(found: pd.DataFrame, epsilon: float) -> Ranking:
    """Return the ranks by TV of the methods that were run on every table at an epsilon."""
    tables = found[found["epsilon"] == epsilon].groupby("synthesizer")["dataset"].nunique()
    return ranking(found, TV, epsilon, methods=list(tables.index[tables == tables.max()]))


# Text


def records() -> pd.DataFrame:
    """Return the records; InputError where nothing was measured yet."""
    return read_record_file(HERE / RECORDS)


def score_table(found: pd.DataFrame, epsilon: float) -> str:
    """Return the TV of every method on each table, between baselines."""
    names = list(dict.fromkeys(m for part in PARTS.values() for m in part.methods))
    spreads = {table: _spread(found, table, TV) for table in TABLES}
    head = [f"ε = {epsilon:g}, TV of pairs", *map(named, (*names, *SAID_BASELINES))]
    rows = []
    for table, own in spreads.items():
        cells = [_cell(own, name, epsilon) for name in names]
        cells += [_cell(own, name, None) for name in SAID_BASELINES]
        rows.append([TABLES[table], *cells])
    return markdown(head, rows)


def _spread(found: pd.DataFrame, table: str, metric: str) -> pd.DataFrame:
    return spread(ended(found[found["dataset"] == table], task="utility"), metric)


def _cell(spreads: pd.DataFrame, series: str, epsilon: float | None) -> str:
    at = spreads["epsilon"].isna() if epsilon is None else spreads["epsilon"] == epsilon
    rows = spreads[(spreads["series"] == series) & at]
    if rows.empty:
        return "-"
    row = rows.iloc[0]
    half = (row["high"] - row["low"]) / 2
    return f"{row['mean']:.4f} ± {half:.4f}" if row["seeds"] > 1 else f"{row['mean']:.4f}"


def rank_table(found: pd.DataFrame) -> str:
    """Return the mean ranks over tables at each epsilon, and what tells them apart."""
    rankings = {epsilon: ranked(found, epsilon) for epsilon in sorted({*found["epsilon"].dropna()})}
    names = list(rankings[SHOWN_EPSILON].mean_ranks)
    rows = []
    for epsilon, one in rankings.items():
        cells = [f"{one.mean_ranks[n]:.2f}" if n in one.mean_ranks else "-" for n in names]
        test = one.tests
        tested = ["-", "-"] if test is None else [f"{test.friedman.p_f:.2g}", _difference(one)]
        rows.append([f"{epsilon:g}", str(one.blocks), *cells, *tested])
    head = ["ε", "tables", *map(named, names), "p (Friedman)", "critical difference"]
    return markdown(head, rows)


def _difference(one: Ranking) -> str:
    return "-" if one.critical_difference is None else f"{one.critical_difference:.2f}"


def difference_table(found: pd.DataFrame) -> str:
    """Return how far each recommended method is from independent columns, on every table."""
    by_place = {
        (method, one.dataset, one.epsilon): one
        for method in RECOMMENDED
        for one in compared_with_columns(found, method)
    }
    rows = []
    for table in TABLES:
        for epsilon in EPSILONS:
            own = [by_place.get((method, table, epsilon)) for method in RECOMMENDED]
            rows.append([TABLES[table], f"{epsilon:g}", *map(_difference_cell, own)])
    return markdown(["table", "ε", *map(named, RECOMMENDED)], rows)


def _difference_cell(one: Comparison | None) -> str:
    if one is None:
        return "-"
    half = "" if one.low is None or one.high is None else f" ± {(one.high - one.low) / 2:.4f}"
    return f"{one.mean:+.4f}{half}{' (worse)' if is_worse(one) else ''}"


def step_table(found: pd.DataFrame) -> str:
    """Return how many steps of budget make each score better, and which go back."""
    rows = []
    for metric, title in ((TV, "TV of pairs"), (AUC, "AUC of boosting")):
        every = list(steps(found, metric))
        for method in RECOMMENDED:
            own = [step for step in every if step.method == method]
            up = sum((step.change.mean < 0) == (metric == TV) for step in own)
            back = ", ".join(map(_back, (step for step in own if step.is_back))) or "none"
            rows.append([title, named(method), str(len(own)), str(up), back])
    return markdown(["score", "method", "steps", "better", "worse beyond the interval"], rows)


def _back(step: Step) -> str:
    low, high = step.epsilons
    return f"{TABLES[step.table]} {low:g} to {high:g} ({step.change.shown(4, sign=True)})"


def failure_table(found: pd.DataFrame) -> str:
    """Return which fits gave no rows, and why; a sentence where all did."""
    failed = found[found["error"] != ""]
    if failed.empty:
        return "Every fit gave rows."
    counts = failed.groupby(["dataset", "synthesizer", "epsilon", "error"], sort=False).size()
    rows = [
        [TABLES[table], named(method), f"{epsilon:g}", str(error).replace("|", "/"), str(count)]
        for (table, method, epsilon, error), count in counts.items()
    ]
    return markdown(["table", "method", "ε", "what ended it", "cells"], rows)


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    found = records()
    order = ranked(found, SHOWN_EPSILON)
    flagged = worse(found)
    every = [step for metric in (TV, AUC) for step in steps(found, metric)]
    fitted = found[found["epsilon"].notna() & (found["error"] == "")]
    counts = fitted.groupby(["dataset", "synthesizer", "epsilon"])["seed"].nunique()
    said = "; ".join(f"{named(m)} on {TABLES[c.dataset]} at {c.epsilon:g}" for m, c in flagged)
    return {
        "tables": str(len(TABLES)),
        "seeds": ends(counts),
        "ranks": ", ".join(f"{named(m)} {rank:.2f}" for m, rank in order.mean_ranks.items()),
        "order notes": "; ".join(order.notes) or "no notes",
        "scores": score_table(found, SHOWN_EPSILON),
        "rank table": rank_table(found),
        "differences": difference_table(found),
        "steps": step_table(found),
        "failures": failure_table(found),
        "compared": str(sum(len(compared_with_columns(found, m)) for m in RECOMMENDED)),
        "worse": said or "none",
        "step count": str(len(every)),
        "back count": str(sum(step.is_back for step in every)),
        "limit": f"{Grid.load(GRID).limits.seconds:g}",
        "chance": f"{0.025 * len(every):.0f}",
    }


# Draw


def draw() -> Figure:
    """Return a panel a table: TV of pairs by epsilon."""
    found = records()
    figure = new_figure(FULL_WIDTH, 6.2)
    grid = figure.subplots(3, 3, sharex=True)
    spreads = {table: _spread(found, table, TV) for table in TABLES}
    series = sorted({n for s in spreads.values() for n in s.loc[s["epsilon"].notna(), "series"]})
    for axes, (table, own) in zip(grid.ravel(), spreads.items(), strict=True):
        for name in SAID_BASELINES:
            for _, row in own[own["series"] == name].iterrows():
                draw_band(axes, row, BASELINES[name], named(name))
        draw_series(axes, own, series, series)
        log_axis(axes, "y", TV_TICKS)
        epsilon_axis(axes, EPSILONS)
        axes.set_title(TABLES[table])
        axes.tick_params(labelbottom=True)
    for axes in grid[:-1].ravel():
        axes.set_xlabel("")
    for axes in grid[:, 0]:
        axes.set_ylabel("TV of pairs (log)")
    note = "add/remove, δ = 1e-05; mean and 95 % t-interval over seeds"
    below(figure, grid.ravel(), note, message="How near rows come to nine tables as ε grows")
    return figure


EXPERIMENT = Experiment(HERE, (HERE / RECORDS,), texts, draw, measure)
