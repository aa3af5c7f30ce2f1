"""How figures look: colours that everybody can tell apart, fonts that print, clear names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
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
NETWORK_DASHES = (0, (3, 1.2))
Dashes = str | tuple[float, tuple[float, ...]]
INK = "#222222"
GREY = "#767676"
LIVE_LABEL = "run live beside the records"
MARGIN = 0.03  # of an axis of shares, beyond 0 and 1
MOST_SPARSE = 4  # series that share a panel with ease
LEGEND_ROW = 0.15  # inches
NARROW_NOTE = 58  # letters of the note over a single panel
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
    dashes: Dashes
    marker: str


# A method looks the same in every figure. Beyond Okabe's and Ito's, colours are of Tol's "muted"
# scheme: for no colour vision are they nearer to the others than those are to one another.
METHODS: MappingProxyType[str, Line] = MappingProxyType(
    {
        "clique_tree": Line("#0072B2", "-", "o"),
        "mst": Line("#D55E00", "-", "s"),
        "published_mst": Line("#8C2D04", "-", "<"),
        "independent": Line("#009E73", "-", "^"),
        "aim": Line("#AA4499", "-", "D"),
        "privbayes": Line("#999933", "-", "v"),
        "mwem": Line("#7B4B2A", "-", "P"),
        "dpctgan": Line("#CC79A7", NETWORK_DASHES, "D"),
        "dpgan": Line("#E69F00", NETWORK_DASHES, "v"),
        "marginal_generator": Line("#56B4E9", NETWORK_DASHES, "P"),
        "patectgan": Line("#882255", NETWORK_DASHES, "X"),
        "pategan": Line("#332288", NETWORK_DASHES, "p"),
    }
)
# Of methods that are not ours, and of further settings of one that is, in the order of a figure.
OTHERS = (
    *("#44AA99", "#CC6677", "#661100", "#117733", "#6699CC", "#B8A100"),
    *("#AA4466", "#4B0082", "#708238", "#C04000", "#008080", "#8C8C8C"),
)
OTHER_MARKERS = ("h", "<", ">", "X", "p", "d", "P", "v", "D", "^", "s", "o")
BASELINES: MappingProxyType[str, Line] = MappingProxyType(
    {
        "real_rows": Line(INK, "-", "*"),
        "fresh_rows": Line(GREY, "-.", "X"),
        "independent_without_noise": Line(GREY, "--", "d"),
        "no_privacy": Line(INK, "--", "*"),
    }
)
WORDS: MappingProxyType[str, str] = MappingProxyType(
    {
        "real_rows": "real rows",
        "fresh_rows": "fresh real rows",
        "independent_without_noise": "independent columns, no noise",
        "no_privacy": "no privacy (bootstrap of members)",
        "area": "area under the ROC curve",
        "common_noise": "area, common noise",
        "gaussian_threshold": "Gaussian threshold",
        "clopper_pearson": "Clopper-Pearson",
        "gradient_boosting": "gradient boosting",
        "logistic_regression": "logistic regression",
    }
)
"""What is no method with a label of its own: baselines, tests of audits, models of utility."""

_labels: list[Callable[[str], str | None]] = []  # asked for a method's label, by its name


@contextmanager
def look() -> Iterator[None]:
    """Give what is drawn in the block fonts, grid and legends as our figures have them.

    Settings of matplotlib are what they were once it ends.

    >>> import matplotlib
    >>> with look():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    """
    from matplotlib import style

    with style.context(dict(SETTINGS)):
        yield


def label_by(label_of: Callable[[str], str | None]) -> None:
    """Let figures call methods as ``label_of`` says, which gives None for names it lacks."""
    if label_of not in _labels:
        _labels.append(label_of)


def label(name: str) -> str:
    """Return the words for a method, attack or model; its own name where there are none."""
    said = (label_of(name) for label_of in _labels)
    return next((words for words in said if words), WORDS.get(name, name))


def named(series: str) -> str:
    """Return the words for a series: its method's, and the settings that stand behind them.

    >>> named("no_privacy"), named("mine (degree=2)"), named("__main__:Mine")
    ('no privacy (bootstrap of members)', 'mine (degree=2)', 'Mine')
    """
    name, blank, rest = series.removeprefix("__main__:").partition(" ")
    words = label(name) + blank + rest
    return f" {words}" if words.startswith("_") else words  # which legends would leave out


def is_network(series: str) -> bool:
    """Tell whether a series is of the deep family, whose lines are dashed."""
    line = METHODS.get(method_of(series))
    return line is not None and line.dashes == NETWORK_DASHES


def lines_of(series: Sequence[str]) -> dict[str, Line]:
    """Return the look of each fitted series; networks come last.

    The first series of a method of ours has that method's look, in every panel and figure.

    >>> lines_of(["mst", "mine"])["mst"] == lines_of(["aim", "mst"])["mst"]
    True
    """
    ordered = sorted(series, key=is_network)
    looks: dict[str, Line] = {}
    for name in ordered:
        line = METHODS.get(method_of(name))
        if line is None or line in looks.values():
            place = sum(line not in METHODS.values() for line in looks.values())
            dashes = NETWORK_DASHES if is_network(name) else "-"
            line = Line(OTHERS[place % len(OTHERS)], dashes, OTHER_MARKERS[place % len(OTHERS)])
        looks[name] = line
    return looks


def method_of(series: str) -> str:
    """Return the method of a series: what stands before its settings."""
    return series.partition(" ")[0]


def is_crowded(series: Sequence[str]) -> bool:
    """Tell whether so many series share a panel that it needs more room and fainter bands."""
    return len(series) > MOST_SPARSE


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


def keep_possible(axes: Axes) -> None:
    """Show no more of the y axis than shares and areas can reach, however wide an interval is."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -MARGIN), min(high, 1 + MARGIN))


def below(figure: Figure, axes: Iterable[Axes], note: str, *, series: Iterable[str]) -> None:
    """Put one legend of all panels under them, and ``note`` over them.

    Where there are networks each family of ``series`` has a column, beside one for the rest. A
    figure of one panel has room for one column, and grows by it.
    """
    entries: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    columns = 3 if len(entries) > 4 else max(len(entries), 1)
    families = _families(entries, series)
    labels = list(entries)
    if figure.get_figwidth() < FULL_WIDTH:
        columns, note = 1, "\n".join(wrap(note, NARROW_NOTE))
        figure.set_figheight(figure.get_figheight() + LEGEND_ROW * (len(entries) - 2))
    elif all(families):
        columns, longest = len(families), max(map(len, families))
        labels = [label for f in families for label in [*f, *[""] * (longest - len(f))]]
        entries[""] = _nothing()
    figure.legend(
        [entries[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=columns,
        handlelength=3,  # long enough to tell dashes apart
    )
    figure.suptitle(note, fontsize=7.5, color=GREY, x=0.01, ha="left")


def _families(labels: Iterable[str], series: Iterable[str]) -> list[list[str]]:
    """Return the labels of what is no series, of networks, and of all others, in their order."""
    family = {named(name): 2 if is_network(name) else 1 for name in series}
    return [[label for label in labels if family.get(label, 0) == i] for i in range(3)]


def _nothing() -> Artist:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none")


def draw_live(axes: Axes, x: Sequence[float], y: Sequence[float], line: Line) -> None:
    """Draw cells that were run beside records: open, larger markers around where these lie."""
    drawn = [(x, y, line.color, line.marker, "_")]
    if LIVE_LABEL not in axes.get_legend_handles_labels()[1]:
        drawn.append(([], [], GREY, "o", LIVE_LABEL))
    for xs, ys, color, marker, label in drawn:
        axes.plot(
            xs,
            ys,
            color=color,
            marker=marker,
            label=label,
            linestyle="none",
            markersize=8.5,
            markerfacecolor="none",
            markeredgewidth=0.8,
        )


def draw_band(axes: Axes, row: pd.Series[float], line: Line, label: str) -> None:
    """Draw a baseline: a horizontal line at its mean, and its interval as a band."""
    axes.axhspan(row["low"], row["high"], color=line.color, alpha=0.12, linewidth=0)
    axes.axhline(row["mean"], color=line.color, linestyle=line.dashes, linewidth=1, label=label)
