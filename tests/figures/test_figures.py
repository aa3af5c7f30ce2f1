"""What is drawn is what the records say."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from made_records import EPSILONS, SEEDS, made_records, metrics_of, record
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

from dp_synth.figures import SETTINGS, draw_all, leakage_curves, look, tradeoff, utility_curves
from dp_synth.figures.curves import (
    CEILING_LABEL,
    GHOST_LABEL,
    _space_out,
    attacks_of,
    ended,
    spread,
)
from dp_synth.figures.files import FIGURES
from dp_synth.figures.style import GHOST, LIVE_LABEL, SMALL, TEXT, is_network, lines_of, named
from dp_synth.synthesizers import SYNTHESIZERS

# The values of a metric over the three seeds lie at -0.01, 0 and 0.01 around their mean.
NETWORKS = sorted(filter(is_network, SYNTHESIZERS))
HALF_WIDTH = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)


@pytest.fixture(scope="module")
def records():
    return made_records()


@pytest.fixture(scope="module")
def leakage(records):
    """Return the panels of leakage, which tests read and do not change."""
    return leakage_curves(records)


def curve(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def note_of(axes):
    """Return what stands over a legend, on one line."""
    return " ".join(axes[0].figure.legends[0].get_title().get_text().split())


def test_a_curve_is_the_mean_over_seeds_and_its_band_the_t_interval(records):
    for axes, metric in zip(
        utility_curves(records),
        ("tv2", "auc:gradient_boosting", "auc:logistic_regression"),
        strict=True,
    ):
        x, y = curve(axes, "MST")
        expected = [metrics_of("utility", "mst", epsilon)[metric] for epsilon in EPSILONS]
        assert x.tolist() == list(EPSILONS)
        assert y == pytest.approx(expected)
        bands = [area.get_paths()[0].vertices for area in axes.collections]
        of_mst = min(bands, key=lambda band: abs(np.median(band[:, 1]) - np.median(expected)))
        at_first = of_mst[of_mst[:, 0] == EPSILONS[0], 1]
        assert at_first.min() == pytest.approx(expected[0] - HALF_WIDTH)
        assert at_first.max() == pytest.approx(expected[0] + HALF_WIDTH)


def test_baselines_are_level_lines_at_their_means(records):
    tv, boosting, _ = utility_curves(records)
    level = metrics_of("utility", "fresh_rows", None)["tv2"]
    assert curve(tv, named("fresh_rows"))[1] == pytest.approx([level] * 2)
    level = metrics_of("utility", "real_rows", None)["auc:gradient_boosting"]
    assert curve(boosting, named("real_rows"))[1] == pytest.approx([level] * 2)


def test_the_ceiling_is_the_largest_over_synthesizers(leakage):
    axes = leakage
    assert len(axes) == 6
    expected = [metrics_of("leakage", "mst", e)["auc_ceiling"] for e in EPSILONS]
    for panel in axes[:4]:
        assert curve(panel, CEILING_LABEL)[1] == pytest.approx(expected)
        assert curve(panel, "chance")[1].tolist() == [0.5, 0.5]
    for panel in axes[4:]:
        assert CEILING_LABEL not in [line.get_label() for line in panel.lines]
        assert curve(panel, "chance")[1].tolist() == [0.01, 0.01]


def test_at_one_epsilon_alone_the_interval_and_the_ceiling_are_seen_too(records):
    alone = records[records["epsilon"].isna() | (records["epsilon"] == EPSILONS[0])]
    panel = leakage_curves(alone)[0]
    (ceiling,) = [line for line in panel.lines if line.get_label() == CEILING_LABEL]
    assert ceiling.get_marker() == "_"
    assert len(ceiling.get_xdata()) == 1
    expected = metrics_of("leakage", "mst", EPSILONS[0])["auc:closest_record"]
    drawn = [np.asarray(line.get_xydata(), float) for line in panel.lines]
    upright = [points[:, 1] for points in drawn if len(points) == 2 and np.ptp(points[:, 0]) == 0]
    (interval,) = [ends for ends in upright if ends.mean() == pytest.approx(expected)]
    assert np.ptp(interval) == pytest.approx(2 * HALF_WIDTH)
    left, right = panel.get_xlim()
    assert left < EPSILONS[0] < right


@pytest.mark.parametrize(
    ("position", "metric"),
    [
        (0, "auc:closest_record"),
        (1, "auc:density_ratio"),
        (2, "auc:closest_record:isolated"),
        (5, "tpr_at_fpr_0.01:density_ratio"),
    ],
)
def test_each_panel_of_leakage_shows_its_own_metric(leakage, position, metric):
    axes = leakage[position]
    expected = [metrics_of("leakage", "independent", e)[metric] for e in EPSILONS]
    assert curve(axes, "Independent")[1] == pytest.approx(expected)
    anchor = metrics_of("leakage", "no_privacy", None)[metric]
    assert curve(axes, named("no_privacy"))[1] == pytest.approx([anchor] * 2)


def bars_of(axes, series):
    """Return the line of a series of the trade-off and its intervals along both axes."""
    (found,) = [c for c in axes.containers if c.get_label() == f"_{series}"]
    line, _, bars = found.lines
    return line, [bar.get_segments() for bar in bars]


@pytest.mark.parametrize("metric", ["auc:gradient_boosting", "tv2"])
def test_each_method_has_a_panel_of_the_trade_off_with_intervals_both_ways(records, metric):
    axes = tradeoff(records, metric)
    assert [panel.get_title() for panel in axes] == ["Independent", "MST"]
    line, (across, along) = bars_of(axes[1], "mst")
    expected = [metrics_of("leakage", "mst", epsilon) for epsilon in EPSILONS]
    assert line.get_xdata() == pytest.approx([m["auc:density_ratio"] for m in expected])
    assert line.get_ydata() == pytest.approx([m[metric] for m in expected])
    for i, segments in enumerate((across, along)):
        for segment in segments:
            assert np.ptp(segment[:, i]) == pytest.approx(2 * HALF_WIDTH)
    ghosts = curve(axes[0], GHOST_LABEL)
    assert np.array(ghosts) == pytest.approx(np.array([line.get_xdata(), line.get_ydata()]))
    assert axes[0].get_shared_x_axes().joined(*axes)
    assert "density ratio" in note_of(axes)


def test_the_larger_epsilon_the_deeper_its_colour_in_the_trade_off(records):
    panel = tradeoff(records)[1]
    points = panel.collections[-1]
    line, _ = bars_of(panel, "mst")
    assert np.asarray(points.get_offsets()) == pytest.approx(np.asarray(line.get_xydata(), float))
    brightness = points.get_facecolors()[:, :3].sum(axis=1)
    assert (np.diff(brightness) < 0).all()
    assert points.get_facecolors()[-1, :3] == pytest.approx(to_rgb(lines_of(["mst"])["mst"].color))
    labels = tradeoff(records)[0].get_legend_handles_labels()[1]
    assert [label for label in labels if "ε" in label] == [f"ε = {e:g}" for e in EPSILONS]


def test_what_is_far_from_all_methods_is_an_arrow_that_says_where_it_is(records):
    axes = tradeoff(records)[0]
    row = metrics_of("leakage", "no_privacy", None)
    label = f"{named('no_privacy')}: attack AUC {row['auc:density_ratio']:.2f}"
    assert curve(axes, label)[1] == pytest.approx([row["auc:gradient_boosting"]])
    assert axes.get_xlim()[1] < row["auc:density_ratio"]
    near = records.assign(
        value=records["value"].where(records["synthesizer"] != "no_privacy", 0.55)
    )
    assert curve(tradeoff(near)[0], named("no_privacy"))[0] == pytest.approx([0.55])


def test_the_trade_off_does_not_mix_in_releases_that_were_not_attacked(records):
    shifted = records.copy()
    shifted.loc[shifted["task"] == "utility", "value"] += 0.3
    before, after = (bars_of(tradeoff(r)[1], "mst")[0] for r in (records, shifted))
    assert list(before.get_ydata()) == list(after.get_ydata())


def test_an_interval_that_nearly_reaches_zero_does_not_stretch_the_axis():
    axes = Figure().subplots()
    axes.errorbar([0.5, 0.6], [0.1, 0.3], yerr=[[0.1 - 1e-6, 0.01], [0.01, 0.01]])
    _space_out(axes)
    assert axes.get_ylim()[0] == pytest.approx(0.05)


def test_a_single_seed_keeps_the_interval_of_its_record(records):
    one = ended(records[records["seed"] == 0], task="utility")
    row = spread(one, "tv2").query("series == 'mst' and epsilon == 1").iloc[0]
    assert row["seeds"] == 1
    assert row["high"] - row["low"] == pytest.approx(0.02)
    assert note_of(utility_curves(one)).endswith("95 % interval of one seed")


def test_the_caption_says_table_adjacency_delta_and_number_of_seeds(records):
    assert note_of(utility_curves(records)) == (
        f"adult, add/remove, δ = 1e-05; mean and 95 % t-interval over {len(SEEDS)} seeds"
    )


def test_two_settings_of_one_synthesizer_are_two_series_named_by_what_differs():
    rows = [
        record("utility", "mst", 1.0, seed, "tv2", value, settings=settings)
        for seed in SEEDS
        for value, settings in ((0.1, '{"a":1,"b":2}'), (0.2, '{"a":1,"b":3}'))
    ]
    (axes,) = utility_curves(pd.DataFrame(rows))
    assert curve(axes, "MST (b=2)")[1] == pytest.approx([0.1])
    assert curve(axes, "MST (b=3)")[1] == pytest.approx([0.2])


def test_the_trade_off_takes_the_strongest_attack_that_was_run_on_a_method(records):
    stronger = records[
        (records["metric"] == "auc:density_ratio") & (records["synthesizer"] == "mst")
    ]
    stronger = stronger.assign(metric="auc:rows_ratio", value=stronger["value"] + 0.1)
    alone = tradeoff(records)
    both = tradeoff(pd.concat([records, stronger], ignore_index=True))
    moved = {}
    for before, after in zip(alone, both, strict=True):
        xs = [panel.containers[0].lines[0].get_xdata() for panel in (before, after)]
        moved[after.get_title()] = float(np.mean(xs[1]) - np.mean(xs[0]))
    assert moved.pop("MST") == pytest.approx(0.1)
    assert set(moved.values()) == {0.0}
    words = " ".join(text.get_text() for text in both[0].get_figure().findobj(Text))
    assert "ratio of the rows, else density ratio" in " ".join(words.split())


def test_failed_cells_are_not_drawn_and_without_records_nothing_is(records, tmp_path):
    failed = records[records["error"] != ""]
    assert len(failed) == 1
    assert utility_curves(failed) == leakage_curves(failed) == tradeoff(failed) == ()
    assert draw_all(failed, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_whole_and_settings_of_matplotlib_stay(records, tmp_path, monkeypatch):
    before = dict(mpl.rcParams)
    monkeypatch.setattr("dp_synth.figures.files.DOTS_PER_INCH", 40)
    shown = ("tv2", "auc:gradient_boosting", "auc:density_ratio", "tpr_at_fpr_0.01:density_ratio")
    written = draw_all(records[records["metric"].isin(shown)], tmp_path / "figures")
    assert dict(mpl.rcParams) == before
    expected = {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert {path.name for path in written} == expected
    assert {path.name for path in (tmp_path / "figures").iterdir()} == expected
    for path in written:
        start = path.read_bytes()[:8]
        assert start.startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")
    text = (tmp_path / "figures" / "utility.pdf").read_bytes()
    assert b"/Type3" not in text
    assert b"/FontFile2" in text


def test_each_of_several_tables_has_files_of_its_own(records, tmp_path, monkeypatch):
    monkeypatch.setattr("dp_synth.figures.files.DOTS_PER_INCH", 40)
    both = pd.concat([records, records.assign(dataset="other")])
    both = both[(both["task"] == "utility") & (both["metric"] == "tv2")]
    assert {path.name for path in draw_all(both, tmp_path)} == {
        f"utility_{table}.{kind}" for table in ("adult", "other") for kind in ("pdf", "png")
    }


def test_the_look_of_a_series_does_not_depend_on_the_panel(records):
    panels = utility_curves(records)
    colors = [[line.get_color() for line in p.lines if line.get_label() == "MST"] for p in panels]
    assert len({color for (color,) in colors}) == 1


FAMILIES = ("clique_tree", "independent", "mst", *NETWORKS)


def crowd():
    """Return records of both families; the last seed of a network once more, run live."""
    rows = [
        record(task, name, epsilon, seed, metric, value + 0.01 * (seed + position))
        for task in ("utility", "leakage")
        for position, name in enumerate(FAMILIES)
        for epsilon in EPSILONS
        for seed in SEEDS
        for metric, value in metrics_of(task, name, epsilon).items()
    ]
    rows = [row | {"live": False} for row in rows]
    live = record("utility", "dpctgan", 1.0, SEEDS[-1], "tv2", 0.45)
    return pd.DataFrame([*rows, live | {"live": True}])


@pytest.fixture(scope="module")
def drawn_crowd():
    """Return the figures of many series, laid out."""
    records = crowd()
    with look():
        found = {
            "utility": utility_curves(records),
            "leakage": leakage_curves(records),
            "tradeoff": tradeoff(records),
        }
        for axes in found.values():
            axes[0].get_figure(root=True).draw_without_rendering()
    return found


def test_a_live_cell_is_an_open_marker_and_moves_no_mean(drawn_crowd):
    records, said = crowd(), {named(name) for name in FAMILIES}
    panels, alone = drawn_crowd["utility"], records[~records["live"] & (records["metric"] == "tv2")]
    for with_live, without in zip(panels[:2], utility_curves(alone), strict=True):
        before, after = (
            [line.get_ydata().tolist() for line in panel.lines if line.get_label() in said]
            for panel in (without, with_live)
        )
        assert before == after
    (marker,) = [line for line in panels[1].lines if line.get_xydata().tolist() == [[1.0, 0.45]]]
    assert marker.get_markerfacecolor() == "none"
    assert marker.get_color() == lines_of(FAMILIES)["dpctgan"].color
    labels = [text.get_text() for text in panels[0].figure.legends[0].get_texts()]
    assert labels.count(LIVE_LABEL) == 1
    assert LIVE_LABEL not in panels[2].get_legend_handles_labels()[1]


def test_no_two_of_eight_series_look_alike_and_families_differ_in_their_dashes():
    lines = lines_of(FAMILIES)
    assert len({line.color for line in lines.values()}) == len(FAMILIES)
    dashed = {name for name, line in lines.items() if line.dashes != "-"}
    assert dashed == set(NETWORKS)
    for family in (dashed, lines.keys() - dashed):
        assert len({lines[name].marker for name in family}) == len(family)


def test_networks_have_a_column_with_the_others_in_grey_behind_them(drawn_crowd):
    for left, right in zip(drawn_crowd["utility"][::2], drawn_crowd["utility"][1::2], strict=True):
        for panel, shown in ((left, FAMILIES[:3]), (right, NETWORKS)):
            labels = panel.get_legend_handles_labels()[1]
            assert {name for name in FAMILIES if named(name) in labels} == set(shown)
            ghosts = [line for line in panel.lines if line.get_color() == GHOST]
            assert len(ghosts) == len(FAMILIES) - len(shown)
            assert {text.get_text() for text in panel.texts} == set(map(named, shown))


def test_names_at_the_ends_of_lines_cover_each_other_nowhere_and_stay_out_of_the_legend(
    drawn_crowd,
):
    panels = drawn_crowd["utility"]
    said = {text.get_text() for text in panels[0].figure.legends[0].get_texts()}
    for panel in panels:
        boxes = [mpl.text.Text.get_window_extent(text) for text in panel.texts]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:i])
            assert box.x0 > panel.bbox.x1
        assert not said & {text.get_text() for text in panel.texts}


def test_letters_have_two_sizes_and_all_lies_on_the_page(drawn_crowd):
    for panels in drawn_crowd.values():
        figure = panels[0].get_figure(root=True)
        sizes = {text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text()}
        assert sizes <= {TEXT, SMALL}
        width, height = figure.canvas.get_width_height()
        for part in (*figure.legends, figure._suptitle):
            box = part.get_window_extent()
            assert min(box.x0, box.y0) >= 0
            assert box.x1 <= width
            assert box.y1 <= height


def test_the_look_is_that_of_our_figures_and_ends_with_its_block():
    before = dict(mpl.rcParams)
    with look():
        assert mpl.rcParams == mpl.RcParams({**before, **SETTINGS})
    assert dict(mpl.rcParams) == before


def test_the_look_of_a_whole_notebook_is_set_in_one_line():
    with mpl.rc_context():
        mpl.rcParams.update(SETTINGS)
        assert mpl.rcParams["axes.titlelocation"] == "left"


def test_figures_are_reached_without_matplotlib():
    code = "import sys, dp_synth; dp_synth.figures.look; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_a_method_looks_the_same_whatever_stands_beside_it():
    alone = {name: lines_of([name])[name] for name in SYNTHESIZERS}
    together = lines_of([*sorted(SYNTHESIZERS), "mst (degree=3)", "mine", "other"])
    assert {name: together[name] for name in SYNTHESIZERS} == alone
    assert len({line.color for line in together.values()}) == len(together)
    assert len({(line.marker, line.dashes) for line in alone.values()}) == len(alone)
    assert lines_of(["mst (degree=3)", "mine"])["mst (degree=3)"] == alone["mst"]


def renamed(records, attack, *, isolated=True):
    """The records of one attack as those of somebody's own, named by module and class."""
    kept = records[~records["metric"].str.contains("density_ratio")]
    if not isolated:
        kept = kept[~kept["metric"].str.endswith(":isolated")]
    return kept.assign(metric=kept["metric"].str.replace("closest_record", attack))


def test_an_attack_of_ones_own_has_panels_of_its_own_with_its_values(records):
    own = "my_module:Mine(k=2)"
    both = pd.concat([records, renamed(records, own)], ignore_index=True)
    assert attacks_of(both["metric"]) == ["closest_record", "density_ratio", own]
    axes = leakage_curves(both)
    assert len(axes) == 9
    titles = [panel.get_title() for panel in axes]
    assert [title.split(", ")[0].split("\n")[0] for title in titles[2::3]] == [own] * 3
    for ours, theirs in zip(axes[::3], axes[2::3], strict=True):
        for name in ("MST", named("no_privacy")):
            np.testing.assert_array_equal(curve(ours, name)[1], curve(theirs, name)[1])


def test_a_panel_without_values_says_so_and_costs_the_others_no_ticks(records):
    both = pd.concat(
        [records, renamed(records, "my_module:Mine", isolated=False)], ignore_index=True
    )
    axes = leakage_curves(both)
    empty = axes[5]
    assert [text.get_text() for text in empty.texts] == ["not measured"]
    for panel in axes:
        assert panel.get_xticks().tolist() == list(EPSILONS)


def test_a_series_of_a_notebook_stands_in_the_legend(records):
    mine = records[records["synthesizer"] == "mst"].assign(synthesizer="__main__:Mine")
    hidden = records[records["synthesizer"] == "mst"].assign(synthesizer="_hidden:Mine")
    figure = utility_curves(pd.concat([records, mine, hidden]))[0].get_figure(root=True)
    shown = {text.get_text().strip() for text in figure.axes[0].texts}
    assert {"MST", "Mine", "_hidden:Mine"} <= shown


def test_all_of_a_single_panels_legend_and_note_lies_on_the_page(records):
    alone = records[(records["metric"] == "tv2") | (records["error"] != "")]
    figure = utility_curves(alone)[0].get_figure(root=True)
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    for part in (figure.legends[0], figure._suptitle):
        box = part.get_window_extent()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height
