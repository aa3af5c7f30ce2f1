"""Transcripts: all that passed the door is in them, as noisy as it was paid for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget, Selections
from dp_synth.domain import Domain
from dp_synth.errors import BudgetExceeded
from dp_synth.mechanisms import Distances, measure, measure_distances, select
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.transcript import (
    ChoiceAnswer,
    MarginalAnswer,
    ScoresAnswer,
    VoteAnswer,
    chosen,
    from_fields,
    measured,
    to_fields,
)
from tests.mechanisms.made_tables import DOMAIN, made_codes, made_table

PAIRS = [("age", "sex"), ("age", "job"), ("sex", "job")]
HALVES = {"age": np.array([0, 0, 1, 1], dtype=np.int32)}


def answered_table():
    """A table that has answered three times: a marginal, a choice, and scores of coarse pairs."""
    rng = np.random.default_rng(0)
    parts = {
        "ones": Gaussians(1, noise_multiplier=5.0),
        "tree": Selections(1, epsilon=0.4),
        "scores": Gaussians(3, noise_multiplier=5.0),
    }
    payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit("test", Plan(parts))
    table, plan = PrivateTable(made_codes(rng, 50), DOMAIN, payer), payer.plan
    measure(table, [("age",)], plan.gaussians("ones"), rng, why="ages")
    distances = Distances(table, lambda clique: np.zeros(DOMAIN.shape(clique)))
    select(distances, PAIRS, plan.selections("tree"), rng, why="a pair")
    coarse = table.coarsen({**HALVES, "sex": np.arange(2, dtype=np.int32)})
    far = Distances(coarse, lambda clique: np.zeros(coarse.domain.shape(clique)))
    measure_distances(far, PAIRS, plan.gaussians("scores"), rng, why="far")
    return table


def test_each_answer_is_kept_as_it_was_given_with_who_paid_and_why() -> None:
    rng = np.random.default_rng(1)
    table = made_table(made_codes(rng, 50))
    given = measure(table, [("age",), ("sex", "job")], table.payer.plan.gaussians("ones"), rng)
    assert measured(table.transcript) == (("age",), ("sex", "job"))
    for answer, measurement in zip(table.transcript, given, strict=True):
        assert isinstance(answer, MarginalAnswer)
        assert (answer.part, answer.why, answer.stddev) == ("ones", "marginals", 5.0)
        assert np.array_equal(answer.values, measurement.values)
        assert answer.groups == {}


def test_answers_of_coarse_copies_come_in_order_with_the_groups_that_changed() -> None:
    age, pair, far = answered_table().transcript
    assert [type(answer) for answer in (age, pair, far)] == [
        MarginalAnswer,
        ChoiceAnswer,
        ScoresAnswer,
    ]
    assert age.groups == pair.groups == {}
    assert list(far.groups) == ["age"]
    assert far.groups["age"].tolist() == [0, 0, 1, 1]


def test_a_copy_of_a_copy_says_the_groups_of_the_codes_at_the_start() -> None:
    table = made_table(made_codes(np.random.default_rng(2), 9))
    twice = table.coarsen(HALVES).coarsen({"age": np.zeros(2, np.int32), "job": np.zeros(3, int)})
    assert {name: group.tolist() for name, group in twice.groups.items()} == {
        "age": [0, 0, 0, 0],
        "job": [0, 0, 0],
    }
    assert twice.transcript is table.transcript


def test_a_choice_keeps_its_candidates_and_the_range_it_was_drawn_with() -> None:
    pair = answered_table().transcript[1]
    assert isinstance(pair, ChoiceAnswer)
    assert pair.candidates == tuple(PAIRS)
    assert chosen([pair]) == (pair.chosen,)
    assert pair.epsilon == pytest.approx(0.4, rel=1e-5)
    assert pair.epsilon <= 0.4  # what it was charged for
    assert pair.sensitivity == 1.0


def test_what_is_kept_carries_the_noise_that_it_states() -> None:
    rng = np.random.default_rng(3)
    cells, stddev = 4_000, 5.0
    codes = rng.integers(0, cells, (9_000, 1), dtype=np.int32)
    plan = Plan({"ones": Gaussians(1, noise_multiplier=stddev)})
    payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit("test", plan)
    table = PrivateTable(codes, Domain(("wide",), (cells,)), payer)
    measure(table, [("wide",)], payer.plan.gaussians("ones"), rng)
    answer = table.transcript[0]
    assert isinstance(answer, MarginalAnswer)
    noise = (answer.values - np.bincount(codes[:, 0], minlength=cells)) / answer.stddev
    # Of 4,000 squares the mean is off by more than 5 * sqrt(2 / 4000) with chance below 1e-6.
    assert abs(np.mean(np.square(noise)) - 1 - 1 / (12 * stddev**2)) < 5 * np.sqrt(2 / cells)


def test_nothing_is_kept_of_what_was_refused() -> None:
    rng = np.random.default_rng(4)
    table = made_table(made_codes(rng, 20), answers=1)
    with pytest.raises(BudgetExceeded):
        measure(table, PAIRS, table.payer.plan.gaussians("ones"), rng)
    assert table.transcript == []


def test_the_transcript_has_as_many_answers_as_the_ledger_has_charges() -> None:
    table = answered_table()
    counts: Counter[str] = Counter()
    for answer in table.transcript:
        counts[answer.part] += len(answer.cliques) if isinstance(answer, ScoresAnswer) else 1
    charged: Counter[str] = Counter()
    for entry in table.payer.accountant.ledger:
        charged[entry.part] += entry.count
    assert counts == charged == {"ones": 1, "tree": 1, "scores": 3}


def test_answers_come_back_from_their_fields_as_they_were() -> None:
    answers = answered_table().transcript
    for answer, again in zip(answers, from_fields(*to_fields(answers)), strict=True):
        assert type(again) is type(answer)
        for name, value in answer.__dict__.items():
            other = getattr(again, name)
            if name == "groups":
                assert {a: g.tolist() for a, g in value.items()} == {
                    a: g.tolist() for a, g in other.items()
                }
            elif name == "values":
                assert value.tobytes() == other.tobytes()
            else:
                assert value == other


def test_groups_that_answers_share_are_written_once() -> None:
    rng = np.random.default_rng(5)
    coarse = made_table(made_codes(rng, 9)).coarsen(HALVES)
    measure(coarse, [("age",), ("age", "sex")], coarse.payer.plan.gaussians("ones"), rng)
    assert set(to_fields(coarse.transcript)[1]) == {"answer_0", "answer_1", "answer_groups_0"}


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (0, {"stddev": 0.0}, "finite number above 0"),
        (0, {"stddev": float("inf")}, "finite number above 0"),
        (0, {"clique": ["age", "sex"]}, "must have 2 axes"),
        (0, {"kind": "other"}, "no kind of answer 'other'"),
        (1, {"chosen": ["job", "age"]}, "is no candidate"),
        (1, {"epsilon": -1.0}, "finite number above 0"),
        (2, {"cliques": [["age"]]}, "a score for each of 1 cliques"),
        (2, {"kind": "marginal", "clique": []}, "must have 0 axes"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(number, change, said) -> None:
    fields, arrays = to_fields(answered_table().transcript)
    fields[number] = {**fields[number], **change}
    with pytest.raises(ValueError, match=said):
        from_fields(fields, arrays)


def test_groups_with_gaps_and_noisy_values_that_are_no_numbers_are_refused() -> None:
    fields, arrays = to_fields(answered_table().transcript)
    with pytest.raises(ValueError, match="numbered from 0 without gaps"):
        from_fields(fields, {**arrays, "answer_groups_0": np.array([0, 2, 2, 2])})
    with pytest.raises(ValueError, match="finite"):
        from_fields(fields, {**arrays, "answer_0": np.full(4, np.nan)})


def voted(codes: int = 8) -> VoteAnswer:
    """Three votes about records of four attributes, in codes of which there are so many."""
    rng = np.random.default_rng(6)
    records = rng.integers(0, codes, (3, 4)).astype(np.int32)
    attributes, others = np.array([0, 3, 1], np.int32), np.array([2, 0, codes - 1], np.int32)
    winners = np.array([True, False, True])
    groups = {"age": np.array([0, 0, 1], np.int32)}
    return VoteAnswer(
        "votes", "why", records, attributes, others, winners, "laplace", 9.5, 101, groups
    )


@pytest.mark.parametrize(("codes", "kind"), [(8, np.uint8), (256, np.uint8), (257, np.int32)])
def test_votes_come_back_as_they_were_and_take_a_byte_a_code_where_that_is_enough(
    codes: int, kind: type
) -> None:
    answer = voted(codes)
    fields, arrays = to_fields([answer])
    assert arrays["answer_0_others"].dtype == kind
    assert arrays["answer_0_winners"].dtype == np.bool_
    assert arrays["answer_0_attributes"].dtype == np.uint8
    (again,) = from_fields(fields, arrays)
    assert isinstance(again, VoteAnswer)
    for name in ("records", "attributes", "others", "winners"):
        value, other = getattr(answer, name), getattr(again, name)
        assert value.dtype == other.dtype
        assert np.array_equal(value, other)
    assert (again.part, again.why, again.noise) == ("votes", "why", "laplace")
    assert (again.scale, again.teachers) == (9.5, 101)
    assert again.groups["age"].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ({"answer_0_winners": np.array([0, 1, 1])}, "have winners"),
        ({"answer_0_winners": np.array([True])}, "for each record"),
        ({"answer_0_others": np.zeros(2, np.uint8)}, "for each record"),
        ({"answer_0_attributes": np.array([0, 4, 1], np.uint8)}, "the 4 attributes"),
        ({"answer_0_records": np.zeros(3, np.uint8)}, "about records"),
        ({"answer_0_records": np.zeros((3, 4))}, "whole numbers"),
        ({"answer_0_others": np.array([-1, 0, 0], np.int32)}, "0 or more"),
    ],
)
def test_votes_that_do_not_fit_together_are_refused(array, said: str) -> None:
    fields, arrays = to_fields([voted()])
    with pytest.raises(ValueError, match=said):
        from_fields(fields, {**arrays, **array})


@pytest.mark.parametrize("change", [{"scale": 0.0}, {"teachers": 0}, {"teachers": 1.5}])
def test_votes_without_noise_or_teachers_are_refused(change) -> None:
    fields, arrays = to_fields([voted()])
    with pytest.raises(ValueError, match=r"above 0|1 or more|whole number"):
        from_fields([{**fields[0], **change}], arrays)
