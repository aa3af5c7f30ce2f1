"""What a release leaks against what it is good for, one point an epsilon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dp_synth.figures.style import (
    BASELINES,
    FULL_WIDTH,
    GREY,
    Line,
    below,
    is_crowded,
    keep_possible,
    lines_of,
    named,
    new_figure,
)
from dp_synth.figures.summary import conditions, ended, fitted_series, spread
from dp_synth.rounding import rounded_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

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
