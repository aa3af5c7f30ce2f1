"""The diagram of ranks shows each method at its mean rank, and a bar for each group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
import pytest

from dp_synth.figures import draw_ranks, write_ranks
from dp_synth.figures.ranks import BAR_WIDTH, OVERHANG

RANKS = {"mst": 1.25, "aim": 1.75, "patectgan": 3.5, "peer/mst": 3.5}


@dataclass(frozen=True)
class Made:
    """A ranking with known numbers."""

    metric: str = "auc:gradient_boosting"
    blocks: int = 12
    mean_ranks: Mapping[str, float] = field(default_factory=lambda: RANKS)
    failures: Mapping[str, int] = field(default_factory=lambda: {"peer/mst": 2})
    critical_difference: float | None = 1.35
    groups: Sequence[Sequence[str]] = (("mst", "aim"), ("patectgan", "peer/mst"))


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def note_of(axes):
    return axes.figure._suptitle.get_text()


def test_every_method_stands_at_its_mean_rank_and_is_named_once():
    (axes,) = draw_ranks(Made())
    lines = lines_of(axes)
    found = {name: lines[name].get_xdata()[0] for name in ("MST", "AIM", "PATE-CTGAN", "peer/mst")}
    assert list(found.values()) == list(RANKS.values())
    texts = [text.get_text() for text in axes.texts]
    for expected in ("MST  1.25", "AIM  1.75", "3.50  PATE-CTGAN", "3.50  peer/mst (2 failed)"):
        assert texts.count(expected) == 1


def test_a_bar_spans_each_group_and_no_two_share_a_height():
    (axes,) = draw_ranks(Made())
    bars = [line for line in axes.lines if line.get_linewidth() == BAR_WIDTH]
    spans = [(line.get_xdata()[0] + OVERHANG, line.get_xdata()[1] - OVERHANG) for line in bars]
    assert np.array(spans) == pytest.approx(np.array([[1.25, 1.75], [3.5, 3.5]]))
    assert len({line.get_ydata()[0] for line in bars}) == 2


def test_the_critical_difference_is_drawn_to_scale():
    (axes,) = draw_ranks(Made())
    assert np.ptp(lines_of(axes)["CD"].get_xdata()) == pytest.approx(1.35)
    assert "critical difference 1.35" in [text.get_text() for text in axes.texts]


def test_methods_with_failed_cells_are_hollow_and_the_note_says_it():
    (axes,) = draw_ranks(Made())
    faces = {name: line.get_markerfacecolor() for name, line in lines_of(axes).items()}
    assert faces["peer/mst"] == "white" != faces["MST"]
    assert "hollow: with failed cells" in note_of(axes)
    assert "hollow" not in note_of(draw_ranks(Made(failures={}))[0])


def test_without_a_test_there_is_no_bar_and_the_note_says_it():
    (axes,) = draw_ranks(Made(critical_difference=None, groups=(), blocks=1))
    assert not [line for line in axes.lines if line.get_linewidth() == BAR_WIDTH]
    assert "CD" not in lines_of(axes)
    assert note_of(axes).startswith("auc: gradient boosting; mean ranks over 1 block; no test")


def test_nothing_but_grey_is_drawn():
    (axes,) = draw_ranks(Made())
    drawn = [line.get_color() for line in axes.lines] + [text.get_color() for text in axes.texts]
    for color in drawn:
        assert len(set(mpl.colors.to_rgb(color))) == 1, color


@pytest.mark.parametrize("methods", [2, 5, 14])
def test_names_cover_neither_each_other_nor_leave_the_figure(methods):
    ranks = {f"smartnoise/mst{i:02}": 1 + i / 2 for i in range(methods)}
    (axes,) = draw_ranks(Made(mean_ranks=ranks, groups=(), failures=dict.fromkeys(ranks, 10)))
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts if "/" in text.get_text()]
    assert len(boxes) == methods
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert axes.figure.bbox.x0 <= box.x0
        assert box.x1 <= axes.figure.bbox.x1


def test_files_are_written_and_settings_of_matplotlib_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("dp_synth.figures.files.DOTS_PER_INCH", 50)
    before = dict(mpl.rcParams)
    written = write_ranks(Made(), tmp_path / "new")
    assert dict(mpl.rcParams) == before
    assert sorted(path.name for path in written) == ["ranks.pdf", "ranks.png"]
    assert sorted((tmp_path / "new").iterdir()) == sorted(written)
    first = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_ranks(Made(), tmp_path / "new")] == first
