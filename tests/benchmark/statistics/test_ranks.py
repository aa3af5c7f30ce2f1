"""Ranks over tables: Demsar's own example, scipy's tests, and what cannot be tested."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from made_cells import DEMSAR, cell, over_tables, table
from scipy import stats

from dp_synth.benchmark.statistics import ranking
from dp_synth.benchmark.statistics.comparisons import critical_difference, friedman_test
from dp_synth.errors import InputError

METRIC = "auc:gradient_boosting"


@pytest.fixture(scope="module")
def demsar():
    return ranking(over_tables(DEMSAR, metric=METRIC), METRIC)


def test_mean_ranks_are_those_of_demsars_table_6(demsar):
    assert list(demsar.mean_ranks) == ["c45_m_cf", "c45_m", "c45_cf", "c45"]
    assert list(demsar.mean_ranks.values()) == pytest.approx([1.964, 2.0, 2.893, 3.143], abs=5e-4)
    assert demsar.ranks.loc["table09"].to_numpy().tolist() == [[2.5] * 4]  # mushroom: all tied
    assert demsar.blocks == 14


def test_friedmans_test_is_that_of_scipy_and_without_ties_that_of_demsar(demsar):
    friedman = demsar.tests.friedman
    found = stats.friedmanchisquare(*DEMSAR.values())
    assert (friedman.chi_squared, friedman.p_chi_squared) == pytest.approx(tuple(found))
    # Three tied pairs and one tie of four among 14 rows; the paper's 9.28 is not corrected.
    ties = (3 * (2**3 - 2) + (4**3 - 4)) / (14 * 4 * (4**2 - 1))
    assert friedman.chi_squared * (1 - ties) == pytest.approx(9.28, abs=0.005)
    assert friedman.f == pytest.approx(13 * found.statistic / (14 * 3 - found.statistic))
    assert friedman.p_f == pytest.approx(stats.f.sf(friedman.f, 3, 39))


def test_the_critical_difference_is_that_of_demsar(demsar):
    assert demsar.critical_difference == pytest.approx(1.25, abs=0.005)
    assert demsar.groups == (("c45_m_cf", "c45_m", "c45_cf", "c45"),)  # too few data, as he says


@pytest.mark.parametrize(
    ("methods", "quantile"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)],
)
def test_quantiles_of_nemenyis_test_are_those_of_demsars_table_5(methods, quantile):
    scale = math.sqrt(methods * (methods + 1) / (6 * 20))
    assert critical_difference(methods, 20) / scale == pytest.approx(quantile, abs=1.1e-3)


def test_pairs_are_tested_on_scores_by_every_way_to_place_the_signs(demsar):
    pairs = demsar.tests.pairs.set_index(["first", "second"])
    one, other = (np.delete(DEMSAR[name], 9) for name in ("c45_m_cf", "c45_cf"))  # no mushroom
    differences = np.round(one - other, 6)
    assert len(set(np.abs(differences))) < len(differences)  # tied: not the law without ties
    signed = np.sign(differences) * stats.rankdata(np.abs(differences))
    ways = np.array(list(itertools.product((-1, 1), repeat=13))) @ np.abs(signed)
    expected = np.mean(np.abs(ways) >= abs(signed.sum()))
    assert pairs.loc[("c45_m_cf", "c45_cf"), "p_wilcoxon"] == pytest.approx(expected, abs=1e-12)
    assert len(pairs) == 6
    assert (pairs["p_holm"] >= pairs["p_wilcoxon"]).all()


def test_groups_are_those_that_nemenyis_p_values_of_another_library_give(demsar):
    scikit_posthocs = pytest.importorskip("scikit_posthocs")
    p_values = scikit_posthocs.posthoc_nemenyi_friedman(demsar.ranks)
    least, means = critical_difference(4, 14), demsar.ranks.mean()
    for one, other in itertools.combinations(means.index, 2):
        apart = abs(means[one] - means[other])
        assert (p_values.loc[one, other] < 0.05) == (apart >= least)
        quantile = apart / math.sqrt(4 * 5 / (6 * 14)) * math.sqrt(2)
        expected = stats.studentized_range.sf(quantile, 4, math.inf)
        assert p_values.loc[one, other] == pytest.approx(expected, abs=1e-6)


def test_ranks_of_chance_are_rejected_no_more_often_than_they_should_be():
    rng = np.random.default_rng(0)
    ranks = [pd.DataFrame(rng.random((10, 5))).rank(axis=1) for _ in range(300)]
    rejected = np.mean([friedman_test(one).rejects for one in ranks])
    # F is an approximation, by less than a fifth of the level here; and five standard errors.
    assert rejected == pytest.approx(0.05, abs=0.01 + 5 * math.sqrt(0.05 * 0.95 / 300))


def clear(tables, gap=1.0):
    """Two good and two bad methods over tables, the pairs far apart."""
    rng = np.random.default_rng(0)
    levels = {"a": 0.0, "b": 0.0, "c": gap, "d": gap}
    return {name: list(level + rng.random(tables)) for name, level in levels.items()}


def test_methods_that_are_far_apart_are_in_groups_of_their_own():
    found = ranking(over_tables(clear(12)), "tv2")
    assert {frozenset(group) for group in found.groups} == {frozenset("ab"), frozenset("cd")}
    assert {frozenset(group) for group in found.tests.holm_groups} == {
        frozenset("ab"),
        frozenset("cd"),
    }
    assert found.notes == ()


def test_where_friedman_finds_nothing_all_methods_are_one_group():
    found = ranking(over_tables(clear(12, gap=0.0)), "tv2")
    assert not found.tests.friedman.rejects
    assert found.groups == found.tests.holm_groups == (tuple(found.mean_ranks),)
    assert any("no difference between methods" in note for note in found.notes)


def test_one_order_at_every_table_is_beyond_doubt_and_no_order_is_nothing():
    same = {"a": [1.0, 1, 1, 1], "b": [2.0, 2, 2, 2], "c": [3.0, 3, 3, 3]}
    found = ranking(over_tables(same), "tv2")
    assert (found.tests.friedman.f, found.tests.friedman.p_f) == (math.inf, 0.0)
    assert found.to_dict()["tests"]["friedman"]["f"] is None
    tied = ranking(over_tables(dict.fromkeys("abc", [1.0] * 4)), "tv2")
    assert set(tied.mean_ranks.values()) == {2.0}
    assert tied.tests.friedman.p_f == 1.0


@pytest.mark.parametrize(
    ("tables", "methods", "why"),
    [
        (1, 3, "no test: 1 block, and Friedman needs 3 or more"),
        (2, 4, "no test: 2 blocks, and Friedman needs 3 or more"),
        (5, 2, "no test: 2 methods, and Friedman needs 3 or more"),
    ],
)
def test_with_too_little_there_are_ranks_and_no_test(tables, methods, why):
    scores = dict(list(clear(tables).items())[:methods])
    found = ranking(over_tables(scores), "tv2")
    assert len(found.mean_ranks) == methods
    assert (found.tests, found.critical_difference, found.groups) == (None, None, ())
    assert why in found.notes
    assert f"note: {why}" in str(found)


def test_few_tables_cannot_tell_a_pair_apart_and_it_is_said():
    found = ranking(over_tables(clear(5)), "tv2")
    (note,) = [note for note in found.notes if note.startswith("signed ranks")]
    assert note.endswith("the least p-value after Holm is 0.375")  # 6 pairs of 2 ** -4


def test_epsilons_are_blocks_unless_one_is_chosen():
    rows = [
        cell(method, value, epsilon=epsilon)
        for epsilon in (1.0, 2.0, 4.0)
        for method, value in {"a": 1, "b": 2, "c": epsilon}.items()
    ]
    every = ranking(table(rows), "tv2")
    assert every.blocks == 3
    assert any("no independent blocks" in note for note in every.notes)
    assert every.mean_ranks["c"] == pytest.approx((1.5 + 2.5 + 3) / 3)
    one = ranking(table(rows), "tv2", epsilon=4.0)
    assert (one.blocks, one.mean_ranks) == (1, {"a": 1.0, "b": 2.0, "c": 3.0})
    assert not any("independent" in note for note in one.notes)


def test_budgets_that_differ_in_delta_alone_are_no_independent_blocks_either():
    rows = [
        cell(name, value, dataset=f"table{place}", delta=delta)
        for place in range(2)
        for delta in (1e-5, 1e-6)
        for name, value in {"a": 1, "b": 2, "c": 3}.items()
    ]
    found = ranking(table(rows), "tv2", epsilon=1.0)
    assert found.blocks == 4
    assert any("no independent blocks" in note for note in found.notes)


def test_a_pair_that_is_alike_across_one_that_is_not_stays_a_pair():
    # c is a little above the others at nine tables and far below them at three: its signed
    # ranks tell nothing, while b is above a everywhere and between a and c in mean rank.
    lows = [0.0] * 12
    scores = {"a": lows, "b": [0.01] * 12, "c": [0.02] * 9 + [-1.0] * 3}
    found = ranking(over_tables(scores), "tv2")
    assert list(found.mean_ranks) == ["a", "b", "c"]
    assert found.tests.holm_groups == (("b", "c"), ("a", "c"))
    assert "  not told apart: a, c" in str(found)


def test_scores_are_means_over_seeds_and_failed_cells_take_the_floor():
    rows = [cell("independent_without_noise", 0.9, epsilon=None)]
    rows += [cell("a", 0.1), cell("a", None, seed=1), cell("b", 0.4), cell("b", 0.5, seed=1)]
    found = ranking(table(rows), "tv2")
    assert found.scores.to_numpy().tolist() == [[0.5, 0.45]]
    assert (found.mean_ranks, found.failures) == ({"b": 1.0, "a": 2.0}, {"b": 0, "a": 1})
    assert "1 failed cells took the score of: independent_without_noise" in found.notes
    assert "a  (1 failed)" in str(found)


def test_a_block_that_lacks_a_method_is_left_out_and_said():
    scores = clear(4) | {"d": [0.5]}
    found = ranking(over_tables(scores), "tv2")
    assert found.blocks == 1
    assert "3 blocks without a score of each method left out" in found.notes
    assert ranking(over_tables(scores), "tv2", methods=["a", "b", "c"]).blocks == 4


def test_the_whole_of_it_can_be_written_as_json(demsar):
    content = json.loads(json.dumps(demsar.to_dict(), allow_nan=False))
    assert content["mean_ranks"] == demsar.mean_ranks
    assert content["blocks"][0]["dataset"] == "table00"
    assert content["tests"]["critical_difference"] == demsar.critical_difference


def test_what_cannot_be_ranked_is_refused_in_one_line():
    records = over_tables(clear(3))
    with pytest.raises(InputError, match=r"no cell at epsilon 3; there are: 1$"):
        ranking(records, "tv2", epsilon=3)
    with pytest.raises(InputError, match=r"no method 'e' was fitted; there are: a, b, c, d$"):
        ranking(records, "tv2", methods=["a", "e"])
    with pytest.raises(InputError, match=r"two methods or more, got a$"):
        ranking(records, "tv2", methods=["a", "a"])
    apart = table([cell("a", 0.1), cell("b", 0.1, dataset="other")])
    with pytest.raises(InputError, match="no table and budget has a score of every method"):
        ranking(apart, "tv2")
