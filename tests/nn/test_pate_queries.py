"""The student learns from pairs which records are real, and makes records of that kind."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.domain import Domain
from dp_synth.mechanisms.pate import Questions
from dp_synth.nn.pate_queries import Student, independent_records
from dp_synth.transcript import Measurement

REFERENCE = [np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4])]


def taught(pairs: int = 400) -> Student:
    """Taught that the second attribute is 1 exactly where the first is 2."""
    rng = np.random.default_rng(0)
    better = independent_records(REFERENCE, pairs, rng)
    better[:, 1] = better[:, 0] == 2
    worse = better.copy()
    worse[:, 1] = 1 - worse[:, 1]
    return Student.taught(REFERENCE, better, worse, np.ones(pairs, dtype=np.int64))


def test_records_that_won_score_higher_than_their_twins() -> None:
    student = taught()
    records = np.array([[0, 0], [1, 0], [2, 1]], dtype=np.int32)
    twins = records.copy()
    twins[:, 1] = 1 - twins[:, 1]
    assert (student.scores(records) > student.scores(twins) + 1).all()
    assert np.allclose(student.weights, student.weights.T)


def test_an_untaught_student_finds_all_records_equally_real() -> None:
    records = independent_records(REFERENCE, 50, np.random.default_rng(0))
    assert not Student.untaught(REFERENCE).scores(records).any()


def test_sweeps_draw_from_the_reference_times_the_exponential_of_the_score() -> None:
    student, rng = taught(), np.random.default_rng(1)
    start = independent_records(REFERENCE, 20_000, rng)
    records, leanings = student.sweep(start, student.leanings(), 30, rng)
    cells = np.indices((3, 2)).reshape(2, -1).T.astype(np.int32)
    by_leaning = leanings[0][cells[:, 0]] + leanings[1][cells[:, 1]]
    expected = np.exp(student.scores(cells) + by_leaning)
    expected /= expected.sum()
    seen = np.bincount(2 * records[:, 0] + records[:, 1], minlength=6) / len(records)
    assert np.abs(seen - expected).max() < 0.02  # leanings still move by their own noise
    assert seen[5] > 0.15 > 0.08 > seen[4]  # independent: 0.08 and 0.12


def test_sweeps_keep_the_frequencies_of_the_reference() -> None:
    student, rng = taught(), np.random.default_rng(2)
    start = independent_records(REFERENCE, 20_000, rng)
    records, _ = student.sweep(start, student.leanings(), 30, rng)
    for axis, frequencies in enumerate(REFERENCE):
        seen = np.bincount(records[:, axis], minlength=len(frequencies)) / len(records)
        assert np.abs(seen - frequencies).max() < 0.02


torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.nn.pate_queries import QueryBatch, conditional_queries, pairwise_queries  # noqa: E402
from dp_synth.nn.pate_training import few_groups  # noqa: E402


@pytest.mark.parametrize("ask", [pairwise_queries, conditional_queries])
def test_twins_differ_in_one_value_half_of_the_time_that_of_the_label(ask) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    reference = [*REFERENCE, np.array([0.25, 0.75]), np.array([1.0])]
    made = independent_records(reference, 500, rng)
    questions: Questions = ask(made, reference, QueryBatch(2_000, label=1, share=0.5), rng)
    differs = questions.records != questions.twins()
    assert (differs.sum(axis=1) == 1).all()
    assert (differs.argmax(axis=1) == questions.attributes).all()
    assert not differs[:, 3].any()
    assert ((questions.records >= 0).sum(axis=1) == 3).all()  # of three with a choice, all shown
    about_label = np.mean(questions.attributes == 1)
    assert abs(about_label - (0.5 + 0.5 / 3)) < 5 * 0.5 / np.sqrt(2_000)


def test_conditions_bring_rare_values_into_questions() -> None:
    rng = np.random.default_rng(0)
    reference = [np.array([0.99, 0.01]), np.array([0.5, 0.5])]
    made = independent_records(reference, 1_000, rng)
    rare = [
        np.mean(ask(made, reference, QueryBatch(1_000, label=1, share=0.5), rng).records[:, 0])
        for ask in (pairwise_queries, conditional_queries)
    ]
    assert rare[0] < 0.05 < 0.15 < rare[1]


def test_groups_are_few_ordered_where_codes_are_and_never_one_of_several_codes() -> None:
    domain = Domain(("age", "job", "flat", "few"), (50, 20, 30, 3), (50, 0, 30, 0))
    counts = [np.full(50, 20.0), np.arange(20.0) * 100 / 19, np.zeros(30), np.ones(3) * 300]
    counts[2][0] = 1000.0
    ones = [Measurement((name,), values, 0.01) for name, values in zip(domain, counts, strict=True)]
    compression = few_groups(domain, ones, 8)
    sizes = dict(zip(domain, compression.domain.sizes, strict=True))
    assert sizes["age"] == sizes["job"] == 8
    assert sizes["few"] == 3
    assert 2 <= sizes["flat"] <= 8
    assert (np.diff(compression.groups["age"]) >= 0).all()
    held = np.bincount(compression.groups["age"])
    assert held.max() - held.min() <= 1
    assert len(set(compression.groups["job"][-7:])) == 7  # the most frequent stay alone
