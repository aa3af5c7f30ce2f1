"""Teachers are as many as they are said to be: parts, votes and charges, counted exactly."""

from __future__ import annotations

import inspect
from collections import Counter
from functools import cache

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget, Votes
from dp_synth.domain import Domain
from dp_synth.mechanisms import pate
from dp_synth.mechanisms.pate import Questions, StoppingRule, Teachers, ballots
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.transcript import MarginalAnswer, VoteAnswer

DOMAIN = Domain(("a", "b", "c"), (3, 2, 4))
REFERENCE = [np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4]), np.full(4, 0.25)]
ROUNDS, VOTES, TEACHERS = 4, 22, 7
WHY = "which of two made records is more real"


def made_codes(records: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, DOMAIN.sizes, (records, 3), dtype=np.int32)


@cache
def all_questions() -> Questions:
    """Every question that can be asked: each record, each attribute, each other code."""
    asked = [
        (record, axis, other)
        for record in np.ndindex(*DOMAIN.sizes)
        for axis, size in enumerate(DOMAIN.sizes)
        for other in range(size)
        if other != record[axis]
    ]
    records, attributes, others = zip(*asked, strict=True)
    return Questions(np.array(records, dtype=np.int32), np.array(attributes), np.array(others))


def made_table(codes: np.ndarray, votes: int = VOTES) -> PrivateTable:
    plan = {"ones": Gaussians(3, noise_multiplier=9.0), "votes": Votes(votes, TEACHERS, scale=2.0)}
    payer = Accountant(PrivacyBudget(1e6, 1e-6)).admit("x", Plan(plan), randomness="seeded")
    return PrivateTable(codes, DOMAIN, payer)


def made_teachers(table: PrivateTable) -> Teachers:
    part = table.payer.plan.votes("votes")
    return Teachers(table, part, REFERENCE, np.random.default_rng(0))


def votes_of(codes: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    questions = all_questions()
    coins = np.random.default_rng(9).random((TEACHERS, len(questions))) < 0.5
    return ballots(codes, teacher, questions, REFERENCE, coins)


def test_every_record_has_exactly_one_teacher() -> None:
    codes = made_codes(500)
    table = made_table(codes)
    held, teacher = made_teachers(table)._voters(table)
    assert len(held) == len(teacher) == len(codes)
    assert Counter(map(tuple, held.tolist())) == Counter(map(tuple, codes.tolist()))
    assert teacher.min() >= 0
    assert teacher.max() < TEACHERS
    parts = [held[teacher == one] for one in range(TEACHERS)]
    assert sum(map(len, parts)) == len(codes)


def test_the_partition_is_drawn_once_and_is_the_same_in_every_round(monkeypatch) -> None:
    table, seen = made_table(made_codes(60)), []

    def watched(records, teacher, *rest):
        seen.append((records.copy(), teacher.copy()))
        return ballots(records, teacher, *rest)

    monkeypatch.setattr(pate, "ballots", watched)
    teachers = made_teachers(table)
    for _ in range(ROUNDS):
        teachers.vote(all_questions().first(5))
    assert len(seen) == ROUNDS
    for records, teacher in seen[1:]:
        assert np.array_equal(records, seen[0][0])
        assert np.array_equal(teacher, seen[0][1])
    assert table.reads == 1


def test_another_record_in_its_place_changes_the_vote_of_its_teacher_alone() -> None:
    rng, changed = np.random.default_rng(1), 0
    for trial in range(8):
        codes, teacher = made_codes(30, trial), rng.integers(0, TEACHERS, 30)
        votes = votes_of(codes, teacher)
        for place in rng.choice(30, 5, replace=False):
            other = codes.copy()
            other[place] = (codes[place] + 1) % np.array(DOMAIN.sizes)
            differs = np.flatnonzero((votes != votes_of(other, teacher)).any(axis=1))
            assert set(differs) <= {teacher[place]}
            changed += len(differs)
    assert changed > 0


def test_the_sums_of_counts_move_by_one_vote_however_often_a_record_occurs() -> None:
    codes, teacher = made_codes(25, 3), np.random.default_rng(2).integers(0, TEACHERS, 25)
    whole = votes_of(codes, teacher).sum(axis=0)
    for left_out in range(len(codes)):
        kept = np.arange(len(codes)) != left_out
        fewer = votes_of(codes[kept], teacher[kept]).sum(axis=0)
        assert np.abs(whole - fewer).max() <= 1


def test_no_two_teachers_share_records_or_the_votes_that_come_of_them() -> None:
    codes = made_codes(70, 4)
    teacher = np.random.default_rng(3).integers(0, TEACHERS, len(codes))
    votes = votes_of(codes, teacher)
    for one in range(TEACHERS):
        alone = votes_of(codes[teacher == one], teacher[teacher == one])
        assert np.array_equal(votes[one], alone[one])
    assert len({row.tobytes() for row in votes}) == TEACHERS  # and they are not one and the same
    rows = [votes[one] for one in range(TEACHERS)]
    assert not any(np.shares_memory(a, b) for a in rows for b in rows if a is not b)


def test_each_vote_is_charged_once_before_it_is_counted(monkeypatch) -> None:
    table, charged_when_counted = made_table(made_codes(40)), []

    def watched(*arguments):
        charges = table.payer.accountant.ledger.charges
        charged_when_counted.append(sum(entry.count for entry in charges))
        return ballots(*arguments)

    monkeypatch.setattr(pate, "ballots", watched)
    teachers = made_teachers(table)
    for count in (5, 1, 7):
        teachers.vote(all_questions().first(count))
    assert charged_when_counted == [5, 6, 13]


def test_the_transcript_has_every_charged_vote_as_it_was_answered() -> None:
    table = made_table(made_codes(40))
    teachers, questions = made_teachers(table), all_questions()
    won = [teachers.vote(questions.first(count), why=WHY) for count in (5, 1, 7)]
    charges = table.payer.accountant.ledger.charges
    assert [entry.count for entry in charges] == [len(a.winners) for a in table.transcript]
    for answer, winners, entry in zip(table.transcript, won, charges, strict=True):
        assert isinstance(answer, VoteAnswer)
        assert np.array_equal(answer.winners, winners)
        assert np.array_equal(answer.records, questions.records[: len(winners)])
        assert np.array_equal(answer.attributes, questions.attributes[: len(winners)])
        assert np.array_equal(answer.others, questions.others[: len(winners)])
        assert (answer.noise, answer.scale, answer.teachers) == ("gaussian", 2.0, TEACHERS)
        assert (answer.part, answer.why) == (entry.part, entry.why) == ("votes", WHY)


def test_a_stopping_rule_answers_no_vote_beyond_its_target() -> None:
    gaps = np.full(50, 3)
    rule = StoppingRule(target=2.0, delta=1e-3, rho=0.0)
    allowed = rule.allowed(gaps, 20.0)
    estimate = pate.estimates
    moments = pate.vote_moments(gaps, 20.0).cumsum(axis=1)
    assert 0 < allowed < 50
    assert estimate(moments[:, allowed - 1], 1e-3) <= 2.0 < estimate(moments[:, allowed], 1e-3)
    assert rule.allowed(gaps, 20.0) == 0  # it remembers what was spent
    assert StoppingRule(target=2.0, delta=1e-3, rho=9.0).allowed(gaps, 20.0) == 0
    again = StoppingRule(target=2.0, delta=1e-3, rho=0.0)
    assert again.allowed(gaps[:5], 20.0) == 5
    assert again.allowed(gaps, 20.0) == allowed - 5


def fitted(monkeypatch, watch=None):
    """A whole fit by votes; ``watch`` is told of every time that the table is read."""
    pytest.importorskip("torch", reason="the extra deep is not installed")
    from dp_synth.accounting import Accountant
    from dp_synth.nn.pate_queries import pairwise_queries
    from dp_synth.nn.pate_training import fit_by_votes
    from dp_synth.synthesizers import PATEGAN

    recipe = PATEGAN(votes=VOTES, teachers=TEACHERS, rounds=ROUNDS, steps=10, rows=16)
    budget = PrivacyBudget(5.0, 1e-6)
    payer = Accountant(budget).admit("x", recipe.charges(DOMAIN), randomness="seeded")
    table = PrivateTable(made_codes(300), DOMAIN, payer)
    if watch:
        for name in ("exact_records", "exact_marginals"):
            plain = getattr(PrivateTable, name)

            def read(self, *arguments, plain=plain, name=name):
                watch(name, {frame.function for frame in inspect.stack()})
                return plain(self, *arguments)

            monkeypatch.setattr(PrivateTable, name, read)
    fit_by_votes(table, payer.plan, recipe, pairwise_queries, np.random.default_rng(0))
    return table


def test_a_fit_charges_columns_and_votes_and_nothing_for_made_records(monkeypatch) -> None:
    table = fitted(monkeypatch)
    charged = Counter(entry.part for entry in table.payer.accountant.ledger.charges)
    assert charged == {"ones": 1, "votes": ROUNDS}
    counts: Counter[str] = Counter()
    for entry in table.payer.accountant.ledger.charges:
        counts[entry.part] += entry.count
    kept: Counter[str] = Counter()
    for answer in table.transcript:
        kept[answer.part] += len(answer.winners) if isinstance(answer, VoteAnswer) else 1
    assert counts == kept == {"ones": 3, "votes": VOTES}
    assert {type(answer) for answer in table.transcript} == {MarginalAnswer, VoteAnswer}


def test_the_table_is_read_by_the_two_mechanisms_alone(monkeypatch) -> None:
    reads: list[str] = []

    def watch(name: str, callers: set[str]) -> None:
        reads.append(name)
        assert ("vote" if name == "exact_records" else "measure") in callers
        assert not callers & {"taught", "sweep", "train", "independent_records", "pairwise_queries"}

    fitted(monkeypatch, watch)
    assert sorted(reads) == ["exact_marginals", "exact_records"]


def test_the_student_is_taught_by_made_records_and_winners_alone(monkeypatch) -> None:
    pytest.importorskip("torch", reason="the extra deep is not installed")
    from dp_synth.nn.pate_queries import Student

    lessons = []
    plain = Student.taught.__func__

    def watched(cls, reference, better, worse, attributes):
        lessons.append((better, worse, attributes))
        return plain(cls, reference, better, worse, attributes)

    monkeypatch.setattr(Student, "taught", classmethod(watched))
    table = fitted(monkeypatch)
    answers = [answer for answer in table.transcript if isinstance(answer, VoteAnswer)]
    assert len(lessons) == ROUNDS
    better, worse, attributes = lessons[-1]
    asked = [Questions(a.records, a.attributes, a.others) for a in answers]
    won = np.concatenate([answer.winners for answer in answers])[:, None]
    records = np.concatenate([questions.records for questions in asked])
    twins = np.concatenate([questions.twins() for questions in asked])
    assert np.array_equal(better, np.where(won, records, twins))
    assert np.array_equal(worse, np.where(won, twins, records))
    assert np.array_equal(attributes, np.concatenate([answer.attributes for answer in answers]))
