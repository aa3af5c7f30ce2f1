"""What is drawn of audits and attacks is what the records say."""

import numpy as np
import pandas as pd
import pytest
from made_audits import audit_record, power_records, risk_table, roc_points
from made_records import made_records
from matplotlib.colors import to_rgb

from dp_synth.errors import InputError
from dp_synth.figures import (
    audit_bounds,
    bounds_of,
    draw_all,
    is_audit,
    leakage_curves,
    power_curves,
    risk_bars,
    roc_curves,
)
from dp_synth.figures.attacks import (
    BASELINE_LABEL,
    BOUND_LABEL,
    CHANCE_LABEL,
    CONTROL_LABEL,
    ENVELOPE_LABEL,
    FORBIDDEN_LABEL,
)
from dp_synth.figures.attacks import CEILING_LABEL as LARGEST_AUC_LABEL
from dp_synth.figures.audits import (
    CEILING_LABEL,
    CLAIM_LABEL,
    LEVEL_LABEL,
    REFUTED_LABEL,
    setting,
)
from dp_synth.figures.files import save


def lines_of(axes, label):
    return [line for line in axes.lines if line.get_label() == label]


def drawn(axes, label):
    (line,) = lines_of(axes, label)
    return np.asarray(line.get_xydata(), float)


def title_of(axes):
    return axes.get_title(loc="left") + axes.get_title()


def errorbars(axes):
    """Return for each set of error bars its label, its middles and the ends of its bars."""
    found = {}
    for container in axes.containers:
        if hasattr(container, "has_yerr"):
            line, _, bars = container
            segments = np.array([np.asarray(s) for s in bars[0].get_segments()])
            found[container.get_label()] = np.asarray(line.get_xydata(), float), segments
    return found


def test_a_roc_curve_lies_on_logarithmic_axes_under_the_shaded_region():
    points, envelope = roc_points()
    (axes,) = roc_curves(points, envelope)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert drawn(axes, "closest record")[:, 1] == pytest.approx([0.001, 0.01, 0.1, 0.5])
    assert drawn(axes, CHANCE_LABEL)[:, 0] == pytest.approx(drawn(axes, CHANCE_LABEL)[:, 1])
    inside = envelope[envelope["fpr"] >= 0.001]
    assert drawn(axes, ENVELOPE_LABEL) == pytest.approx(inside.to_numpy())
    (shaded,) = [area for area in axes.collections if area.get_label() == FORBIDDEN_LABEL]
    corners = shaded.get_paths()[0].vertices
    for fpr, tpr in inside.iloc[:-1].to_numpy():
        at = corners[np.isclose(corners[:, 0], fpr), 1]
        assert at.min() == pytest.approx(tpr)
        assert at.max() == 1.0


def test_a_curve_of_a_faulty_mechanism_is_dashed_and_bands_are_the_intervals():
    points, envelope = roc_points()
    (axes,) = roc_curves(points, envelope)
    (right,), (bug,) = lines_of(axes, "closest record"), lines_of(axes, "bug")
    assert right.get_linestyle() == "-"
    assert bug.get_linestyle() == "--"
    bands = [
        a.get_paths()[0].vertices for a in axes.collections if a.get_label() != FORBIDDEN_LABEL
    ]
    at = bands[0][np.isclose(bands[0][:, 0], 0.1), 1]
    assert (at.min(), at.max()) == pytest.approx((0.05, 0.2))


def test_a_rate_of_zero_is_drawn_at_the_lower_edge():
    points, envelope = roc_points()
    points.loc[0, ["tpr", "low"]] = 0.0
    (axes,) = roc_curves(points, envelope)
    assert drawn(axes, "closest record")[0, 1] == axes.get_ylim()[0] == 0.001


def test_bounds_are_a_row_a_method_and_settings_name_the_series():
    settings = {"as_published": True, "degree": 2}
    frame = bounds_of([audit_record("clique_tree", 4.0, area=3.5, settings=settings)])
    assert frame["series"].unique().tolist() == ["clique_tree as published degree=2"]
    rows = frame.set_index("method")
    assert rows["epsilon"].to_dict() == {
        "clopper_pearson": 1.0,
        "gaussian_threshold": 2.0,
        "area_if_curve": 3.5,
    }
    assert rows.loc["clopper_pearson", "ceiling"] == 5.0
    assert rows["ceiling"].notna().sum() == 1


def marks_of(axes, method):
    """Return the marks of a kind of bound, one a series, as marker, face and places."""
    return [
        (line.get_marker(), to_rgb(line.get_markerfacecolor()), np.asarray(line.get_xydata()))
        for line in lines_of(axes, f"_{method}")
    ]


def test_what_is_no_lower_bound_is_hollow_and_what_is_one_is_filled():
    records = [audit_record("mst", epsilon, area=epsilon) for epsilon in (1.0, 4.0)]
    panels = audit_bounds(bounds_of(records))
    assert [title_of(axes) for axes in panels] == ["claimed ε = 1", "claimed ε = 4"]
    for axes, claim in zip(panels, (1.0, 4.0), strict=True):
        expected = {"clopper_pearson": claim / 4, "gaussian_threshold": claim / 2}
        for method, epsilon in (expected | {"area_if_curve": claim}).items():
            ((_, face, places),) = marks_of(axes, method)
            assert places.tolist() == [[epsilon, 0]]
            assert (face == (1, 1, 1)) is (method == "area_if_curve")
    said = {line.get_label(): line for line in panels[0].lines}
    hollow = said["if it has the claimed curve (no bound)"]
    assert to_rgb(hollow.get_markerfacecolor()) == (1, 1, 1)
    assert to_rgb(said["proven of any mechanism"].get_markerfacecolor()) != (1, 1, 1)


def test_claims_and_ceilings_stand_beside_the_bounds_of_each_row():
    records = [audit_record(name, e) for name in ("mst", "aim") for e in (1.0, 4.0)]
    first, second = audit_bounds(bounds_of(records))
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["MST", "AIM"]
    for axes, claim in ((first, 1.0), (second, 4.0)):
        of_mst, of_aim = (places for _, _, places in marks_of(axes, "clopper_pearson"))
        assert of_mst.tolist() == [[claim / 4, 0]]
        assert of_aim.tolist() == [[claim / 4, 1]]
        assert drawn(axes, CLAIM_LABEL)[:, 0].tolist() == [claim, claim]
        assert [float(x) for line in lines_of(axes, CEILING_LABEL) for x in line.get_xdata()] == [
            5.0,
            5.0,
        ]


def test_what_is_right_of_the_line_is_above_the_claim_and_can_be_seen():
    records = [audit_record(f"m{i}", e, area=1.2 * e) for i in range(7) for e in (1.0, 4.0, 10.0)]
    for axes, claim in zip(audit_bounds(bounds_of(records)), (1.0, 4.0, 10.0), strict=True):
        hollow = marks_of(axes, "area_if_curve")
        assert len(hollow) == 7
        assert {places[0, 0] for _, _, places in hollow} == {1.2 * claim}
        assert claim < 1.2 * claim < axes.get_xlim()[1]


def test_a_refuted_claim_is_ringed():
    sound = bounds_of([audit_record("mst", 1.0)])
    assert not lines_of(audit_bounds(sound)[0], REFUTED_LABEL)
    refuted = bounds_of([audit_record("mst", 1.0, passed=False)])
    assert 0.25 in drawn(audit_bounds(refuted)[0], REFUTED_LABEL)[:, 0]


def test_power_is_drawn_for_each_test_with_its_interval():
    correct, faulty = power_curves(power_records())
    assert title_of(correct) == "noise as claimed"
    assert title_of(faulty) == "noise too small by √2"
    assert drawn(correct, LEVEL_LABEL)[:, 1].tolist() == [0.05, 0.05]
    bars = errorbars(faulty)
    middles, ends = bars["area under the ROC curve"]
    assert middles == pytest.approx(np.array([[250, 0.2], [1000, 0.8]]))
    assert ends[0][:, 1] == pytest.approx([0.18, 0.23])
    assert bars["Clopper-Pearson"][0][:, 1] == pytest.approx([0.05, 0.2])


def test_power_of_several_claims_is_refused():
    mixed = pd.concat([power_records(1.0), power_records(4.0)])
    with pytest.raises(InputError, match="of one claim"):
        power_curves(mixed)


def test_risks_stand_beside_their_control_their_baseline_and_the_ledger():
    membership, guesses = risk_bars(risk_table(), largest_auc=0.8)
    assert [t.get_text() for t in membership.get_yticklabels()] == [
        "closest record",
        "ratio of the transcript",
    ]
    assert drawn(membership, LARGEST_AUC_LABEL)[:, 0].tolist() == [0.8, 0.8]
    assert [bar.get_width() for bar in membership.patches] == pytest.approx([0.0, 0.1])
    assert [bar.get_width() for bar in guesses.patches] == pytest.approx([0.6, 0.7])
    assert drawn(guesses, CONTROL_LABEL)[:, 0].tolist() == [0.2, 0.7]
    assert drawn(guesses, BASELINE_LABEL)[:, 0].tolist() == [0.01, 0.75]
    (middles, ends), *_ = errorbars(guesses).values()
    assert middles[:, 0] == pytest.approx([0.6, 0.7])
    assert ends[0][:, 0] == pytest.approx([0.2 + 0.4 * 0.8, 0.2 + 0.6 * 0.8])
    assert not lines_of(risk_bars(risk_table())[0], LARGEST_AUC_LABEL)


def test_what_the_ledger_permits_of_guesses_is_drawn_where_it_is_told():
    assert not lines_of(risk_bars(risk_table())[1], BOUND_LABEL)
    bounds = [0.9 + 0.01 * place for place in range(len(risk_table()))]
    _, guesses = risk_bars(risk_table().assign(bound=bounds))
    assert drawn(guesses, BOUND_LABEL)[:, 0].tolist() == bounds[-2:]


def test_a_panel_without_rows_is_left_out():
    table = risk_table()
    (only,) = risk_bars(table[table["kind"] == "membership"])
    assert only.get_xlabel() == "attack AUC"


AUDITS = [audit_record(name, e, area=0.9 * e) for name in ("mst", "aim") for e in (1.0, 4.0)]


@pytest.fixture(scope="module")
def beside():
    """Return what is drawn of attacks with audits under them."""
    return leakage_curves(made_records(), AUDITS)


def test_audits_have_a_panel_a_claim_under_those_of_the_attacks(beside):
    without = leakage_curves(made_records())
    assert len(beside) == len(without) + 2
    for axes, same in zip(beside[:-2], without, strict=True):
        assert title_of(axes) == title_of(same)
        assert len(axes.lines) == len(same.lines)
    assert [axes.get_xlabel() for axes in beside[-2:]] == ["ε that the audit finds"] * 2


def test_beside_attacks_filled_markers_are_proven_and_hollow_ones_no_bound(beside):
    for axes, claim in zip(beside[-2:], (1.0, 4.0), strict=True):
        proven, curve = (marks_of(axes, m) for m in ("clopper_pearson", "area_if_curve"))
        assert [places[0, 0] for _, _, places in proven] == [claim / 4] * 2
        assert [places[0, 0] for _, _, places in curve] == [0.9 * claim] * 2
        assert {face for _, face, _ in curve} == {(1, 1, 1)}
        assert not marks_of(axes, "gaussian_threshold")


def test_the_audits_say_on_how_many_runs_they_rest_and_at_which_level_and_delta():
    other = audit_record("aim", 2.0) | {"runs": 300, "delta": 1e-9}
    assert setting(bounds_of([*AUDITS, other])) == (
        "300 to 1,000 runs a world, level 5 % shared by all tests of an audit, δ = 1e-09 or 1e-05"
    )


def test_a_method_of_an_audit_has_the_colour_that_it_has_beside(beside):
    known = {line.get_label(): line.get_color() for axes in beside[:-2] for line in axes.lines}
    colors = [line.get_color() for line in lines_of(beside[-1], "_clopper_pearson")]
    assert colors[0] == known["MST"]
    assert "AIM" not in known
    assert colors[1] not in known.values()


def test_all_figures_take_audits(monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr(
        "dp_synth.figures.files.leakage_curves", lambda _, audits: taken.append(audits) or ()
    )
    nothing = made_records().assign(error="not run")
    assert draw_all(nothing, tmp_path, audits=AUDITS) == []
    assert taken == [AUDITS]


@pytest.mark.parametrize(("record", "is_one"), [(AUDITS[0], True), ({"metric": "tv2"}, False)])
def test_records_of_audits_are_told_from_those_of_cells(record, is_one):
    assert is_audit(record) is is_one


def test_every_figure_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("dp_synth.figures.files.DOTS_PER_INCH", 40)
    points, envelope = roc_points()
    bounds = bounds_of([audit_record("mst", 1.0, area=1.0)])
    draws = {
        "roc.png": lambda: roc_curves(points, envelope),
        "bounds.pdf": lambda: audit_bounds(bounds),
        "power.png": lambda: power_curves(power_records()),
        "risks.pdf": lambda: risk_bars(risk_table()),
    }
    for name, draw in draws.items():
        save(draw, tmp_path / name)
        head = b"%PDF" if name.endswith("pdf") else b"\x89PNG"
        assert (tmp_path / name).read_bytes().startswith(head)


def test_rows_of_one_figure_have_colours_of_their_own():
    records = [audit_record(f"method {i}", 1.0) for i in range(12)]
    (axes,) = audit_bounds(bounds_of(records))
    assert len({line.get_color() for line in lines_of(axes, "_clopper_pearson")}) == 12
