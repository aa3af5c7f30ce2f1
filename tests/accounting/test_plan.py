"""Plans and budgets: what they hold, and what they refuse."""

from __future__ import annotations

import math

import pytest
from random_plans import mst_plan

from dp_synth.accounting import (
    Filtered,
    FilterKind,
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
    Selection,
    Selections,
)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, -math.inf, math.nan])
def test_a_budget_needs_an_epsilon_above_zero(epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0"):
        PrivacyBudget(epsilon, 1e-6)


@pytest.mark.parametrize("delta", [-1e-9, 1.0, math.nan])
def test_a_budget_needs_a_delta_below_one(delta: float) -> None:
    with pytest.raises(ValueError, match=r"delta must lie in \[0, 1\)"):
        PrivacyBudget(1.0, delta)


def test_a_budget_names_the_adjacencies_that_it_knows() -> None:
    with pytest.raises(ValueError, match="one of add_remove, replace_one, got 'swap'"):
        PrivacyBudget(1.0, 1e-6, "swap")  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [0, -1, 1.5, True])
def test_a_budget_needs_whole_rows_of_a_unit(rows: int) -> None:
    with pytest.raises(ValueError, match="max_rows must be a whole number"):
        PrivacyBudget(1.0, 1e-6, unit="person", max_rows=rows)


def test_several_rows_need_the_column_that_names_their_unit() -> None:
    with pytest.raises(ValueError, match="needs the column that names the unit; give unit"):
        PrivacyBudget(1.0, 1e-6, max_rows=3)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_events_need_numbers_above_zero(value: float) -> None:
    with pytest.raises(ValueError, match="noise_multiplier must be a finite number above 0"):
        Gaussian(value, 1.0)
    with pytest.raises(ValueError, match="sensitivity must be a finite number above 0"):
        Gaussian(1.0, value)
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0"):
        Selection(value)


def test_parts_need_counts_shares_and_noise_that_make_sense() -> None:
    with pytest.raises(ValueError, match="count must be 0 or more, got -1"):
        Gaussians(-1)
    with pytest.raises(ValueError, match="share must be a finite number above 0"):
        Selections(1, share=0.0)
    with pytest.raises(ValueError, match="noise of a part must be a finite number above 0"):
        Selections(1, epsilon=math.nan)


def test_a_plan_has_noise_in_all_of_its_parts_or_in_none() -> None:
    with pytest.raises(ValueError, match="either all parts of a plan have their noise or none"):
        Plan({"ones": Gaussians(2, noise_multiplier=3.0), "tree": Selections(1)})
    assert not mst_plan().is_fixed
    assert mst_plan().at(1.0).is_fixed


def test_a_plan_shares_its_zcdp_cost_as_its_parts_ask() -> None:
    plan = Plan({"ones": Gaussians(5, share=2.0), "tree": Selections(3), "none": Gaussians(0)})
    ready = plan.at(0.9)
    costs = [(event.rho or 0.0) * count for event, count in ready.events()]
    assert costs == pytest.approx([0.6, 0.3], rel=1e-12)
    assert ready.rho == pytest.approx(0.9, rel=1e-12)


def test_a_plan_cannot_be_changed_after_it_was_made() -> None:
    parts: dict[str, Gaussians | Selections] = {"ones": Gaussians(1, noise_multiplier=3.0)}
    plan = Plan(parts)
    parts["ones"] = Gaussians(100, noise_multiplier=3.0)
    assert plan.gaussians("ones").count == 1
    with pytest.raises(TypeError):
        plan.parts["ones"] = Gaussians(100, noise_multiplier=3.0)  # type: ignore[index]


def test_a_filtered_part_is_one_event() -> None:
    with pytest.raises(ValueError, match="a filtered part is one event, got count 2"):
        Filtered(count=2)
    with pytest.raises(ValueError, match="noise of a part must be a finite number above 0"):
        Filtered(amount=-1.0)


@pytest.mark.parametrize("currency", ["zcdp", "gdp"])
def test_a_filtered_part_costs_its_share_of_a_plan(currency: FilterKind) -> None:
    plan = Plan({"ones": Gaussians(3), "inside": Filtered(currency, share=2.0)}).at(0.9)
    costs = [event.rho * count for event, count in plan.events() if event.rho]
    assert costs == pytest.approx([0.3, 0.6], rel=1e-12)
    assert plan.filtered("inside").amount == pytest.approx(0.6 if currency == "zcdp" else 1.2)


def test_a_part_of_the_wrong_name_or_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="no Gaussians named 'tree'"):
        mst_plan().gaussians("tree")
    with pytest.raises(KeyError, match="no Filtered named 'ones'"):
        mst_plan().filtered("ones")
    with pytest.raises(KeyError, match="no Selections named 'edges'"):
        mst_plan().selections("edges")


def test_a_part_without_noise_has_no_event_yet() -> None:
    for part in (*mst_plan().parts.values(), Filtered("zcdp"), Filtered("gdp")):
        with pytest.raises(ValueError, match="calibrate its plan first"):
            part.event()
