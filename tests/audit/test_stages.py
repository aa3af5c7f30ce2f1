"""The claim of a stage bounds every run of it, however runs were charged."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from dp_synth.accounting import Gaussian, PrivacyCurve, Selection, compose
from dp_synth.accounting.events import Laplace
from dp_synth.audit.auditor import Charges, dearest

Floats = NDArray[np.float64]
ROUNDING = 1e-9
DELTAS = (1e-2, 1e-5, 1e-8)
RUNS: tuple[Charges, ...] = (
    ((Selection(0.8), 1), (Selection(2.0), 1)),
    ((Selection(1.5), 2),),
    ((Selection(0.5), 3),),
)


def choice(range_: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the chances of four candidates in two tables, whose odds move within ``range_``."""
    odds = rng.normal(0, 1, 4)
    moved = rng.uniform(-range_ / 2, range_ / 2, 4)
    moved[:2] = np.array([-1, 1]) * range_ / 2
    here, there = np.exp(log_softmax(odds + moved)), np.exp(log_softmax(odds))
    return here, there


def roc(ranges: list[float], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the exact ROC curve of the likelihood ratio of independent choices."""
    pairs = [choice(range_, rng) for range_ in ranges]
    here, there = (
        functools.reduce(np.multiply.outer, side).ravel() for side in zip(*pairs, strict=True)
    )
    order = np.argsort(-here / there)
    return np.cumsum(there[order]), np.cumsum(here[order])


def excess(claim: PrivacyCurve, ranges: list[float], rng: np.random.Generator) -> float:
    fpr, tpr = roc(ranges, rng)
    return float(np.max(tpr - claim.tpr(fpr)))


def ranges_of(run: Charges) -> list[float]:
    return [event.epsilon for event, n in run for _ in range(n) if isinstance(event, Selection)]


def test_choices_of_smaller_and_fewer_ranges_stay_below_the_claim_in_any_order() -> None:
    claim, rng = dearest(RUNS), np.random.default_rng(0)
    for run in RUNS:
        for _ in range(20):
            ranges = rng.permutation(ranges_of(run)) * rng.uniform(0.5, 1)
            assert excess(claim, list(ranges), rng) <= ROUNDING


def test_choices_of_larger_ranges_exceed_the_claim() -> None:
    claim, rng = dearest([((Selection(0.5), 3),)]), np.random.default_rng(0)
    assert max(excess(claim, [1.5, 1.5, 1.5], rng) for _ in range(20)) > 0.01


def test_the_claim_of_choices_is_that_of_the_largest_range_at_each_rank() -> None:
    expected = compose([(Selection(2.0), 1), (Selection(1.5), 1), (Selection(0.5), 1)])
    assert dearest(RUNS) == expected
    for run in RUNS:
        for delta in DELTAS:
            assert compose(run).epsilon(delta) <= dearest(RUNS).epsilon(delta)


def test_a_run_that_dominates_all_others_is_the_claim_itself() -> None:
    most = ((Selection(1.5), 2),)
    assert dearest([most, ((Selection(1.5), 1),), ((Selection(1.0), 2),), ()]) == compose(most)


def test_of_gaussian_answers_the_largest_mu_is_the_claim() -> None:
    many, few = ((Gaussian(2.0, 1.0), 4),), ((Gaussian(1.5, 1.0), 1),)
    assert dearest([few, many]).mu == pytest.approx(1.0)
    assert dearest([few]).mu == pytest.approx(1 / 1.5)


def test_of_other_charges_each_is_taken_as_often_as_where_it_is_most() -> None:
    one, other = Laplace(2.0, 1.0), Laplace(3.0, 1.0)
    claim = dearest([((one, 2),), ((one, 1), (other, 1)), ()])
    assert dict(claim.events) == {one: 2, other: 1}
