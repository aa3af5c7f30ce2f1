"""Histograms of columns side by side: shares of records in, axes out."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dp_synth.figures.style import (
    FULL_WIDTH,
    GREY,
    INK,
    PALETTE,
    below,
    look,
    name_rows,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ABREAST = 2  # panels in a row
MOST_CELLS = 22  # of a panel; the smallest of more are drawn as one
CELL_HEIGHT, HEAD_HEIGHT, FOOT_HEIGHT = 0.17, 0.45, 0.6  # inches
MOST_LETTERS = 26  # of a cell's label
UNSAID = ("Creator", "Date", "Format", "Type")  # of a file: it stands inside a page
MOMENT = re.compile(r"([^\sT]*\d[-/.]\d[^\sT]*)[ T]\d\d?:\d\d\S*(?: ?[AP]M)?")  # its day, its time
DECLARED = re.compile(r' xmlns(?::\w+)?="[^"]*"')


def histograms(shares: pd.DataFrame) -> tuple[Axes, ...]:
    """Return a panel for each column: the share of fitted and synthetic records in each cell.

    ``shares`` has columns ``column``, ``cell``, ``fitted``, ``synthetic``, ``holdout``, a row a
    cell in its order. What the hold-out records have is a mark: bars that miss it by no more than
    fitted ones do are as good as fresh records.
    """
    tables = [_few(table) for _, table in shares.groupby("column", sort=False)]
    rows = math.ceil(len(tables) / ABREAST)
    heights = [
        max(len(table) for table in tables[row * ABREAST : (row + 1) * ABREAST])
        for row in range(rows)
    ]
    height = CELL_HEIGHT * 1.6 * sum(heights) + HEAD_HEIGHT * rows + FOOT_HEIGHT
    figure = new_figure(FULL_WIDTH, height)
    grid = figure.subplots(rows, ABREAST, squeeze=False, height_ratios=[h + 3 for h in heights])
    panels = tuple(grid.ravel())
    for panel, table in zip(panels, tables, strict=False):
        _draw(panel, table)
    for panel in panels[len(tables) :]:
        panel.set_axis_off()
    drawn = panels[: len(tables)]
    below(figure, drawn, "share of the rows in each cell")
    return drawn


def svg_of(shares: pd.DataFrame) -> str:
    """Return `histograms` of ``shares`` as an element of a page; nothing where there are none.

    It is SVG that refers to nothing outside.
    """
    import matplotlib as mpl

    if shares.empty:
        return ""
    text = io.StringIO()
    with look(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "histograms"}):
        figure = histograms(shares)[0].get_figure(root=True)
        assert figure is not None
        figure.savefig(text, format="svg", metadata=dict.fromkeys(UNSAID))
    drawn = text.getvalue()
    return DECLARED.sub("", drawn[drawn.index("<svg") :])


def _few(table: pd.DataFrame) -> pd.DataFrame:
    """Return the largest cells in their order, and all others as one."""
    if len(table) <= MOST_CELLS:
        return table
    largest = table[["fitted", "synthetic"]].max(axis=1).to_numpy()
    kept = np.sort(np.argsort(-largest, kind="stable")[: MOST_CELLS - 1])
    rest = table.drop(index=table.index[kept])
    others = {
        "column": table["column"].iloc[0],
        "cell": f"{len(rest)} others",
        **rest[["fitted", "synthetic", "holdout"]].sum().to_dict(),
    }
    return pd.concat([table.iloc[kept], pd.DataFrame([others])], ignore_index=True)


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    places = np.arange(len(table))
    axes.barh(places - 0.2, table["fitted"], 0.38, color=GREY, label="fitted rows")
    axes.barh(places + 0.2, table["synthetic"], 0.38, color=PALETTE[0], label="synthetic rows")
    axes.plot(table["holdout"], places, "|", color=INK, ms=7, label="hold-out rows")
    name_rows(axes, [_short(str(cell)) for cell in table["cell"]])
    axes.set_xlim(left=0)
    axes.set_title(_short(str(table["column"].iloc[0])))


def _short(text: str) -> str:
    """Return a label that fits beside a panel, with no sign that starts mathematics.

    Of long moments the days remain, where these differ.

    >>> _short("2015-01-01 00:00:00 to 2015-05-17 12:30:00")
    '2015-01-01 to 2015-05-17'
    """
    days = MOMENT.sub(r"\1", text)
    first, _, last = days.partition(" to ")
    if len(text) > MOST_LETTERS and first != last:
        text = days
    cut = text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"
    return cut.replace("$", r"\$")
