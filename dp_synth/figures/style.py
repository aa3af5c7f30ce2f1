"""How figures look: colours that everybody can tell apart, fonts that print, clear names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color universal design": told apart with any colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
INK = "#222222"
GREY = "#767676"
FULL_WIDTH = 7.0  # inches: both columns of a two-column paper

SETTINGS: MappingProxyType[str, object] = MappingProxyType(
    {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.titlesize": 8.5,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.grid": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "figure.constrained_layout.use": True,
    }
)


@dataclass(frozen=True)
class Line:
    """Colour, dashes and marker of one series."""

    color: str
    dashes: str
    marker: str


BASELINES: MappingProxyType[str, Line] = MappingProxyType(
    {
        "real_rows": Line(INK, "-", "*"),
        "fresh_rows": Line(GREY, "-.", "X"),
        "independent_without_noise": Line(GREY, "--", "d"),
        "no_privacy": Line(INK, "--", "*"),
    }
)
NAMES: MappingProxyType[str, str] = MappingProxyType(
    {
        "independent": "Independent",
        "mst": "MST",
        "clique_tree": "clique tree",
        "real_rows": "real rows",
        "fresh_rows": "fresh real rows",
        "independent_without_noise": "independent columns, no noise",
        "no_privacy": "no privacy (bootstrap of members)",
        "closest_record": "closest record",
        "density_ratio": "density ratio",
        "gradient_boosting": "gradient boosting",
        "logistic_regression": "logistic regression",
    }
)


def named(series: str) -> str:
    """Return the words for a series, attack or model; its own name where there are none.

    >>> named("no_privacy"), named("mst (degree=2)"), named("other")
    ('no privacy (bootstrap of members)', 'MST (degree=2)', 'other')
    """
    name, blank, rest = series.partition(" ")
    return NAMES.get(name, name) + blank + rest


def lines_of(series: Sequence[str]) -> dict[str, Line]:
    """Return the look of each fitted series, the same in every panel of a figure."""
    return {
        name: Line(PALETTE[i % len(PALETTE)], "-", MARKERS[i % len(MARKERS)])
        for i, name in enumerate(series)
    }


def new_figure(width: float, height: float) -> Figure:
    """Return a figure that belongs to no window and to no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def epsilon_axis(axes: Axes, epsilons: Iterable[float]) -> None:
    """Make the x axis epsilon on a log scale with a tick at each value that was run."""
    values = sorted(epsilons)
    axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("ε")


def below(figure: Figure, axes: Iterable[Axes], note: str) -> None:
    """Put one legend of all panels under them, and ``note`` over them."""
    entries: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    columns = 3 if len(entries) > 4 else max(len(entries), 1)
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)
    figure.suptitle(note, fontsize=7.5, color=GREY, x=0.01, ha="left")


def draw_band(axes: Axes, row: pd.Series[float], line: Line, label: str) -> None:
    """Draw a baseline: a horizontal line at its mean, and its interval as a band."""
    axes.axhspan(row["low"], row["high"], color=line.color, alpha=0.12, linewidth=0)
    axes.axhline(row["mean"], color=line.color, linestyle=line.dashes, linewidth=1, label=label)
