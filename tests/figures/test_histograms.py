"""Histograms that stand on the page of an evaluation."""

import numpy as np
import pandas as pd
import pytest

from dp_synth.figures.histograms import MOST_CELLS, histograms, svg_of


def shares(column, cells):
    rng = np.random.default_rng(len(cells))
    values = rng.dirichlet(np.ones(len(cells)), size=3)
    made = dict(zip(("fitted", "synthetic", "holdout"), values, strict=True))
    return pd.DataFrame({"column": column, "cell": cells, **made})


def widths(axes, label):
    (bars,) = [one for one in axes.containers if one.get_label() == label]
    return [bar.get_width() for bar in bars]


def test_each_column_has_a_panel_with_the_shares_of_its_cells():
    tables = [shares("age", ["0 to 9", "10 to 19"]), shares("job", ["a", "b", "c"])]
    panels = histograms(pd.concat(tables))
    titles = [panel.get_title() + panel.get_title(loc="left") for panel in panels]
    assert titles == ["age", "job"]
    for panel, table in zip(panels, tables, strict=True):
        assert [tick.get_text() for tick in panel.get_yticklabels()] == table["cell"].tolist()
        assert widths(panel, "fitted rows") == pytest.approx(table["fitted"].tolist())
        assert widths(panel, "synthetic rows") == pytest.approx(table["synthetic"].tolist())


def test_the_smallest_of_many_cells_are_drawn_as_one_and_no_share_is_lost():
    (panel,) = histograms(shares("country", [f"c{i}" for i in range(40)]))
    labels = [tick.get_text() for tick in panel.get_yticklabels()]
    assert len(labels) == MOST_CELLS
    assert labels[-1] == f"{40 - MOST_CELLS + 1} others"
    assert sum(widths(panel, "fitted rows")) == pytest.approx(1)


def test_the_markup_is_one_element_that_refers_to_nothing_outside():
    table = shares("a $x$ & <b>", ["1", "<i>"])
    text = svg_of(table)
    assert text.startswith("<svg")
    assert "://" not in text
    assert "<i>" not in text
    assert text == svg_of(table)
    assert svg_of(table.head(0)) == ""


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("2015-01-01 00:00:00 to 2015-05-17 00:00:00", "2015-01-01 to 2015-05-17"),
        ("2015-01-01T06:08:04 to 2015-05-18T16:55:55", "2015-01-01 to 2015-05-18"),
        ("15/06/2021 9:05 AM to 16/06/2021 10:27 AM", "15/06/2021 to 16/06/2021"),
        ("2015-01-01 09:00 to 2015-01-01 10:00", "2015-01-01 09:00 to 2015-…"),
        ("09:00:00 to 10:30:00", "09:00:00 to 10:30:00"),
        ("from the first day to the last one", "from the first day to the…"),
    ],
)
def test_days_are_left_of_moments_that_are_too_long(cell, label):
    (panel,) = histograms(shares("seen", [cell, "no value"]))
    assert panel.get_yticklabels()[0].get_text() == label
