"""Weighted and penalised distances, and dependences: what they say and how far they move."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table
from numpy.typing import NDArray
from scipy.special import softmax

from dp_synth.accounting import (
    Accountant,
    Adjacency,
    Currency,
    Filtered,
    FilteredGaussian,
    FilteredSelection,
    Gaussian,
    Plan,
    PrivacyBudget,
    Selection,
)
from dp_synth.errors import BudgetExceeded
from dp_synth.mechanisms import (
    Dependences,
    Distances,
    dependence_sensitivity,
    measure,
    select,
)
from dp_synth.mechanisms.noise import Bits, exact_choice
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.types import Clique

CLIQUES: list[Clique] = [c for size in (1, 2, 3) for c in combinations(DOMAIN.attributes, size)]
WEIGHTS = {clique: float(len(clique)) for clique in CLIQUES}
PENALTIES = {clique: 0.6 * DOMAIN.cells(clique) for clique in CLIQUES}
RANGE = 0.4  # what made_table grants


def _filtered(
    codes: NDArray[np.int32],
    currency: Currency = "zcdp",
    adjacency: Adjacency = "add_remove",
) -> tuple[PrivateTable, Filtered]:
    budget = PrivacyBudget(1.0, 1e-6, adjacency)
    payer = Accountant(budget).admit("test", Plan({"inside": Filtered(currency)}))
    payer.randomness = "seeded"
    return PrivateTable(codes, DOMAIN, payer), payer.plan.filtered("inside")


def _flat(clique: Clique) -> NDArray[np.float64]:
    return np.zeros(DOMAIN.shape(clique))


def _probabilities(scores: Distances | Dependences) -> NDArray[np.float64]:
    """The probabilities by which ``select`` lets its sampler choose among all cliques."""
    heard: list[NDArray[np.float64]] = []

    def listen(log_odds: NDArray[np.float64], bits: Bits) -> int:
        heard.append(log_odds)
        return exact_choice(log_odds, bits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dp_synth.mechanisms.exponential.exact_choice", listen)
        tree = scores.table.payer.plan.selections("tree")
        select(scores, CLIQUES, tree, np.random.default_rng(0))
    return np.asarray(softmax(heard[0]))


def _neighbour(
    rng: np.random.Generator, codes: NDArray[np.int32], adjacency: Adjacency
) -> NDArray[np.int32]:
    other = codes[1:].copy()
    return (
        other if adjacency == "add_remove" else np.concatenate([made_codes(rng, 1), other], axis=0)
    )


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_losses_of_weighted_and_of_dependent_choices_stay_within_the_charged_range(
    adjacency: Adjacency,
) -> None:
    rng, widest = np.random.default_rng(0), {Distances: 0.0, Dependences: 0.0}
    payer = made_table(made_codes(rng, 0), adjacency, choices=1200).payer
    for _ in range(200):
        codes = made_codes(rng, int(rng.integers(1, 40)))
        other = _neighbour(rng, codes, adjacency)
        tables = [PrivateTable(each, DOMAIN, payer) for each in (codes, other)]
        expected = {clique: rng.uniform(0, 6, DOMAIN.shape(clique)).round() for clique in CLIQUES}
        weighted = [
            Distances(table, expected.__getitem__, weights=WEIGHTS, penalties=PENALTIES)
            for table in tables
        ]
        for pair in (weighted, [Dependences(table) for table in tables]):
            losses = np.log(_probabilities(pair[0])) - np.log(_probabilities(pair[1]))
            kind = type(pair[0])
            widest[kind] = max(widest[kind], float(np.ptp(losses)))
    # A one-way distance counts a third of a three-way one, and moves the other way.
    assert 0.6 * RANGE <= widest[Distances] <= RANGE + 1e-12
    assert 0.2 * RANGE <= widest[Dependences] <= RANGE + 1e-12


def test_a_score_is_the_weight_times_the_distance_less_the_penalty() -> None:
    table = made_table(made_codes(np.random.default_rng(1), 30))
    plain = Distances(table, _flat)._qualities(CLIQUES)
    scores = Distances(table, _flat, weights=WEIGHTS, penalties=PENALTIES)._qualities(CLIQUES)
    assert plain.tolist() == [30] * len(CLIQUES)  # every record lies where nothing is expected
    expected = [len(c) / 3 * (30 - round(0.6 * DOMAIN.cells(c))) for c in CLIQUES]
    assert scores == pytest.approx(expected)


def test_weights_count_relative_to_the_largest_among_the_candidates() -> None:
    table = made_table(made_codes(np.random.default_rng(1), 30))
    some = CLIQUES[:4]
    one, other = (
        Distances(table, _flat, weights={c: factor * len(c) for c in CLIQUES})._qualities(some)
        for factor in (1.0, 7.0)
    )
    assert one == pytest.approx(other)
    assert max(one) == 30


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_hides_a_sensitivity_is_refused(weight: float) -> None:
    table = made_table(made_codes(np.random.default_rng(1), 5))
    with pytest.raises(ValueError, match="weights must be finite numbers above 0"):
        Distances(table, _flat, weights={**WEIGHTS, CLIQUES[0]: weight})


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("rows", [1, 3])
def test_one_unit_moves_a_dependence_by_at_most_its_sensitivity(
    adjacency: Adjacency, rows: int
) -> None:
    rng, largest = np.random.default_rng(3), 0.0
    bound = dependence_sensitivity(adjacency, rows)
    payer = made_table(made_codes(rng, 0), adjacency).payer
    for _ in range(100):
        codes = made_codes(rng, int(rng.integers(0, 60)))
        codes[rng.random(len(codes)) < 0.9] = 0  # so that the rest is rare
        unit = np.repeat(made_codes(rng, 1), rows, axis=0)
        other = np.repeat(made_codes(rng, 1), rows, axis=0)[
            : 0 if adjacency == "add_remove" else rows
        ]
        scores = [
            Dependences(PrivateTable(np.concatenate([codes, more]), DOMAIN, payer))
            for more in (unit, other)
        ]
        moved = [abs(scores[0]._of(c) - scores[1]._of(c)) for c in CLIQUES if len(c) > 1]
        largest = max(largest, *moved)
    assert largest <= bound
    assert largest > 0.5 * bound / (1 if adjacency == "add_remove" else 2)


def test_a_dependence_is_the_distance_from_the_product_of_both_parts() -> None:
    rng = np.random.default_rng(4)
    table = made_table(made_codes(rng, 50))
    joint = table.exact_marginal(("age", "sex", "job"))
    product = np.einsum("i,jk->ijk", joint.sum(axis=(1, 2)), joint.sum(axis=0)) / 50
    assert Dependences(table)._of(("age", "sex", "job")) == pytest.approx(
        abs(joint - product).sum()
    )
    assert Dependences(table)._of(("age",)) == pytest.approx(0)
    assert Dependences(made_table(made_codes(rng, 0)))._of(("age", "sex")) == 0


def test_filtered_payments_are_charged_at_what_they_state() -> None:
    rng = np.random.default_rng(7)
    table, part = _filtered(made_codes(rng, 20))
    whole = table.payer.left(part)
    [noisy] = measure(table, [("age",)], FilteredGaussian(part, 30.0), rng)
    select(Distances(table, _flat), CLIQUES, FilteredSelection(part, 0.1), rng)
    assert noisy.stddev == 30
    assert [entry.event for entry in table.payer.accountant.ledger] == [
        Gaussian(30.0, 1.0),
        Selection(0.1),
    ]
    assert whole - table.payer.left(part) == pytest.approx(1 / 1800 + 0.01 / 8)


def test_a_filter_that_cannot_pay_lets_nothing_be_read_or_drawn() -> None:
    rng = np.random.default_rng(8)
    table, part = _filtered(made_codes(rng, 20), "gdp")
    distances, before = Distances(table, _flat, weights=WEIGHTS), rng.bit_generator.state
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        measure(table, [("age",)], FilteredGaussian(part, 0.1), rng)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        select(distances, CLIQUES, FilteredSelection(part, 50.0), rng)
    with pytest.raises(KeyError, match="no attribute 'wage'"):
        select(distances, [("wage",)], FilteredSelection(part, 0.01), rng)
    assert table.reads == 0
    assert rng.bit_generator.state == before
    assert len(table.payer.accountant.ledger) == 0
