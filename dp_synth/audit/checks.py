"""Checks of a mechanism or a ledger that need no attack: what is drawn, charged and let out.

Each function returns a `CheckResult`. They work on anyone's mechanism; one that draws its noise
from a constant seed is found in two calls:

>>> import numpy as np
>>> def my_release() -> np.ndarray:
...     return np.array([12.0, 7.0]) + np.random.default_rng(0).normal(0, 3, 2)
>>> print(fresh_randomness(my_release))
FAILED fresh randomness: 2 calls without a seed gave the same output
>>> print(schema_ignores_data(lambda ages: (min(ages), max(ages)), [31, 40], [31, 40, 97]))
FAILED public facts: they differ between two neighbouring tables, so records were read for them
>>> print(shares_sum_to_one({"ones": 1 / 3, "tree": 1 / 3, "pairs": 2 / 3}))
FAILED shares: shares of 3 stages add up to 1.33333
>>> half = lambda event, count, delta: gaussian_epsilon(0.5 / event.noise_multiplier, delta)
>>> accountant_is_certified(half, [(Gaussian(4.0, 1.0), 1)]).passed
False

Passing proves nothing beyond what was looked at. What a function is given may be private: it is
for the data holder's eyes, and no finding repeats it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import bdtr, bdtrc, gammainc, gammaincc

from dp_synth.accounting import (
    Event,
    Gaussian,
    LaplaceCounts,
    Ledger,
    PrivacyBudget,
    Round,
    Selection,
    compose,
)
from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.accounting.events import Laplace, NoisyVote, SampledGaussian
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.formatting import rounded_down, rounded_up
from dp_synth.transcript import (
    Answer,
    ChoiceAnswer,
    HistogramAnswer,
    MarginalAnswer,
    ParityAnswer,
    ScoresAnswer,
    SumsAnswer,
)
from dp_synth.types import Integers

T = TypeVar("T")

FALSE_ALARM = 1e-6  # chance that a right sampler is called a wrong one


@dataclass(frozen=True)
class CheckResult:
    """What a check found, in one sentence."""

    check: str
    passed: bool
    sentence: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'} {self.check}: {self.sentence}"


def fresh_randomness(run: Callable[[], object], *, calls: int = 2) -> CheckResult:
    """Return whether calls without a seed differ, as those that draw fresh noise do.

    The output must hold enough noise that two of them agree by chance almost never.
    """
    if calls < 2:
        raise InputError(f"there must be 2 calls or more, got {calls}")
    first, *others = [run() for _ in range(calls)]
    repeated = any(same(first, other) for other in others)
    what = "gave the same output" if repeated else "gave different outputs"
    return CheckResult("fresh randomness", not repeated, f"{calls} calls without a seed {what}")


def schema_ignores_data(facts_of: Callable[[T], object], here: T, there: T) -> CheckResult:
    """Return whether what is released as public is the same for two neighbouring tables.

    ``facts_of`` gives it for a table: categories, bounds, cells, the number of records.
    """
    equal = same(facts_of(here), facts_of(there))
    sentence = (
        "they are the same for two neighbouring tables"
        if equal
        else "they differ between two neighbouring tables, so records were read for them"
    )
    return CheckResult("public facts", equal, sentence)


def sampled_by_poisson(
    drawn: ArrayLike, rate: float, *, false_alarm: float = FALSE_ALARM
) -> CheckResult:
    """Return whether records seem to have tossed a coin of chance ``rate`` at every step.

    ``drawn`` has shape (steps, records): who took part. Looked at are the number of all draws
    (exactly binomial), how much batch sizes vary over steps, and how much records vary in their
    number of draws. Batches of a fixed size or shuffled epochs vary too little, classes that are
    sampled more often too much. At least 30 steps and records are needed.
    """
    taken = np.asarray(drawn, dtype=bool)
    if taken.ndim != 2 or min(taken.shape) < 30 or not 0 < rate < 1:
        raise InputError("draws must have 30 steps and records or more, and a rate in (0, 1)")
    steps, records = taken.shape
    total = int(taken.sum())
    tails = {
        "draws altogether": min(
            bdtr(float(total), taken.size, rate),
            bdtrc(float(total - 1), taken.size, rate) if total else 1.0,
        ),
        "sizes of batches": _dispersion_tail(taken.sum(axis=1), records, rate),
        "draws of each record": _dispersion_tail(taken.sum(axis=0), steps, rate),
    }
    wrong = [name for name, tail in tails.items() if tail < false_alarm / (2 * len(tails))]
    if wrong:
        sentence = f"{' and '.join(wrong)} are not those of coins of chance {rate:g}"
        return CheckResult("sampling", False, sentence)
    return CheckResult("sampling", True, f"{steps} steps look like coins of chance {rate:g}")


def teachers_are_disjoint(
    parts: Sequence[ArrayLike], teachers: Sequence[object] = ()
) -> CheckResult:
    """Return whether no record reached two teachers, and no two teachers are one object.

    ``parts`` are the row numbers that each teacher was fitted to, over all rounds.
    """
    if len({id(teacher) for teacher in teachers}) < len(teachers):
        return CheckResult(
            "teachers", False, f"some of {len(teachers)} teachers are the same object"
        )
    rows = [np.unique(np.asarray(part, dtype=np.int64)) for part in parts]
    shared = sum(map(len, rows)) - len(np.unique(np.concatenate(rows))) if rows else 0
    if shared:
        return CheckResult("teachers", False, "some records were seen by several teachers")
    return CheckResult("teachers", True, f"{len(parts)} teachers have seen disjoint records")


def one_record_moves_one_teacher(here: ArrayLike, there: ArrayLike) -> CheckResult:
    """Return whether the votes about two neighbouring tables differ in one teacher at most.

    Votes have shape (teachers, questions) and were cast with the same coins.
    """
    moved = int(np.any(np.asarray(here) != np.asarray(there), axis=1).sum())
    return CheckResult("votes", moved <= 1, f"one record moved the votes of {moved} teachers")


def on_a_fixed_grid(values: ArrayLike, unit: float = 1.0) -> CheckResult:
    """Return whether all outputs are multiples of one ``unit``, whatever the exact values are.

    Floating-point noise has last bits that depend on the value it was added to, so that some
    outputs are possible from one table alone (Mironov 2012). Whole numbers have none.
    """
    scaled = np.asarray(values, dtype=np.float64) / unit
    right = bool(np.all(scaled == np.rint(scaled)))
    sentence = f"are multiples of {unit:g}" if right else f"are no multiples of {unit:g}"
    return CheckResult("grid of outputs", right, f"outputs {sentence}")


def same(first: object, second: object) -> bool:
    """Return whether two outputs are equal: values, arrays, frames, and what holds them."""
    if isinstance(first, pd.DataFrame) and isinstance(second, pd.DataFrame):
        return first.equals(second)
    arrays = np.ndarray | pd.Series | pd.Index
    if isinstance(first, arrays) and isinstance(second, arrays):
        return np.array_equal(np.asarray(first), np.asarray(second))
    if isinstance(first, pd.DataFrame | arrays) or isinstance(second, pd.DataFrame | arrays):
        return False
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def _dispersion_tail(counts: Integers, trials: int, rate: float) -> float:
    """Return the smaller tail of how much binomial counts vary around their known mean.

    The sum of squared deviations over their variance has mean n and, by the fourth moment of
    the binomial, variance n (2 + (1 - 6 p q) / (trials p q)); a gamma law has both.
    """
    spread = trials * rate * (1 - rate)
    seen = float(np.sum((counts - trials * rate) ** 2)) / spread
    number = len(counts)
    variance = number * (2 + (1 - 6 * rate * (1 - rate)) / spread)
    shape, scale = number**2 / variance, variance / number
    return float(min(gammainc(shape, seen / scale), gammaincc(shape, seen / scale)))


EpsilonOf = Callable[[Event, int, float], float]

ROUNDING = 1e-9  # relative, by which sums and bounds may be off
INTERVAL = 1e-4  # of the loss grid that bounds an epsilon from below
REGIMES: tuple[tuple[Event, int], ...] = (  # few and many answers, with much and little noise
    (Gaussian(4.0, 1.0), 1),
    (Gaussian(1.0, 1.0), 16),
    (Laplace(2.0, 1.0), 1),
    (Laplace(2.0, 1.0), 20),
    (SampledGaussian(1.0, 0.01, 200), 1),
)


def answers_are_charged(ledger: Ledger, transcript: Iterable[Answer]) -> CheckResult:
    """Return whether the ledger has a charge for each answer, of no more noise than it says.

    Charges are found by part and reason; noisy gradients and thresholded counts leave no answer
    in a transcript, and are not looked at.
    """
    answered: dict[tuple[str, str], list[float]] = defaultdict(list)
    charged: dict[tuple[str, str], list[float]] = defaultdict(list)
    for answer in transcript:
        answered[answer.part, answer.why] += _noise_of_answer(answer)
    for entry in ledger.charges:
        if (noise := _noise_of(entry.event, ledger.budget)) is not None:
            charged[entry.part, entry.why] += [noise] * entry.count
    for (part, why), noises in answered.items():
        paid = charged[part, why]
        if len(noises) > len(paid):
            sentence = f"part {part!r} has {len(noises)} answers ({why}) and {len(paid)} charges"
            return CheckResult("answers charged", False, sentence)
        pairs = zip(sorted(noises), sorted(paid), strict=False)
        if any(own < least * (1 - ROUNDING) for own, least in pairs):
            sentence = f"part {part!r} ({why}) has answers with less noise than was charged for"
            return CheckResult("answers charged", False, sentence)
    total = sum(map(len, answered.values()))
    return CheckResult("answers charged", True, f"each of {total} answers has a charge of its own")


def ledger_adds_up(ledger: Ledger, *, epsilon: float | None = None) -> CheckResult:
    """Return whether charges stay within what was reserved, and that within the budget.

    The bound is computed anew; ``epsilon``, where it is given, is what was stated elsewhere.
    """
    if ledger.uncovered:
        return CheckResult("ledger arithmetic", False, ledger.uncovered)
    risk = ledger.budget.risk
    if risk is not None and epsilon is None:
        told = f"the entries have {risk.said(rounded_up(ledger.cost))}, stated is {risk}"
        return CheckResult("ledger arithmetic", ledger.is_within, told)
    found = ledger.epsilon
    most = ledger.budget.epsilon if risk is None else math.inf
    stated = most if epsilon is None else min(epsilon, most)
    sentence = f"the entries cost epsilon {rounded_up(found)}, stated are {rounded_up(stated)}"
    return CheckResult("ledger arithmetic", found <= stated * (1 + ROUNDING), sentence)


def shares_sum_to_one(shares: Mapping[str, float]) -> CheckResult:
    """Return whether the shares of a budget that stages take add up to all of it, and no more."""
    total = sum(shares.values())
    right = abs(total - 1) <= ROUNDING and min(shares.values(), default=0.0) >= 0
    return CheckResult("shares", right, f"shares of {len(shares)} stages add up to {total:.6g}")


def stages_within(
    stages: Mapping[str, Iterable[tuple[Event, int]]], epsilon: float, delta: float
) -> CheckResult:
    """Return whether the events of all stages, composed in order, cost at most ``epsilon``."""
    found = compose(pair for events in stages.values() for pair in events).epsilon(delta)
    sentence = (
        f"{len(stages)} stages cost epsilon {rounded_up(found, 6)} at delta {rounded_up(delta)}, "
        f"stated are {rounded_up(epsilon, 6)}"
    )
    return CheckResult("stages", found <= epsilon * (1 + ROUNDING), sentence)


def accountant_is_certified(
    epsilon_of: EpsilonOf, regimes: Sequence[tuple[Event, int]] = REGIMES, *, delta: float = 1e-5
) -> CheckResult:
    """Return whether an accountant's epsilon is never below the least that is possible.

    ``epsilon_of(event, count, delta)`` is asked in all ``regimes``: faults may show in few of
    them. What is possible is exact for Gaussians, else composed from optimistic loss
    distributions. UnsupportedEvent for regimes of other events than Gaussian, Laplace and
    SampledGaussian.
    """
    for event, count in regimes:
        found, least = epsilon_of(event, count, delta), least_epsilon(event, count, delta)
        if found < least * (1 - ROUNDING):
            stated, needed = rounded_up(found, 6), rounded_down(least, 6)
            sentence = f"{stated} for {count} of {event}, which cost {needed} at least"
            return CheckResult("accountant", False, sentence)
    return CheckResult(
        "accountant", True, f"never below what is possible in {len(regimes)} regimes"
    )


def least_epsilon(event: Event, count: int, delta: float) -> float:
    """Return an epsilon that so many events cost at least, however they are accounted."""
    if isinstance(event, Gaussian):
        return gaussian_epsilon(count**0.5 / event.noise_multiplier, delta)
    from dp_accounting.pld import privacy_loss_distribution as losses

    optimistic: dict[str, float] = {"pessimistic_estimate": False, "use_connect_dots": False}
    optimistic["value_discretization_interval"] = INTERVAL
    if isinstance(event, Laplace):
        once = losses.from_laplace_mechanism(event.scale / event.sensitivity, **optimistic)
    elif isinstance(event, SampledGaussian):
        own = {"sampling_prob": event.rate, **optimistic}
        once = losses.from_gaussian_mechanism(event.noise_multiplier, **own)
        count *= event.steps
    else:
        raise UnsupportedEvent(f"no optimistic loss distribution is known here of {event!r}")
    return float(once.self_compose(count).get_epsilon_for_delta(delta))


def _noise_of(event: Event, budget: PrivacyBudget) -> float | None:
    """Return a number that is larger with more noise; None for events that leave no answer."""
    match event:
        case LaplaceCounts():  # in units of counts, of which a unit of the budget moves so many
            moved = budget.max_rows * (1 if budget.adjacency == "add_remove" else 2)
            return event.stddev * moved / (event.numbers * event.sensitivity)
        case Gaussian():
            return event.stddev
        case Selection() | Round():
            return 1 / event.epsilon
        case NoisyVote():
            return event.scale
    return None


def _noise_of_answer(answer: Answer) -> list[float]:
    match answer:
        case MarginalAnswer() | HistogramAnswer() | ParityAnswer() | SumsAnswer():
            return [answer.stddev]
        case ScoresAnswer():
            return [answer.stddev] * len(answer.cliques)
        case ChoiceAnswer():
            return [1 / answer.epsilon]
    return [answer.scale] * len(answer.records)
