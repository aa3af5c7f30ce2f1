"""Answers at delta 0: their noise has the law that is charged for, and tables move no further."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from dp_synth.accounting import (
    Accountant,
    Filtered,
    FilteredLaplace,
    Gaussians,
    LaplaceCounts,
    Laplaces,
    Plan,
    PrivacyBudget,
)
from dp_synth.accounting.events import NoisyVote, laplace_stddev
from dp_synth.accounting.pate import log_chances
from dp_synth.domain import Domain, ParitySets
from dp_synth.errors import BudgetExceeded, UnsupportedEvent
from dp_synth.mechanisms import (
    Distances,
    PrivateTable,
    measure,
    measure_distances,
    measure_parities,
)
from dp_synth.mechanisms.pate import _chance_to_turn, winners

DOMAIN = Domain(("a", "b"), (100, 3))


def table(budget: PrivacyBudget, plan: Plan, codes: np.ndarray | None = None) -> PrivateTable:
    payer = Accountant(budget).admit("fit", plan, randomness="seeded")
    records = np.zeros((0, 2), dtype=np.int32) if codes is None else codes
    return PrivateTable(records, DOMAIN, payer)


def fit_of_law(draws: np.ndarray, scale: float) -> float:
    """The chi-square p-value of whole draws under the discrete Laplace law."""
    most = int(40 * scale) + 2
    ks = np.arange(-most, most + 1)
    chances = np.exp(-np.abs(ks) / scale)
    chances /= chances.sum()
    seen = np.bincount(draws.astype(int) + most, minlength=2 * most + 1)
    common = chances * len(draws) > 50
    seen = np.append(seen[common], seen[~common].sum())
    expected = np.append(chances[common], chances[~common].sum()) * len(draws)
    return float(chisquare(seen, expected * len(draws) / expected.sum()).pvalue)


@pytest.mark.parametrize(
    ("adjacency", "unit", "moved"),
    [("add_remove", (None, 1), 1), ("add_remove", ("p", 4), 4), ("replace_one", ("p", 3), 6)],
)
def test_marginals_have_the_noise_of_their_l1_sensitivity(adjacency, unit, moved):
    budget = PrivacyBudget(100.0, 0.0, adjacency, *unit)
    one = table(budget, Plan({"ones": Gaussians(100)}))
    part = one.payer.plan.gaussians("ones")
    assert isinstance(part, Laplaces)
    found = measure(one, [("a", "b")] * 100, part, np.random.default_rng(1))
    scale = moved * 1.0  # 100 answers of epsilon 1 each
    noise = np.concatenate([m.values.ravel() for m in found])
    assert fit_of_law(noise, scale) > 1e-6
    assert fit_of_law(noise, 0.9 * scale) < 1e-6
    assert found[0].stddev == pytest.approx(laplace_stddev(scale), rel=1e-6)
    assert {answer.noise for answer in one.transcript} == {"laplace"}
    (charge,) = one.payer.accountant.ledger.charges
    assert (charge.count, charge.sampler, charge.event) == (100, "exact", part.event())


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_no_neighbour_moves_all_marginals_further_than_is_charged(adjacency):
    rng = np.random.default_rng(2)
    plan = Plan({"ones": Gaussians(3)})
    for _ in range(50):
        codes = rng.integers(0, (100, 3), (20, 2)).astype(np.int32)
        other = codes[1:]
        if adjacency == "replace_one":
            other = np.concatenate([other, rng.integers(0, (100, 3), (1, 2)).astype(np.int32)])
        here, there = (
            table(PrivacyBudget(1.0, 0.0, adjacency), plan, c).exact_marginals(
                [("a",), ("b",), ("a", "b")]
            )
            for c in (codes, other)
        )
        event = table(PrivacyBudget(1.0, 0.0, adjacency), plan).payer.plan.gaussians("ones").event()
        for a, b in zip(here, there, strict=True):
            assert np.abs(a - b).sum() <= event.numbers * event.sensitivity
            assert np.maximum(a - b, 0).sum() <= event.sensitivity


def test_distances_are_charged_and_noised_in_their_own_fineness():
    budget = PrivacyBudget(10_000.0, 0.0, "replace_one")
    plan = Plan({"far": Gaussians(1000, distances=True)})
    one = table(budget, plan, np.zeros((4, 2), dtype=np.int32))
    part = one.payer.plan.gaussians("far")
    far = Distances(one, lambda clique: np.zeros(one.domain.shape(clique)), fineness=8)
    found = measure_distances(far, [("a",)] * 1000, part, np.random.default_rng(3))
    (charge,) = one.payer.accountant.ledger.charges
    assert charge.event == LaplaceCounts(part.noise_multiplier, 16)  # two moves, in eighths
    assert part.noise_multiplier == pytest.approx(0.1)
    assert fit_of_law((found - 4) * 8, charge.event.scale) > 1e-6
    assert fit_of_law((found - 4) * 8, 0.8 * charge.event.scale) < 1e-6
    assert one.transcript[0].stddev == pytest.approx(charge.event.stddev / 8)


def test_nothing_is_drawn_where_noise_is_for_fewer_rows_than_a_unit_moves():
    budget = PrivacyBudget(1.0, 0.0, "add_remove", "p", 4)
    one = table(budget, Plan({"answers": Filtered("gdp")}))
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    part = one.payer.plan.filtered("answers")
    with pytest.raises(ValueError, match="is for numbers that move by less than 4 together"):
        measure(one, [("a",)], FilteredLaplace(part, 9.0, 3), rng)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        measure(one, [("a",)], FilteredLaplace(part, 0.9, 4), rng)
    assert one.reads == 0
    assert not one.payer.accountant.ledger.charges
    assert rng.bit_generator.state == before


def test_sums_and_parities_are_refused_without_delta():
    one = table(PrivacyBudget(1.0, 0.0), Plan({"sets": Gaussians(1)}))
    bits = ParitySets(("b",), (np.array([0, 1, 1], dtype=np.int32),), np.zeros((1, 1), np.int32))
    with pytest.raises(UnsupportedEvent, match="Gaussian noise, which needs a delta above 0"):
        measure_parities(one, bits, one.payer.plan.gaussians("sets"), np.random.default_rng(0))
    assert one.reads == 0


@pytest.mark.parametrize(("scale", "teachers"), [(2.0, 11), (40.0, 101)])
def test_laplace_votes_are_won_with_exactly_the_charged_chance(scale, teachers):
    event, draws = NoisyVote("laplace", scale, teachers), 100_000
    for lead in (1, -3, teachers):
        exact = float(np.exp(log_chances(event, np.array([float(lead)]))[0]))
        won = winners(np.full(draws, lead), event, np.random.default_rng(5).bytes).mean()
        assert abs(won - exact) <= 5.5 * np.sqrt(exact * (1 - exact) / draws) + 1e-9
        wrong = float(np.exp(log_chances(event, np.array([lead + 6.0]))[0]))
        if 0.02 < exact < 0.98:
            assert abs(won - wrong) > 5.5 * np.sqrt(exact * (1 - exact) / draws)


def test_a_vote_is_decided_by_as_many_digits_as_it_takes():
    event = NoisyVote("laplace", 3.0, 101)
    at_threshold = _chance_to_turn(3.0, 5, 64)
    for beyond, turned in [(0, True), (2**64 - 1, False)]:
        words = [at_threshold.to_bytes(8, "little"), beyond.to_bytes(8, "little")]
        exact = _chance_to_turn(3.0, 5, 128) % 2**64
        assert 2**8 < exact < 2**64 - 2**8  # the next digits decide either way
        won = winners(np.array([5]), event, lambda _, w=words: w.pop(0))
        assert won[0] != turned
        assert not words
