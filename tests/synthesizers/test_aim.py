"""AIM finds what is there, spends all of its filter, and keeps its model small."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from planted_tables import EDGES, NAMES, PAIRS, SCHEMA, largest_error, tree_table

from dp_synth.accounting import (
    CURRENCIES,
    Accountant,
    Currency,
    Entry,
    Gaussian,
    PrivacyBudget,
    Round,
)
from dp_synth.accounting.filters import cost
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTreeModel, estimate
from dp_synth.inference.pair_errors import PairErrors
from dp_synth.synthesizers import AIM, Independent
from dp_synth.transcript import measured
from dp_synth.types import Clique

BUDGET = PrivacyBudget(1.0, 1e-6)


def _rounds(synthesizer: AIM, *, kept: float = 0.7, epsilon: float = 1.0) -> list[Entry]:
    budget = PrivacyBudget(epsilon, 1e-6)
    ledger = synthesizer.fit(tree_table(3000, kept=kept), SCHEMA, budget, seed=0).ledger
    return [entry for entry in ledger if entry.part == "rounds"]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[JunctionTreeModel]:
    """Every model that is estimated on the way."""
    seen: list[JunctionTreeModel] = []

    def noted(*arguments: object, **options: object) -> JunctionTreeModel:
        seen.append(estimate(*arguments, **options))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr("dp_synth.synthesizers.aim.estimate", noted)
    return seen


@pytest.mark.parametrize("all_gaussian", [False, True])
def test_aim_finds_the_tree_that_made_the_table(all_gaussian: bool) -> None:
    frame = tree_table(20_000)
    synthesizer = AIM(all_gaussian=all_gaussian)
    model = synthesizer.fit(frame, SCHEMA, PrivacyBudget(2.0, 1e-6), seed=0).model
    assert all(model.tree.home(edge) is not None for edge in EDGES)
    alone = Independent().fit(frame, SCHEMA, PrivacyBudget(2.0, 1e-6), seed=0).model
    assert largest_error(model, frame, PAIRS) < 0.05 < 0.5 < largest_error(alone, frame, EDGES)


def test_a_round_is_a_choice_and_a_measurement_that_share_its_cost() -> None:
    events = [entry.event for entry in _rounds(AIM(alpha=0.8))]
    choices, answers = events[::2], events[1::2]
    assert len(choices) == len(answers) > 3
    for choice, answer in zip(choices, answers, strict=True):
        assert isinstance(choice, Round)
        assert isinstance(answer, Gaussian)
        assert choice.noise_multiplier == answer.noise_multiplier  # fixed before the choice
        assert choice.choice.rho == pytest.approx(0.2 / 0.8 * answer.rho)


def test_an_all_gaussian_run_charges_gaussians_alone_and_begins_with_the_same_noise() -> None:
    first = {}
    for all_gaussian in (False, True):
        ledger = AIM(all_gaussian=all_gaussian).fit(tree_table(500), SCHEMA, BUDGET, seed=0).ledger
        event = ledger.charges[0].event
        assert isinstance(event, Gaussian)
        first[all_gaussian] = event.noise_multiplier
    assert all(isinstance(entry.event, Gaussian) for entry in ledger)
    assert first[True] == first[False]  # both are one Gaussian to the plan


@pytest.mark.parametrize("currency", CURRENCIES)
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0])
def test_the_filter_is_spent_to_its_last_crumb(currency: Currency, epsilon: float) -> None:
    synthesizer = AIM(alpha=0.9 if currency == "gdp" else 0.6)
    budget = PrivacyBudget(epsilon, 1e-6)
    ledger = synthesizer.fit(tree_table(20_000), SCHEMA, budget, seed=0).ledger
    rounds = [e for e in ledger if isinstance(e.event, Round)]  # each pays for its answer
    spent = sum(cost(e.event, currency) for e in rounds)
    assert 2 * len(rounds) == sum(e.part == "rounds" for e in ledger)
    [amount] = [cost(e.event, currency) for e in ledger.reservations if e.part == "rounds"]
    assert (1 - 1e-6) * amount <= spent <= amount


@pytest.mark.parametrize("currency", CURRENCIES)
def test_columns_alone_spend_all_where_records_are_few(currency: Currency) -> None:
    synthesizer = AIM(alpha=0.9 if currency == "gdp" else 0.6)
    release = synthesizer.fit(tree_table(60), SCHEMA, PrivacyBudget(0.3, 1e-6), seed=0)
    events = [e for e in release.ledger if e.part == "rounds"]
    assert all(isinstance(e.event, Gaussian) for e in events)
    [amount] = [cost(e.event, currency) for e in release.ledger.reservations if e.part == "rounds"]
    spent = sum(e.count * cost(e.event, currency) for e in events)
    assert (1 - 1e-6) * amount <= spent <= amount
    assert all(len(clique) == 1 for clique in release.model.tree.cliques)


def test_noise_is_halved_where_a_round_tells_no_more_than_noise() -> None:
    costs = [event.rho or 0.0 for event in (e.event for e in _rounds(AIM(), kept=0.0)[1::2])]
    growth = np.array(costs[1:-1]) / np.array(costs[:-2])
    assert set(growth.round(6)) <= {1.0, 4.0}  # all but the last, which takes what is left
    assert growth.max() == pytest.approx(4)
    assert len(costs) < 20  # of 96 rounds without annealing


def test_the_first_round_has_the_noise_of_the_one_way_marginals() -> None:
    ledger = AIM().fit(tree_table(500), SCHEMA, BUDGET, seed=0).ledger
    ones, _, first = (entry for entry in ledger.charges[:3])
    assert (ones.part, ones.count, first.count) == ("ones", len(NAMES), 1)
    assert isinstance(ones.event, Gaussian)
    assert isinstance(first.event, Gaussian)
    assert first.event.noise_multiplier == pytest.approx(ones.event.noise_multiplier)


@pytest.mark.parametrize("max_cells", [24, 40, 90, 1000])
def test_the_model_grows_with_what_is_spent_and_never_beyond_max_cells(
    models: list[JunctionTreeModel], max_cells: int
) -> None:
    AIM(max_cells=max_cells).fit(tree_table(20_000), SCHEMA, PrivacyBudget(10.0, 1e-6), seed=0)
    cells = [model.tree.cells for model in models]
    assert cells[0] == 24
    assert max(cells) <= max_cells
    assert max(cells) > 0.6 * min(max_cells, 100)  # it is the limit that keeps it small


def test_a_table_too_wide_for_max_cells_is_refused_before_anything_is_paid() -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match="24 cells in all, at most 23 are allowed"):
        AIM(max_cells=23).fit(tree_table(10), SCHEMA, accountant)
    assert accountant.ledger.entries == ()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_workload_gets_exact_as_epsilon_grows(degree: int) -> None:
    frame = tree_table(2000, kept=0.5)
    workload: list[Clique] = list(combinations(NAMES, degree))
    errors = [
        largest_error(
            AIM(degree=degree).fit(frame, SCHEMA, PrivacyBudget(eps, 1e-6), seed=0).model,
            frame,
            workload,
        )
        for eps in (0.1, 1e4)
    ]
    assert errors[1] < 0.01 < errors[0]


def test_a_triple_that_no_pair_shows_needs_a_workload_of_triples() -> None:
    rng = np.random.default_rng(2)
    frame = tree_table(5000, kept=0.0)
    frame["c"] = ((frame["a"].astype(int) + frame["b"].astype(int)) % 4).astype(str)
    frame["f"] = rng.integers(0, 4, 5000).astype(str)
    errors = {
        degree: largest_error(
            AIM(degree=degree).fit(frame, SCHEMA, PrivacyBudget(10.0, 1e-6), seed=0).model,
            frame,
            [("a", "b", "c")],
        )
        for degree in (2, 3)
    }
    assert errors[3] < 0.05 < 0.5 < errors[2]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"degree": 0}, "degree and rounds must be 1 or more, got 0 and 16"),
        ({"rounds": 0}, "degree and rounds must be 1 or more, got 2 and 0"),
        ({"alpha": 1.0}, r"alpha must lie in \(0, 1\), got 1.0"),
        ({"alpha": float("nan")}, r"alpha must lie in \(0, 1\), got nan"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        AIM(**settings)  # type: ignore[arg-type]


def test_aim_asks_whether_rounds_pay_and_leaves_columns_alone_where_they_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bool] = []

    def could_pay(self: PairErrors, precision: float, *, cost: float, in_rounds: bool) -> bool:
        told.append(in_rounds)
        return False

    monkeypatch.setattr(PairErrors, "could_pay", could_pay)
    release = AIM().fit(tree_table(3000), SCHEMA, BUDGET, seed=0)
    assert told == [True]
    assert all(len(clique) == 1 for clique in measured(release.transcript))
