"""Checks without statistics pass what is right, and name what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.accounting import Accountant, Entry, Event, Gaussian, Ledger, PrivacyBudget, compose
from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.accounting.events import Laplace, NoisyVote, SampledGaussian
from dp_synth.audit import worst_case
from dp_synth.audit.checks import (
    REGIMES,
    accountant_is_certified,
    answers_are_charged,
    fresh_randomness,
    least_epsilon,
    ledger_adds_up,
    on_a_fixed_grid,
    one_record_moves_one_teacher,
    sampled_by_poisson,
    schema_ignores_data,
    shares_sum_to_one,
    stages_within,
    teachers_are_disjoint,
)
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.mechanisms.pate import Questions, ballots
from dp_synth.transcript import MarginalAnswer

BUDGET = PrivacyBudget(1.0, 1e-5)
DESIGN = worst_case()
SYNTHESIZERS = [
    dps.Independent(),
    dps.MST(),
    dps.CliqueTree(),
    dps.AIM(),
    dps.PrivBayes(),
    dps.MWEM(rounds=2),
]


@pytest.fixture(scope="module", params=SYNTHESIZERS, ids=lambda synthesizer: synthesizer.name)
def release(request: pytest.FixtureRequest) -> dps.Release:
    found: dps.Release = request.param.fit(DESIGN.inside, DESIGN.schema, BUDGET, seed=0)
    return found


def test_every_answer_of_our_own_releases_is_charged(release: dps.Release) -> None:
    finding = answers_are_charged(release.ledger, release.transcript)
    assert finding.passed, finding
    assert len(release.transcript) > 0


def test_an_answer_more_than_charges_is_found(release: dps.Release) -> None:
    more = (*release.transcript, release.transcript[0])
    assert not answers_are_charged(release.ledger, more).passed
    assert not answers_are_charged(Ledger(BUDGET), release.transcript).passed


def test_an_answer_with_less_noise_than_charged_is_found() -> None:
    release = dps.MST().fit(DESIGN.inside, DESIGN.schema, BUDGET, seed=0)
    first, *others = release.transcript
    assert isinstance(first, MarginalAnswer)
    quiet = replace(first, stddev=0.9 * first.stddev)
    finding = answers_are_charged(release.ledger, [quiet, *others])
    assert not finding.passed
    assert "less noise" in finding.sentence


def test_our_own_ledgers_add_up(release: dps.Release) -> None:
    finding = ledger_adds_up(release.ledger, epsilon=release.epsilon)
    assert finding.passed, finding


@pytest.mark.parametrize("currency", ["zcdp", "gdp"])
def test_ledgers_of_filters_add_up(currency: str) -> None:
    accountant = Accountant(BUDGET, adaptive=currency)  # type: ignore[arg-type]
    dps.MST().fit(DESIGN.inside, DESIGN.schema, accountant.portion(0.5), seed=0)
    aim = dps.AIM(all_gaussian=currency == "gdp")
    aim.fit(DESIGN.inside, DESIGN.schema, accountant, seed=0)
    assert ledger_adds_up(accountant.ledger).passed


def test_a_charge_more_than_was_reserved_is_found(release: dps.Release) -> None:
    ledger = release.ledger
    for charge in ledger.charges:
        twice = replace(ledger, entries=(*ledger.entries, *[charge] * (1000 * charge.count)))
        assert not ledger_adds_up(twice).passed
    stranger = replace(ledger.charges[0], part="another")
    assert not ledger_adds_up(replace(ledger, entries=(*ledger.entries, stranger))).passed


@pytest.mark.parametrize(
    ("planned", "dearer"),
    [
        (Gaussian(4.0, 1.0), Gaussian(3.9, 1.0)),
        (SampledGaussian(2.0, 0.1, 10), SampledGaussian(2.0, 0.2, 10)),
        (SampledGaussian(2.0, 0.1, 10), SampledGaussian(2.0, 0.1, 11)),
        (NoisyVote("gaussian", 30.0, 11), NoisyVote("gaussian", 29.0, 11)),
    ],
)
def test_a_charge_that_is_dearer_than_its_reservation_is_found(
    planned: Event, dearer: Event
) -> None:
    reservation = Entry("reservation", "mine", "part", planned, 1, "plan", "os")
    charge = replace(reservation, kind="charge")
    assert ledger_adds_up(Ledger(BUDGET, (reservation, charge))).passed
    assert not ledger_adds_up(Ledger(BUDGET, (reservation, replace(charge, event=dearer)))).passed


def test_a_ledger_beyond_its_budget_or_what_was_stated_is_found(release: dps.Release) -> None:
    smaller = replace(release.ledger, budget=replace(BUDGET, epsilon=0.9))
    assert not ledger_adds_up(smaller).passed
    assert not ledger_adds_up(release.ledger, epsilon=0.9).passed


def test_shares_and_stages_beyond_the_whole_are_found() -> None:
    assert shares_sum_to_one({"a": 0.25, "b": 0.75}).passed
    assert not shares_sum_to_one({"a": 0.5, "b": 0.5, "c": 1 / 3}).passed
    assert not shares_sum_to_one({"a": -0.5, "b": 1.5}).passed
    stages = {"a": [(Gaussian(6.0, 1.0), 2)], "b": [(Gaussian(8.0, 1.0), 1)]}
    whole = compose([*stages["a"], *stages["b"]]).epsilon(1e-5)
    assert stages_within(stages, whole, 1e-5).passed
    assert not stages_within(stages, 0.999 * whole, 1e-5).passed


def test_a_release_from_a_constant_seed_is_found() -> None:
    def fit(seed: int | None) -> object:
        release = dps.Independent().fit(DESIGN.inside, DESIGN.schema, BUDGET, seed=seed)
        return [answer.values for answer in release.transcript]  # type: ignore[union-attr]

    assert fresh_randomness(lambda: fit(None)).passed
    assert not fresh_randomness(lambda: fit(0)).passed


@pytest.mark.parametrize(
    "output",
    [
        pd.DataFrame({"a": [1, 2]}),
        pd.Series([1.0, 2.0]),
        np.array([1.0, 2.0]),
        {"a": np.array([1.0])},
        [(np.array([1.0]), "x")],
        "text",
    ],
    ids=["frame", "series", "array", "dict", "nested", "text"],
)
def test_outputs_of_any_kind_are_compared(output: object) -> None:
    outputs = iter([output, output, output, 1.5])
    assert not fresh_randomness(lambda: next(outputs)).passed
    assert fresh_randomness(lambda: next(outputs)).passed


def test_one_call_says_nothing_about_randomness() -> None:
    with pytest.raises(InputError, match="2 calls or more"):
        fresh_randomness(lambda: 0, calls=1)


def test_categories_of_the_data_are_told_from_those_of_a_schema() -> None:
    listed = schema_ignores_data(lambda _: DESIGN.schema.domain, DESIGN.inside, DESIGN.outside)
    assert listed.passed
    more = pd.concat([DESIGN.outside, DESIGN.outside.assign(c1="other")])
    seen = schema_ignores_data(lambda frame: set(frame["c1"]), DESIGN.outside, more)
    assert not seen.passed


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_poisson_samples_pass_and_other_batches_do_not(rate: float) -> None:
    rng = np.random.default_rng(0)
    steps, records = 60, 300
    coins = rng.random((steps, records)) < rate
    assert sampled_by_poisson(coins, rate).passed
    size = round(rate * records)
    fixed = np.argsort(rng.random((steps, records)), axis=1) < size
    finding = sampled_by_poisson(fixed, rate)
    assert not finding.passed
    assert "sizes of batches" in finding.sentence
    assert not sampled_by_poisson(coins, rate * 1.5).passed


def test_right_samplers_are_almost_never_accused() -> None:
    """At a level of 1 %, 1,000 right samplers raise 27 alarms with a chance below 1e-5."""
    rng = np.random.default_rng(0)
    alarms = sum(
        not sampled_by_poisson(rng.random((40, 50)) < 0.1, 0.1, false_alarm=0.01).passed
        for _ in range(1000)
    )
    assert alarms <= 26


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(InputError, match="30 steps and records or more"):
        sampled_by_poisson(np.ones((10, 100)), 0.5)


def test_teachers_that_share_records_or_are_one_are_found() -> None:
    assert teachers_are_disjoint([[0, 1], [2], []], [object(), object(), object()]).passed
    assert not teachers_are_disjoint([[0, 1], [1, 2]]).passed
    assert teachers_are_disjoint([[0, 0], [1, 1]]).passed  # a record asked twice by one teacher
    teacher = object()
    assert not teachers_are_disjoint([[0], [1]], [teacher, teacher]).passed


def test_one_record_moves_one_of_our_own_teachers() -> None:
    rng = np.random.default_rng(0)
    records = rng.integers(0, 2, (20, 3)).astype(np.int32)
    teacher = rng.integers(0, 5, 20)
    asked = rng.integers(0, 2, (100, 3)).astype(np.int32)
    questions = Questions(asked, np.zeros(100, dtype=np.int64), 1 - asked[:, 0].astype(np.int64))
    reference, coins = [np.array([0.5, 0.5])] * 3, rng.random((5, 100)) < 0.5
    votes = ballots(records, teacher, questions, reference, coins)
    changed = 0
    for row in range(len(records)):
        others = np.arange(len(records)) != row
        without = ballots(records[others], teacher[others], questions, reference, coins)
        assert one_record_moves_one_teacher(votes, without).passed
        changed += not np.array_equal(votes, without)
    assert changed
    parted_anew = ballots(records[1:], rng.permutation(teacher[1:]), questions, reference, coins)
    assert not one_record_moves_one_teacher(votes, parted_anew).passed


def test_our_own_curves_are_certified_and_tight() -> None:
    def ours(event: Event, count: int, delta: float) -> float:
        return compose([(event, count)]).epsilon(delta)

    assert accountant_is_certified(ours).passed
    for event, count in REGIMES:
        assert ours(event, count, 1e-5) <= 1.02 * least_epsilon(event, count, 1e-5)


@pytest.mark.parametrize("event", [Gaussian(1.0, 1.0), Laplace(2.0, 1.0)])
def test_an_accountant_that_drops_a_count_is_found(event: Event) -> None:
    finding = accountant_is_certified(
        lambda event, count, delta: compose([(event, 1)]).epsilon(delta), [(event, 5)]
    )
    assert not finding.passed


def test_a_regime_without_a_lower_bound_is_refused() -> None:
    assert least_epsilon(Gaussian(2.0, 1.0), 4, 1e-5) == gaussian_epsilon(1.0, 1e-5)
    with pytest.raises(UnsupportedEvent, match="optimistic"):
        least_epsilon(NoisyVote("gaussian", 3.0, 11), 1, 1e-5)


def test_outputs_off_a_grid_are_found() -> None:
    assert on_a_fixed_grid([1.0, -7.0, 0.0]).passed
    assert on_a_fixed_grid([0.25, 1.5], unit=0.25).passed
    assert not on_a_fixed_grid([0.25, 1.5]).passed
