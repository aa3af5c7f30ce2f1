"""Adaptive roots take every synthesizer, one after another, and all together keep the budget."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted_tables import SCHEMA, tree_table
from small_settings import small

from dp_synth.accounting import Accountant, Currency, PrivacyBudget, read_ledger
from dp_synth.errors import BudgetExceeded
from dp_synth.synthesizers import DPCTGAN, SYNTHESIZERS, Independent, fit_jointly

BUDGET = PrivacyBudget(12.0, 1e-5)


FEW = ("independent", "aim", "privbayes", "dpgan", "pategan")


@pytest.mark.parametrize(
    ("currency", "names"),
    [
        ("gdp", FEW),
        pytest.param("gdp", tuple(SYNTHESIZERS), marks=pytest.mark.slow),
        pytest.param("zcdp", tuple(SYNTHESIZERS), marks=pytest.mark.slow),
    ],
)
def test_every_synthesizer_is_fitted_in_one_root_after_the_other(
    currency: Currency, names: tuple[str, ...], tmp_path: Path
) -> None:
    path, frame = tmp_path / "ledger.jsonl", tree_table(60)
    for name in names:
        accountant = Accountant(BUDGET, ledger=path, adaptive=currency)
        release = small(name).fit(frame, SCHEMA, accountant.portion(2.0), seed=0)
        assert len(release.sample(5, seed=0)) == 5
    ledger = read_ledger(path)
    rule = ledger.filter
    assert rule is not None
    assert [plan[0].recipe for plan in ledger.plans] == list(names)
    each = [rule.cost((e.event, e.count) for e in plan) for plan in ledger.plans]
    asked = rule.amount(2.0)
    assert all((1 - 1e-5) * asked <= cost <= asked for cost in each)
    assert ledger.spent(currency) == pytest.approx(sum(each))
    assert ledger.epsilon == BUDGET.epsilon


@pytest.mark.parametrize("currency", ["gdp", pytest.param("zcdp", marks=pytest.mark.slow)])
def test_networks_and_others_may_be_fitted_jointly_from_what_is_left(currency: Currency) -> None:
    accountant = Accountant(PrivacyBudget(2.0, 1e-5), adaptive=currency)
    small("dpgan").fit(tree_table(60), SCHEMA, accountant.portion(1.0), seed=0)
    both = {small("dpgan"): 2.0, Independent(): 1.0}
    fit_jointly(both, tree_table(60), SCHEMA, accountant, seed=0)
    assert accountant.left() == 0
    with pytest.raises(BudgetExceeded, match=r"is left; nothing was released"):
        Independent().fit(tree_table(60), SCHEMA, accountant)


def test_a_network_costs_an_adaptive_root_hardly_more_than_a_planned_one() -> None:
    budget, plan = PrivacyBudget(1.0, 1e-5), DPCTGAN(steps=300).charges(SCHEMA.domain)
    noise = {}
    for adaptive in (False, "gdp"):
        accountant = Accountant(budget, adaptive=adaptive)  # type: ignore[arg-type]
        part = accountant.admit("dpctgan", plan).plan.sampled("steps")
        noise[adaptive] = part.event().noise_multiplier
    assert noise[False] < noise["gdp"] < 1.01 * noise[False]
