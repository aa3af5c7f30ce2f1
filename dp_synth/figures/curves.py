"""Utility and leakage against epsilon, with the baselines between which they must lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dp_synth.figures.audits import draw_claimed
from dp_synth.figures.style import (
    BASELINES,
    FULL_WIDTH,
    GREY,
    INK,
    below,
    draw_band,
    draw_live,
    epsilon_axis,
    is_crowded,
    keep_possible,
    lines_of,
    named,
    new_figure,
)
from dp_synth.figures.summary import attacks_of, conditions, ended, fitted_series, live, spread

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
import numpy as np

from dp_synth.figures.style import (
    Line,
)
from dp_synth.rounding import rounded_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

# metric, title of the panel, label of its y axis, baselines that say something there
UTILITY_PANELS = (
    ("tv2", "pairs of columns", "TV to training rows (low is good)"),
    ("auc:gradient_boosting", "gradient boosting", "AUC on held-out rows"),
    ("auc:logistic_regression", "logistic regression", "AUC on held-out rows"),
)
UTILITY_BASELINES = {
    "tv2": ("independent_without_noise", "fresh_rows"),
    "auc:gradient_boosting": ("real_rows", "independent_without_noise"),
    "auc:logistic_regression": ("real_rows", "independent_without_noise"),
}
# how the metric of an attack is called, what the panel shows, its y axis, its chance level
LEAKAGE_PANELS = (
    ("auc:{}", "all targets", "attack AUC", 0.5),
    ("auc:{}:isolated", "isolated targets", "attack AUC", 0.5),
    ("tpr_at_fpr_0.01:{}", "all targets", "TPR at 1 % FPR", 0.01),
)
LEAKAGE_BASELINES = ("no_privacy", "fresh_rows")
TPR_LIMITS = (0.001, 1.0)
CEILING = "auc_ceiling"
CEILING_LABEL = "largest AUC the ledger permits"
LONG_TITLE = 34  # letters: as many as stand over one of three panels
LONE_CEILING = 18  # points that the mark of a ceiling at one epsilon is wide


def utility_curves(records: pd.DataFrame) -> tuple[Axes, ...]:
    """Return one panel a metric: total variation of pairs, and the AUC of each model.

    A panel of which there are no records is left out; without any the tuple is empty.
    """
    rows = ended(records, task="utility")
    measured = set(rows.loc[rows["epsilon"].notna(), "metric"])
    panels = [panel for panel in UTILITY_PANELS if panel[0] in measured]
    if not panels:
        return ()
    series = fitted_series(rows)
    width = FULL_WIDTH if len(panels) > 1 else FULL_WIDTH / 2
    figure = new_figure(width, 4.2 if is_crowded(series) else 2.7)
    axes = tuple(figure.subplots(1, len(panels), squeeze=False)[0])
    for panel, (metric, title, label) in zip(axes, panels, strict=True):
        _draw_metric(panel, rows, metric, baselines=UTILITY_BASELINES[metric])
        _draw_live(panel, records, "utility", metric)
        keep_possible(panel)
        panel.set_title(title)
        panel.set_ylabel(label)
    if panels[0][0] == "tv2":
        axes[0].set_ylim(bottom=0)
    below(figure, axes, conditions(rows), series=series)
    return axes


def leakage_curves(
    records: pd.DataFrame, audits: Sequence[Mapping[str, object]] = ()
) -> tuple[Axes, ...]:
    """Return a column of panels for each attack: AUC of all and of isolated targets, and TPR.

    The dashed ceiling is the largest AUC that the ledger permits any attack, at each epsilon the
    largest over the series; a point above it would show a defect. A metric of which there are no
    records has no row of panels. Records of ``audits`` have one more panel under all others:
    what they prove beside what is claimed (``draw_claimed``).
    """
    rows = ended(records, task="leakage")
    measured = set(rows.loc[rows["epsilon"].notna(), "metric"])
    attacks = attacks_of(measured)
    panels = [p for p in LEAKAGE_PANELS if any(p[0].format(name) in measured for name in attacks)]
    if not attacks:
        return ()
    series = fitted_series(rows)
    grid = _leakage_grid(len(panels) + bool(audits), len(attacks), crowded=is_crowded(series))
    axes = [panel for row in grid[: len(panels)] for panel in row]
    for i, panel in enumerate(panels):
        for j, attack in enumerate(attacks):
            _draw_attack(grid[i][j], records, panel, attack)
            grid[i][j].set_ylabel(panel[2] if j == 0 else "")
            grid[i][j].set_xlabel("ε" if i == len(panels) - 1 else "")
            grid[i][j].tick_params(labelbottom=i == len(panels) - 1)
    if audits:
        axes.append(_joined(grid[-1]))
        draw_claimed(axes[-1], audits, series)
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    below(figure, axes, conditions(rows), series=series)
    return tuple(axes)


def _leakage_grid(rows: int, columns: int, *, crowded: bool) -> list[list[Axes]]:
    """Return rows of panels of a figure that is wide enough for them."""
    width = FULL_WIDTH if columns > 1 else FULL_WIDTH / 2
    figure = new_figure(width, 0.9 + (2.2 if crowded else 1.75) * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey="row")
    return [list(row) for row in grid]


def _joined(row: Sequence[Axes]) -> Axes:
    """Return one panel in the place of a row of them."""
    place, figure = row[0].get_subplotspec(), row[0].get_figure(root=True)
    assert place is not None
    assert figure is not None
    for panel in row:
        panel.remove()
    return figure.add_subplot(place.get_gridspec()[-1, :])


def _draw_attack(
    axes: Axes, records: pd.DataFrame, panel: tuple[str, str, str, float], attack: str
) -> None:
    pattern, targets, _, chance = panel
    rows, metric = ended(records, task="leakage"), pattern.format(attack)
    axes.axhline(chance, color=GREY, linestyle=":", linewidth=1, label="chance")
    _draw_metric(axes, rows, metric, baselines=LEAKAGE_BASELINES)
    _draw_live(axes, records, "leakage", metric)
    if pattern.startswith("auc"):
        _draw_ceiling(axes, rows)
        keep_possible(axes)
    else:  # rates near chance and near one, both of which matter
        axes.set_yscale("log")
        axes.set_ylim(TPR_LIMITS)
    title = f"{named(attack)}, {targets}"
    axes.set_title(title if len(title) < LONG_TITLE else title.replace(", ", "\n"))


def _draw_metric(
    axes: Axes, rows: pd.DataFrame, metric: str, *, baselines: tuple[str, ...]
) -> None:
    points = spread(rows, metric)
    for name in baselines:
        for _, row in points[points["series"] == name].iterrows():
            draw_band(axes, row, BASELINES[name], named(name))
    series = fitted_series(rows)
    alpha = 0.1 if is_crowded(series) else 0.18
    for name, line in lines_of(series).items():
        curve = points[(points["series"] == name) & points["epsilon"].notna()]
        if curve.empty:
            continue
        band = curve["low"], curve["high"]
        axes.fill_between(curve["epsilon"], *band, color=line.color, alpha=alpha, linewidth=0)
        if len(curve) == 1:  # whose band has no width
            axes.plot([curve["epsilon"]] * 2, band, color=line.color, linewidth=1)
        axes.plot(
            curve["epsilon"],
            curve["mean"],
            color=line.color,
            linestyle=line.dashes,
            marker=line.marker,
            label=named(name),
        )
    # Of all that was run: panels share the axis, and one without points must not cost it its ticks.
    epsilon_axis(axes, rows["epsilon"].dropna().unique())
    if points["epsilon"].isna().all():
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)


def _draw_live(axes: Axes, records: pd.DataFrame, task: str, metric: str) -> None:
    rows = live(records, task=task)
    for name, line in lines_of(fitted_series(ended(records, task=task))).items():
        points = rows[(rows["series"] == name) & (rows["metric"] == metric)]
        if not points.empty:
            draw_live(axes, points["epsilon"].tolist(), points["value"].tolist(), line)


def _draw_ceiling(axes: Axes, rows: pd.DataFrame) -> None:
    points = spread(rows, CEILING)
    if points.empty:
        return
    highest = points.groupby("epsilon")["mean"].max()
    axes.plot(
        highest.index,
        highest.to_numpy(),
        color=INK,
        linestyle=(0, (1, 1)),
        marker="_" if len(highest) == 1 else "",  # of one epsilon there is no line
        markersize=LONE_CEILING,
        label=CEILING_LABEL,
    )


# Chosen before any result was seen: of the attacks it is the one whose score estimates the
# likelihood ratio, and all targets are what a reader takes an attack's AUC to mean.
ATTACK = "density_ratio"
LEAKAGE = f"auc:{ATTACK}"
PANELS = (
    ("auc:gradient_boosting", "AUC of gradient boosting\ntrained on the release (high is good)"),
    ("tv2", "TV distance of pairs to the members\n(low is good)"),
)
CLOSE = 6.0  # points on the page: nearer neighbours of a line share one label
# Offsets in points at which the label of a point is tried: near ones first, and beside the bars.
OFFSETS = tuple(
    (dx * far, dy * far)
    for far in (7, 12, 17, 23, 29)
    for dx, dy in ((-1, 1), (1, -1), (1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
)


def tradeoff(records: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a panel for each measure of utility, leakage on x, a line a synthesizer.

    Both coordinates of a point come from the same releases. Bars are intervals over seeds; the
    number at a point is its epsilon. Without records of both kinds the tuple is empty.
    """
    rows = ended(records, task="leakage")
    measured = set(rows.loc[rows["epsilon"].notna(), "metric"])
    panels = [panel for panel in PANELS if panel[0] in measured]
    if not panels or LEAKAGE not in measured:
        return ()
    series = fitted_series(rows)
    width = FULL_WIDTH if len(panels) > 1 else FULL_WIDTH / 2
    figure = new_figure(width, 5.4 if is_crowded(series) else 3.3)
    axes = tuple(figure.subplots(1, len(panels), squeeze=False)[0])
    for panel, (metric, label) in zip(axes, panels, strict=True):
        panel.axvline(0.5, color=GREY, linestyle=":", linewidth=1, label="chance")
        _draw_panel(panel, rows, metric)
        keep_possible(panel)
        panel.set_xlabel(f"attack AUC ({named(ATTACK)}, all targets)")
        panel.set_ylabel(label)
        if metric == "tv2" and is_crowded(series):
            _space_out(panel)
    below(figure, axes, conditions(rows) + "; numbers at points: ε", series=series)
    figure.draw_without_rendering()  # places the axes, so that labels know where points are
    for panel in axes:
        _place_labels(panel)
    return axes


def _space_out(axes: Axes) -> None:
    """Make the y axis logarithmic with ticks that can be read."""
    ticks = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    positive = [y for line in axes.lines for y in np.asarray(line.get_ydata(), float) if y > 0]
    axes.set_yscale("log")
    # An interval that reaches below zero would stretch the axis until nothing else can be seen.
    low, high = axes.get_ylim()
    if positive and low < min(positive) / 2:
        low = min(positive) / 2
        axes.set_ylim(bottom=low)
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_yticks([], minor=True)


def points_of(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return ``series, epsilon`` with mean, low and high of the leakage (x) and a metric (y)."""
    left, right = spread(rows, LEAKAGE), spread(rows, metric)
    return left.merge(right, on=["series", "epsilon"], suffixes=("_x", "_y"))


def _draw_panel(axes: Axes, rows: pd.DataFrame, metric: str) -> None:
    points = points_of(rows, metric)
    for name in ("no_privacy", "fresh_rows"):
        _draw_points(axes, points[points["series"] == name], BASELINES[name], joined=False)
    for name, line in lines_of(fitted_series(rows)).items():
        chosen = points[(points["series"] == name) & points["epsilon"].notna()]
        _draw_points(axes, chosen, line, joined=True)
        for _, point in chosen.iterrows():
            axes.annotate(
                rounded_up(point["epsilon"], 6),
                (point["mean_x"], point["mean_y"]),
                xytext=OFFSETS[0],
                textcoords="offset points",
                fontsize=6.5,
                color=line.color,
                ha="center",
                va="center",
                arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": line.color, "shrinkB": 0},
            )


def _draw_points(axes: Axes, points: pd.DataFrame, line: Line, *, joined: bool) -> None:
    if points.empty:
        return
    bars = [
        np.stack(
            [
                points[f"mean_{axis}"] - points[f"low_{axis}"],
                points[f"high_{axis}"] - points[f"mean_{axis}"],
            ]
        )
        for axis in "xy"
    ]
    axes.errorbar(
        points["mean_x"],
        points["mean_y"],
        xerr=bars[0],
        yerr=bars[1],
        color=line.color,
        marker=line.marker,
        linestyle=line.dashes if joined else "none",
        linewidth=1.1,
        elinewidth=0.7,
        label=named(str(points["series"].iloc[0])),
    )


def _place_labels(axes: Axes) -> None:
    """Move each label to the nearest place where it covers neither a point nor another label."""
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    labels = _share(axes, [child for child in axes.texts if isinstance(child, Annotation)])
    taken = [
        Bbox.from_bounds(x - 7, y - 7, 14, 14)
        for x, y in axes.transData.transform([label.xy for label in labels])
    ]
    for label in labels:
        taken.append(_free_place(axes, label, taken))


def _share(axes: Axes, labels: list[Annotation]) -> list[Annotation]:
    """Give points of a line that all but coincide one label with their range of epsilons."""
    close = CLOSE * axes.figure.get_dpi() / 72
    groups: list[list[Annotation]] = []
    for label in labels:
        last = groups[-1][-1] if groups else None
        if last is not None and last.get_color() == label.get_color():
            (x0, y0), (x1, y1) = axes.transData.transform([last.xy, label.xy])
            if abs(x1 - x0) < close and abs(y1 - y0) < close:
                groups[-1].append(label)
                continue
        groups.append([label])
    for first, *others in groups:
        if others:
            first.set_text(f"{first.get_text()}\N{EN DASH}{others[-1].get_text()}")
        for other in others:
            other.remove()
    return [first for first, *_ in groups]


def _free_place(axes: Axes, label: Annotation, taken: list[Bbox]) -> Bbox:
    from matplotlib.text import Text

    def box_at(offset: tuple[float, float]) -> Bbox:
        label.set_position(offset)
        return Text.get_window_extent(label)  # without the line that leads to the point

    for offset in OFFSETS:
        box = box_at(offset)
        inside = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
        if inside and not any(box.overlaps(other) for other in taken):
            return box
    return box_at(OFFSETS[0])
