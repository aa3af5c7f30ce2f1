"""What the validation that a fit paid for says: intervals that are functions of the release alone.

Everything here is post-processing of noisy answers in a transcript. With ``n`` records, counts
``c`` of a pair and a model's probabilities ``p`` for it, the total variation is
``TV = |c - n p|_1 / 2n``. Neither ``n`` nor ``c`` is public. Asked were a noisy number of records,
rounded to ``N``, and noisy distances ``d = |c - N p|_1`` (`mechanisms.measure_distances`), which
differ from ``|c - n p|_1`` by at most ``|n - N|``, and by what rounding ``N p`` moves. So::

    (d - |n - N|) / 2n  <=  TV  <=  (d + |n - N|) / 2n

at the true ``n`` and ``d``, and an interval for both gives one for TV.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import betaincinv, ndtri

from dp_synth.accounting.events import laplace_scale
from dp_synth.domain import Domain
from dp_synth.transcript import Answer, HistogramAnswer, MarginalAnswer, ScoresAnswer
from dp_synth.types import Clique, Floats

COUNT, DISTANCES = "validation_count", "validation_distances"
MEMBERS, HOLDOUT = "validation_members", "validation_holdout"
PARTS = (COUNT, DISTANCES, MEMBERS, HOLDOUT)
"""Parts of a plan that pay for a validation, in the order in which they are asked."""

LEVEL = 0.95
"""The chance, over noise and the draw of a hold-out, that all intervals hold at once."""

FINENESS = 1024  # expected counts are rounded to one part in so many of a record
LARGEST_FINE_NOISE = 2.0**22  # of noise above it, 1024 times as much could not be drawn
ROUNDED = 0.5  # noise on whole numbers is rounded: by no more than this

A = TypeVar("A", bound=Answer)


@dataclass(frozen=True)
class Interval:
    """A value, and the two ends between which the true one lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ValidationBounds:
    """Total variation of pairs between the fitted records and the model, with intervals.

    All intervals hold at once with a chance of at least ``level``. ``tv2`` is the mean over
    ``pairs``. ``advantage`` is that of an attack: the largest difference, over fixed thresholds
    of its score, between the shares of fitted and of other people's records above it; its
    interval takes the hold-out as a sample of other people. None where it was not asked.
    """

    records: Interval
    tv2: Interval
    pairs: Mapping[Clique, Interval]
    advantage: Interval | None
    level: float = LEVEL

    @property
    def worst(self) -> tuple[Clique, Interval]:
        """The pair of the highest upper end."""
        return max(self.pairs.items(), key=lambda one: one[1].high)


def fineness_of(stddev: float) -> int:
    """Return to what part of a record expected counts are rounded where noise is so wide."""
    return FINENESS if stddev <= LARGEST_FINE_NOISE else 1


def bounds_of(transcript: Sequence[Answer], domain: Domain) -> ValidationBounds | None:
    """Return what the validation in a transcript says, None where there is none.

    ``domain`` is that of the release's schema. Bonferroni over what is stated: the number of
    records, the mean of the pairs, all pairs together, and of an attack three things more.
    """
    count = _one(transcript, COUNT, MarginalAnswer)
    distances = _one(transcript, DISTANCES, ScoresAnswer)
    if count is None or distances is None:
        return None
    members = _one(transcript, MEMBERS, HistogramAnswer)
    others = _one(transcript, HOLDOUT, HistogramAnswer)
    attacked = members is not None and others is not None
    chance = (1 - LEVEL) / (6 if attacked else 3)
    value, wide = float(count.values), _reach(count, chance) + ROUNDED
    records = Interval(max(value, 0.0), max(value - wide, 0.0), max(value + wide, 0.0))
    pairs, mean = _variations(distances, domain, records, chance)
    advantage = None
    if members is not None and others is not None:
        advantage = _advantage(members, others, records, chance)
    return ValidationBounds(records, mean, pairs, advantage)


def expected_records(noisy: float) -> float:
    """Return the number ``N`` by which expected counts are made of probabilities."""
    return float(max(np.rint(noisy), 1.0))


def _one(transcript: Sequence[Answer], part: str, kind: type[A]) -> A | None:
    return next((a for a in transcript if a.part == part and isinstance(a, kind)), None)


def _quantile(chance: float, numbers: int) -> float:
    """Return what none of so many independent standard normal numbers exceeds in size.

    But for ``chance``: Sidak 1967, with equality for independent numbers.
    """
    return float(-ndtri(-np.expm1(np.log1p(-chance) / numbers) / 2))


def _reach(
    answer: MarginalAnswer | ScoresAnswer | HistogramAnswer,
    chance: float,
    *,
    numbers: int = 1,
    added: int = 1,
    fineness: int = 1,
) -> float:
    """Return what noise of none of so many numbers exceeds in size, but for ``chance``.

    Each is a sum of ``added`` noisy ones, which are whole multiples of 1 / ``fineness``, and what
    rounding adds is beside. The size of one discrete Laplace number of scale b exceeds x + 1/2
    with a chance of exp(-x / b) at most; sums of them are bounded by their moments (Chernoff),
    of log -log(1 - variance * (cosh(t) - 1)) each.
    """
    if answer.noise == "gaussian":
        return _quantile(chance, numbers) * answer.stddev * math.sqrt(added)
    each, stddev = -math.expm1(math.log1p(-chance) / numbers), answer.stddev * fineness
    scale = laplace_scale(stddev)
    if added == 1:
        return -scale * math.log(each) / fineness
    largest = math.acosh(1 + stddev**-2)
    orders = largest * np.linspace(0.001, 0.999, 999)
    moments = -added * np.log1p(-(stddev**2) * (np.cosh(orders) - 1))
    return float(np.min((moments - math.log(each / 2)) / orders)) / fineness


def _variations(
    answer: ScoresAnswer, domain: Domain, records: Interval, chance: float
) -> tuple[dict[Clique, Interval], Interval]:
    """Return the total variation of each pair, and their mean."""
    fineness, total = fineness_of(answer.stddev), expected_records(records.value)
    cells = np.array([_cells(clique, answer, domain) for clique in answer.cliques], dtype=float)
    off = (ROUNDED + cells * ROUNDED) / fineness  # of noise, and of each expected count
    number = len(answer.cliques)
    wide = _reach(answer, chance, numbers=number, fineness=fineness)
    low, high = _per_record(answer.values, wide + off, records, total)
    value = _at(answer.values, total, total)
    pairs = {
        clique: Interval(float(value[i]), float(low[i]), float(high[i]))
        for i, clique in enumerate(answer.cliques)
    }
    mean = np.array([answer.values.mean()])
    of_mean = _reach(answer, chance, added=number, fineness=fineness) / number + off.mean()
    ends = (float(end[0]) for end in _per_record(mean, of_mean, records, total))
    return pairs, Interval(float(_at(mean, total, total)[0]), *ends)


def _cells(clique: Clique, answer: ScoresAnswer, domain: Domain) -> int:
    """Return the cells of a marginal over the groups of codes in which it was asked."""
    sizes = (
        int(answer.groups[a].max()) + 1 if a in answer.groups else domain.size(a) for a in clique
    )
    return int(np.prod(list(sizes), dtype=np.int64))


def _per_record(
    distances: Floats, wide: Floats | float, records: Interval, total: float
) -> tuple[Floats, Floats]:
    """Return the least and the largest total variation over all numbers of records possible.

    On either side of ``total`` both bounds are monotone in that number: ends decide.
    """
    ends = (records.low, min(max(total, records.low), records.high), records.high)
    lows = [_at(distances - wide - abs(n - total), n, total) for n in ends]
    highs = [_at(distances + wide + abs(n - total), n, total) for n in ends]
    if records.low < 1:  # of no record at all, anything may be said
        highs.append(np.ones_like(distances))
        lows.append(np.zeros_like(distances))
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _at(distances: Floats, records: float, total: float) -> Floats:
    return np.asarray(np.clip(distances / (2 * (records if records >= 1 else total)), 0.0, 1.0))


def _advantage(
    members: HistogramAnswer, others: HistogramAnswer, records: Interval, chance: float
) -> Interval:
    """Return the interval of an attack's advantage; cells of its score rise."""
    found, low, high = _above(members, chance)
    share = (
        _share(found, records.value),
        _share(low, records.high),
        _share(high, records.low, unknown=1.0),
    )
    accused, least, most = _above(others, chance)
    people = Interval(accused[0], max(least[0], 0.0), most[0])  # above no threshold: all of them
    each = chance / (2 * max(len(accused) - 1, 1))
    wrong = (
        _share(accused[1:], people.value),
        _clopper_pearson(np.floor(least[1:]), np.ceil(people.high), each, lower=True),
        _clopper_pearson(np.ceil(most[1:]), np.floor(people.low), each, lower=False),
    )
    ends = (share[0][1:] - wrong[0], share[1][1:] - wrong[2], share[2][1:] - wrong[1])
    value, least_of, most_of = (float(np.max(end, initial=0.0)) for end in ends)
    return Interval(value, least_of, most_of)


def _above(answer: HistogramAnswer, chance: float) -> tuple[Floats, Floats, Floats]:
    """Return the records from each cell on upwards: their noisy number and its two ends."""
    sums = np.cumsum(answer.values[::-1])[::-1]
    added = np.arange(len(sums), 0, -1)
    each = [_reach(answer, chance / len(sums), added=int(count)) for count in added]
    wide = np.array(each) + ROUNDED * added
    return sums, sums - wide, sums + wide


def _share(part: Floats, whole: float, *, unknown: float = 0.0) -> Floats:
    if whole < 1:
        return np.full_like(part, unknown)
    return np.asarray(np.clip(part / whole, 0.0, 1.0))


def _clopper_pearson(found: Floats, trials: float, chance: float, *, lower: bool) -> Floats:
    """Return one-sided bounds on the rates of successes (Clopper & Pearson 1934)."""
    if trials < 1:
        return np.zeros_like(found) if lower else np.ones_like(found)
    found = np.clip(found, 0.0, trials)
    if lower:
        ends = betaincinv(np.maximum(found, 1), trials - found + 1, chance)
        return np.where(found < 1, 0.0, ends)
    ends = betaincinv(found + 1, np.maximum(trials - found, 1), 1 - chance)
    return np.where(found >= trials, 1.0, ends)
