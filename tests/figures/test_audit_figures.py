"""What is drawn of audits and attacks is what the records say."""

import numpy as np
import pandas as pd
import pytest
from made_audits import audit_record, power_records, risk_table, roc_points
from matplotlib.colors import to_rgb

from dp_synth.errors import InputError
from dp_synth.figures import audit_bounds, bounds_of, power_curves, risk_bars, roc_curves
from dp_synth.figures.accounting import save
from dp_synth.figures.attacks import (
    BASELINE_LABEL,
    CHANCE_LABEL,
    CONTROL_LABEL,
    ENVELOPE_LABEL,
    FORBIDDEN_LABEL,
)
from dp_synth.figures.attacks import CEILING_LABEL as LARGEST_AUC_LABEL
from dp_synth.figures.audits import CEILING_LABEL, CLAIM_LABEL, LEVEL_LABEL, REFUTED_LABEL


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


def test_what_is_no_lower_bound_is_hollow_and_what_is_one_is_filled():
    records = [audit_record("mst", epsilon, area=epsilon) for epsilon in (1.0, 4.0)]
    proven, gaussian, area = audit_bounds(bounds_of(records))
    for axes in (proven, gaussian):
        (line,) = lines_of(axes, "MST")
        assert line.get_markerfacecolor() == line.get_color()
    hollow = [line for line in area.lines if line.get_markerfacecolor() == "white"]
    assert [np.asarray(line.get_ydata()).tolist() for line in hollow] == [[1.0, 4.0]]
    assert "no bound" in title_of(area)


def test_claims_and_ceilings_stand_beside_the_bounds():
    records = [audit_record(name, e) for name in ("mst", "aim") for e in (1.0, 4.0)]
    proven, gaussian = audit_bounds(bounds_of(records))
    of_mst, of_aim = drawn(proven, "MST"), drawn(proven, "AIM")
    assert of_mst[:, 1].tolist() == [0.25, 1.0]
    assert (of_mst[:, 0] < of_aim[:, 0]).all()
    assert np.abs(of_mst[:, 0] - [0, 1]).max() < 0.5
    assert [tick.get_text() for tick in proven.get_xticklabels()] == ["1", "4"]
    ceilings = lines_of(proven, CEILING_LABEL)
    assert {float(y) for line in ceilings for y in line.get_ydata()} == {5.0}
    assert not lines_of(gaussian, CEILING_LABEL)


def test_what_is_above_the_line_is_above_the_claim():
    records = [audit_record(f"m{i}", e, area=0.99 * e) for i in range(7) for e in (1.0, 4.0, 10.0)]
    area = audit_bounds(bounds_of(records))[2]
    levels = drawn(area, CLAIM_LABEL)
    levels = levels[~np.isnan(levels[:, 0])].reshape(3, 2, 2)
    hollow = [line for line in area.lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 7
    for line in hollow:
        for (x, y), ((left, claim), (right, same)) in zip(line.get_xydata(), levels, strict=True):
            assert left < x < right
            assert y == pytest.approx(0.99 * claim)
            assert claim == same


def test_a_refuted_claim_is_ringed():
    sound = bounds_of([audit_record("mst", 1.0)])
    assert not lines_of(audit_bounds(sound)[0], REFUTED_LABEL)
    refuted = bounds_of([audit_record("mst", 1.0, passed=False)])
    assert drawn(audit_bounds(refuted)[0], REFUTED_LABEL)[:, 1] == pytest.approx([0.25])


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


def test_a_panel_without_rows_is_left_out():
    table = risk_table()
    (only,) = risk_bars(table[table["kind"] == "membership"])
    assert only.get_xlabel() == "attack AUC"


def test_every_figure_can_be_written(tmp_path):
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


def test_series_of_one_panel_have_colours_of_their_own():
    records = [audit_record(f"method {i}", 1.0) for i in range(12)]
    (axes, _) = audit_bounds(bounds_of(records))
    drawn_as = [lines_of(axes, f"method {i}")[0] for i in range(12)]
    assert len({to_rgb(line.get_color()) for line in drawn_as}) == 12
    assert len({line.get_marker() for line in drawn_as}) == 12
