"""Mean ranks on one axis, and which of them are no further apart than chance puts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dp_synth.figures.files import KINDS, save_all
from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    SMALL,
    TEXT,
    label,
    named,
    new_figure,
    note_over,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Heights in rows below the axis, which lies at 0; a row is the height of a line of text.
FIRST_BAR = 0.55
BAR_GAP = 0.42
ROW = 0.19  # inches
BAR_WIDTH = 3.2  # points
OVERHANG = 0.04  # of a bar, beyond the outermost of its methods
SIDE = 0.55  # share of the axis' length that names take on either side
FAILED_NOTE = "hollow: with failed cells, which took a floor's score"


class Ranked(Protocol):
    """What is drawn of a ranking."""

    @property
    def metric(self) -> str:
        """What was ranked by."""

    @property
    def blocks(self) -> int:
        """How many tables and budgets the ranks are means over."""

    @property
    def mean_ranks(self) -> Mapping[str, float]:
        """Methods, best first."""

    @property
    def failures(self) -> Mapping[str, int]:
        """How many cells of each method failed."""

    @property
    def critical_difference(self) -> float | None:
        """What mean ranks must differ by; None where there is no test."""

    @property
    def groups(self) -> Sequence[Sequence[str]]:
        """Runs of methods that are not told apart."""


def draw_ranks(ranking: Ranked) -> tuple[Axes, ...]:
    """Return the critical-difference diagram of Demsar 2006, figure 1: one panel.

    The best method is on the left. A bar joins methods that the test cannot tell apart; where
    there is no test there is no bar, and the note says so. Grey print loses nothing.
    """
    methods = list(ranking.mean_ranks)
    left = (len(methods) + 1) // 2
    top = FIRST_BAR + BAR_GAP * len(ranking.groups) + 0.6
    depth = top + left
    figure = new_figure(FULL_WIDTH, ROW * (depth + 4.5) + 0.3)
    axes = figure.subplots()
    most = max(len(methods), 2)
    _draw_scale(axes, most, ranking.critical_difference)
    for place, group in enumerate(ranking.groups):
        ends = [ranking.mean_ranks[method] for method in group]
        height = -FIRST_BAR - BAR_GAP * place
        ends = [min(ends) - OVERHANG, max(ends) + OVERHANG]
        (bar,) = axes.plot(ends, [height] * 2, color=INK, lw=BAR_WIDTH, label=", ".join(group))
        bar.set_solid_capstyle("butt")
    for place, method in enumerate(methods):
        is_left = place < left
        row = place if is_left else len(methods) - 1 - place
        _draw_method(axes, ranking, method, height=-top - row, edge=1 if is_left else most)
    side = SIDE * (most - 1)
    axes.set(xlim=(1 - side, most + side), ylim=(-depth + 0.3, 3.6))
    axes.set_axis_off()
    note_over(figure, _note(ranking))
    return (axes,)


def write_ranks(ranking: Ranked, folder: Path) -> list[Path]:
    """Write the diagram as ``ranks.pdf`` and ``ranks.png``; return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    return save_all(partial(draw_ranks, ranking), [folder / f"ranks.{kind}" for kind in KINDS])


def _draw_scale(axes: Axes, most: int, difference: float | None) -> None:
    """Draw the axis of ranks, and over it the length by which ranks must differ."""
    axes.plot([1, most], [0, 0], color=INK, linewidth=0.9, clip_on=False)
    for rank in range(1, most + 1):
        axes.plot([rank, rank], [0, 0.3], color=INK, linewidth=0.9)
        axes.text(rank, 0.45, f"{rank}", ha="center", va="bottom", fontsize=SMALL)
    for rank, way in ((1, "better"), (most, "worse")):
        axes.text(rank, 1.35, way, ha="center", va="bottom", fontsize=SMALL, color=GREY)
    if difference is None:
        return
    axes.plot([1, 1 + difference], [2.45] * 2, color=INK, lw=0.9, marker="|", label="CD")
    said = f"critical difference {difference:.2f}"
    axes.text(1 + difference / 2, 2.65, said, ha="center", va="bottom", fontsize=SMALL)


def _draw_method(axes: Axes, ranking: Ranked, method: str, *, height: float, edge: int) -> None:
    """Draw a line from a mean rank down, and out to the method's name on its side."""
    rank, failed = ranking.mean_ranks[method], ranking.failures.get(method, 0)
    is_left, fill = edge == 1, "white" if failed else INK
    reach = 0.06 * (max(len(ranking.mean_ranks), 2) - 1) * (-1 if is_left else 1)
    axes.plot([rank, rank, edge + reach], [0, height, height], color=GREY, lw=0.8, zorder=1)
    axes.plot([rank], [0], "o", color=INK, mfc=fill, label=named(method), zorder=3)
    said = f" ({failed} failed)" if failed else ""
    words = [f"{named(method)}{said}", f"{rank:.2f}"]
    text, side = "  ".join(words if is_left else reversed(words)), "right" if is_left else "left"
    axes.text(edge + 1.1 * reach, height, text, ha=side, va="center", fontsize=TEXT)


def _note(ranking: Ranked) -> str:
    over = "1 block" if ranking.blocks == 1 else f"{ranking.blocks} blocks"
    name, colon, rest = ranking.metric.partition(":")
    parts = [f"{name}{colon} {label(rest)}".strip(), f"mean ranks over {over}"]
    if ranking.critical_difference is None:
        parts.append("no test of so few blocks or methods")
    else:
        parts.append("bars: not told apart (Nemenyi, 5 %)")
    if any(ranking.failures.values()):
        parts.append(FAILED_NOTE)
    return "; ".join(parts)
