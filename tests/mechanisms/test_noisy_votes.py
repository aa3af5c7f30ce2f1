"""Teachers with disjoint parts: one record moves one vote, winners alone leave, all are paid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, Votes
from dp_synth.accounting.events import NoisyVote, VoteNoise
from dp_synth.domain import Domain
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.mechanisms.noisy_votes import Questions, Teachers, ballots, winners
from dp_synth.table import PrivateTable

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
            if other == axis:
                continue
            cell = REFERENCE[axis][record[axis]] * REFERENCE[other][record[other]]
            seen = np.mean((mine[:, axis] == record[axis]) & (mine[:, other] == record[other]))
            lean += sign * (seen - cell) / (cell + 0.02)
    return lean


def test_ballots_are_those_of_the_definition() -> None:
    codes, questions = made_codes(60), made_questions(40)
    teacher = np.random.default_rng(2).integers(0, 4, 60)
    votes = ballots(codes, teacher, questions, REFERENCE, np.zeros((5, 40), dtype=bool))
    for number in range(40):
        for one in range(4):
            lean = slow_vote(codes[teacher == one], questions, number)
            assert abs(lean) < 1e-6 or votes[one, number] == (lean > 0)


def test_a_record_more_changes_the_votes_of_its_own_teacher_alone() -> None:
    rng = np.random.default_rng(3)
    questions = made_questions(30)
    coins = rng.random((7, 30)) < 0.5
    changed = 0
    for _ in range(50):
        codes, teacher = made_codes(40, int(rng.integers(2**31))), rng.integers(0, 7, 40)
        more = ballots(codes, teacher, questions, REFERENCE, coins)
        fewer = ballots(codes[1:], teacher[1:], questions, REFERENCE, coins)
        differs = np.flatnonzero((more != fewer).any(axis=1))
        assert set(differs) <= {teacher[0]}
        changed += len(differs)
    assert changed > 0


def test_a_teacher_without_records_votes_by_its_coins() -> None:
    coins = np.random.default_rng(0).random((3, 20)) < 0.5
    votes = ballots(made_codes(0), np.empty(0, dtype=int), made_questions(20), REFERENCE, coins)
    assert (votes == coins).all()


def test_every_record_has_one_teacher_drawn_evenly_and_once() -> None:
    table = made_table(made_codes(5_000), Votes(4, 5, scale=1.0))
    teachers = Teachers(table, planned(table), REFERENCE, np.random.default_rng(0))
    teachers.vote(made_questions(2))
    codes, first = teachers._records()
    teachers.vote(made_questions(2))
    assert teachers._records()[1] is first
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
    table = made_table(made_codes(5), Votes(3, 5, scale=1.0), max_rows=3)
    with pytest.raises(InputError, match="one record"):
        Teachers(table, planned(table), REFERENCE, np.random.default_rng(0))
    assert table.reads == 0
