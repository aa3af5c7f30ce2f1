"""ROC curves of attacks on logarithmic axes, under what the guarantee permits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    MARKERS,
    PALETTE,
    named,
    new_figure,
)

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
    _draw_envelope(axes, envelope[envelope["fpr"] >= least], least)
    for place, (name, rows) in enumerate(points.groupby("attack", sort=False)):
        _draw_attack(axes, str(name), rows.sort_values("fpr"), place, least)
    for set_scale in (axes.set_xscale, axes.set_yscale):
        set_scale("log")
    axes.set_xlim(least, 1)
    axes.set_ylim(least, 1)
    axes.set_xlabel("false-positive rate")
    axes.set_ylabel("true-positive rate")
    axes.set_aspect("equal")
    axes.set_title("what attacks reach")
    note = f"under {claim}; bands: 95 % at each false-positive rate"
    figure.suptitle(note, fontsize=7.5, color=GREY, x=0.01, ha="left")
    figure.legend(loc="outside right center", handlelength=2.6)
    return (axes,)


def _draw_envelope(axes: Axes, envelope: pd.DataFrame, least: float) -> None:
    axes.fill_between(
        envelope["fpr"],
        envelope["tpr"],
        1.0,
        facecolor="#EFEFEF",
        edgecolor="#C8C8C8",
        hatch="////",
        linewidth=0,
        label=FORBIDDEN_LABEL,
    )
    axes.plot(envelope["fpr"], envelope["tpr"], color=INK, linewidth=1.2, label=ENVELOPE_LABEL)
    axes.plot([least, 1], [least, 1], color=GREY, linestyle=":", linewidth=1, label=CHANCE_LABEL)


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
