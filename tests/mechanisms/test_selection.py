"""Selections follow the exponential mechanism, and lose no more than they are charged for."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import chisquare

from dp_synth.accounting import Adjacency
from dp_synth.mechanisms import Distances, l1_distance_sensitivity, select
from dp_synth.mechanisms.noise import Bits, exact_choice
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.types import Clique

PAIRS: list[Clique] = list(combinations(DOMAIN.attributes, 2))
RANGE = 0.4  # what made_table grants


def _probabilities(table: PrivateTable, expected: dict[Clique, Any]) -> NDArray[np.float64]:
    """The probabilities by which ``select`` lets its sampler choose."""
    heard: list[NDArray[np.float64]] = []

    def listen(log_odds: NDArray[np.float64], bits: Bits) -> int:
        heard.append(log_odds)
        return exact_choice(log_odds, bits)

    distances = Distances(table, expected.__getitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dp_synth.mechanisms.exponential.exact_choice", listen)
        select(distances, PAIRS, table.payer.plan.selections("tree"), np.random.default_rng(0))
    [log_odds] = heard
    return softmax(log_odds)


def _expected(rng: np.random.Generator) -> dict[Clique, NDArray[np.float64]]:
    return {pair: rng.uniform(0, 6, DOMAIN.shape(pair)).round() for pair in PAIRS}


def _neighbour(
    rng: np.random.Generator, codes: NDArray[np.int32], adjacency: Adjacency
) -> NDArray[np.int32]:
    if adjacency == "add_remove":
        return codes[1:]
    other = codes.copy()
    other[0] = made_codes(rng, 1)[0]
    return other


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_losses_of_a_selection_stay_within_the_charged_range(adjacency: Adjacency) -> None:
    rng, widest = np.random.default_rng(0), 0.0
    payer = made_table(made_codes(rng, 0), adjacency, choices=400).payer
    for _ in range(200):
        codes, expected = made_codes(rng, int(rng.integers(1, 40))), _expected(rng)
        other = _neighbour(rng, codes, adjacency)
        losses = np.log(_probabilities(PrivateTable(codes, DOMAIN, payer), expected))
        losses -= np.log(_probabilities(PrivateTable(other, DOMAIN, payer), expected))
        widest = max(widest, float(np.ptp(losses)))
        assert np.abs(losses).max() <= RANGE + 1e-12
    assert 0.99 * RANGE <= widest <= RANGE + 1e-12


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_choices_are_as_frequent_as_the_exponential_mechanism_says(adjacency: Adjacency) -> None:
    rng = np.random.default_rng(2)
    codes = made_codes(rng, 12)
    expected: dict[Clique, Any] = {pair: np.zeros(DOMAIN.shape(pair)) for pair in PAIRS}
    for pair, excess in zip(PAIRS, (0.0, 4.0, 8.0), strict=True):
        expected[pair] += excess
    draws = 3000
    table = made_table(codes, adjacency, choices=draws)
    table.payer.randomness = "seeded"
    distances = Distances(table, expected.__getitem__)
    part = table.payer.plan.selections("tree")
    counts = dict.fromkeys(PAIRS, 0)
    for _ in range(draws):
        counts[select(distances, PAIRS, part, rng)] += 1

    exact = made_table(codes, adjacency)
    badness = [float(abs(exact.exact_marginal(p) - expected[p]).sum()) for p in PAIRS]
    scaled = RANGE / (2 * l1_distance_sensitivity(adjacency)) * (np.array(badness) - max(badness))

    def pvalue(logits: NDArray[np.float64]) -> float:
        odds = np.exp(logits)
        return float(chisquare(list(counts.values()), draws * odds / odds.sum()).pvalue)

    assert pvalue(scaled) > 1e-6
    assert pvalue(scaled / 2) < 1e-6  # the test can fail
    assert pvalue(scaled * 2) < 1e-6


def test_enormous_distances_overflow_nothing() -> None:
    table = made_table(made_codes(np.random.default_rng(0), 5))
    expected: dict[Clique, Any] = {pair: np.zeros(DOMAIN.shape(pair)) for pair in PAIRS}
    expected[PAIRS[0]] += 1e8
    assert _probabilities(table, expected).tolist() == [1.0, 0.0, 0.0]


def test_distances_too_large_to_tell_records_apart_count_as_equal() -> None:
    table = made_table(made_codes(np.random.default_rng(0), 5))
    expected: dict[Clique, Any] = {
        pair: np.full(DOMAIN.shape(pair), 10.0 ** (12 + i)) for i, pair in enumerate(PAIRS)
    }
    assert _probabilities(table, expected) == pytest.approx(1 / 3)


def test_expected_counts_are_rounded_so_that_distances_are_whole_numbers() -> None:
    rng = np.random.default_rng(1)
    codes = made_codes(rng, 5)
    table = made_table(codes)
    broken = {pair: rng.uniform(0, 6, DOMAIN.shape(pair)) for pair in PAIRS}
    distances = Distances(table, broken.__getitem__)
    select(distances, PAIRS, table.payer.plan.selections("tree"), rng)
    assert all(distances._known[pair].is_integer() for pair in PAIRS)
    whole = {pair: np.rint(counts) for pair, counts in broken.items()}
    assert (_probabilities(table, broken) == _probabilities(made_table(codes), whole)).all()


def test_an_unseeded_choice_leaves_the_generator_where_it_was() -> None:
    rng = np.random.default_rng(0)
    table = made_table(made_codes(rng, 5))
    before = rng.bit_generator.state
    select(
        Distances(table, _expected(np.random.default_rng(1)).__getitem__),
        PAIRS,
        table.payer.plan.selections("tree"),
        rng,
    )
    assert rng.bit_generator.state == before


def test_units_of_several_records_are_chosen_by_weaker_odds() -> None:
    rng = np.random.default_rng(3)
    codes, expected = made_codes(rng, 20), _expected(rng)
    once = np.log(_probabilities(made_table(codes), expected))
    thrice = np.log(_probabilities(made_table(codes, max_rows=3), expected))
    assert np.ptp(once) > 0.1
    assert np.diff(thrice) * 3 == pytest.approx(np.diff(once))


def test_expectations_that_would_be_counted_more_than_once_are_refused() -> None:
    table = made_table(made_codes(np.random.default_rng(0), 5))
    distances = Distances(table, lambda clique: np.zeros((7, *DOMAIN.shape(clique))))
    with pytest.raises(ValueError, match="wrong shape"):
        select(distances, PAIRS, table.payer.plan.selections("tree"), np.random.default_rng(0))
    assert table.reads == 0


def test_a_second_choice_among_the_same_candidates_reads_nothing_anew() -> None:
    rng = np.random.default_rng(0)
    table = made_table(made_codes(rng, 5))
    distances = Distances(table, _expected(rng).__getitem__)
    for _ in range(2):
        select(distances, PAIRS, table.payer.plan.selections("tree"), rng)
    assert table.reads == len(PAIRS)
    assert [entry.count for entry in table.payer.accountant.ledger] == [1, 1]
