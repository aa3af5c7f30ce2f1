"""Noisy distances of marginals: how far a record moves them, what noise they get, what is paid."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from dp_synth.accounting import (
    Accountant,
    Adjacency,
    Filtered,
    FilteredGaussian,
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
)
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.mechanisms import Distances, l1_distance_sensitivity, measure_distances
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.types import Clique

PAIRS: list[Clique] = list(combinations(DOMAIN.attributes, 2))
MULTIPLIER = 5.0  # what made_table grants


def _expected(rng: np.random.Generator) -> dict[Clique, NDArray[np.float64]]:
    return {pair: rng.uniform(0, 6, DOMAIN.shape(pair)) for pair in PAIRS}


def _exact(codes: NDArray[np.int32], expected: dict[Clique, NDArray[np.float64]]) -> list[float]:
    """The distances without noise, by plain counting."""
    found = []
    for pair in PAIRS:
        counts = np.zeros(DOMAIN.shape(pair))
        np.add.at(counts, tuple(codes[:, DOMAIN.axis(a)] for a in pair), 1)
        found.append(float(np.abs(counts - np.rint(expected[pair])).sum()))
    return found


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("max_rows", [1, 40])
def test_noise_has_the_scale_that_was_charged(adjacency: Adjacency, max_rows: int) -> None:
    rng = np.random.default_rng(0)
    answers = 30_000
    codes, expected = made_codes(rng, 50), _expected(rng)
    table = made_table(codes, adjacency, answers=answers, max_rows=max_rows)
    cliques = PAIRS * (answers // 3)
    part = table.payer.plan.gaussians("ones")
    scores = measure_distances(Distances(table, expected.__getitem__), cliques, part, rng)
    [entry] = table.payer.accountant.ledger
    claimed = MULTIPLIER * l1_distance_sensitivity(adjacency, max_rows)
    assert isinstance(entry.event, Gaussian)
    assert entry.event.stddev == pytest.approx(claimed)
    assert entry.count == answers
    assert (scores == np.rint(scores)).all()
    # Spread over the unit that each whole number stands for, rounded noise is as good as smooth.
    noise = scores - np.tile(_exact(codes, expected), answers // 3)
    smooth = noise + rng.uniform(-0.5, 0.5, answers)
    assert kstest(smooth, norm(0, claimed).cdf).pvalue > 1e-6
    assert kstest(smooth, norm(0, 0.9 * claimed).cdf).pvalue < 1e-6  # the test can fail


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("max_rows", [1, 3])
def test_a_unit_moves_a_distance_by_at_most_the_sensitivity(
    adjacency: Adjacency, max_rows: int
) -> None:
    rng, largest = np.random.default_rng(1), 0.0
    payer = made_table(made_codes(rng, 0), adjacency, max_rows=max_rows).payer
    for _ in range(200):
        codes, expected = made_codes(rng, 30), _expected(rng)
        codes[:max_rows] = codes[0]  # all of a unit's records in one cell
        other = codes[max_rows:]
        if adjacency == "replace_one":
            other = np.concatenate([np.repeat(made_codes(rng, 1), max_rows, axis=0), other])
        tables = [PrivateTable(c, DOMAIN, payer) for c in (codes, other)]
        distances = [Distances(table, expected.__getitem__) for table in tables]
        one, two = (d._qualities(PAIRS) for d in distances)
        assert one.tolist() == _exact(codes, expected)
        moved = float(np.abs(one - two).max())
        assert moved <= distances[0].sensitivity
        largest = max(largest, moved)
    assert largest == l1_distance_sensitivity(adjacency, max_rows)


def test_a_filter_pays_for_noise_chosen_while_running_and_for_no_more() -> None:
    rng = np.random.default_rng(2)
    accountant = Accountant(PrivacyBudget(1e9, 1e-6))
    payer = accountant.admit("test", Plan({"answers": Filtered("gdp", amount=0.3)}))
    table = PrivateTable(made_codes(rng, 20), DOMAIN, payer)
    distances = Distances(table, _expected(rng).__getitem__)
    answers = FilteredGaussian(payer.plan.filtered("answers"), 5.0)  # 1/25 each
    measure_distances(distances, PAIRS, answers, rng)
    assert payer.left(answers.part) == pytest.approx(0.3 - 3 / 25)
    measure_distances(distances, PAIRS, answers, rng)
    before = rng.bit_generator.state
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        measure_distances(distances, PAIRS, answers, rng)
    assert payer.left(answers.part) == pytest.approx(0.3 - 6 / 25)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("case", ["spent", "foreign", "weighted", "too noisy"])
def test_a_refusal_leaves_ledger_table_and_generator_untouched(case: str) -> None:
    rng = np.random.default_rng(3)
    table = made_table(made_codes(rng, 20), answers=2 if case == "spent" else 3)
    weights = dict.fromkeys(PAIRS, 0.5) if case == "weighted" else None
    distances = Distances(table, _expected(rng).__getitem__, weights=weights)
    cliques = [*PAIRS[:2], ("age", "nobody")] if case == "foreign" else PAIRS
    part: Gaussians | FilteredGaussian = table.payer.plan.gaussians("ones")
    if case == "too noisy":
        part = FilteredGaussian(Filtered("gdp", amount=1.0, name="ones"), 1e12)
    refusals = {
        "spent": (BudgetExceeded, "nothing was released"),
        "foreign": (KeyError, "nobody"),
        "weighted": (ValueError, "without weights"),
        "too noisy": (InputError, "raise epsilon"),
    }
    before = rng.bit_generator.state
    error, said = refusals[case]
    with pytest.raises(error, match=said):
        measure_distances(distances, cliques, part, rng)
    assert len(table.payer.accountant.ledger) == table.reads == 0
    assert rng.bit_generator.state == before


def test_what_is_handed_out_is_not_what_is_kept() -> None:
    rng = np.random.default_rng(4)
    table = made_table(made_codes(rng, 20), answers=6)
    distances, part = (
        Distances(table, _expected(rng).__getitem__),
        table.payer.plan.gaussians("ones"),
    )
    first, again = (measure_distances(distances, PAIRS, part, rng) for _ in range(2))
    assert (first != again).any()  # fresh noise, on distances counted once
    assert table.reads == len(PAIRS)


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_finer_expectations_cost_the_same_and_get_the_same_noise(adjacency: Adjacency) -> None:
    rng, answers, fineness = np.random.default_rng(5), 30_000, 64
    codes, expected = made_codes(rng, 50), _expected(rng)
    table = made_table(codes, adjacency, answers=answers)
    distances = Distances(table, expected.__getitem__, fineness=fineness)
    part = table.payer.plan.gaussians("ones")
    scores = measure_distances(distances, PAIRS * (answers // 3), part, rng)
    claimed = MULTIPLIER * l1_distance_sensitivity(adjacency)
    [entry] = table.payer.accountant.ledger
    assert isinstance(entry.event, Gaussian)
    assert entry.event.stddev == pytest.approx(claimed)
    assert (scores * fineness == np.rint(scores * fineness)).all()
    exact = distances._qualities(PAIRS)
    assert exact.tolist() != _exact(codes, expected)  # which are of whole expectations
    noise = scores - np.tile(exact, answers // 3)
    smooth = noise + rng.uniform(-0.5, 0.5, answers) / fineness
    assert kstest(smooth, norm(0, claimed).cdf).pvalue > 1e-6
    assert kstest(smooth, norm(0, 0.9 * claimed).cdf).pvalue < 1e-6


@pytest.mark.parametrize("fineness", [0, 3, -2])
def test_only_a_power_of_two_divides_a_record_exactly(fineness: int) -> None:
    table = made_table(made_codes(np.random.default_rng(6), 5))
    with pytest.raises(ValueError, match="a power of two"):
        Distances(table, lambda clique: np.zeros(DOMAIN.shape(clique)), fineness=fineness)
