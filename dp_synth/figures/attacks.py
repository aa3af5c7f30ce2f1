"""ROC curves under what a guarantee permits, and what attacks gain beside fresh records."""

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
    figure.suptitle(note, fontsize=SMALL, color=GREY, x=0.01, ha="left")
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


INTERNAL = "internal: computed from private rows, not differentially private"
CEILING_LABEL = "largest AUC the ledger permits"
GUESS_LABEL = "right about fitted records"
CONTROL_LABEL = "right about fresh records (control)"
BASELINE_LABEL = "without the synthetic table (baseline)"
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
        panel.set_yticks(range(len(rows)), [_words(name) for name in rows["attack"]])
        panel.invert_yaxis()
        panel.grid(visible=False, axis="y")
    below(figure, axes, INTERNAL + "; 95 % intervals")
    return axes


def _draw_membership(axes: Axes, rows: pd.DataFrame, largest_auc: float | None) -> None:
    places = np.arange(len(rows))
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1, label="coin")
    if largest_auc is not None:
        axes.axvline(
            largest_auc, color=INK, linestyle=(0, (1, 1)), linewidth=1.2, label=CEILING_LABEL
        )
    axes.barh(places, rows["value"] - 0.5, left=0.5, color=PALETTE[0], height=0.62, alpha=0.45)
    _draw_interval(axes, places, rows, ("value", "low", "high"), PALETTE[0])
    axes.set_xlabel("attack AUC")
    axes.set_title("was this record fitted?")


def _draw_guesses(axes: Axes, rows: pd.DataFrame) -> None:
    places = np.arange(len(rows))
    left = 1 - rows["control"]
    ends = rows.assign(
        low_share=(rows["control"] + rows["low"] * left).clip(0, 1),
        high_share=(rows["control"] + rows["high"] * left).clip(0, 1),
    )
    axes.barh(
        places, rows["attacked"], color=PALETTE[1], height=0.62, alpha=0.45, label=GUESS_LABEL
    )
    _draw_interval(axes, places, ends, ("attacked", "low_share", "high_share"), PALETTE[1])
    axes.plot(
        rows["control"],
        places,
        color=INK,
        marker="|",
        markersize=11,
        markeredgewidth=1.6,
        linestyle="none",
        label=CONTROL_LABEL,
    )
    axes.plot(
        rows["baseline"],
        places,
        color=GREY,
        marker="o",
        markersize=5,
        markerfacecolor="white",
        linestyle="none",
        label=BASELINE_LABEL,
    )
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of guesses that are right")
    axes.set_title("what is told about a record?")


def _draw_interval(
    axes: Axes,
    places: np.ndarray[tuple[int], np.dtype[np.int64]],
    rows: pd.DataFrame,
    columns: tuple[str, str, str],
    color: str,
) -> None:
    middle, low, high = (rows[column].to_numpy(float) for column in columns)
    bars = np.stack([np.maximum(middle - low, 0), np.maximum(high - middle, 0)])
    axes.errorbar(
        middle, places, xerr=bars, color=color, marker="o", linestyle="none", elinewidth=1.2
    )


def _words(attack: str) -> str:
    return named(attack).replace("_", " ")
