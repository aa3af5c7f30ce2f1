"""What is drawn of a budget is what the points say."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from dp_synth.errors import InputError
from dp_synth.figures.attacks import privacy_curve, waterfall
from dp_synth.figures.files import check_place, save

PROFILE = pd.DataFrame({"curve": "delta", "x": [0.0, 1.0, 2.0, 3.0], "y": [0.2, 1e-3, 1e-7, 0.0]})
TRADEOFF = pd.DataFrame({"curve": "tpr", "x": [0.0, 0.5, 1.0], "y": [0.1, 0.8, 1.0]})
POINTS = pd.concat([PROFILE, TRADEOFF], ignore_index=True)
ROWS = pd.DataFrame(
    {
        "recipe": ["mst", "mst", "independent"],
        "part": ["ones", "tree", "columns"],
        "share": [0.5, 0.45, 0.05],
    }
)


def drawn(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_the_curve_is_drawn_on_a_log_scale_where_delta_is_above_0():
    left, right = privacy_curve(POINTS, auc=0.65)
    (line,) = left.lines
    assert np.asarray(line.get_xydata()).tolist() == [[0.0, 0.2], [1.0, 1e-3], [2.0, 1e-7]]
    assert left.get_yscale() == "log"
    assert drawn(right, "largest of any attack")[1].tolist() == [0.1, 0.8, 1.0]
    assert "0.6500" in right.get_title(loc="left") + right.get_title()


def test_what_is_told_of_mu_and_advantage_stands_over_both_panels():
    for left, _ in (
        privacy_curve(POINTS, auc=0.65, told="mu 0.5"),
        waterfall(ROWS, POINTS, auc=0.65, told="mu 0.5"),
    ):
        assert left.get_figure().get_suptitle() == "mu 0.5"


def test_each_bar_of_the_waterfall_begins_where_the_last_one_ended():
    left, right = waterfall(ROWS, POINTS, auc=0.65)
    bars = [(bar.get_x(), bar.get_width()) for bar in left.patches]
    assert np.asarray(bars) == pytest.approx(np.array([[0, 0.5], [0.5, 0.45], [0.95, 0.05]]))
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["MST: ones", "MST: tree", "Independent: columns"]
    colors = [bar.get_facecolor() for bar in left.patches]
    assert colors[0] == colors[1] != colors[2]
    assert [text.get_text() for text in left.texts] == ["50.0%", "45.0%", "5.0%"]
    assert drawn(right, "chance")[1].tolist() == [0, 1]


@pytest.mark.parametrize(("ending", "head"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_saved_figure_is_the_same_each_time_and_settings_stay(
    tmp_path, monkeypatch, ending, head
):
    monkeypatch.setattr("dp_synth.figures.files.DOTS_PER_INCH", 50)
    before = dict(mpl.rcParams)
    files = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for path in files:
        save(lambda: privacy_curve(POINTS, auc=0.65), path)
    first, second = (path.read_bytes() for path in files)
    assert first.startswith(head)
    assert first == second
    assert dict(mpl.rcParams) == before


def test_a_place_where_no_figure_can_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must end in \.png or \.pdf"):
        check_place(tmp_path / "curve.svg")
    with pytest.raises(InputError, match="its folder does not exist"):
        check_place(tmp_path / "absent" / "curve.png")
