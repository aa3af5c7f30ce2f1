"""Votes of teachers, each of which has seen a part of the records that no other has seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import PrivacyBudget, Sampler, Votes
from dp_synth.accounting.events import NoisyVote
from dp_synth.domain import Codes, Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms.exact_noise import LARGEST_SCALE, Bits, rounded_gaussian
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.table import PrivateTable

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Ballots = NDArray[np.bool_]

SOFTENING = 0.02  # added to what a cell is expected to hold: rare cells must not rule a teacher
RECORDS_TOGETHER = 1 << 15  # whose answers are computed in one go
ABOVE_HALF = math.sqrt(0.5) * (1 + 2.0**-50)  # rounded to the noisier side


@dataclass(frozen=True, eq=False)
class Questions:
    """Pairs of made-up records: is ``records[i]``, or its twin, more like a real one?

    The twin has code ``others[i]`` in the attribute numbered ``attributes[i]`` and is its equal
    in all else. Shapes are (questions, attributes), (questions,) and (questions,).
    """

    records: Codes
    attributes: Integers
    others: Integers

    def __len__(self) -> int:
        return len(self.records)

    def twins(self) -> Codes:
        """Return the other record of each pair."""
        twins = self.records.copy()
        twins[np.arange(len(self)), self.attributes] = self.others
        return twins


class Teachers:
    """Teachers with disjoint parts of a table, who answer questions by a noisy vote.

    ``reference`` is a public guess of every attribute's frequencies. Teachers are discriminators
    between their records and independent attributes of those frequencies: linear in pairs of
    codes, fitted in closed form, all in one product of matrices (`ballots`). InputError where a
    unit of privacy may hold several records, or the number of teachers is even.

    Privacy
    -------
    Every record draws its teacher by a coin of its own, once, and nothing else tells teachers
    apart, so that a record more or less, or another in its place, changes the vote of one. A
    teacher without records, or without a preference, votes by a coin that was tossed for it
    before. Winners alone leave; each is charged before its votes are counted, as one
    `NoisyVote`, whose curve is exact (`dp_synth.accounting.votes`). Gaussian noise is drawn
    exactly; other noise in floating point, and the ledger says so.
    """

    def __init__(
        self,
        table: PrivateTable,
        part: Votes,
        reference: Sequence[Floats],
        rng: np.random.Generator,
    ) -> None:
        check_teachers(part.teachers)
        check_unit(table.payer.budget)
        self._table = table
        self._part = part
        self._reference = reference
        self._bits = random_bits(table.payer, rng)
        self._sorting, self._coins = (_generator(self._bits) for _ in range(2))
        self._known: tuple[Codes, Integers] | None = None

    @property
    def domain(self) -> Domain:
        """The attributes that questions are about."""
        return self._table.domain

    def __repr__(self) -> str:
        return f"Teachers({self._part.teachers}, {self._table!r})"

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return for each question whether the first of the pair won, after noise.

        BudgetExceeded when the part has fewer votes left; nothing is then read or drawn.
        """
        event = self._part.event()
        if event.scale > LARGEST_SCALE:
            raise InputError(f"noise of scale {event.scale:.3g} says nothing; raise epsilon")
        exact = event.noise == "gaussian"
        sampler: Sampler = "exact" if exact else "float"
        self._table.payer.charge(self._part, event, len(questions), why=why, sampler=sampler)
        coins = self._coins.random((event.teachers, len(questions))) < 0.5
        votes = ballots(*self._records(), questions, self._reference, coins)
        gaps = 2 * votes.sum(axis=0, dtype=np.int64) - event.teachers
        return winners(gaps, event, self._bits)

    def _records(self) -> tuple[Codes, Integers]:
        """Return the private records and the teacher of each, drawn at the first vote."""
        if self._known is None:
            codes, counts = self._table.exact_records()
            teacher = self._sorting.integers(self._part.teachers, size=int(counts.sum()))
            self._known = np.repeat(codes, counts, axis=0), teacher
        return self._known


def check_teachers(teachers: int) -> None:
    """Raise InputError for a number of teachers that is not odd: an even one may be split evenly.

    With an odd number half the gap of the votes is a half-integer, on which rounded noise decides
    exactly as the continuous noise that it was rounded from.
    """
    if teachers < 1 or teachers % 2 == 0:
        raise InputError(f"the number of teachers must be odd and 1 or more, got {teachers}")


def check_unit(budget: PrivacyBudget) -> None:
    """Raise InputError where a unit may have several records: they would reach several teachers."""
    if budget.max_rows != 1:
        raise InputError(
            f"votes need units of one record, got units of up to {budget.max_rows}; "
            "leave the unit out, or use a synthesizer without votes"
        )


def winners(gaps: Integers, event: NoisyVote, bits: Bits) -> Ballots:
    """Return whether the first class wins, given by how many votes it leads, after noise.

    The difference of two Gaussians of stddev ``scale`` has sqrt(2) times that. Half of it, to
    the nearest integer, is above minus half an odd gap exactly where it itself is.
    """
    if event.noise == "gaussian":
        noise = rounded_gaussian(event.scale * ABOVE_HALF, gaps.shape, bits)
        return np.asarray(2 * noise + gaps > 0)
    drawn = _generator(bits)
    draw = drawn.laplace if event.noise == "laplace" else drawn.gumbel
    first, second = draw(0.0, event.scale, (2, *gaps.shape))
    return np.asarray(gaps + first - second > 0)


def ballots(
    records: Codes,
    teacher: Integers,
    questions: Questions,
    reference: Sequence[Floats],
    coins: Ballots,
) -> Ballots:
    """Return the votes, shape (teachers, questions): true where the first record is preferred.

    A teacher's discriminator gives a pair of codes the frequency that it has among the teacher's
    records, less that of independent attributes, over the latter (softened): to first order the
    logarithm of the ratio of their densities. Only pairs with the attribute that differs tell
    twins apart. Row i is a function of teacher i's records and coins alone.
    """
    lean = np.zeros(coins.shape)
    if not len(questions):
        return coins
    for question_side, sign in ((questions.records, 1.0), (questions.twins(), -1.0)):
        weights, expected = _discriminators(question_side, questions.attributes, reference)
        own = question_side[np.arange(len(questions)), questions.attributes]
        for start in range(0, len(records), RECORDS_TOGETHER):
            some = slice(start, start + RECORDS_TOGETHER)
            has_code = records[some][:, questions.attributes] == own
            found = has_code * (_one_hot(records[some], reference) @ weights) - expected
            lean += sign * _sums(found, teacher[some], len(coins))
    return np.asarray(np.where(lean == 0, coins, lean > 0))


def _discriminators(
    records: Codes, attributes: Integers, reference: Sequence[Floats]
) -> tuple[NDArray[np.float32], Floats]:
    """Return what each code of a real record adds to each question's score, and the mean sum."""
    ends = list(accumulate((len(p) for p in reference), initial=0))
    row = np.arange(len(records))
    own = np.concatenate(reference)[np.take(ends, attributes) + records[row, attributes]]
    weights = np.zeros((ends[-1], len(records)), dtype=np.float32)
    expected = np.zeros(len(records))
    for axis, frequencies in enumerate(reference):
        cell = own * frequencies[records[:, axis]]
        weight = np.where(attributes == axis, 0.0, 1 / (cell + SOFTENING))
        weights[ends[axis] + records[:, axis], row] = weight
        expected += cell * weight
    return weights, expected


def _one_hot(records: Codes, reference: Sequence[Floats]) -> NDArray[np.float32]:
    starts = np.array(list(accumulate((len(p) for p in reference), initial=0)))
    marks = np.zeros((len(records), int(starts[-1])), dtype=np.float32)
    marks[np.arange(len(records))[:, None], records + starts[:-1]] = 1.0
    return marks


def _sums(values: Floats, teacher: Integers, teachers: int) -> Floats:
    """Return the sum of the rows of each teacher."""
    from scipy.sparse import csr_array

    row = np.arange(len(values))
    belongs = csr_array((np.ones(len(row)), (teacher, row)), shape=(teachers, len(row)))
    return np.asarray(belongs @ values)


def _generator(bits: Bits) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=int.from_bytes(bits(16), "little")))
