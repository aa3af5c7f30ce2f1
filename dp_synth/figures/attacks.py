"""Panels of attacks: what a guarantee permits any of them, and what they reach and gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    MARKERS,
    PALETTE,
    SMALL,
    below,
    name_rows,
    named,
    new_figure,
    note_over,
)
from dp_synth.formatting import at_most

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FORBIDDEN_LABEL = "above what the guarantee permits"
CHANCE_LABEL = "coin"
ENVELOPE_LABEL = "largest of any attack"
MARKED = 6  # points of a curve that have a marker


def roc_curves(
    points: pd.DataFrame, envelope: pd.DataFrame, *, claim: str = "the guarantee"
) -> tuple[Axes]:
    """Return one panel: the true-positive rate of each attack at each false-positive rate.

    ``points`` has columns ``attack``, ``fpr``, ``tpr``, ``low`` and ``high``, a pointwise
    interval, and perhaps ``faulty``: of mechanisms with a planted fault, whose curves are dashed.
    ``envelope`` has columns ``fpr`` and ``tpr``: certified upper bounds, above which is shaded.
    Rates of zero lie below logarithmic axes and are drawn at their lower edge.
    """
    figure = new_figure(FULL_WIDTH, 4.0)
    axes = figure.subplots()
    least = float(points.loc[points["fpr"] > 0, "fpr"].min())
    most = envelope[envelope["fpr"] >= least]
    axes.fill_between(
        most["fpr"],
        most["tpr"],
        1.0,
        facecolor="#EFEFEF",
        edgecolor="#C8C8C8",
        hatch="////",
        linewidth=0,
        label=FORBIDDEN_LABEL,
    )
    axes.plot(most["fpr"], most["tpr"], color=INK, linewidth=1.2, label=ENVELOPE_LABEL)
    axes.plot([least, 1], [least, 1], ":", color=GREY, linewidth=1, label=CHANCE_LABEL)
    for place, (name, rows) in enumerate(points.groupby("attack", sort=False)):
        _draw_attack(axes, str(name), rows.sort_values("fpr"), place, least)
    axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1), aspect="equal")
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate", title="what attacks reach")
    note = f"under {claim}; bands: 95 % at each false-positive rate"
    note_over(figure, note)
    figure.legend(loc="outside right center", handlelength=2.6)
    return (axes,)


def _draw_attack(axes: Axes, name: str, rows: pd.DataFrame, place: int, least: float) -> None:
    color = PALETTE[place % len(PALETTE)]
    faulty = bool(rows["faulty"].iloc[0]) if "faulty" in rows else False
    low, high, tpr = (rows[end].clip(lower=least) for end in ("low", "high", "tpr"))
    axes.fill_between(rows["fpr"], low, high, color=color, alpha=0.16, linewidth=0)
    axes.plot(
        rows["fpr"],
        tpr,
        color=color,
        linestyle=(0, (4, 1.5)) if faulty else "-",
        marker=MARKERS[place % len(MARKERS)],
        markevery=max(1, len(rows) // MARKED),
        label=named(name),
    )


INTERNAL = "internal: computed from private rows, not differentially private"
CEILING_LABEL = "largest AUC the ledger permits"
GUESS_LABEL = "right about fitted records"
CONTROL_LABEL = "right about fresh records (control)"
BASELINE_LABEL = "without the synthetic table (baseline)"
BOUND_LABEL = "largest that the ledger permits"
ROW_HEIGHT = 0.24  # inches


def risk_bars(table: pd.DataFrame, *, largest_auc: float | None = None) -> tuple[Axes, ...]:
    """Return two panels, of membership attacks and of guesses, one row an attack.

    ``table`` has columns ``attack``, ``kind`` ("membership" or "guess"), ``value``, ``low``,
    ``high``, ``control``, ``baseline`` and, of guesses, ``attacked``: the share of fitted
    records about which they were right. Of membership attacks the value is an AUC. Of guesses it
    is the excess risk; its interval is drawn at the control, as the success to which it amounts.
    A panel of which there are no rows is left out.
    """
    kinds = [kind for kind in ("membership", "guess") if (table["kind"] == kind).any()]
    longest = max((table["kind"] == kind).sum() for kind in kinds)
    figure = new_figure(FULL_WIDTH, 1.25 + ROW_HEIGHT * longest)
    axes = tuple(figure.subplots(1, len(kinds), squeeze=False)[0])
    for panel, kind in zip(axes, kinds, strict=True):
        rows = table[table["kind"] == kind]
        if kind == "membership":
            _draw_membership(panel, rows, largest_auc)
        else:
            _draw_guesses(panel, rows)
        name_rows(panel, [named(name).replace("_", " ") for name in rows["attack"]])
    below(figure, axes, INTERNAL + "; 95 % intervals")
    return axes


def _draw_membership(axes: Axes, rows: pd.DataFrame, largest_auc: float | None) -> None:
    places, color = np.arange(len(rows)), PALETTE[0]
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1, label="coin")
    if largest_auc is not None:
        dots = (0, (1, 1))
        axes.axvline(largest_auc, color=INK, linestyle=dots, linewidth=1.2, label=CEILING_LABEL)
    axes.barh(places, rows["value"] - 0.5, left=0.5, color=color, height=0.62, alpha=0.45)
    _draw_interval(axes, rows["value"], rows["low"], rows["high"], color)
    axes.set(xlabel="attack AUC", title="was this record fitted?")


def _draw_guesses(axes: Axes, rows: pd.DataFrame) -> None:
    places, color, control = np.arange(len(rows)), PALETTE[1], rows["control"]
    low, high = ((control + rows[end] * (1 - control)).clip(0, 1) for end in ("low", "high"))
    axes.barh(places, rows["attacked"], color=color, height=0.62, alpha=0.45, label=GUESS_LABEL)
    _draw_interval(axes, rows["attacked"], low, high, color)
    axes.plot(control, places, "|", color=INK, ms=11, mew=1.6, label=CONTROL_LABEL)
    axes.plot(rows["baseline"], places, "o", color=GREY, ms=5, mfc="white", label=BASELINE_LABEL)
    if "bound" in rows and rows["bound"].notna().any():
        (bounds,) = axes.plot(rows["bound"], places, "D", color=INK, ms=4, mfc="white")
        bounds.set(label=BOUND_LABEL, clip_on=False)  # whole where all success is permitted
    axes.set(xlim=(0, 1), xlabel="share of guesses that are right")
    axes.set_title("what is told about a record?")


def _draw_interval(
    axes: Axes, middle: pd.Series[float], low: pd.Series[float], high: pd.Series[float], color: str
) -> None:
    bars = np.stack([np.maximum(middle - low, 0), np.maximum(high - middle, 0)])
    axes.errorbar(middle, np.arange(len(middle)), xerr=bars, color=color, fmt="o", elinewidth=1.2)


BAR_HEIGHT = 0.26  # inches
LABELLED = 0.12  # a bar of at least this share has room for its number inside


def privacy_curve(points: pd.DataFrame, *, auc: float, told: str = "") -> tuple[Axes, Axes]:
    """Return two panels: delta against epsilon, and the largest TPR against FPR.

    ``points`` has columns ``curve`` ("delta" or "tpr"), ``x`` and ``y``: certified upper bounds
    on delta at each epsilon, and on an attack's true-positive rate at each false-positive rate.
    ``auc`` bounds the area under the second; ``told``, mu and the largest advantage in words,
    stands over both.
    """
    figure = new_figure(FULL_WIDTH, 2.9)
    left, right = figure.subplots(1, 2)
    profile = points[(points["curve"] == "delta") & (points["y"] > 0)]
    left.plot(profile["x"], profile["y"], color=PALETTE[0])
    left.set(yscale="log", xlabel="ε", ylabel="δ (upper bound)", title="privacy curve")
    left.set_xlim(left=0)
    _draw_tradeoff(right, points, auc)
    note_over(figure, told)
    return left, right


def waterfall(
    rows: pd.DataFrame, points: pd.DataFrame, *, auc: float, told: str = ""
) -> tuple[Axes, Axes]:
    """Return two panels: the share of the cost that each part of a recipe has, and the trade-off.

    ``rows`` has columns ``recipe``, ``part`` and ``share`` (of 1), in the order of the charges:
    each bar begins where the last one ended. ``points``, ``auc`` and ``told`` as for
    ``privacy_curve``.
    """
    figure = new_figure(FULL_WIDTH, max(2.9, 1.0 + BAR_HEIGHT * len(rows)))
    left, right = figure.subplots(1, 2)
    recipes = list(dict.fromkeys(rows["recipe"]))
    start = 0.0
    for position, row in enumerate(rows.itertuples(index=False)):
        share = float(row.share)  # type: ignore[arg-type]
        color = PALETTE[recipes.index(row.recipe) % len(PALETTE)]
        left.barh(position, share, left=start, color=color, height=0.7)
        place, ink, side = start + share + 0.01, INK, "left"
        if share >= LABELLED:
            place, ink, side = start + share / 2, "white", "center"
        left.text(place, position, f"{share:.1%}", color=ink, ha=side, va="center", fontsize=SMALL)
        start += share
    name_rows(left, [f"{named(str(row.recipe))}: {row.part}" for row in rows.itertuples()])
    left.set(xlim=(0, 1.1), xlabel="share of the zCDP cost, added up", title="who spent what")
    _draw_tradeoff(right, points, auc)
    note_over(figure, told)
    return left, right


def _draw_tradeoff(axes: Axes, points: pd.DataFrame, auc: float) -> None:
    bound = points[points["curve"] == "tpr"]
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1, label="chance")
    axes.plot(bound["x"], bound["y"], color=PALETTE[1], label="largest of any attack")
    axes.fill_between(bound["x"], bound["x"], bound["y"], color=PALETTE[1], alpha=0.12, linewidth=0)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axes.set_title(f"any attack: AUC at most {at_most(auc, 4)}")
    axes.legend(loc="lower right")
