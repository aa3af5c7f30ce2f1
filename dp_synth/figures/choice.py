"""Figure of a choice of budget: largest advantage against noise, and against error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dp_synth.figures.style import FULL_WIDTH, GREY, PALETTE, below, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = "fresh rows of the surrogate, without noise"
COUNT = "noise on one count, were it the only question"
ERROR = "error of a fit to the surrogate"


def choice_of_budget(points: pd.DataFrame, floor: Sequence[float], note: str) -> tuple[Axes, Axes]:
    """Return two panels: the noise that a risk asks for, and the error that it costs.

    ``points`` has columns ``advantage``, ``noise`` (a standard deviation, in records), ``error``
    and ``half`` (of its interval), the last two NaN where nothing was fitted; ``floor`` the errors
    of fresh rows. ``note`` stands over both: it says what was fitted.
    """
    figure = new_figure(FULL_WIDTH, 3.2)
    left, right = figure.subplots(1, 2)
    points = points.sort_values("advantage")
    left.plot(points["advantage"], points["noise"], marker="o", color=PALETTE[0], label=COUNT)
    left.set(yscale="log", ylabel="standard deviation, in records", title="risk against noise")
    right.errorbar(
        points["advantage"],
        points["error"],
        yerr=points["half"].fillna(0.0),
        marker="o",
        color=PALETTE[1],
        elinewidth=1.2,
        label=f"{ERROR}, 95 %" if points["half"].notna().any() else ERROR,
    )
    if floor:
        right.axhline(float(np.mean(floor)), color=GREY, linestyle=":", label=FLOOR)
    right.set(ylabel="total variation of pairs", title="risk against error")
    right.set_ylim(bottom=0)
    shown = [f"{value:.3g}" for value in points["advantage"]]
    for panel in (left, right):
        panel.set_xscale("log")
        panel.set_xticks(points["advantage"], shown)
        panel.set_xticks([], minor=True)
        panel.set_xlabel("largest advantage of any attack")
    below(figure, (left, right), note)
    return left, right
