"""PATE aggregation: noisy votes of teachers, each with a part of the records of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import PrivacyBudget, Sampler, Votes
from dp_synth.accounting.events import NoisyVote
from dp_synth.accounting.pate import ORDERS, estimates, vote_moments
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms.noise import (
    LARGEST_SCALE,
    Bits,
    exact_coins,
    make_context,
    random_bits,
    rounded_gaussian,
)
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.transcript import HIDDEN, VoteAnswer
from dp_synth.types import Codes, Floats, Integers

Ballots = NDArray[np.bool_]
Voters = tuple[Codes, Integers]

SOFTENING = 0.02  # added to what a cell is expected to hold: rare cells must not rule a teacher
QUANTUM = 2.0**-20  # weights are multiples of it, so that sums of them are exact
IMAGINED = 1000  # teachers of independent records, whose median a teacher has to pass
IMAGINED_SEED = 0  # of theirs, which is public
MOST_IMAGINED = 64  # records of theirs: the median of more hardly moves
ABOVE_HALF = math.sqrt(0.5) * (1 + 2.0**-50)  # rounded to the noisier side


@dataclass(frozen=True, eq=False)
class Questions:
    """Pairs of made-up records: is ``records[i]``, or its twin, more like a real one?

    The twin has code ``others[i]`` in the attribute numbered ``attributes[i]`` and is its equal
    in all else. Attributes whose code is `HIDDEN` are no part of a question. Shapes are
    (questions, attributes), (questions,) and (questions,).
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

    def among(self, chosen: slice) -> Questions:
        """Return some of them."""
        return Questions(self.records[chosen], self.attributes[chosen], self.others[chosen])

    def first(self, count: int) -> Questions:
        """Return so many of them, from the first on."""
        return self.among(slice(count))


@dataclass(frozen=True, eq=False)
class VoteLaw:
    """Noisy votes: by how many the first class leads ``here``, and where it won.

    ``voters`` are the records and the teacher of each; ``records`` reads those of any table,
    ``assign`` draws teachers for so many more, ``leads`` counts the votes of any voters, and
    ``draw`` adds fresh noise to them. ``cast`` gives the votes of any teachers, shape (teachers,
    questions): of the records and teachers that are given, with the coins of those numbered.
    """

    part: str
    why: str
    event: NoisyVote
    records: Callable[[PrivateTable], Codes]
    assign: Callable[[int], Integers]
    leads: Callable[[Codes, Integers], Integers]
    cast: Callable[[Codes, Integers, Integers], Ballots]
    draw: Callable[[Integers], Ballots]
    voters: Voters
    here: Integers
    won: Ballots


class StoppingRule:
    """Ends votes where what they seem to have cost would pass ``target`` at ``delta``.

    By data-dependent moments beside answers of ``rho`` in zCDP, as `data_dependent_epsilon`.
    Nothing is certified of votes that end so: when they end depends on exact votes. Its state is
    as private as these are.
    """

    def __init__(self, target: float, delta: float, rho: float) -> None:
        self._target = target
        self._delta = delta
        self._rho = rho
        self._moments = np.zeros(len(ORDERS))

    def allowed(self, gaps: Integers, scale: float) -> int:
        """Return how many of these votes, from the first on, may still be answered."""
        moments = vote_moments(gaps, scale).cumsum(axis=1) + self._moments[:, None]
        over = estimates(moments, self._delta, rho=self._rho) > self._target
        count = int(over.argmax()) if over.any() else len(gaps)
        if count:
            self._moments = moments[:, count - 1]
        return count


class Teachers:
    """Teachers with disjoint parts of a table, who answer questions by a noisy vote.

    ``reference`` is a public guess of every attribute's frequencies. Teachers are discriminators
    between their records and independent attributes of those frequencies: linear in pairs of
    codes, fitted in closed form, all in one product of matrices (`leanings`). InputError where a
    unit of privacy may hold several records, or the number of teachers is even. ``stop`` ends the
    votes early, and with it any guarantee.

    Privacy
    -------
    Every record draws its teacher by a coin of its own, once, and nothing else tells teachers
    apart, so that a record more or less, or another in its place, changes the vote of one. A
    teacher without records, or without a preference, votes by a coin that was tossed for it
    before, and the medians that it has to pass are those of made-up records. Winners alone
    leave; each is charged before its votes are counted, as one `NoisyVote`, whose curve is exact
    (`dp_synth.accounting.pate`). Winners under Gaussian and Laplace noise are drawn exactly; under
    Gumbel's in floating point, and the ledger says so.
    """

    def __init__(
        self,
        table: PrivateTable,
        part: Votes,
        reference: Sequence[Floats],
        rng: np.random.Generator,
        *,
        stop: StoppingRule | None = None,
    ) -> None:
        check_teachers(part.teachers)
        check_unit(table.payer.budget)
        self._table = table
        self._part = part
        self._reference = reference
        self._stop = stop
        self._known: Voters | None = None
        self._bits = random_bits(table.payer, rng)
        self._sorting, self._coins = (_generator(self._bits) for _ in range(2))

    @property
    def domain(self) -> Domain:
        """The attributes that questions are about."""
        return self._table.domain

    def __repr__(self) -> str:
        return f"Teachers({self._part.teachers}, {self._table!r})"

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return for each question whether the first of the pair won, after noise.

        BudgetExceeded when the part has fewer votes left; nothing is then read or drawn. A
        stopping rule leaves the last questions without an answer, though they are charged.
        """
        event = self._part.event()
        if event.scale > LARGEST_SCALE:
            raise InputError(f"noise of scale {event.scale:.3g} says nothing; raise epsilon")
        sampler: Sampler = "float" if event.noise == "gumbel" else "exact"
        self._table.payer.charge(self._part, event, len(questions), why=why, sampler=sampler)
        coins = self._coins.random((event.teachers, len(questions)))
        draw = partial(winners, event=event, bits=self._bits)

        def counted(table: PrivateTable) -> tuple[Voters, Integers]:
            voters = self._voters(table)
            gaps = self._leads(*voters, questions=questions, coins=coins)
            count = self._stop.allowed(gaps, event.scale) if self._stop else len(questions)
            return voters, gaps[:count]

        (voters, gaps), won = self._table.answered(counted, lambda read: draw(read[1]))
        questions, coins = questions.first(len(won)), coins[:, : len(won)]
        law = VoteLaw(
            self._part.name,
            why,
            event,
            _records,
            self._assigned,
            partial(self._leads, questions=questions, coins=coins),
            partial(self._cast, questions=questions, coins=coins),
            draw,
            voters,
            gaps,
            won,
        )
        self._table.record_answers(law, [self._answer(questions, law)])
        return law.won

    def _answer(self, questions: Questions, law: VoteLaw) -> VoteAnswer:
        return VoteAnswer(
            law.part,
            law.why,
            questions.records.astype(np.int32),
            questions.attributes.astype(np.int32),
            questions.others.astype(np.int32),
            law.won.copy(),
            law.event.noise,
            law.event.scale,
            law.event.teachers,
            self._table.groups,
        )

    def _leads(
        self, codes: Codes, teacher: Integers, *, questions: Questions, coins: Floats
    ) -> Integers:
        votes = ballots(codes, teacher, questions, self._reference, coins)
        return np.asarray(2 * votes.sum(axis=0, dtype=np.int64) - self._part.teachers)

    def _cast(
        self,
        codes: Codes,
        teacher: Integers,
        like: Integers,
        *,
        questions: Questions,
        coins: Floats,
    ) -> Ballots:
        return ballots(codes, teacher, questions, self._reference, coins[like])

    def _voters(self, table: PrivateTable) -> Voters:
        """Return the private records and the teacher of each, drawn at the first vote."""
        if self._known is None:
            codes = _records(table)
            self._known = codes, self._assigned(len(codes))
        return self._known

    def _assigned(self, records: int) -> Integers:
        return self._sorting.integers(self._part.teachers, size=records)


def _records(table: PrivateTable) -> Codes:
    codes, counts = table.exact_records()
    return np.repeat(codes, counts, axis=0)


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
    the nearest integer, is above minus half an odd gap exactly where it itself is. That of two
    Laplace variables is above minus a gap of g scales with the chance 1 - (2 + g) exp(-g) / 4, and
    exactly so often a coin falls here.
    """
    if event.noise == "gaussian":
        noise = rounded_gaussian(event.scale * ABOVE_HALF, gaps.shape, bits)
        return np.asarray(2 * noise + gaps > 0)
    if event.noise == "laplace":
        behind = exact_coins(partial(_chance_to_turn, event.scale), np.abs(gaps), bits)
        return np.asarray((gaps > 0) != behind)
    first, second = _generator(bits).gumbel(0.0, event.scale, (2, *gaps.shape))
    return np.asarray(gaps + first - second > 0)


def _chance_to_turn(scale: float, gap: int, precision: int) -> int:
    """Return 2^precision times the chance that Laplace noise turns a vote, wrong by less than 2."""
    context = make_context(precision + 64)
    size = context.mpf(gap) / context.mpf(scale)
    if size > precision + 64:  # exp(-size) * (2 + size) is below one unit
        return 0
    return int(context.ldexp(context.exp(-size) * (2 + size) / 4, precision))


def leanings(
    records: Codes,
    teacher: Integers,
    questions: Questions,
    reference: Sequence[Floats],
    *,
    teachers: int,
) -> Floats:
    """Return how far each teacher leans to the first of each pair, (teachers, questions).

    A teacher's discriminator gives a pair of codes the frequency that it has among the teacher's
    records, less that of independent attributes, over the latter (softened): to first order the
    logarithm of the ratio of their densities. Only pairs with the attribute that differs tell
    twins apart. A leaning is 0 on average where the records are of independent attributes.

    Row i is a function of teacher i's records alone, to the last bit. Weights are rounded to
    multiples of `QUANTUM`, of which sums are taken in integers: neither their order nor what
    else is summed beside them can be seen. Such a sum is below 2^53 quanta, and hence the same in
    floating point, up to 2^53 / (51 * 2^20 * attributes) records a teacher (12 million of 14
    attributes); of more, it is rounded by itself.
    """
    lean = np.zeros((len(questions), teachers), dtype=np.int64)
    columns = np.ascontiguousarray(records.T)
    sizes = np.bincount(teacher, minlength=teachers)
    twins = questions.twins()
    for number, axis in enumerate(questions.attributes):
        for record, sign in ((questions.records[number], 1), (twins[number], -1)):
            weights, expected = _discriminator(record, int(axis), reference)
            holding = np.flatnonzero(columns[axis] == record[axis])
            score = np.zeros(len(holding), dtype=np.int64)
            for other, weight in weights.items():
                score[columns[other, holding] == record[other]] += sign * weight
            np.add.at(lean[number], teacher[holding], score)
            lean[number] -= sign * expected * sizes
    return np.asarray(lean.T * QUANTUM)


@dataclass(frozen=True, eq=False)
class Medians:
    """What half of all teachers of independent records would lean to, by how many they have.

    A sum over few records is skewed: of a rare value most teachers have seen nothing, and a vote
    by the sign of their leanings would be lost by the rare value whatever the records are.
    ``middle`` and ``tied`` map a teacher's number of records to a value a question, the latter
    the chance at which one that is exactly at the median has to vote for the first.
    """

    middle: Mapping[int, Floats]
    tied: Mapping[int, Floats]

    @classmethod
    def of(cls, sizes: Integers, questions: Questions, reference: Sequence[Floats]) -> Medians:
        """Return the medians for teachers of so many records, from `IMAGINED` teachers.

        Their records are the same in every call: they are public, and may be known to anyone.
        """
        wanted = np.unique(np.minimum(sizes, MOST_IMAGINED))
        wanted = wanted[wanted > 0]
        made = _imagined_records(int(wanted.max(initial=0)), reference)
        own = np.arange(len(made))
        middle, tied = np.empty((2, len(wanted), len(questions)))
        for number in range(len(questions)):
            asked = questions.among(slice(number, number + 1))
            each = leanings(made, own, asked, reference, teachers=len(made))
            lean = each.reshape(-1, IMAGINED).cumsum(axis=0)[wanted - 1]
            middle[:, number], tied[:, number] = _median(lean)
        known = wanted.tolist()
        return cls(dict(zip(known, middle, strict=True)), dict(zip(known, tied, strict=True)))


def _imagined_records(most: int, reference: Sequence[Floats]) -> Codes:
    """Return the records of imagined teachers: the first of each, the second of each, and so on.

    Those of a teacher of fewer records are the first of one of more, whatever ``most`` is.
    """
    rng = np.random.default_rng(IMAGINED_SEED)
    rounds = [[rng.choice(len(p), IMAGINED, p=p / p.sum()) for p in reference] for _ in range(most)]
    drawn = np.array(rounds, dtype=np.int32).reshape(most, len(reference), IMAGINED)
    return drawn.swapaxes(0, 1).reshape(len(reference), most * IMAGINED).T


def _median(lean: Floats) -> tuple[Floats, Floats]:
    """Return each row's median, and the chance that splits the row evenly there."""
    middle = np.quantile(lean, 0.5, axis=1, method="nearest")
    above = np.mean(lean > middle[:, None], axis=1)
    at = np.mean(lean == middle[:, None], axis=1)
    return middle, np.clip((0.5 - above) / at, 0.0, 1.0)


def ballots(
    records: Codes,
    teacher: Integers,
    questions: Questions,
    reference: Sequence[Floats],
    coins: Floats,
) -> Ballots:
    """Return the votes, shape (teachers, questions): true where the first record is preferred.

    A teacher prefers it by leaning further to it than half of all teachers do who have as many
    independent records. One at that median exactly, and one without records, votes by its coin,
    uniform on [0, 1), so that independent attributes are voted on evenly whatever is asked. Row
    i is a function of teacher i's records and coins alone.
    """
    sizes = np.bincount(teacher, minlength=len(coins))
    medians = Medians.of(sizes, questions, reference)
    lean = leanings(records, teacher, questions, reference, teachers=len(coins))
    votes = coins >= 0.5
    for size in np.unique(sizes[sizes > 0]):
        own = np.flatnonzero(sizes == size)
        known = min(int(size), MOST_IMAGINED)
        beyond = lean[own] - medians.middle[known]
        tossed = coins[own] >= 1 - medians.tied[known]
        votes[own] = np.where(beyond == 0, tossed, beyond > 0)
    return np.asarray(votes)


def _discriminator(
    record: Codes, axis: int, reference: Sequence[Floats]
) -> tuple[dict[int, int], int]:
    """Return what a real record's equality in each other attribute adds, and the mean sum.

    Both in quanta, for records that have the code of ``record`` in ``axis``.
    """
    weights, expected = {}, 0.0
    for other in np.flatnonzero(record != HIDDEN).tolist():
        if other != axis:
            cell = float(reference[axis][record[axis]] * reference[other][record[other]])
            weights[other] = round(1 / (cell + SOFTENING) / QUANTUM)
            expected += cell / (cell + SOFTENING)
    return weights, round(expected / QUANTUM)


def _generator(bits: Bits) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=int.from_bytes(bits(16), "little")))
