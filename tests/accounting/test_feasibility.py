"""Too small an epsilon: refused before anything is reserved, with the least that works."""

from __future__ import annotations

import re

import pytest

from dp_synth.accounting import (
    Accountant,
    FilterKind,
    Gaussians,
    Plan,
    PrivacyBudget,
    PrivacyCurve,
    SampledGaussians,
    Selections,
    Votes,
    calibrate,
    calibration,
    compose,
    filters,
)
from dp_synth.accounting.calibration import (
    at_cost,
    infeasible_part,
    min_feasible_rho,
)
from dp_synth.accounting.filters import Filter
from dp_synth.accounting.plan import LARGEST_NOISE
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.formatting import rounded_up
from dp_synth.mechanisms.noise import LARGEST_SCALE

VOTES = Plan({"ones": Gaussians(5, 0.3), "votes": Votes(100, 101, "gaussian", 0.7)})
STEPS = Plan({"ones": Gaussians(5, 0.3), "steps": SampledGaussians(2000, 0.01, 0.7)})
STEPS_ALONE = Plan({"steps": SampledGaussians(4, 0.1)})  # few: a lattice tells their sum at once
ONES = Plan({"ones": Gaussians(5)})
CASES = [
    (VOTES, 1e-9, 1e-6, "votes"),
    (STEPS, 1e-12, 1e-9, "ones"),
    (STEPS_ALONE, 1e-12, 1e-9, "steps"),
    (ONES, 1e-12, 1e-9, "ones"),
]


def least_named(error: pytest.ExceptionInfo[InputError]) -> float:
    message = str(error.value)
    assert "\n" not in message
    found = re.search(r"least epsilon that works at this delta is (\S+)$", message)
    assert found, message
    return float(found[1])


@pytest.mark.parametrize(("plan", "delta", "epsilon", "part"), CASES)
def test_the_least_epsilon_that_is_named_works_and_nine_tenths_of_it_do_not(
    plan: Plan, delta: float, epsilon: float, part: str
) -> None:
    with pytest.raises(InputError, match=f"too small for 'x': its part '{part}'") as error:
        calibrate({"x": (plan, 1.0)}, PrivacyBudget(epsilon, delta))
    least = least_named(error)
    ready = calibrate({"x": (plan, 1.0)}, PrivacyBudget(least, delta))["x"]
    assert 0.9 * least < compose(ready.events()).epsilon(delta) <= least
    assert infeasible_part({"x": ready}, PrivacyBudget(least, delta)) is None
    with pytest.raises(InputError, match="is too small for 'x'"):
        calibrate({"x": (plan, 1.0)}, PrivacyBudget(0.9 * least, delta))


@pytest.mark.parametrize(("epsilon", "delta"), [(1e-6, 1e-9), (1e-9, 1e-9), (1e-30, 1e-30)])
def test_no_epsilon_is_too_small_to_be_refused_in_one_line(epsilon: float, delta: float) -> None:
    with pytest.raises(InputError, match="the least epsilon that works"):
        calibrate({"x": (VOTES, 1.0)}, PrivacyBudget(epsilon, delta))


def test_nothing_is_reserved_when_epsilon_is_too_small(tmp_path) -> None:
    accountant = Accountant(PrivacyBudget(1e-6, 1e-9), ledger=tmp_path / "ledger.jsonl")
    with pytest.raises(InputError, match="too small for 'pategan'"):
        accountant.admit("pategan", VOTES)
    assert accountant.ledger.entries == ()
    assert not (tmp_path / "ledger.jsonl").exists()


@pytest.mark.parametrize("adaptive", [False, "zcdp", "gdp"])
def test_a_hopeless_budget_is_refused_after_few_curves(
    adaptive: bool | FilterKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def counted(events) -> PrivacyCurve:
        asked.append(curve := compose(events))
        return curve

    for module in (calibration, filters):
        monkeypatch.setattr(module, "compose", counted)
    with pytest.raises(InputError, match="too small for 'x'") as error:
        Accountant(PrivacyBudget(1e-9, 1e-12), adaptive=adaptive).admit("x", STEPS_ALONE)
    assert 1e-9 < least_named(error) < 1e-5
    assert 0 < len(asked) <= 5


def test_the_plan_that_says_nothing_is_named_among_several() -> None:
    with pytest.raises(InputError, match="too small for 'second'") as error:
        calibrate({"first": (ONES, 1.0), "second": (VOTES, 2.0)}, PrivacyBudget(1e-6, 1e-9))
    least = least_named(error)
    calibrate({"first": (ONES, 1.0), "second": (VOTES, 2.0)}, PrivacyBudget(least, 1e-9))


@pytest.mark.parametrize("currency", ["zcdp", "gdp"])
def test_a_filter_too_small_names_the_least_epsilon_of_one(currency) -> None:
    selecting = Plan({"ones": Gaussians(3), "tree": Selections(1)})
    plan, epsilon = (VOTES, 1e-6) if currency == "zcdp" else (selecting, 1e-12)

    def admitted(epsilon: float) -> dict[str, Plan]:
        rule = Filter(PrivacyBudget(epsilon, 1e-15), currency, 1e-17)
        return at_cost({"x": (plan, 1.0)}, rule.limit, rule)

    with pytest.raises(InputError, match="too small for 'x'") as error:
        admitted(epsilon)
    least = least_named(error)
    assert infeasible_part(admitted(least), PrivacyBudget(least, 1e-15)) is None
    with pytest.raises(InputError, match="too small for 'x'"):
        admitted(0.9 * least)


def test_a_filter_with_nothing_left_is_spent_and_not_too_small() -> None:
    accountant = Accountant(PrivacyBudget(1.0, 1e-6), adaptive=True)
    accountant.admit("first", ONES)
    with pytest.raises(BudgetExceeded, match="left; nothing was released"):
        accountant.admit("second", VOTES)


def test_a_large_delta_needs_no_epsilon_to_speak_of() -> None:
    ready = calibrate({"x": (ONES, 1.0)}, PrivacyBudget(1e-30, 1e-5))["x"]
    assert ready.gaussians("ones").event().stddev < 1e6


def test_what_is_refused_before_is_what_could_not_be_drawn() -> None:
    assert LARGEST_NOISE == LARGEST_SCALE


def test_what_is_named_is_never_below_what_works() -> None:
    for epsilon in (1.0, 0.0123456, 9.99e-9, 1.00001e-5):
        assert epsilon < float(rounded_up(epsilon * 1.002, 3)) < 1.013 * epsilon


def test_the_noise_that_stands_in_for_a_misled_search_is_itself_within_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget = PrivacyBudget(1.0, 1e-6)
    least = min_feasible_rho(((ONES, 1.0),), budget)

    class Cliff:
        """A curve that meets the budget at the least cost and at no larger one."""

        def __init__(self, events) -> None:
            self.rho = sum(event.rho * count for event, count in events)

        def epsilon(self, delta: float) -> float:
            return 1.0 if self.rho <= least * (1 + 1e-12) else 1.1

    monkeypatch.setattr(calibration, "compose", Cliff)
    monkeypatch.setattr(calibration, "_total_rho", lambda *_: 1e-50)
    with pytest.raises(InputError, match="too small for 'x'"):
        calibrate({"x": (ONES, 1.0)}, budget)
