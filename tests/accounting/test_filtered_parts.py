"""Parts of a plan that are spent while running: a fixed curve outside, a filter inside."""

from __future__ import annotations

import pytest

from dp_synth.accounting import (
    FILTER_KINDS,
    Accountant,
    Event,
    Filtered,
    FilteredGaussian,
    FilteredSelection,
    FilterKind,
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
    Reservation,
    Round,
    Selection,
)
from dp_synth.accounting.events import SampledGaussian, ZeroConcentrated
from dp_synth.accounting.filters import cost
from dp_synth.errors import BudgetExceeded, UnsupportedEvent

BUDGET = PrivacyBudget(1.0, 1e-6)


def _admitted(currency: FilterKind) -> tuple[Reservation, Filtered]:
    plan = Plan({"ones": Gaussians(3), "inside": Filtered(currency, share=2.0)})
    payer = Accountant(BUDGET).admit("fit", plan)
    ones = payer.plan.gaussians("ones")
    payer.charge(ones, ones.event(), 3, why="first")
    return payer, payer.plan.filtered("inside")


def _of_cost(currency: FilterKind, amount: float, *, selection: bool) -> Event:
    """An event that costs about ``amount``, and no more."""
    if selection:
        return Selection((8 * amount) ** 0.5 * (1.0 if currency == "zcdp" else 0.5))
    return Gaussian(((0.5 if currency == "zcdp" else 1.0) / amount) ** 0.5 * (1 + 1e-9), 1.0)


@pytest.mark.parametrize("currency", FILTER_KINDS)
def test_inside_anything_is_paid_until_the_amount_is_gone(currency: FilterKind) -> None:
    payer, part = _admitted(currency)
    whole, spent, paid = payer.left(part), 0.0, 0
    assert whole == part.amount
    for i in range(100):
        event = _of_cost(currency, whole / (5 + i % 7), selection=i % 2 == 1)
        price, before = cost(event, currency), payer.accountant.ledger
        if price <= payer.left(part):
            payer.charge(part, event, 1, why="as it came")
            spent, paid = spent + price, paid + 1
        else:
            with pytest.raises(
                BudgetExceeded, match=r"part 'inside' .* left; nothing was released"
            ):
                payer.charge(part, event, 1, why="too much")
            assert payer.accountant.ledger == before
        assert payer.left(part) == pytest.approx(whole - spent, abs=1e-12 * whole)
        assert payer.left(part) >= 0
    assert 4 < paid < 100
    assert spent <= whole * (1 + 1e-12)


@pytest.mark.parametrize("currency", FILTER_KINDS)
def test_outside_it_is_one_fixed_event_whether_spent_or_not(currency: FilterKind) -> None:
    payer, part = _admitted(currency)
    ledger = payer.accountant.ledger
    kind = ZeroConcentrated if currency == "zcdp" else Gaussian
    assert isinstance(ledger.reservations[1].event, kind)
    before = payer.accountant.epsilon()
    assert 0.999 <= before <= 1.0
    event = _of_cost(currency, payer.left(part) / 10, selection=False)
    payer.charge(part, event, 2, why="a fifth of it")
    assert payer.accountant.epsilon() == before
    with pytest.raises(BudgetExceeded):  # what was not spent is not given back
        payer.accountant.admit("more", Plan({"ones": Gaussians(1, noise_multiplier=1e5)}))


def test_a_gaussian_filter_costs_no_more_than_the_gaussians_it_may_hold() -> None:
    inside = Accountant(BUDGET).admit("fit", Plan({"inside": Filtered("gdp")}))
    apart = Accountant(BUDGET).admit("fit", Plan({"ones": Gaussians(7)}))
    ones, part = apart.plan.gaussians("ones"), inside.plan.filtered("inside")
    assert part.amount == pytest.approx(7 * cost(ones.event(), "gdp"), rel=1e-6)


def test_a_zcdp_filter_pays_for_choices_at_their_zcdp_cost() -> None:
    payer, part = _admitted("zcdp")
    payer.charge(part, Selection(0.01), 3, why="choices")
    assert part.amount is not None
    assert payer.left(part) == pytest.approx(part.amount - 3 * 0.01**2 / 8, rel=1e-12)


def test_an_event_without_a_cost_in_the_currency_is_refused_without_a_trace() -> None:
    payer, part = _admitted("zcdp")
    before = payer.accountant.ledger
    with pytest.raises(UnsupportedEvent, match="no zcdp cost is known"):
        payer.charge(part, SampledGaussian(100.0, 0.01, 1), 1, why="a batch")
    assert payer.accountant.ledger == before
    assert payer.left(part) == part.amount


def test_a_filtered_part_of_another_amount_pays_for_nothing() -> None:
    payer, part = _admitted("zcdp")
    larger = Filtered("zcdp", share=2.0, amount=2 * payer.left(part), name="inside")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        payer.charge(larger, Gaussian(1e6, 1.0), 1, why="forged")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        payer.left(larger)


def test_once_a_later_part_was_charged_the_filter_is_closed() -> None:
    plan = Plan({"inside": Filtered("zcdp"), "pairs": Gaussians(1)})
    payer = Accountant(BUDGET).admit("fit", plan)
    pairs, inside = payer.plan.gaussians("pairs"), payer.plan.filtered("inside")
    payer.charge(inside, Gaussian(1e4, 1.0), 1, why="inside")
    payer.charge(pairs, pairs.event(), 1, why="after")
    with pytest.raises(BudgetExceeded, match="planned order only"):
        payer.charge(inside, Gaussian(1e4, 1.0), 1, why="again")


def test_a_round_pays_for_one_answer_of_the_noise_that_was_fixed_before_its_choice() -> None:
    payer, part = _admitted("gdp")
    whole = payer.left(part)
    choice = FilteredSelection(part, 0.02, answer=20.0)
    assert isinstance(choice.event(), Round)
    payer.charge(choice, choice.event(), 1, why="choice")
    after = payer.left(part)
    assert whole - after == pytest.approx(cost(Round(0.02, 20.0), "gdp"))
    for multiplier, price in [(19.0, 19.0**-2), (20.0, 0.0), (20.0, 20.0**-2), (90.0, 90.0**-2)]:
        answer = FilteredGaussian(part, multiplier)  # the first has less noise: it is another's
        payer.charge(answer, answer.event(), 1, why="answer")
        assert after - payer.left(part) == pytest.approx(price, abs=1e-15)
        after = payer.left(part)


def test_an_answer_of_more_noise_than_its_round_fixed_is_paid_for_once() -> None:
    payer, part = _admitted("gdp")
    choice = FilteredSelection(part, 0.02, answer=20.0)
    for _ in range(2):
        payer.charge(choice, choice.event(), 1, why="choice")
        after = payer.left(part)
        payer.charge(FilteredGaussian(part, 25.0), Gaussian(25.0, 1.0), 1, why="answer")
        assert payer.left(part) == after
    payer.charge(FilteredGaussian(part, 25.0), Gaussian(25.0, 1.0), 1, why="answer")
    assert payer.left(part) < after
