"""Budgets that are a risk: the least noise at which no attack exceeds it, and how it is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

import dp_synth as dps
from dp_synth.accounting import (
    Accountant,
    FilterKind,
    Gaussian,
    Gaussians,
    Ledger,
    NonPrivate,
    Plan,
    PrivacyBudget,
    PrivacyCurve,
    RiskTarget,
    SampledGaussians,
    Selections,
    Unbounded,
    calibrate,
    compose,
    read_ledger,
    with_noise,
)
from dp_synth.accounting import budget as budgets
from dp_synth.accounting.accountant import accountant_of
from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.accounting.calibration import CACHE_VARIABLE, least_factor, noise_factor
from dp_synth.accounting.events import Laplace, Pure, SampledGaussian, ThresholdedGaussian
from dp_synth.accounting.filters import curve_of, limit
from dp_synth.accounting.risk_target import largest_advantage, largest_tpr
from dp_synth.domain import Domain
from dp_synth.errors import BudgetExceeded, InputError, LedgerError
from dp_synth.synthesizers import SYNTHESIZERS

RISKS = (
    {"advantage": 0.1},
    {"advantage": 0.4},
    {"tpr": 0.2, "fpr": 0.1},
    {"reidentification": 0.05, "baseline": 0.01},
)
HAIR = 1e-5  # of the noise: more than calibration leaves unused
DOMAIN = Domain(("a", "b", "c"), (3, 4, 2))
PLAN = Plan({"ones": Gaussians(3), "choices": Selections(2, 0.5), "pairs": Gaussians(2)})


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "")


@pytest.mark.parametrize(
    "risk",
    [
        RiskTarget(advantage=0.1),
        RiskTarget(advantage=0.9),
        RiskTarget(tpr=0.2, fpr=0.1),
        RiskTarget(reidentification=0.5, baseline=0.001),
    ],
    ids=str,
)
def test_few_curves_are_composed_until_a_risk_is_met_and_none_is_passed(
    risk: RiskTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A curve of many choices takes most of a second."""
    asked, known = [], RiskTarget.largest

    def largest(self: RiskTarget, curve: PrivacyCurve) -> float:
        asked.append(curve)
        return known(self, curve)

    monkeypatch.setattr(RiskTarget, "largest", largest)
    plan = Plan({"pick": Selections(3), "steps": SampledGaussians(77, 0.0321)})
    ready = calibrate({"one": (plan, 1.0)}, PrivacyBudget.of_risk(risk))["one"]
    assert len(asked) <= 6
    assert 1 - 2e-6 < known(risk, compose(ready.events())) / risk.most <= 1


@pytest.mark.parametrize("advantage", [0.001, 0.1, 0.5, 0.95])
def test_the_noise_of_one_gaussian_is_that_of_the_closed_form(advantage: float) -> None:
    budget = PrivacyBudget.from_risk(advantage=advantage)
    plan = calibrate({"one": (Plan({"one": Gaussians(1)}), 1.0)}, budget)["one"]
    mu = 1 / plan.gaussians("one").event().noise_multiplier
    exact = 2 * norm.ppf((1 + advantage) / 2)
    assert exact * (1 - 1e-6) < mu <= exact * (1 + 1e-12)
    assert 2 * norm.cdf(mu / 2) - 1 <= advantage * (1 + 1e-12)


@pytest.mark.parametrize("mu", [0.01, 0.25, 1.0, 4.0])
def test_the_largest_tpr_of_a_gaussian_is_that_of_the_neyman_pearson_test(mu: float) -> None:
    curve = compose([(Gaussian(1 / mu, 1.0), 1)])
    for fpr in (1e-6, 1e-3, 0.05, 0.5, 0.9, 0.9999):
        exact = norm.cdf(norm.ppf(fpr) + mu)
        assert exact * (1 - 1e-12) <= largest_tpr(curve, fpr) <= exact * (1 + 1e-8) + 1e-12
    assert largest_advantage(curve) == pytest.approx(2 * norm.cdf(mu / 2) - 1, rel=1e-11)


def test_the_largest_tpr_of_answers_at_random_is_that_of_every_outcome_in_order() -> None:
    """Brute force: outcomes of three randomized responses, those that tell most accused first."""
    epsilon = 0.7
    right = 1 / (1 + np.exp(-epsilon))
    outcomes = list(itertools.product((0, 1), repeat=3))
    in_world = np.array([np.prod([right if o else 1 - right for o in out]) for out in outcomes])
    out_world = np.array([np.prod([1 - right if o else right for o in out]) for out in outcomes])
    order = np.argsort(-in_world / out_world)
    fprs = np.concatenate([[0.0], np.cumsum(out_world[order])])
    tprs = np.concatenate([[0.0], np.cumsum(in_world[order])])
    curve = compose([(Pure(epsilon), 3)])
    for fpr in (0.01, 0.1, 0.3, 0.5, 0.8):
        exact = float(np.interp(fpr, fprs, tprs))
        assert exact - 1e-12 <= largest_tpr(curve, fpr) <= exact + 1e-4
    assert largest_advantage(curve) == pytest.approx(np.max(tprs - fprs), abs=1e-4)


CURVES = {
    "sampled": [(SampledGaussian(1.2, 0.01, 500), 1)],
    "gaussian and laplace": [(Gaussian(4.0, 1.0), 2), (Laplace(5.0, 1.0), 3)],
    "thresholds": [(ThresholdedGaussian(4.0, 1.0, 1e-4), 3)],
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("fpr", [1e-4, 0.1, 0.7])
def test_one_point_is_no_looser_than_the_whole_curve_and_never_below_its_tangents(
    name: str, fpr: float
) -> None:
    curve = compose(CURVES[name])
    found = largest_tpr(curve, fpr)
    assert found <= float(curve.tpr(np.array([fpr]))[0]) * (1 + 1e-9)
    epsilons = np.linspace(0, 12, 4001)  # all tangents; the least is the curve
    deltas, gains = curve.deltas(epsilons), np.exp(epsilons)
    bounds = np.minimum(deltas + gains * fpr, 1 - (1 - deltas - fpr) / gains)
    assert found == pytest.approx(float(bounds.min()), rel=1e-4)


@pytest.mark.parametrize("fields", RISKS, ids=lambda fields: "-".join(fields))
@pytest.mark.parametrize("method", ["mst", "clique_tree", "dpctgan", "pategan", "aim", "privbayes"])
def test_a_plan_keeps_its_risk_and_a_hair_less_noise_breaks_it(
    method: str, fields: dict[str, float]
) -> None:
    budget = PrivacyBudget.from_risk(**fields)
    plan = SYNTHESIZERS[method]().charges(DOMAIN).under(budget)
    curve = compose(calibrate({method: (plan, 1.0)}, budget)[method].events())
    assert budget.risk is not None
    assert budget.target * (1 - 1e-6) <= budget.risk.largest(curve) <= budget.target
    less = {name: _less(plan, budget) for name in (method,)}
    assert budget.risk.largest(less[method]) > budget.target


def _less(plan: Plan, budget: PrivacyBudget) -> PrivacyCurve:
    """Return the curve of a plan with a hair less noise than calibration finds."""
    ready = calibrate({"plan": (plan, 1.0)}, budget)["plan"]
    events = [
        (replace(event, noise_multiplier=event.noise_multiplier * (1 - HAIR)), count)
        if hasattr(event, "noise_multiplier")
        else (event, count)
        for event, count in ready.events()
    ]
    return compose(events)


def test_the_advantage_is_the_delta_at_epsilon_zero_so_that_this_route_is_as_good() -> None:
    events = [(Gaussian(1.0, 1.0), 3), (SampledGaussian(1.0, 0.01, 200), 1)]
    direct = least_factor(events, PrivacyBudget.from_risk(advantage=0.1))
    assert noise_factor(events, 1e-6, 0.1) == pytest.approx(direct, rel=1e-4)
    customary = noise_factor(events, np.log((1.1 - 2e-5) / 0.9), 1e-5)
    assert customary > 1.25 * direct  # a fifth less noise, and more


def test_with_noise_scaled_by_the_factor_events_keep_the_risk_exactly() -> None:
    events = [(Gaussian(1.0, 1.0), 3), (Pure(0.3), 2)]
    for fields in RISKS:
        budget = PrivacyBudget.from_risk(**fields)
        factor = least_factor(events, budget)
        assert budget.cost(with_noise(compose(events), factor)) <= budget.target
        assert budget.cost(with_noise(compose(events), factor * (1 - HAIR))) > budget.target


def test_joint_plans_keep_one_risk_together() -> None:
    accountant = Accountant(PrivacyBudget.from_risk(tpr=0.3, fpr=0.1))
    accountant.admit_jointly({"first": (PLAN, 1.0), "second": (PLAN, 2.0)})
    ledger = accountant.ledger
    assert 0.3 * (1 - 1e-6) <= ledger.cost <= 0.3
    assert ledger.cost == largest_tpr(ledger.curve, 0.1)
    assert ledger.is_within


def test_turns_end_each_at_its_own_risk() -> None:
    budget = PrivacyBudget.from_risk(advantage=0.3)
    turns = [(dps.MST(), 0.1), (dps.Independent(), 0.3)]
    accountant = Accountant(budget, planned=turns)
    accountant.turn(dps.MST(), DOMAIN)
    so_far, whole = accountant.ledger_so_far, accountant.ledger
    assert 0.1 * (1 - 1e-6) <= so_far.advantage <= 0.1
    assert 0.3 * (1 - 1e-6) <= whole.advantage <= 0.3
    with pytest.raises(ValueError, match=r"at most advantage 0\.3, got"):
        Accountant(budget, planned=[(dps.MST(), 0.4)])
    reached = PrivacyBudget.from_risk(tpr=0.3, fpr=0.1)
    with pytest.raises(InputError, match="tpr must be above fpr"):
        Accountant(reached, planned=[(dps.MST(), 0.05), (dps.MST(), 0.2)])


@pytest.mark.parametrize("currency", ["gdp", "zcdp"])
@pytest.mark.parametrize("fields", RISKS, ids=lambda fields: "-".join(fields))
def test_a_filter_certifies_its_whole_limit_and_a_hair_more_would_break_it(
    currency: FilterKind, fields: dict[str, float]
) -> None:
    budget, apart = PrivacyBudget.from_risk(**fields, delta=1e-6), 2e-8
    assert budget.risk is not None
    amount = limit(budget, currency, apart)
    assert budget.risk.largest(curve_of(amount, currency, apart)) <= budget.target
    assert budget.risk.largest(curve_of(amount * 1.0001, currency, apart)) > budget.target
    accountant = Accountant(budget, adaptive=currency)
    half = budget.risk.at + (budget.target - budget.risk.at) / 2
    accountant.portion(risk=half).admit_jointly({"first": (PLAN, 1.0)})
    assert accountant.ledger.cost <= budget.target
    asked = accountant.ledger.target_left
    assert half < asked < budget.target
    accountant.portion(risk=asked).admit_jointly({"second": (PLAN, 1.0)})
    with pytest.raises(BudgetExceeded, match=f"take a budget of {budget.kind}"):
        accountant.portion(risk=half).admit_jointly({"third": (PLAN, 1.0)})
    assert accountant.ledger.is_within
    with pytest.raises(InputError, match="ask for a portion by its risk"):
        accountant.portion(0.5)
    with pytest.raises(InputError, match="ask for a portion by its epsilon"):
        Accountant(PrivacyBudget(1, 1e-6), adaptive=True).portion(risk=0.1)


def test_what_has_no_guarantee_is_refused_by_a_risk() -> None:
    plan = Plan({"ones": Gaussians(1), "told": Unbounded("all is told", 1.0)})
    with pytest.raises(InputError, match="has no guarantee to give"):
        Accountant(PrivacyBudget.from_risk(advantage=0.1)).admit("fit", plan)
    told = compose([(NonPrivate("all is told"), 1)])
    assert largest_advantage(told) == largest_tpr(told, 0.1) == 1.0


def test_too_small_a_risk_names_the_least_that_works() -> None:
    budget = PrivacyBudget.from_risk(advantage=1e-11, delta=1e-13)
    with pytest.raises(InputError, match=r"advantage 1e-11 is too small for 'fit'.*least adv") as e:
        calibrate({"fit": (Plan({"ones": Gaussians(3)}), 1.0)}, budget)
    least = float(str(e.value).split()[-1])
    calibrate({"fit": (Plan({"ones": Gaussians(3)}), 1.0)}, budget.until(least))


def _release(path: Path) -> Ledger:
    accountant = Accountant(PrivacyBudget.from_risk(advantage=0.1), ledger=path)
    accountant.admit("fit", PLAN)
    return accountant.ledger


def test_a_ledger_on_disk_keeps_its_risk(tmp_path: Path) -> None:
    written = _release(tmp_path / "l.jsonl")
    found = read_ledger(tmp_path / "l.jsonl")
    assert found.budget == written.budget
    assert found.cost == written.cost <= 0.1
    assert found.header()["version"] == 5
    assert "risk" not in Ledger(PrivacyBudget(1, 1e-9)).header()  # as earlier versions wrote it
    assert Ledger.from_fields(found.to_fields()) == found
    said = found.summary()[0]
    assert said.startswith("advantage 0.1 of 0.1, epsilon ")
    assert "mu 0.2" in said
    assert "regret" in said
    assert "Any attack on one record has at most advantage 0.1." in found.statement()
    for broken in ({"advantage": 0.2}, {"advantage": -1}, {"luck": 0.1}, 3, None):
        with pytest.raises(LedgerError, match="the budget in its head is not one"):
            Ledger.from_fields({**found.to_fields(), "risk": broken})


def test_a_run_on_a_ledger_of_another_kind_of_budget_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    Accountant(PrivacyBudget.from_risk(advantage=0.2), ledger=path, adaptive=True).open()
    for other, said in (
        (PrivacyBudget(1, 1e-9), "advantage 0.2, not epsilon 1 at delta 1e-09"),
        (PrivacyBudget.from_risk(tpr=0.2, fpr=0.1), "advantage 0.2, not tpr 0.2 at fpr 0.1"),
        (PrivacyBudget.from_risk(advantage=0.1, delta=1e-6), "delta 1e-09, not 1e-06"),
    ):
        with pytest.raises(InputError, match=said):
            accountant_of(other, path)
    portion = accountant_of(PrivacyBudget.from_risk(advantage=0.1), path)
    assert portion.check({"fit": (PLAN, 1.0)})


def test_what_is_left_of_a_filter_is_never_a_risk_that_no_noise_reaches() -> None:
    accountant = Accountant(PrivacyBudget.from_risk(tpr=0.11, fpr=0.1), adaptive=True)
    plan = Plan({"ones": Gaussians(1)})
    accountant.admit("most", plan, amount=0.99995 * accountant.left())
    assert accountant.left() > 0
    assert (accountant.ledger.target_left, accountant.ledger.epsilon_left) == (0, 0)
    assert "no run fits" in accountant.ledger.summary()[0]


@pytest.mark.parametrize("adaptive", [False, True], ids=["planned", "adaptive"])
def test_a_ledger_goes_on_where_an_epsilon_is_rounded_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adaptive: bool
) -> None:
    """As on another machine: the epsilon that is told beside a risk binds nothing."""
    path = tmp_path / "l.jsonl"
    Accountant(PrivacyBudget.from_risk(advantage=0.2), ledger=path, adaptive=adaptive).open()
    monkeypatch.setattr(
        budgets, "gaussian_epsilon", lambda *of: gaussian_epsilon(*of) * (1 + 1e-12)
    )
    again = PrivacyBudget.from_risk(advantage=0.2)
    assert accountant_of(again, path).check({"fit": (PLAN, 1.0)})
    assert Accountant(again, ledger=path, adaptive=adaptive).check({"fit": (PLAN, 1.0)})


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "advantage 0": (lambda: RiskTarget(advantage=0.0), "which no noise reaches"),
    "advantage 1": (lambda: RiskTarget(advantage=1.0), "which needs none"),
    "nan": (lambda: RiskTarget(advantage=float("nan")), "advantage must lie above 0"),
    "tpr at most fpr": (lambda: RiskTarget(tpr=0.1, fpr=0.1), "tpr must be above fpr"),
    "fpr 0": (lambda: RiskTarget(tpr=0.1, fpr=0.0), "fpr above 0"),
    "baseline": (
        lambda: RiskTarget(reidentification=0.1, baseline=0.2),
        "reidentification must be above baseline",
    ),
    "two": (lambda: RiskTarget(advantage=0.1, fpr=0.1), "got advantage, fpr"),
    "none": (RiskTarget, "got nothing"),
    "lone": (lambda: RiskTarget(tpr=0.1), "got tpr"),
    "text": (lambda: RiskTarget.parse("advantage"), "got 'advantage'"),
    "twice": (lambda: RiskTarget.parse("tpr=.1,tpr=.2"), "got 'tpr=.1,tpr=.2'"),
    "word": (lambda: RiskTarget.parse("advantage=low"), "must be a number, got 'low'"),
    "unknown": (lambda: RiskTarget.parse("adventage=.1"), "no risk 'adventage'.*advantage"),
    "below delta": (
        lambda: PrivacyBudget.from_risk(advantage=1e-10),
        "below what delta 1e-09 can tell",
    ),
    "no delta": (lambda: PrivacyBudget.from_risk(advantage=0.1, delta=0.0), r"in \(0, 1\), got 0"),
    "other epsilon": (
        lambda: PrivacyBudget(1.0, 1e-9, risk=RiskTarget(advantage=0.1)),
        "epsilon 1 is not that of advantage 0.1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_risk_that_no_noise_reaches_or_that_is_none_is_refused_in_one_line(name: str) -> None:
    make, said = WRONG[name]
    with pytest.raises(ValueError, match=said) as refused:
        make()
    assert "\n" not in str(refused.value)
