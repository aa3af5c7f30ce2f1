"""What a budget buys: the privacy curve, the trade-off of any attack, and who spent what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    PALETTE,
    SMALL,
    named,
    new_figure,
)
from dp_synth.formatting import at_most

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BAR_HEIGHT = 0.26  # inches
LABELLED = 0.12  # a bar of at least this share has room for its number inside


def privacy_curve(points: pd.DataFrame, *, auc: float) -> tuple[Axes, Axes]:
    """Return two panels: delta against epsilon, and the largest TPR against FPR.

    ``points`` has columns ``curve`` ("delta" or "tpr"), ``x`` and ``y``: certified upper bounds
    on delta at each epsilon, and on an attack's true-positive rate at each false-positive rate.
    ``auc`` bounds the area under the second.
    """
    figure = new_figure(FULL_WIDTH, 2.9)
    left, right = figure.subplots(1, 2)
    profile = points[(points["curve"] == "delta") & (points["y"] > 0)]
    left.plot(profile["x"], profile["y"], color=PALETTE[0])
    left.set_yscale("log")
    left.set_xlim(left=0)
    left.set_xlabel("ε")
    left.set_ylabel("δ (upper bound)")
    left.set_title("privacy curve")
    _draw_tradeoff(right, points, auc)
    return left, right


def waterfall(rows: pd.DataFrame, points: pd.DataFrame, *, auc: float) -> tuple[Axes, Axes]:
    """Return two panels: the share of the cost that each part of a recipe has, and the trade-off.

    ``rows`` has columns ``recipe``, ``part`` and ``share`` (of 1), in the order of the charges:
    each bar begins where the last one ended. ``points`` and ``auc`` as for ``privacy_curve``.
    """
    figure = new_figure(FULL_WIDTH, max(2.9, 1.0 + BAR_HEIGHT * len(rows)))
    left, right = figure.subplots(1, 2)
    recipes = list(dict.fromkeys(rows["recipe"]))
    start = 0.0
    for position, row in enumerate(rows.itertuples(index=False)):
        share = float(row.share)  # type: ignore[arg-type]
        color = PALETTE[recipes.index(row.recipe) % len(PALETTE)]
        left.barh(position, share, left=start, color=color, height=0.7)
        inside = share >= LABELLED
        left.text(
            *(start + (share / 2 if inside else share + 0.01), position),
            f"{share:.1%}",
            color="white" if inside else INK,
            ha="center" if inside else "left",
            va="center",
            fontsize=SMALL,
        )
        start += share
    names = [f"{named(str(row.recipe))}: {row.part}" for row in rows.itertuples(index=False)]
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.grid(visible=False, axis="y")
    left.set_xlim(0, 1.1)
    left.set_xlabel("share of the zCDP cost, added up")
    left.set_title("who spent what")
    _draw_tradeoff(right, points, auc)
    return left, right


def _draw_tradeoff(axes: Axes, points: pd.DataFrame, auc: float) -> None:
    bound = points[points["curve"] == "tpr"]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="chance")
    axes.plot(bound["x"], bound["y"], color=PALETTE[1], label="largest of any attack")
    axes.fill_between(bound["x"], bound["x"], bound["y"], color=PALETTE[1], alpha=0.12, linewidth=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("false-positive rate")
    axes.set_ylabel("true-positive rate")
    axes.set_title(f"any attack: AUC at most {at_most(auc, 4)}")
    axes.legend(loc="lower right")
