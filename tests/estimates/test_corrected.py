"""Corrected answers: what is left of second order, and the tilted models by which it is judged."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.errors import InputError
from dp_synth.estimates import Correlation, Mean, OddsRatio, Question, Share, corrected
from dp_synth.estimates.corrected import PART, CorrectedAnswer, corrected_answers, tilt
from dp_synth.inference import independent_model
from dp_synth.schema import Schema
from dp_synth.transcript import AskedSums, Measurement, SumsAnswer

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "paid", "type": "categorical", "categories": ["no", "yes"]},
            {"name": "grade", "type": "ordinal", "size": 4},
        ],
    }
)
ONES = (np.array([500.0, 500.0]), np.array([700.0, 300.0]), np.array([100.0, 200.0, 300.0, 400.0]))
MODEL = independent_model(
    SCHEMA.domain,
    [Measurement((name,), own, 1.0) for name, own in zip(SCHEMA.names, ONES, strict=True)],
)


def answer_to(question: Question, moved: float, *, is_log: bool = False) -> CorrectedAnswer:
    """The answer whose noisy sum says that the influence has so large a mean."""
    model = 1.0 if is_log else 0.3
    numbers = [np.array([number]) for number in (model, 1e-3, 0.0, 0.04)]
    asked = AskedSums((str(question),), ("value",), np.array([is_log]), *numbers)
    values = np.array([moved * 1000 / 1e-3])
    sums = SumsAnswer(PART, "corrections", asked, values, 2**20, 5e3, {})
    [one] = corrected_answers([sums], SCHEMA, MODEL)
    return one


def test_a_tilted_distribution_has_the_means_and_stays_near() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(40))
    weights[:5] = 0
    weights /= weights.sum()
    vectors = rng.normal(size=(40, 3)) * [1.0, 1e-3, 1e4]
    vectors -= weights @ vectors
    goal = np.array([0.3, -2e-4, 1e3])
    found = tilt(weights, vectors, goal)
    assert found is not None
    assert found @ vectors == pytest.approx(goal, rel=1e-6)
    assert found.sum() == pytest.approx(1)
    assert np.all(found[:5] == 0)
    assert np.all(found[5:] > 0)
    # Logarithms of its ratios to the weights are a linear function of the vectors.
    ratios = np.log(found[5:] / weights[5:])
    design = np.c_[np.ones(35), vectors[5:] / [1.0, 1e-3, 1e4]]
    left = ratios - design @ np.linalg.lstsq(design, ratios, rcond=None)[0]
    assert np.abs(left).max() < 1e-8
    same = tilt(weights, vectors, np.zeros(3))
    assert same is not None
    assert same == pytest.approx(weights)


def test_means_that_no_distribution_has_are_not_tilted_to() -> None:
    assert tilt(np.full(4, 0.25), np.array([[-1.0], [-1], [1], [1]]), np.array([1.5])) is None


def test_a_distribution_in_one_cell_is_not_tilted() -> None:
    """All weight is on one cell, so that no exponent moves a mean."""
    weights = np.array([1.0, 0.0, 0.0])
    assert tilt(weights, np.array([[0.5], [1.0], [-1.0]]), np.array([0.7])) is None


def test_what_is_linear_has_no_curvature_and_an_odds_ratio_far_away_has() -> None:
    assert answer_to(Share({"paid": "yes"}), 0.1).curvature < 1e-9
    ratio = OddsRatio({"paid": "yes"}, {"sex": "M"}, {"sex": "F"})
    near, far = (answer_to(ratio, moved, is_log=True) for moved in (0.1, 1.1))
    assert near.curvature < 1e-3
    assert far.curvature > 0.01
    low, high = far.interval()
    assert low < np.exp(1.1) < high
    assert high == pytest.approx(
        far.value * np.exp(1.959964 * np.hypot(far.noise, far.sampling) + far.curvature)
    )


def test_a_correction_beyond_all_distributions_is_judged_from_part_of_the_way() -> None:
    one = answer_to(Share({"paid": "yes"}, {"sex": "F"}), -0.9)
    assert one.value == pytest.approx(0.3 - 0.9)
    assert 0 < one.curvature < 2


def test_intervals_are_of_the_records_or_of_a_population() -> None:
    one = answer_to(Share({"paid": "yes"}), 0.1)
    assert (one.noise, one.sampling) == (pytest.approx(0.005), pytest.approx(0.04**0.5 / 1000**0.5))
    low, high = one.interval(0.9, of_records=True)
    assert high - low == pytest.approx(2 * 1.644854 * 0.005, rel=1e-5)
    assert one.interval(0.9)[0] < low
    with pytest.raises(InputError, match="between 0 and 1"):
        one.interval(95)


def test_a_question_that_is_not_read_back_has_an_interval_of_everything() -> None:
    one = answer_to(Mean("nobody"), 0.1)
    assert one.curvature == float("inf")
    assert one.interval() == (-np.inf, np.inf)
    assert corrected_answers([], SCHEMA, MODEL) == ()
    assert answer_to(Correlation("grade", "grade2"), 0.1).curvature == float("inf")


def test_a_question_of_more_cells_than_a_fit_answers_has_no_known_curvature(monkeypatch) -> None:
    question = Share({"sex": "F"}, {"paid": "no"})
    assert answer_to(question, 0.01).curvature < np.inf
    monkeypatch.setattr(corrected, "MOST_CELLS", 3)
    assert answer_to(question, 0.01).curvature == np.inf
