"""Teachers with disjoint parts: one record moves one vote, winners alone leave, all are paid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, Votes
from dp_synth.accounting.events import NoisyVote, VoteNoise
from dp_synth.domain import Domain
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent
from dp_synth.mechanisms import pate
from dp_synth.mechanisms.pate import (
    Medians,
    Questions,
    Teachers,
    ballots,
    leanings,
    winners,
)
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.transcript import HIDDEN

DOMAIN = Domain(("a", "b", "c"), (3, 2, 4))
REFERENCE = [np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4]), np.full(4, 0.25)]
DRAWS = 20_000
CERTAIN = 1e-3  # noise too small to change a winner


def made_codes(records: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, DOMAIN.sizes, (records, 3), dtype=np.int32)


def made_questions(count: int, seed: int = 1) -> Questions:
    rng = np.random.default_rng(seed)
    records = made_codes(count, seed)
    attributes = rng.integers(0, 3, count)
    sizes = np.array(DOMAIN.sizes)[attributes]
    own = records[np.arange(count), attributes]
    return Questions(records, attributes, (own + rng.integers(1, sizes)) % sizes)


def made_table(codes: np.ndarray, part: Votes, max_rows: int = 1) -> PrivateTable:
    unit = {"unit": "u", "max_rows": max_rows} if max_rows > 1 else {}
    accountant = Accountant(PrivacyBudget(1e6, 1e-6, **unit))
    slice_ = accountant.admit("test", Plan({"votes": part}), randomness="seeded")
    return PrivateTable(codes, DOMAIN, slice_)


def planned(table: PrivateTable) -> Votes:
    return table.payer.plan.votes("votes")


def slow_vote(mine: np.ndarray, questions: Questions, number: int) -> float:
    """How far one teacher leans to the first record, from the definition."""
    axis, lean = questions.attributes[number], 0.0
    for records, sign in ((questions.records, 1), (questions.twins(), -1)):
        record = records[number]
        for other in range(3):
            if other == axis or record[other] == HIDDEN:
                continue
            cell = REFERENCE[axis][record[axis]] * REFERENCE[other][record[other]]
            seen = np.mean((mine[:, axis] == record[axis]) & (mine[:, other] == record[other]))
            lean += sign * (seen - cell) / (cell + 0.02)
    return lean


def hidden_here_and_there(questions: Questions, seed: int = 4) -> Questions:
    hidden = np.random.default_rng(seed).random(questions.records.shape) < 0.3
    hidden[np.arange(len(questions)), questions.attributes] = False
    records = np.where(hidden, HIDDEN, questions.records)
    return Questions(records, questions.attributes, questions.others)


@pytest.mark.parametrize(
    "shown", [made_questions, lambda n: hidden_here_and_there(made_questions(n))]
)
def test_leanings_are_those_of_the_definition(shown: Callable[[int], Questions]) -> None:
    codes, questions = made_codes(60), shown(40)
    teacher = np.random.default_rng(2).integers(0, 4, 60)
    lean = leanings(codes, teacher, questions, REFERENCE, teachers=5)
    assert not lean[4].any()
    for number in range(40):
        for one in range(4):
            mine = codes[teacher == one]
            expected = len(mine) * slow_vote(mine, questions, number)
            assert abs(lean[one, number] - expected) < 1e-4


def voted(
    codes: np.ndarray, teacher: np.ndarray, questions: Questions, teachers: int
) -> np.ndarray:
    """Votes whose coins are the same whatever the records are."""
    coins = np.random.default_rng(5).random((teachers, len(questions)))
    return ballots(codes, teacher, questions, REFERENCE, coins)


def test_a_record_more_changes_the_votes_of_its_own_teacher_alone() -> None:
    rng = np.random.default_rng(3)
    questions = made_questions(30)
    changed = 0
    for _ in range(20):
        codes, teacher = made_codes(40, int(rng.integers(2**31))), rng.integers(0, 7, 40)
        more = voted(codes, teacher, questions, 7)
        fewer = voted(codes[1:], teacher[1:], questions, 7)
        differs = np.flatnonzero((more != fewer).any(axis=1))
        assert set(differs) <= {teacher[0]}
        changed += len(differs)
    assert changed > 0


def skewed_reference(sizes: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Frequencies from even ones to ones of which most are as good as zero."""
    return [rng.dirichlet(np.full(size, 10.0 ** rng.uniform(-2, 1))) for size in sizes]


def questions_among(sizes: tuple[int, ...], count: int, rng: np.random.Generator) -> Questions:
    several = np.flatnonzero(np.array(sizes) > 1)
    records = rng.integers(0, sizes, (count, len(sizes)), dtype=np.int32)
    attributes = rng.choice(several, count)
    own = np.array(sizes)[attributes]
    others = (records[np.arange(count), attributes] + rng.integers(1, own)) % own
    return Questions(records, attributes, others)


@pytest.mark.parametrize("records", [2, 40, 700, 40_000])
def test_what_a_teacher_leans_to_is_the_same_to_the_last_bit_whoever_else_is_there(
    records: int,
) -> None:
    rng = np.random.default_rng(11)
    for _ in range(2 if records > 10_000 else 12):
        sizes = tuple(rng.integers(2, 12, int(rng.integers(2, 15))).tolist())
        reference, teachers = skewed_reference(sizes, rng), int(rng.integers(2, 12))
        codes = rng.integers(0, sizes, (records, len(sizes)), dtype=np.int32)
        if rng.random() < 0.3:
            codes[:] = codes[0]  # all sums as large as they can be
        teacher = rng.integers(teachers, size=records)
        asked = questions_among(sizes, int(rng.integers(1, 60)), rng)
        together = leanings(codes, teacher, asked, reference, teachers=teachers)
        mixed = rng.permutation(records)
        elsewhere = leanings(codes[mixed], teacher[mixed], asked, reference, teachers=teachers)
        assert (together == elsewhere).all()
        for one in np.unique(teacher):
            own = codes[teacher == one]
            alone = leanings(own, np.zeros(len(own), int), asked, reference, teachers=1)
            assert (together[one] == alone[0]).all()


def test_a_question_is_leant_to_alike_among_others_and_alone() -> None:
    rng = np.random.default_rng(13)
    sizes = (4, 9, 3, 7)
    reference, asked = skewed_reference(sizes, rng), questions_among(sizes, 50, rng)
    codes = rng.integers(0, sizes, (300, 4), dtype=np.int32)
    teacher = rng.integers(5, size=300)
    together = leanings(codes, teacher, asked, reference, teachers=5)
    for number in range(50):
        one = asked.among(slice(number, number + 1))
        assert (
            leanings(codes, teacher, one, reference, teachers=5)[:, 0] == together[:, number]
        ).all()


def test_the_medians_of_a_size_do_not_tell_which_other_sizes_there_are() -> None:
    asked = made_questions(20)
    all_sizes = Medians.of(np.arange(70), asked, REFERENCE)
    for size in (1, 5, 64):
        alone = Medians.of(np.array([size]), asked, REFERENCE)
        assert (alone.middle[size] == all_sizes.middle[size]).all()
        assert (alone.tied[size] == all_sizes.tied[size]).all()


def test_sums_beyond_what_a_float_holds_still_depend_on_the_own_records_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pate, "QUANTUM", 2.0**-44)
    codes, asked = made_codes(3_000), made_questions(30)
    teacher = np.random.default_rng(2).integers(0, 2, 3_000)
    together = leanings(codes, teacher, asked, REFERENCE, teachers=2)
    backwards = leanings(codes[::-1], teacher[::-1], asked, REFERENCE, teachers=2)
    assert np.abs(together).max() > 2.0**53 * pate.QUANTUM
    assert (together == backwards).all()


def test_a_teacher_without_records_votes_by_its_coins() -> None:
    votes = voted(made_codes(0), np.empty(0, dtype=int), made_questions(20), 3)
    assert (votes == (np.random.default_rng(5).random((3, 20)) >= 0.5)).all()


@pytest.mark.parametrize("records", [1, 7])
def test_teachers_of_independent_records_vote_evenly_even_about_rare_values(records: int) -> None:
    reference, teachers = [np.array([0.95, 0.05]), np.array([0.9, 0.1])], 20_000
    rng = np.random.default_rng(7)
    codes = np.stack([rng.random(records * teachers) < p[1] for p in reference], axis=1)
    asked = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.int32)
    questions = Questions(asked, np.zeros(4, dtype=int), 1 - asked[:, 0])
    teacher = np.repeat(np.arange(teachers), records)
    codes = codes.astype(np.int32)
    lean = leanings(codes, teacher, questions, reference, teachers=teachers)
    coins = rng.random(lean.shape)
    share = ballots(codes, teacher, questions, reference, coins).mean(axis=0)
    by_sign = (lean > 0).mean(axis=0)
    assert np.abs(share - 0.5).max() < 5.5 * 0.5 / np.sqrt(1_000)  # medians are of 1,000 themselves
    assert np.abs(by_sign - 0.5).max() > 0.2


def test_every_record_has_one_teacher_drawn_evenly_and_once() -> None:
    table = made_table(made_codes(5_000), Votes(4, 5, scale=1.0))
    teachers = Teachers(table, planned(table), REFERENCE, np.random.default_rng(0))
    teachers.vote(made_questions(2))
    codes, first = teachers._voters(table)
    teachers.vote(made_questions(2))
    assert teachers._voters(table)[1] is first
    assert len(codes) == len(first) == 5_000
    counts = np.bincount(first, minlength=5)
    assert stats.chisquare(counts).pvalue > 1e-6
    assert len(set(counts)) > 1  # coins of their own, no balanced split
    assert table.reads == 1


def test_each_vote_is_charged_before_a_record_is_read() -> None:
    table = made_table(made_codes(50), Votes(3, 5, scale=1.0))
    rng = np.random.default_rng(0)
    teachers = Teachers(table, planned(table), REFERENCE, rng)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        teachers.vote(made_questions(4))
    assert table.reads == 0
    teachers.vote(made_questions(3))
    [entry] = table.payer.accountant.ledger.charges
    assert (entry.event, entry.count) == (NoisyVote("gaussian", 1.0, 5), 3)
    assert entry.sampler == "exact"
    with pytest.raises(BudgetExceeded):
        teachers.vote(made_questions(1))


@pytest.mark.parametrize("noise", ["gaussian", "laplace", "gumbel"])
def test_the_winner_is_as_random_as_was_charged_for(noise: VoteNoise) -> None:
    event, gap = NoisyVote(noise, 6.0, 21), 5
    rng = np.random.default_rng(0)
    wins = int(winners(np.full(DRAWS, gap), event, rng.bytes).sum())
    z = gap / event.scale
    expected = {
        "gaussian": stats.norm.cdf(z / np.sqrt(2)),
        "gumbel": stats.logistic.cdf(z),
        "laplace": 1 - np.exp(-z) * (2 + z) / 4,
    }[noise]
    assert stats.binomtest(wins, DRAWS, expected).pvalue > 1e-6
    wrong = stats.norm.cdf(0.9 * z / np.sqrt(2)) - stats.norm.cdf(z / np.sqrt(2)) + expected
    assert stats.binomtest(wins, DRAWS, wrong).pvalue < 1e-3


def test_noise_too_small_to_matter_leaves_the_majority() -> None:
    gaps = np.array([-7, -1, 1, 9])
    won = winners(gaps, NoisyVote("gaussian", CERTAIN, 9), np.random.default_rng(0).bytes)
    assert won.tolist() == [False, False, True, True]


def test_an_even_number_of_teachers_is_refused() -> None:
    table = made_table(made_codes(5), Votes(3, 4, scale=1.0))
    with pytest.raises(InputError, match="odd"):
        Teachers(table, planned(table), REFERENCE, np.random.default_rng(0))


def test_units_of_several_records_are_refused() -> None:
    with pytest.raises(UnsupportedEvent, match="votes are certified for units of one record only"):
        made_table(made_codes(5), Votes(3, 5, scale=1.0), max_rows=3)
