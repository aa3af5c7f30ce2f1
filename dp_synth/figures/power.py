"""How often audits catch a fault of a given size, against the runs that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dp_synth.errors import InputError
from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    MARKERS,
    PALETTE,
    below,
    named,
    new_figure,
)
from dp_synth.rounding import rounded_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

TESTS = ("area", "common_noise", "gaussian_threshold", "clopper_pearson")
LEVEL_LABEL = "level: what a correct mechanism may have"
CLOSE = 1e-6  # relative, between a factor and a number that has a name
ROOTS = {2: "√2", 3: "√3", 8: "2√2"}


def power_curves(records: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a panel for each factor: the share of audits that raise an alarm, for each test.

    ``records`` has columns ``test``, ``epsilon``, ``factor`` (by which the noise is too small; 1
    of a correct mechanism), ``runs`` (a world), ``alarms`` (a share), ``low``, ``high``, ``level``
    and ``delta``. InputError where they are of several claims, which would share a curve.
    """
    claims = records[["epsilon", "delta", "level"]].drop_duplicates()
    if len(claims) != 1:
        raise InputError(f"a figure of power is of one claim and level, got {len(claims)}")
    factors = sorted(records["factor"].unique())
    figure = new_figure(FULL_WIDTH, 0.9 + 1.9 * ((len(factors) + 1) // 2))
    grid = figure.subplots((len(factors) + 1) // 2, 2, squeeze=False, sharex=True, sharey=True)
    axes = tuple(grid.flat)
    for panel in axes[len(factors) :]:
        panel.set_axis_off()
    ticks = sorted(records["runs"].unique())
    for panel, factor in zip(axes, factors, strict=False):
        panel.axhline(
            float(claims["level"].iloc[0]), color=GREY, linestyle=":", label=LEVEL_LABEL, lw=1
        )
        for place, test in enumerate(TESTS):
            _draw_test(panel, records, (test, factor), place)
        _finish(panel, factor, ticks)
    for panel in grid[:, 0]:
        panel.set_ylabel("audits that alarm")
    for panel in axes[max(0, len(factors) - 2) : len(factors)]:
        panel.set_xlabel("runs a world")
        panel.tick_params(labelbottom=True)
    drawn = axes[: len(factors)]
    below(figure, drawn, _claim(claims), series=())
    return drawn


def factor_text(factor: float) -> str:
    """Return how a factor is written, roots as roots.

    >>> factor_text(2 ** 0.5), factor_text(4)
    ('√2', '4')
    """
    for square, text in ROOTS.items():
        if abs(factor / square**0.5 - 1) < CLOSE:
            return text
    return f"{factor:g}"


def _draw_test(axes: Axes, records: pd.DataFrame, chosen: tuple[str, float], place: int) -> None:
    test, factor = chosen
    rows = records[(records["test"] == test) & (records["factor"] == factor)].sort_values("runs")
    if rows.empty:
        return
    color = PALETTE[place]
    bars = np.stack([rows["alarms"] - rows["low"], rows["high"] - rows["alarms"]])
    axes.errorbar(
        rows["runs"],
        rows["alarms"],
        yerr=bars,
        color=color,
        marker=MARKERS[place],
        elinewidth=0.8,
        capsize=1.5,
        label=named(test),
    )


def _finish(axes: Axes, factor: float, ticks: list[int]) -> None:
    is_correct = factor == 1
    axes.set_title(
        "noise as claimed" if is_correct else f"noise too small by {factor_text(factor)}"
    )
    axes.set_xscale("log")
    shown = [tick for i, tick in enumerate(ticks) if i == 0 or tick >= 1.9 * ticks[i - 1]]
    axes.set_xticks(shown, [f"{tick:,}" for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_ylim(-0.03, 1.03)


def _claim(claims: pd.DataFrame) -> str:
    row = claims.iloc[0]
    return (
        f"one Gaussian answer of ε = {rounded_up(row['epsilon'])} at δ = "
        f"{rounded_up(row['delta'])}, scores of the best attack; share of audits with its 95 % "
        "Clopper-Pearson interval"
    )
