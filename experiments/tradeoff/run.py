"""What releases are good for, and what they leak: every method on three tables.

The marginal methods run here, on grids that finish one after the other; the networks on Adult are
those of ``benchmarks/results/deep.jsonl``, measured with the same splits, budget and metrics.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

import dp_synth as dps
from benchmarks.measured import RESULTS, ROOT
from dp_synth.benchmark import Grid, read_record_file, run_grid, write_record_file
from dp_synth.figures.curves import draw_series, ended, spread
from dp_synth.figures.style import (
    BASELINES,
    FULL_WIDTH,
    GREY,
    below,
    draw_band,
    epsilon_axis,
    is_network,
    named,
    new_figure,
)
from experiments.outline import RECORDS, Experiment, ends, log_axis, timed
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
NETWORKS = RESULTS / "deep.jsonl"
GRIDS = ("grid", "grid_bank", "grid_nist", "grid_networks")
COMMAND = "python -m experiments tradeoff"
JOBS = 2
SEEDS = 5
TV, AUC = "tv2", "auc:gradient_boosting"
ATTACKS = ("closest_record", "density_ratio", "marginal_ratio")
CEILING = "auc_ceiling"
LEAKAGE = tuple(f"auc:{attack}" for attack in ATTACKS)
KEPT = {TV, AUC, CEILING, *LEAKAGE}
IDENTITY = ("dataset", "task", "synthesizer", "settings", "epsilon", "seed", "metric")
TABLES = {"adult": "Adult", "bank_marketing": "bank marketing", "nist_ma2019": "NIST, MA 2019"}
PANELS = (  # table, task, metric
    ("adult", "utility", TV),
    ("bank_marketing", "utility", TV),
    ("nist_ma2019", "utility", TV),
    ("adult", "utility", AUC),
    ("bank_marketing", "utility", AUC),
    ("adult", "leakage", LEAKAGE[1]),
)
TV_TICKS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
SHOWN_EPSILON = 1.0
LEAKAGE_EPSILON = 10.0
LABELS = {
    TV: "TV of pairs",
    AUC: "AUC of boosting",
    LEAKAGE[1]: "attack AUC",
}
SAID_BASELINES = {
    TV: ("independent_without_noise", "fresh_rows"),
    AUC: ("real_rows", "independent_without_noise"),
    LEAKAGE[1]: ("no_privacy", "fresh_rows"),
}


# Measure


def measure(resume: bool) -> None:
    """Run what is missing of each grid, and gather the records in one file; failures too.

    One seed of all grids after the other: what a stop leaves are whole curves of fewer seeds.
    """
    if "DP_SYNTH_DATA" not in os.environ:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    if not resume and any(store_of(name).exists() for name in GRIDS):
        raise dps.InputError(f"{store_of(GRIDS[0]).parent} has cells: --resume, or take them away")
    found: dict[str, pd.DataFrame] = {}
    for seeds, name in product(range(1, SEEDS + 1), GRIDS):
        grid = yaml.safe_load((HERE / f"{name}.yaml").read_text("utf-8")) | {"seeds": seeds}
        with timed(HERE, name):
            found[name] = run_grid(grid, store_of(name), jobs=JOBS)
        rows = pd.concat(found.values(), ignore_index=True)
        kept = rows[rows["metric"].isin(KEPT) | (rows["error"] != "")]
        # Two grids of one table have the same baselines.
        write_record_file(kept.drop_duplicates(list(IDENTITY)), HERE / RECORDS, COMMAND)


def store_of(grid: str) -> Path:
    """Return the folder where the cells of a grid are kept."""
    return ROOT / "results" / f"tradeoff-{grid.removeprefix('grid').strip('_') or 'adult'}"


# Draw


def records() -> pd.DataFrame:
    """Return the records of all methods: those of this experiment, and the networks' on Adult."""
    here, networks = read_record_file(HERE / RECORDS), read_record_file(NETWORKS)
    fitted = networks[networks["epsilon"].notna() & networks["metric"].isin(KEPT)]
    return pd.concat([here, fitted], ignore_index=True)


def points(found: pd.DataFrame, table: str, task: str, metric: str) -> pd.DataFrame:
    """Return mean and interval of a metric for every series and epsilon of one table."""
    return spread(ended(found[found["dataset"] == table], task=task), metric)


def utility_table(found: pd.DataFrame) -> str:
    """Return TV and AUC of every method at epsilon 1, by table."""
    columns = [(table, metric) for table, task, metric in PANELS if task == "utility"]
    head = [f"ε = {SHOWN_EPSILON:g}"]
    head += [f"{TABLES[table]}, {'TV' if metric == TV else 'AUC'}" for table, metric in columns]
    spreads = [points(found, table, "utility", metric) for table, metric in columns]
    return markdown(head, _rows(spreads, SHOWN_EPSILON))


def leakage_table(found: pd.DataFrame) -> str:
    """Return the AUC of every attack at the largest epsilon, by table."""
    columns = [
        (table, metric) for table in ("adult", "bank_marketing") for metric in (*LEAKAGE, CEILING)
    ]
    head = [f"ε = {LEAKAGE_EPSILON:g}"]
    head += [f"{TABLES[table]}, {_attack(metric)}" for table, metric in columns]
    spreads = [points(found, table, "leakage", metric) for table, metric in columns]
    return markdown(head, _rows(spreads, LEAKAGE_EPSILON))


def _attack(metric: str) -> str:
    return "largest possible" if metric == CEILING else named(metric.partition(":")[2])


def _rows(spreads: Sequence[pd.DataFrame], epsilon: float) -> list[list[str]]:
    """Return a row a method, in the order of their first column, then a row a baseline."""
    names = list(dict.fromkeys(name for found in spreads for name in found["series"]))
    fitted = [n for n in names if any(_cell(found, n, epsilon) != "-" for found in spreads)]
    baselines = [n for n in names if any(_cell(found, n, None) != "-" for found in spreads)]
    rows = [[named(n), *(_cell(found, n, epsilon) for found in spreads)] for n in fitted]
    return rows + [[named(n), *(_cell(found, n, None) for found in spreads)] for n in baselines]


def _cell(found: pd.DataFrame, series: str, epsilon: float | None) -> str:
    at = found["epsilon"].isna() if epsilon is None else found["epsilon"] == epsilon
    rows = found[(found["series"] == series) & at]
    if rows.empty:
        return "-"
    row = rows.iloc[0]
    half = (row["high"] - row["low"]) / 2
    return f"{row['mean']:.3f} ± {half:.3f}" if row["seeds"] > 1 else f"{row['mean']:.3f}"


def best(found: pd.DataFrame, table: str, metric: str, epsilon: float) -> str:
    """Return the methods that no other is better than beyond both intervals."""
    spreads = points(found, table, "utility", metric)
    rows = spreads[spreads["epsilon"] == epsilon]
    if metric == TV:
        kept = rows[rows["low"] <= rows["high"].min()]
    else:
        kept = rows[rows["high"] >= rows["low"].max()]
    names = [named(str(name)) for name in kept["series"]] or ["-"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def loudest(found: pd.DataFrame, epsilon: float) -> str:
    """Return in words the largest mean AUC of any attack on any method at an epsilon."""
    rows = []
    for table in ("adult", "bank_marketing"):
        for metric in LEAKAGE:
            spreads = points(found, table, "leakage", metric)
            for _, row in spreads[spreads["epsilon"] == epsilon].iterrows():
                rows.append((float(row["mean"]), str(row["series"]), metric, table))
    mean, series, metric, table = max(rows)
    return f"{mean:.3f} ({_attack(metric)} on {named(series)}, {TABLES[table]})"


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    found = records()
    fitted = found[found["epsilon"].notna()]
    failed = fitted[fitted["error"] != ""]
    said = {"utility": utility_table(found), "leakage": leakage_table(found)}
    for table, _, metric in PANELS[:5]:
        for epsilon in (0.1, 1.0, 10.0):
            said[f"best {table} {metric[:3].strip('2')} {epsilon:g}"] = best(
                found, table, metric, epsilon
            )
    leakage = Grid.load(HERE / "grid.yaml").leakage
    assert leakage is not None
    said["members"] = f"{leakage.members:,}"
    said["loudest"] = loudest(found, LEAKAGE_EPSILON)
    said["failed"] = f"{len(failed)}"
    counts = fitted[fitted["error"] == ""].groupby(["dataset", "task", "synthesizer", "epsilon"])
    said["seeds"] = ends(counts["seed"].nunique())
    return said


def draw() -> Figure:
    """Return TV on three tables, AUC on two, and one attack, a row of panels a family."""
    found = records()
    spreads = {panel: points(found, *panel) for panel in PANELS}
    series = sorted({n for s in spreads.values() for n in s.loc[s["epsilon"].notna(), "series"]})
    figure = new_figure(FULL_WIDTH, 7.2)
    grid = figure.subplots(4, 3, sharex="col")
    for place, (panel, of_panel) in enumerate(spreads.items()):
        pair = grid[2 * (place // 3) : 2 * (place // 3) + 2, place % 3]
        pair[1].sharey(pair[0])
        for axes, deep in zip(pair, (False, True), strict=True):
            shown = [name for name in series if is_network(name) is deep]
            _draw_panel(axes, of_panel, panel, series, shown)
        pair[0].set_title(f"{TABLES[panel[0]]}: {LABELS[panel[2]]}")
    for axes in grid.ravel():
        axes.tick_params(labelbottom=True)
    note = "add/remove, δ = 1e-05; mean and 95 % t-interval over seeds"
    message = "Marginal methods above, networks below, on three tables"
    below(figure, grid.ravel(), note, message=message)
    return figure


def _draw_panel(
    axes: Axes,
    spreads: pd.DataFrame,
    panel: tuple[str, str, str],
    series: Sequence[str],
    shown: Sequence[str],
) -> None:
    metric = panel[2]
    for name in SAID_BASELINES[metric]:
        for _, row in spreads[spreads["series"] == name].iterrows():
            draw_band(axes, row, BASELINES[name], named(name))
    if metric in LEAKAGE:
        axes.axhline(0.5, color=GREY, linestyle=":", linewidth=1, label="chance")
    draw_series(axes, spreads, series, shown)
    if metric == TV:
        log_axis(axes, "y", TV_TICKS)
    epsilon_axis(axes, spreads["epsilon"].dropna().unique())


EXPERIMENT = Experiment(HERE, (HERE / RECORDS, NETWORKS), texts, draw, measure)
