"""Adaptive roots: anything may come next, and the filter never overflows."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dp_synth.accounting import (
    FILTER_KINDS,
    Accountant,
    Entry,
    Filtered,
    FilterKind,
    Gaussian,
    Gaussians,
    Ledger,
    Plan,
    PrivacyBudget,
    Reservation,
    SampledGaussians,
    Selections,
    SubAccountant,
    read_ledger,
)
from dp_synth.accounting.filters import limit
from dp_synth.accounting.ledger_file import LedgerFile
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent

BUDGET = PrivacyBudget(1.0, 1e-6)
ONES = Plan({"ones": Gaussians(5)})
SELECTING = Plan({"ones": Gaussians(3), "tree": Selections(4)})
ROUNDING = 1 + 1e-12  # of sums


def _admit(payer: Accountant | SubAccountant, name: str, plan: Plan) -> Reservation:
    return payer.admit_jointly({name: (plan, 1.0)})[name]


def _spent(accountant: Accountant) -> float:
    assert accountant.currency is not None
    return accountant.ledger.spent(accountant.currency)


def _limit(accountant: Accountant) -> float:
    assert accountant.ledger.filter is not None
    return accountant.ledger.filter.limit


@pytest.mark.parametrize("currency", FILTER_KINDS)
@pytest.mark.parametrize("plan", [ONES, SELECTING])
def test_a_fit_takes_all_that_is_left_and_the_next_is_refused(
    currency: FilterKind, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = Accountant(BUDGET, ledger=path, adaptive=currency)
    _admit(accountant.portion(0.3), "first", plan)
    _admit(accountant, "second", plan)
    whole = _limit(accountant)
    assert (1 - 1e-5) * whole <= _spent(accountant) <= whole * ROUNDING
    assert accountant.left() == 0
    before, written = accountant.ledger, path.read_bytes()
    for payer in (accountant, accountant.portion(0.1), accountant.portion(0.5).portion(0.1)):
        with pytest.raises(BudgetExceeded, match=rf"{currency} filter.*nothing was released"):
            _admit(payer, "third", plan)
    assert accountant.ledger == before
    assert path.read_bytes() == written


@pytest.mark.parametrize("currency", FILTER_KINDS)
@pytest.mark.parametrize(("epsilon", "delta"), [(0.05, 1e-9), (1, 1e-9), (1, 1e-5), (10, 1e-6)])
def test_the_limit_of_a_filter_keeps_the_budget_and_uses_it(
    currency: FilterKind, epsilon: float, delta: float
) -> None:
    budget = PrivacyBudget(epsilon, delta)
    accountant = Accountant(budget, adaptive=currency)
    _admit(accountant, "fit", ONES)
    assert 0.999 * epsilon <= accountant.ledger.curve.epsilon(delta) <= epsilon
    assert accountant.epsilon() == epsilon


@pytest.mark.parametrize("seed", range(50))
def test_no_sequence_of_portions_and_plans_exceeds_the_limit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    currency: FilterKind = "gdp" if seed % 2 else "zcdp"
    accountant = Accountant(BUDGET, adaptive=currency)
    payers: list[Accountant | SubAccountant] = [accountant]
    whole, refused = _limit(accountant), 0
    for i in range(25):
        payer = payers[rng.integers(len(payers))]
        if rng.random() < 0.4:
            payers.append(payer.portion(float(rng.uniform(0.05, 0.6))))
            continue
        noise = float(rng.uniform(8, 60)) if rng.random() < 0.8 else None
        try:
            _admit(payer, str(i), Plan({"ones": Gaussians(1, noise_multiplier=noise)}))
        except BudgetExceeded:
            refused += 1
        assert _spent(accountant) <= whole * ROUNDING
        assert all(portion.left() >= 0 for portion in payers)
    assert refused
    assert _spent(accountant) > 0


@pytest.mark.parametrize("currency", FILTER_KINDS)
def test_nested_portions_never_exceed_their_parents(currency: FilterKind) -> None:
    accountant = Accountant(BUDGET, adaptive=currency)
    parent = accountant.portion(0.5)
    children = [parent.portion(0.3) for _ in range(20)]
    paid = 0
    for i, child in enumerate(children):
        with suppress(BudgetExceeded):
            _admit(child, str(i), ONES)
            paid += 1
    assert 1 < paid < 20
    half = accountant.amount(0.5)
    assert _spent(accountant) <= half * ROUNDING
    assert parent.left() >= 0
    assert accountant.left() >= _limit(accountant) - half * ROUNDING


def test_a_portion_is_what_a_budget_of_its_epsilon_would_be() -> None:
    accountant = Accountant(BUDGET, adaptive=True)
    apart = accountant.ledger.delta_apart
    assert accountant.portion(0.4).left() == limit(PrivacyBudget(0.4, 1e-6), "gdp", apart)
    assert accountant.portion(1.0).left() == accountant.left()
    with pytest.raises(BudgetExceeded):  # more than there is
        _admit(accountant.portion(1.1), "fit", ONES)


def test_threads_that_share_a_portion_spend_it_once() -> None:
    accountant = Accountant(BUDGET, adaptive=True)
    portion = accountant.portion(0.5)
    one = Plan({"ones": Gaussians(1, noise_multiplier=30.0)})

    def spend(_: int) -> int:
        try:
            _admit(portion, "fit", one)
        except BudgetExceeded:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        paid = sum(pool.map(spend, range(60)))
    affordable = int(accountant.amount(0.5) / one.cost("gdp"))
    assert 2 < paid == affordable < 60


def test_gdp_lets_gaussian_recipes_use_less_noise_than_zcdp() -> None:
    noise = {}
    for currency in FILTER_KINDS:
        accountant = Accountant(BUDGET, adaptive=currency)  # type: ignore[arg-type]
        part = _admit(accountant, "fit", ONES).plan.gaussians("ones")
        assert part.noise_multiplier is not None
        noise[currency] = part.noise_multiplier
    planned = Accountant(BUDGET).admit("fit", ONES).plan.gaussians("ones").noise_multiplier
    assert noise["gdp"] < 0.99 * noise["zcdp"]
    assert planned <= noise["gdp"] < 1.002 * planned  # what delta is set apart costs


def test_plans_may_take_turns_but_each_keeps_its_own_order() -> None:
    accountant = Accountant(BUDGET, adaptive=True)
    plan = Plan({"ones": Gaussians(2), "tree": Selections(2)})
    first = _admit(accountant.portion(0.4), "first", plan)
    second = _admit(accountant.portion(0.4), "second", plan)
    for payer in (second, first, second, first):
        ones = payer.plan.gaussians("ones")
        payer.charge(ones, ones.event(), 1, why="count")
    for payer in (second, first, second, first):
        tree, ones = payer.plan.selections("tree"), payer.plan.gaussians("ones")
        payer.charge(tree, tree.event(), 1, why="choice")
        with pytest.raises(BudgetExceeded, match="planned order only; nothing was released"):
            payer.charge(ones, ones.event(), 1, why="late")
    assert len(accountant.ledger) == 8


def test_a_planned_root_refuses_what_an_adaptive_one_allows_and_says_so() -> None:
    accountant = Accountant(BUDGET)
    for ask in (accountant.left, lambda: accountant.portion(0.1)):
        with pytest.raises(BudgetExceeded, match=r"open (an adaptive )?one.*nothing was released"):
            ask()
    accountant.admit("first", ONES)
    with pytest.raises(BudgetExceeded, match="share an adaptive accountant; nothing was released"):
        accountant.admit("second", ONES)
    adaptive = Accountant(BUDGET, adaptive=True)
    _admit(adaptive.portion(0.5), "first", ONES)
    _admit(adaptive, "second", ONES)


def test_an_adaptive_ledger_is_continued_and_says_its_rule(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for i in range(2):
        accountant = Accountant(BUDGET, ledger=path, adaptive="gdp")
        payer = _admit(accountant.portion(0.5), f"fit {i}", ONES)
        part = payer.plan.gaussians("ones")
        payer.charge(part, part.event(), 5, why="test")
    ledger = read_ledger(path)
    assert ledger.rule == "gdp"
    assert [entry.recipe for entry in ledger.reservations] == ["fit 0", "fit 1"]
    assert "of the gdp filter is used" in str(ledger)
    assert "by a filter in Gaussian differential privacy" in ledger.statement()


@pytest.mark.parametrize("currency", FILTER_KINDS)
def test_a_ledger_that_goes_beyond_its_limit_does_not_certify_its_budget(
    currency: FilterKind,
) -> None:
    entry = Entry("reservation", "forged", "ones", Gaussian(2.0, 1.0), 1, "plan", "os")
    ledger = Ledger(BUDGET, (entry,), currency)
    assert ledger.epsilon > 1.5


@pytest.mark.parametrize("currency", FILTER_KINDS)
def test_a_filter_needs_a_delta(currency: FilterKind) -> None:
    with pytest.raises(InputError, match="needs a delta above 0"):
        Accountant(PrivacyBudget(1.0, 0.0), adaptive=currency)


def test_a_root_is_of_one_kind_and_knows_its_currencies() -> None:
    with pytest.raises(ValueError, match="adaptive must be True, 'zcdp' or 'gdp', got 'renyi'"):
        Accountant(BUDGET, adaptive="renyi")  # type: ignore[arg-type]


def test_a_filter_inside_may_count_in_another_currency() -> None:
    for currency, other in [("gdp", "zcdp"), ("zcdp", "gdp")]:
        accountant = Accountant(BUDGET, adaptive=currency)  # type: ignore[arg-type]
        _admit(accountant, "fit", Plan({"inside": Filtered(other)}))  # type: ignore[arg-type]
        assert accountant.left() == 0
        assert accountant.epsilon() == BUDGET.epsilon


def test_a_simulation_says_so_in_its_table_and_its_statement() -> None:
    for simulate in (True, False):
        accountant = Accountant(BUDGET, adaptive=True, simulate=simulate)
        _admit(accountant, "fit", ONES)
        for text in (str(accountant.ledger), accountant.ledger.statement()):
            assert ("simulation: each repeat is a release of its own" in text) == simulate
        assert accountant.ledger.header()["simulation"] is simulate


def test_a_ledger_of_an_earlier_version_goes_on_event_by_event(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    LedgerFile(path, Ledger(BUDGET, (), "zcdp")).append([])  # with nothing set apart
    accountant = Accountant(BUDGET, ledger=path, adaptive="zcdp")
    _admit(accountant.portion(0.5), "first", SELECTING)
    assert json.loads(path.read_text().splitlines()[0])["version"] == 2
    assert accountant.ledger.delta_apart == 0
    assert _spent(accountant) == pytest.approx(limit(PrivacyBudget(0.5, 1e-6), "zcdp"), rel=1e-5)
    with pytest.raises(UnsupportedEvent, match=r"an earlier version.*nothing was released"):
        _admit(accountant, "network", Plan({"steps": SampledGaussians(50, 0.1)}))
    assert len(accountant.ledger.plans) == 1


def test_plans_of_one_recipe_in_a_row_are_told_apart() -> None:
    accountant = Accountant(BUDGET, adaptive="gdp")
    for plan in (ONES, ONES, Plan({"tree": Selections(2), "pairs": Gaussians(1)}), ONES):
        _admit(accountant.portion(0.2), "mst", plan)
    plans = accountant.ledger.plans
    assert [[entry.part for entry in plan] for plan in plans] == [
        ["ones"],
        ["ones"],
        ["tree", "pairs"],
        ["ones"],
    ]
    assert [plan[0].recipe for plan in plans] == ["mst", "mst", "mst-3", "mst"]
    assert _spent(accountant) == pytest.approx(4 * accountant.amount(0.2), rel=1e-5)


def test_what_does_not_fit_is_told_the_budget_that_it_takes_and_what_is_left() -> None:
    accountant = Accountant(BUDGET, adaptive="gdp")
    _admit(accountant.portion(0.6), "first", ONES)
    with pytest.raises(BudgetExceeded, match=r"take a budget of epsilon (\S+), .* is left") as told:
        _admit(accountant, "second", Plan({"ones": Gaussians(1, noise_multiplier=4.0)}))
    found = re.search(r"budget of epsilon (\S+), .* enough for epsilon (\S+),", str(told.value))
    assert found
    needed, left = map(float, found.groups())
    larger = Accountant(PrivacyBudget(needed, BUDGET.delta), adaptive="gdp")
    _admit(larger.portion(0.6), "first", ONES)
    _admit(larger, "second", Plan({"ones": Gaussians(1, noise_multiplier=4.0)}))
    _admit(accountant.portion(left), "third", ONES)
