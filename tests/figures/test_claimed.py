"""What audits prove stands under the attacks of a grid, beside what is claimed."""

import numpy as np
import pytest
from made_audits import audit_record
from made_records import made_records

from dp_synth.figures import draw_all, is_audit, leakage_curves
from dp_synth.figures.audits import CEILING_LABEL, CLAIM_LABEL

AUDITS = [audit_record(name, e, area=0.9 * e) for name in ("mst", "aim") for e in (1.0, 4.0)]


def lines_of(axes, label):
    return [line for line in axes.lines if line.get_label() == label]


def test_audits_have_one_more_panel_under_those_of_the_attacks():
    records = made_records()
    without, beside = leakage_curves(records), leakage_curves(records, AUDITS)
    assert len(beside) == len(without) + 1
    for axes, same in zip(beside[:-1], without, strict=True):
        assert axes.get_title(loc="left") == same.get_title(loc="left")
        assert len(axes.lines) == len(same.lines)
    assert beside[-1].get_xlabel() == "claimed ε"
    assert beside[-1].get_ylabel() == "audited ε"


def test_filled_markers_are_proven_and_hollow_ones_are_no_bound():
    panel = leakage_curves(made_records(), AUDITS)[-1]
    (proven,) = lines_of(panel, "AIM")
    assert proven.get_markerfacecolor() == proven.get_color()
    assert np.asarray(proven.get_ydata()).tolist() == [0.25, 1.0]
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == "white"]
    assert [np.asarray(line.get_ydata()).tolist() for line in hollow] == [[0.9, 3.6]] * 2
    assert "(hollow, no bound)" in panel.get_title(loc="left") + panel.get_title()
    levels = np.asarray(lines_of(panel, CLAIM_LABEL)[0].get_ydata(), float)
    assert set(levels[~np.isnan(levels)]) == {1.0, 4.0}
    assert {float(y) for line in lines_of(panel, CEILING_LABEL) for y in line.get_ydata()} == {5.0}


def test_the_panel_says_on_how_many_runs_it_rests_and_at_which_level_and_delta():
    other = audit_record("aim", 2.0) | {"runs": 300, "delta": 1e-9}
    panel = leakage_curves(made_records(), [*AUDITS, other])[-1]
    title = panel.get_title(loc="left") + panel.get_title()
    said = (
        "300 to 1,000 runs a world, level 5 % shared by all tests of an audit, δ = 1e-09 or 1e-05"
    )
    assert title.splitlines()[-1] == said


def test_a_method_looks_as_it_does_beside_and_others_as_none_does():
    *others, panel = leakage_curves(made_records(), AUDITS)
    known = {line.get_label(): line for axes in others for line in axes.lines}
    looks = {
        name: (line.get_color(), line.get_marker())
        for name in ("MST", "AIM")
        for line in lines_of(panel, name)
    }
    assert looks["MST"] == (known["MST"].get_color(), known["MST"].get_marker())
    assert "AIM" not in known
    assert looks["AIM"] not in [(line.get_color(), line.get_marker()) for line in known.values()]


def test_all_figures_take_audits_and_without_them_are_as_before(tmp_path):
    plain = draw_all(made_records(), tmp_path / "plain")
    more = draw_all(made_records(), tmp_path / "more", audits=AUDITS)
    assert [path.name for path in plain] == [path.name for path in more]
    sizes = [len((tmp_path / name / "leakage.png").read_bytes()) for name in ("plain", "more")]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(("record", "is_one"), [(AUDITS[0], True), ({"metric": "tv2"}, False)])
def test_records_of_audits_are_told_from_those_of_cells(record, is_one):
    assert is_audit(record) is is_one
