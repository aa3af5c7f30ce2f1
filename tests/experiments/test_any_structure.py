"""Made-up tables hold what their laws say, scores tell it, and shares run from floor to ceiling."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from experiments.any_structure import run, tables
from experiments.any_structure.tables import NOISE, STRUCTURES, held
from scipy.stats import chi2_contingency

from dp_synth.benchmark.cell_run import independent_without_noise
from dp_synth.metrics import Compared, RealTables

COUNT = 20_000
SURE = 5  # standard deviations: off by chance with a probability below 1e-6
RULED = {"xor_1": 2, "xor_3": 2, "xor_7": 2, "modulo": 3, "function": 8}  # and how many labels


def scores(name, rows="reference", records=5_000):
    """Return the scores of fresh rows, or of each column in an order of its own."""
    data = replace(STRUCTURES[name], records=records, tested=records).dataset()
    made = data.reference
    if rows == "independent":
        made = independent_without_noise(data.train, data.reference, np.random.default_rng(0))
    found = held(Compared(RealTables(data.train, data.holdout, data.schema), made))
    return {metric: estimate.value for metric, estimate in found.items()}


def drawn(name, count=COUNT):
    return np.stack(list(STRUCTURES[name].draw(count, np.random.default_rng(3))), axis=1)


def test_a_table_is_the_same_every_time_and_its_parts_are_not():
    small = replace(STRUCTURES["small"], tested=500)
    one, other = small.dataset(), small.dataset()
    assert one.sha256 == other.sha256
    assert one.train.equals(other.train)
    assert not one.train.equals(one.holdout)


@pytest.mark.parametrize("name", RULED)
def test_real_rows_obey_a_rule_as_often_as_labels_are_right(name):
    found, deviation = scores(name), (NOISE * (1 - NOISE) / 5_000) ** 0.5
    assert found["held"] == pytest.approx(1 - NOISE, abs=SURE * deviation)
    assert found["accuracy"] == pytest.approx(1 - NOISE, abs=SURE * deviation)


@pytest.mark.parametrize("name", [name for name in RULED if name != "function"])
def test_independent_columns_obey_a_rule_by_chance_alone(name):
    chance = 1 / RULED[name]
    found, deviation = scores(name, "independent"), (chance * (1 - chance) / 5_000) ** 0.5
    assert found["held"] == pytest.approx(chance, abs=SURE * deviation)


@pytest.mark.parametrize("bits", [2, 4, 7])
def test_a_parity_is_fair_in_all_but_the_whole(bits):
    """Counted over all inputs, so that no tolerance is needed."""
    codes = np.array(list(product(range(2), repeat=bits)))
    label = tables.parity(codes, bits)
    for kept in combinations(range(bits), bits - 1):
        cells = codes[:, kept] @ (1 << np.arange(bits - 1))
        assert np.bincount(cells, weights=label).tolist() == [1.0] * 2 ** (bits - 1)


@pytest.mark.parametrize("name", ["xor_2", "xor_5", "modulo"])
def test_no_pair_of_columns_shows_a_rule(name):
    codes = drawn(name)
    for column in codes.T[:-1]:
        table = np.zeros((codes.max() + 1,) * 2)
        np.add.at(table, (column, codes[:, -1]), 1)
        assert chi2_contingency(table).pvalue > 1e-6 / 60  # columns of the three tables


def test_a_pair_of_columns_would_show_a_copied_bit():
    codes = drawn("xor_1")
    table = np.zeros((2, 2))
    np.add.at(table, (codes[:, 0], codes[:, -1]), 1)
    assert chi2_contingency(table).pvalue < 1e-6


def test_rare_labels_are_as_rare_as_they_are_said_to_be():
    label = drawn("rare", 200_000)[:, -1]
    deviation = (tables.RARE / len(label)) ** 0.5
    assert label.mean() == pytest.approx(tables.RARE, abs=SURE * deviation)


def test_columns_of_a_block_are_copies_and_blocks_are_apart():
    codes = drawn("wide", 4_000)
    assert codes.shape[1] == tables.WIDE
    agree, apart = (codes[:, 0] == codes[:, 1]).mean(), (codes[:, 0] == codes[:, 3]).mean()
    assert agree == pytest.approx(1 - tables.COPY_NOISE, abs=SURE * (0.09 / 4_000) ** 0.5)
    assert apart == pytest.approx(0.5, abs=SURE * (0.25 / 4_000) ** 0.5)


def test_heavy_tails_lie_within_their_bounds_and_most_of_them_at_the_foot():
    values = drawn("tails")
    assert values.min() >= 0
    assert values.max() <= tables.UPPER
    assert (values < tables.UPPER / 100).mean() > 0.9


@pytest.mark.parametrize("name", [name for name in STRUCTURES if name not in run.PARITIES])
def test_the_ceiling_is_above_the_floor_on_the_good_side(name):
    records = 500 if name in ("small", "wide") else 5_000
    ceiling, floor = (scores(name, rows, records)["held"] for rows in ("reference", "independent"))
    lower_is_better = STRUCTURES[name].meaning.startswith("TV")
    assert (ceiling < floor) is lower_is_better
    assert abs(ceiling - floor) > 0.1


def test_a_score_of_the_fresh_rows_themselves_has_no_distance():
    data = replace(STRUCTURES["clusters"], records=1_000, tested=1_000).dataset()
    compared = Compared(RealTables(data.train, data.holdout, data.schema), data.holdout)
    assert held(compared)["held"].value == 0


def test_average_precision_of_one_cell_is_the_share_of_positives():
    codes = np.zeros((10, 10), dtype=int)
    codes[:2, -1] = 1
    assert tables.label_counts(codes, [0, 1], [*[6] * 9, 2])[0].tolist() == [8, 2]


def lines(method, *values, table="xor_3"):
    return [
        {"table": table, "synthesizer": method, "seed": seed, "values": {"held": value}}
        for seed, value in enumerate(values)
    ]


def test_shares_run_from_the_floor_to_the_ceiling_whichever_end_is_good():
    for floor, ceiling, method, share in ((0.5, 0.9, 0.6, 0.25), (0.4, 0.2, 0.35, 0.25)):
        records = [*lines(run.FLOOR, floor), *lines(run.CEILING, ceiling), *lines("mst", method)]
        assert run.shares(records, "xor_3", "mst") == pytest.approx([share])
        assert run.shares(records, "xor_3", run.FLOOR) == [0]


def test_a_method_without_rows_stands_at_the_floor_and_what_agrees_is_tied():
    records = [*lines(run.FLOOR, 0.5), *lines(run.CEILING, 0.9)]
    records += [*lines("mst", 0.51), *lines("aim", 0.8)]
    records += [{"table": "xor_3", "synthesizer": "mwem", "seed": 0, "error": "TimedOut: more"}]
    assert run.ranks(records, ["xor_3"]) == {"aim": 1, "mst": 2.5, "mwem": 2.5}


def test_a_peer_that_is_not_there_is_not_run(monkeypatch, tmp_path):
    monkeypatch.setenv("DP_SYNTH_PEERS", str(tmp_path))
    methods = [name for names, _ in run.runs(STRUCTURES["xor_3"]) for name in names]
    assert not {*methods} & {*run.PEERS}
    assert {*methods} == {*run.METHODS}
