"""How figures look: colours that everybody can tell apart, fonts that print, clear names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

# Okabe and Ito (2008), "Color universal design": told apart with any colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
NETWORK_DASHES = (0, (3, 1.2))
Dashes = str | tuple[float, tuple[float, ...]]
INK = "#222222"
GREY = "#767676"
LIVE_LABEL = "run live beside the records"
MARGIN = 0.03  # of an axis of shares, beyond 0 and 1
GHOST = "#D9D9D9"  # of other series behind the one that a panel is about
FAINT = 0.14  # opacity of intervals: of bands, and of the bars of a point
FULL_WIDTH = 7.0  # inches: both columns of a two-column paper
TEXT, SMALL = 8.0, 7.0  # points: the two sizes of letters of every figure
LETTER = 0.058  # inches: a small letter is at most so wide on average
LEGEND_ROW, LEGEND_HANDLE = 0.15, 0.52  # inches: a row, and what stands before a label
LINE_HEIGHT = 1.35 * SMALL / 72  # inches between labels beside one another

SETTINGS: MappingProxyType[str, object] = MappingProxyType(
    {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": TEXT,
        "axes.labelsize": TEXT,
        "axes.titlesize": TEXT,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.grid": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "figure.titlesize": TEXT,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "legend.title_fontsize": SMALL,
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


def label(name: str) -> str:
    """Return the words for a method, attack or model; its own name where there are none."""
    from dp_synth.citation import label_of  # words alone: figures know no method

    return label_of(name) or WORDS.get(name, name)


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


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a panel from above, at 0, 1 and so on; no grid crosses them."""
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def note_over(figure: FigureBase, note: str) -> None:
    """Write a small line over all panels."""
    figure.suptitle(note, fontsize=SMALL, color=GREY, x=0.01, ha="left")


def below(figure: Figure, axes: Iterable[Axes], note: str, *, message: str = "") -> None:
    """Put one legend of all panels under them, with ``note``, and ``message`` over them.

    Without a message the note stands over the panels. What ``label_ends`` has named is left out.
    """
    entries: dict[str, Artist] = {}
    for panel in axes:
        said = {text.get_text() for text in panel.texts}
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            if label not in said:
                entries.setdefault(label, handle)
    width = figure.get_figwidth()
    note = "\n".join(wrap(note, int(width / LETTER)))
    columns = _columns(list(entries), width)
    if width < FULL_WIDTH:
        figure.set_figheight(figure.get_figheight() + LEGEND_ROW * max(len(entries) - 2, 0))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=columns,
        handlelength=2.4,  # long enough to tell dashes apart
        fontsize=SMALL,
        title=note if message else None,
        title_fontsize=SMALL,
        alignment="left",
    ).get_title().set_color(GREY)
    if message:
        lines = "\n".join(wrap(message, int(width / LETTER)))
        figure.suptitle(lines, x=0.01, ha="left", fontsize=TEXT)
    else:
        note_over(figure, note)


def _columns(labels: Sequence[str], width: float) -> int:
    """Return how many columns of a legend fit beside one another, the first ones filled first."""
    for columns in range(min(len(labels), 6), 1, -1):
        parts = np.array_split([len(label) for label in labels], columns)
        if sum(LETTER * max(part) + LEGEND_HANDLE for part in parts) <= width:
            return columns
    return 1


def tinted(color: str, depth: float) -> tuple[float, ...]:
    """Return a colour on white at a depth between 0 and 1."""
    from matplotlib.colors import to_rgb

    return tuple(1 - depth * (1 - part) for part in to_rgb(color))


def depths(epsilons: Iterable[float]) -> dict[float, float]:
    """Return how deep the colour of each epsilon is: the larger, the deeper.

    >>> depths([10, 0.1, 1])
    {0.1: 0.12, 1: 0.56, 10: 1.0}
    """
    ordered = sorted(set(epsilons))
    steps = max(len(ordered) - 1, 1)
    return {
        epsilon: round(1 - 0.88 * (len(ordered) - 1 - place) / steps, 3)
        for place, epsilon in enumerate(ordered)
    }


def label_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], colors: Mapping[str, str]
) -> None:
    """Write names beside the last points of lines, none over another, each led to its point.

    Limits and scales of ``axes`` must be as they will stay.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    spec = axes.get_subplotspec()
    rows = 1 if spec is None else spec.get_gridspec().nrows
    gap = LINE_HEIGHT / (0.75 * figure.get_figheight() / rows)
    at = [axes.transLimits.transform(axes.transScale.transform(end))[1] for end in ends.values()]
    order = np.argsort(at)
    places = spread_out(np.array(at)[order], gap)
    places = places - max(places.max(initial=0) - 1, 0)
    for i, place in zip(order, places, strict=True):
        name, end = list(ends.items())[i]
        axes.annotate(
            named(name),
            end,
            xytext=(1.07, place),
            textcoords="axes fraction",
            fontsize=SMALL,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.5,
                "color": colors[name],
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
        )


def spread_out(places: np.ndarray, gap: float) -> np.ndarray:
    """Return ascending places moved apart, as little as may be, until each pair has its gap.

    >>> spread_out(np.array([0.1, 0.5, 0.5]), 0.2).round(2).tolist()
    [0.1, 0.4, 0.6]
    """
    moved = places.astype(float)
    for _ in range(200):
        push = np.maximum(gap - np.diff(moved), 0) / 2
        moved[:-1] -= push
        moved[1:] += push
    return moved


def draw_live(axes: Axes, x: Sequence[float], y: Sequence[float], line: Line) -> None:
    """Draw cells that were run beside records: open, larger markers around where these lie."""
    axes.plot(x, y, line.marker, color=line.color, label="_", ms=8.5, mfc="none", mew=0.8)
    if LIVE_LABEL not in axes.get_legend_handles_labels()[1]:
        axes.plot([], [], "o", color=GREY, label=LIVE_LABEL, ms=8.5, mfc="none", mew=0.8)


def draw_band(axes: Axes, row: pd.Series[float], line: Line, label: str) -> None:
    """Draw a baseline: a horizontal line at its mean, and its interval as a band."""
    axes.axhspan(row["low"], row["high"], color=line.color, alpha=FAINT / 2, linewidth=0)
    axes.axhline(row["mean"], color=line.color, linestyle=line.dashes, linewidth=1, label=label)
