"""Curves of records over epsilon: utility and leakage, their trade-off, and what bounds them.

One mean with an interval is drawn for each series and epsilon.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dp_synth.figures.audits import draw_claimed
from dp_synth.figures.style import (
    BASELINES,
    FAINT,
    FULL_WIDTH,
    GHOST,
    GREY,
    INK,
    Line,
    below,
    depths,
    draw_band,
    draw_live,
    epsilon_axis,
    is_network,
    keep_possible,
    label_ends,
    lines_of,
    named,
    new_figure,
    tinted,
)
from dp_synth.formatting import rounded_up
from dp_synth.records import method_names, t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# metric, label of its y axis
UTILITY_PANELS = (
    ("tv2", "TV of pairs\n(low is good)"),
    ("auc:gradient_boosting", "AUC of boosting\n(high is good)"),
    ("auc:logistic_regression", "AUC of logistic\nregression (high is good)"),
)
UTILITY_BASELINES = {
    "tv2": ("independent_without_noise", "fresh_rows"),
    "auc:gradient_boosting": ("real_rows", "independent_without_noise"),
    "auc:logistic_regression": ("real_rows", "independent_without_noise"),
}
UTILITY_MESSAGE = "How near releases come to real rows as ε grows"
# how the metric of an attack is called, what the panel shows, its y axis, its chance level
LEAKAGE_PANELS = (
    ("auc:{}", "all targets", "attack AUC", 0.5),
    ("auc:{}:isolated", "isolated targets", "attack AUC", 0.5),
    ("tpr_at_fpr_0.01:{}", "all targets", "TPR at 1 % FPR", 0.01),
)
LEAKAGE_BASELINES = ("no_privacy", "fresh_rows")
LEAKAGE_MESSAGE = "What attacks reach; the ledger rules out what is shaded"
TPR_LIMITS = (0.001, 1.0)
CEILING = "auc_ceiling"
CEILING_LABEL = "largest AUC the ledger permits"
LONG_TITLE = 26  # letters: as many as stand over one of four panels
LONE_CEILING = 18  # points that the mark of a ceiling at one epsilon is wide
# Of attacks on rows the ones whose scores estimate the likelihood ratio, the stronger one first: it
# rehearses the method, and is for methods of marginals. All targets are what a reader takes an
# attack's AUC to mean.
ATTACKS = ("rows_ratio", "density_ratio")
TRADEOFF_METRICS = {  # label of the y axis, and which way is good
    "auc:gradient_boosting": ("AUC of\ngradient boosting", "Up: more useful"),
    "tv2": ("TV of pairs\nto the members", "Down: more useful"),
}
TRADEOFF_MESSAGE = "left: more private; the deeper the colour, the larger ε"
AUDITS_HEIGHT = 3.0  # inches
CROWD = 5  # series that share a panel, whose bands would hide one another
ABREAST = 4  # panels in a row
GHOST_LABEL = "the other methods"
BESIDE = 0.01  # of an attack's AUC, beyond the points of methods
TV_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def utility_curves(records: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a row of panels a metric: total variation of pairs, and the AUC of each model.

    Networks have a column of their own, where other methods are grey behind them, and these one
    beside it. A metric of which there are no records is left out; without any the tuple is empty.
    """
    rows = ended(records, task="utility")
    measured = set(rows.loc[rows["epsilon"].notna(), "metric"])
    panels = [panel for panel in UTILITY_PANELS if panel[0] in measured]
    if not panels:
        return ()
    series = fitted_series(rows)
    families = [[name for name in series if is_network(name) is deep] for deep in (False, True)]
    families = [family for family in families if family]
    width = FULL_WIDTH * len(families) / 2
    figure = new_figure(width, 0.9 + 1.6 * len(panels))
    grid = figure.subplots(len(panels), len(families), squeeze=False, sharex=True, sharey="row")
    for row, (metric, title) in zip(grid, panels, strict=True):
        for panel, family in zip(row, families, strict=True):
            _draw_metric(panel, rows, metric, UTILITY_BASELINES[metric], family)
            _draw_live(panel, records, "utility", metric, family)
            keep_possible(panel)
            panel.set_xlabel("ε" if metric == panels[-1][0] else "")
        row[0].set_ylabel(title)
        if metric == "tv2":
            row[0].set_ylim(bottom=0)
        for panel, family in zip(row, families, strict=True):
            _label_curves(panel, spread(rows, metric), family, series)
    axes = tuple(grid.ravel())
    below(figure, axes, conditions(rows), message=UTILITY_MESSAGE)
    return axes


def leakage_curves(
    records: pd.DataFrame, audits: Sequence[Mapping[str, object]] = ()
) -> tuple[Axes, ...]:
    """Return a column of panels for each attack: AUC of all and of isolated targets, and TPR.

    The ceiling, above which panels are shaded, is the largest AUC that the ledger permits any
    attack, at each epsilon the largest over the series; a point above it would show a defect. A
    metric of which there are no records has no row of panels. Records of ``audits`` have more
    panels under all others, one a claim: what they prove beside it (``draw_claimed``).
    """
    rows = ended(records, task="leakage")
    measured = set(rows.loc[rows["epsilon"].notna(), "metric"])
    attacks = attacks_of(measured)
    panels = [p for p in LEAKAGE_PANELS if any(p[0].format(name) in measured for name in attacks)]
    if not attacks:
        return ()
    series = fitted_series(rows)
    width = FULL_WIDTH if len(attacks) > 1 or audits else FULL_WIDTH / 2
    height = 1.0 + 1.75 * len(panels)
    figure = new_figure(width, height + bool(audits) * AUDITS_HEIGHT)
    ratios = [height, AUDITS_HEIGHT] if audits else [height]
    parts = figure.subfigures(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0]
    grid = parts[0].subplots(len(panels), len(attacks), squeeze=False, sharex=True, sharey="row")
    for panel, row in zip(panels, grid, strict=True):
        for attack, axes in zip(attacks, row, strict=True):
            _draw_attack(axes, records, panel, attack, series)
            axes.set_xlabel("ε" if panel is panels[-1] else "")
            axes.tick_params(labelbottom=panel is panels[-1])
        row[0].set_ylabel(panel[2])
    drawn = list(grid.ravel())
    if audits:
        drawn += draw_claimed(parts[1].subplots(), audits, series)
    below(figure, drawn, conditions(rows), message=LEAKAGE_MESSAGE if len(attacks) > 1 else "")
    return tuple(drawn)


def _draw_attack(
    axes: Axes,
    records: pd.DataFrame,
    panel: tuple[str, str, str, float],
    attack: str,
    series: Sequence[str],
) -> None:
    pattern, targets, _, chance = panel
    rows, metric = ended(records, task="leakage"), pattern.format(attack)
    axes.axhline(chance, color=GREY, linestyle=":", linewidth=1, label="chance")
    _draw_metric(axes, rows, metric, LEAKAGE_BASELINES, series)
    _draw_live(axes, records, "leakage", metric, series)
    if pattern.startswith("auc"):
        keep_possible(axes)
        _draw_ceiling(axes, rows)
    else:  # rates near chance and near one, both of which matter
        axes.set_yscale("log")
        axes.set_ylim(TPR_LIMITS)
    title = f"{named(attack)}, {targets}"
    axes.set_title(title if len(title) < LONG_TITLE else title.replace(", ", "\n"))


def _draw_metric(
    axes: Axes, rows: pd.DataFrame, metric: str, baselines: tuple[str, ...], shown: Sequence[str]
) -> None:
    """Draw the curves of ``shown`` with their bands, all others in grey behind them."""
    points = spread(rows, metric)
    for name in baselines:
        for _, row in points[points["series"] == name].iterrows():
            draw_band(axes, row, BASELINES[name], named(name))
    draw_series(axes, points, fitted_series(rows), shown)
    # Of all that was run: panels share the axis, and one without points must not cost it its ticks.
    epsilon_axis(axes, rows["epsilon"].dropna().unique())
    if points["epsilon"].isna().all():
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)


def draw_series(
    axes: Axes, points: pd.DataFrame, series: Sequence[str], shown: Sequence[str]
) -> None:
    """Draw the curves of ``shown`` with their bands, those of other ``series`` in grey behind."""
    alpha = FAINT if len(shown) < CROWD else FAINT / 2
    for name, line in lines_of(series).items():
        curve = points[(points["series"] == name) & points["epsilon"].notna()]
        if curve.empty:
            continue
        if name not in shown:
            axes.plot(curve["epsilon"], curve["mean"], color=GHOST, linewidth=1, zorder=1)
            continue
        band = curve["low"], curve["high"]
        axes.fill_between(curve["epsilon"], *band, color=line.color, alpha=alpha, linewidth=0)
        if len(curve) == 1:  # whose band has no width
            axes.plot([curve["epsilon"]] * 2, band, color=line.color, linewidth=1)
        (drawn,) = axes.plot(curve["epsilon"], curve["mean"], color=line.color, label=named(name))
        drawn.set(linestyle=line.dashes, marker=line.marker)


def _label_curves(
    axes: Axes, points: pd.DataFrame, shown: Sequence[str], series: Sequence[str]
) -> None:
    """Write each method beside the end of its curve."""
    looks = lines_of(series)
    last = points[points["epsilon"].notna()].groupby("series").last()
    ends = {n: (last["epsilon"][n], last["mean"][n]) for n in shown if n in last.index}
    label_ends(axes, ends, {name: looks[name].color for name in ends})


def _draw_live(
    axes: Axes, records: pd.DataFrame, task: str, metric: str, shown: Sequence[str]
) -> None:
    rows = ended(records, task=task, live=True)
    for name, line in lines_of(fitted_series(ended(records, task=task))).items():
        points = rows[(rows["series"] == name) & (rows["metric"] == metric)]
        if name in shown and not points.empty:
            draw_live(axes, points["epsilon"].tolist(), points["value"].tolist(), line)


def _draw_ceiling(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw what the ledger permits, and shade what it does not; limits stay as they are."""
    points = spread(rows, CEILING)
    if points.empty:
        return
    highest, limits = points.groupby("epsilon")["mean"].max(), axes.get_ylim()
    axes.fill_between(highest.index, highest, 1.1, color=INK, alpha=0.06, linewidth=0)
    (line,) = axes.plot(highest.index, highest.to_numpy(), color=INK, label=CEILING_LABEL)
    line.set_linestyle((0, (1, 1)))
    if len(highest) == 1:  # of one epsilon there is no line
        line.set(marker="_", markersize=LONE_CEILING)
    axes.set_ylim(limits[0], max(limits[1], min(highest) + BESIDE))


def tradeoff(records: pd.DataFrame, metric: str | None = None) -> tuple[Axes, ...]:
    """Return a panel for each synthesizer: leakage on x, ``metric`` on y, a point an epsilon.

    Both coordinates of a point come from the same releases. Bars are intervals over seeds; the
    deeper the colour, the larger epsilon. Without ``metric`` it is the first of
    ``TRADEOFF_METRICS`` that was measured. Without records of both kinds the tuple is empty.
    """
    rows = ended(records, task="leakage")
    measured = set(rows.loc[rows["epsilon"].notna(), "metric"])
    metric = metric or next((name for name in TRADEOFF_METRICS if name in measured), "")
    attacks = [attack for attack in ATTACKS if f"auc:{attack}" in measured]
    if metric not in measured or not attacks:
        return ()
    # Of leakage (x) and of the metric (y).
    x, y = _strongest(rows, attacks), spread(rows, metric)
    points = x.merge(y, on=["series", "epsilon"], suffixes=("_x", "_y"))
    looks = lines_of(fitted_series(rows))
    wide = min(len(looks), ABREAST)
    tall = -(-len(looks) // wide)
    figure = new_figure(FULL_WIDTH if wide > 1 else FULL_WIDTH / 2, 1.4 + 1.5 * tall)
    grid = figure.subplots(tall, wide, squeeze=False, sharex=True, sharey=True)
    axes = tuple(grid.ravel())[: len(looks)]
    for panel in grid.ravel()[len(looks) :]:
        panel.set_axis_off()
    label, better = TRADEOFF_METRICS[metric]
    for place, (panel, name) in enumerate(zip(axes, looks, strict=True)):
        _draw_tradeoff(panel, points, name, looks)
        is_lowest = place + wide >= len(looks)
        panel.set(title=named(name), xlabel="attack AUC" if is_lowest else "")
        panel.set_ylabel(label if place % wide == 0 else "")
        panel.tick_params(labelbottom=is_lowest)
    if metric == "tv2":
        _space_out(axes[0])
    _draw_anchors(axes, points)
    _say_epsilons(axes[0], points)
    told = ", else ".join(named(attack) for attack in attacks)
    note = f"{conditions(rows)}; attack: {told}, on all targets"
    below(figure, axes, note, message=f"{better}; {TRADEOFF_MESSAGE}" if wide > 1 else "")
    return axes


def _strongest(rows: pd.DataFrame, attacks: Sequence[str]) -> pd.DataFrame:
    """Return the spread of each series' AUC under the first attack that was run on it."""
    found: list[pd.DataFrame] = []
    for attack in attacks:
        points = spread(rows, f"auc:{attack}")
        known = set().union(*(one["series"] for one in found))
        found.append(points[~points["series"].isin(known)])
    return pd.concat(found, ignore_index=True)


def _draw_tradeoff(axes: Axes, points: pd.DataFrame, name: str, looks: Mapping[str, Line]) -> None:
    """Draw one series with its intervals, and all others in grey behind it."""
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1, label="chance")
    fitted = points[points["epsilon"].notna()]
    for other in looks:
        rows = fitted[fitted["series"] == other]
        if other != name:
            axes.plot(rows["mean_x"], rows["mean_y"], color=GHOST, linewidth=1, label=GHOST_LABEL)
    rows, line, depth = fitted[fitted["series"] == name], looks[name], depths(fitted["epsilon"])
    x, y = rows["mean_x"], rows["mean_y"]
    axes.errorbar(
        x,
        y,
        xerr=np.stack([x - rows["low_x"], rows["high_x"] - x]),
        yerr=np.stack([y - rows["low_y"], rows["high_y"] - y]),
        color=line.color,
        ecolor=(line.color, 2 * FAINT),
        elinewidth=2.5,
        linestyle=line.dashes,
        linewidth=1.1,
    ).set_label(f"_{name}")
    fills = [tinted(line.color, depth[epsilon]) for epsilon in rows["epsilon"]]
    dots = axes.scatter(x, y, c=fills, edgecolors=line.color, marker=line.marker, s=30, zorder=3)
    dots.set_linewidth(0.9)


def _draw_anchors(axes: Sequence[Axes], points: pd.DataFrame) -> None:
    """Draw real rows; those far from all methods as an arrow at the edge, which says how far."""
    from matplotlib.ticker import MultipleLocator

    fitted = points[points["epsilon"].notna()]
    left = min(0.5, float(points["mean_x"].min())) - BESIDE
    right = float(fitted["high_x"].max())
    right += 0.12 * (right - left)
    for name in ("fresh_rows", "no_privacy"):
        for _, row in points[points["series"] == name].iterrows():
            look, label, is_far = BASELINES[name], named(name), row["mean_x"] > right
            if is_far:
                label = f"{label}: attack AUC {row['mean_x']:.2f}"
            for panel in axes:
                (drawn,) = panel.plot(
                    [1.0 if is_far else row["mean_x"]],
                    [row["mean_y"]],
                    ">" if is_far else look.marker,
                    color=look.color,
                    ms=6,
                    clip_on=False,
                    label=label,
                    transform=panel.get_yaxis_transform() if is_far else panel.transData,
                )
                drawn.set_in_layout(False)  # it may lie far from what a logarithmic axis shows
    axes[0].set_xlim(left, right)
    axes[0].xaxis.set_major_locator(MultipleLocator(0.05))


def _say_epsilons(axes: Axes, points: pd.DataFrame) -> None:
    """Give the legend a grey marker for each epsilon."""
    for epsilon, depth in depths(points["epsilon"].dropna()).items():
        words = f"ε = {rounded_up(epsilon, 6)}"
        axes.plot([], [], "o", color=GREY, ms=5, mfc=tinted(GREY, depth), label=words)


def _space_out(axes: Axes) -> None:
    """Make the y axis logarithmic with ticks that can be read."""
    positive = [y for line in axes.lines for y in np.asarray(line.get_ydata(), float) if y > 0]
    axes.set_yscale("log")
    # An interval that reaches below zero would stretch the axis until nothing else can be seen.
    low, high = axes.get_ylim()
    if positive and low < min(positive) / 2:
        low = min(positive) / 2
        axes.set_ylim(bottom=low)
    shown = [tick for tick in TV_TICKS if low <= tick <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_yticks([], minor=True)


RATES = "tpr_at_fpr_"
ATTACKED = re.compile(rf"(auc|{RATES}[0-9.e-]+):(.+?)(:isolated)?")


def ended(records: pd.DataFrame, *, task: str, live: bool = False) -> pd.DataFrame:
    """Return the records of ``task`` that hold a value, with the name of their ``series``.

    A series is a synthesizer under one choice of settings, or a baseline. Where there is a column
    ``live``, only those cells are returned that it marks, or with ``live`` false the others: cells
    that were run to stand beside records.
    """
    kept = records[(records["task"] == task) & (records["error"] == "")]
    kept = kept[kept["value"].notna()]
    names, keys = method_names(kept), zip(kept["synthesizer"], kept["settings"], strict=True)
    series = pd.Series([names[key] for key in keys], index=kept.index, dtype=object)
    is_live = kept["live"].astype(bool) if "live" in kept else pd.Series(False, kept.index)
    return kept.assign(series=series, live=is_live)[is_live == live]


def attacks_of(metrics: Iterable[str]) -> list[str]:
    """Return the attacks that leakage metrics are of: every attack has rates, no model has.

    >>> attacks_of(["auc:mine:Own", "tpr_at_fpr_0.01:mine:Own", "auc:gradient_boosting", "tv2"])
    ['mine:Own']
    """
    found = [ATTACKED.fullmatch(metric) for metric in metrics if metric.startswith(RATES)]
    return sorted({match[2] for match in found if match})


def without_attack(metric: str, attacks: Collection[str]) -> tuple[str, str]:
    """Return a leakage metric with ``{}`` for its attack, and the attack; "" where it has none.

    >>> without_attack("auc:mine:Own:isolated", ["mine:Own"]), without_attack("tv2", ["mine:Own"])
    (('auc:{}:isolated', 'mine:Own'), ('tv2', ''))
    """
    match = ATTACKED.fullmatch(metric)
    if match is None or match[2] not in attacks:
        return metric, ""
    return f"{match[1]}:{{}}{match[3] or ''}", match[2]


def spread(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return ``series, epsilon, mean, low, high, seeds`` of one metric, epsilon ascending.

    The interval is the 95 % t-interval of the mean over seeds. A single seed keeps the interval
    of its own record. Baselines have no epsilon: NaN, which sorts last.
    """
    rows = []
    chosen = records[records["metric"] == metric]
    for (series, epsilon), group in chosen.groupby(["series", "epsilon"], dropna=False):
        values = group["value"].to_numpy(float)
        own = float(group["low"].iloc[0]), float(group["high"].iloc[0])
        low, high = t_interval(values) or own
        rows.append((series, epsilon, float(values.mean()), low, high, len(values)))
    columns = ["series", "epsilon", "mean", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns).sort_values(["series", "epsilon"], ignore_index=True)


def fitted_series(records: pd.DataFrame) -> list[str]:
    """Return the series that were fitted under a budget, in the order of their names."""
    return sorted(records.loc[records["epsilon"].notna(), "series"].unique())


def conditions(records: pd.DataFrame) -> str:
    """Return in words what the points have in common: table, adjacency, delta, intervals."""
    fitted = records[records["epsilon"].notna()]
    parts = [", ".join(sorted(records["dataset"].unique()))]
    parts += [str(text).replace("_", "/") for text in sorted(fitted["adjacency"].unique())]
    parts += [f"δ = {rounded_up(delta)}" for delta in sorted(fitted["delta"].unique())]
    counts = fitted.groupby(["series", "epsilon", "metric"])["seed"].nunique()
    fewest, most = counts.min(), counts.max()
    seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
    over = f"95 % t-interval over {seeds} seeds" if most > 1 else "95 % interval of one seed"
    return ", ".join(parts) + f"; mean and {over}"
