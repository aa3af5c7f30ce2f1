"""The stages of a release, each with its own scores and its own lines of the ledger."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from dp_synth.accounting import Gaussian, PrivacyCurve, Round, Selection, compose
from dp_synth.accounting.events import Event
from dp_synth.audit.bounds import Worlds
from dp_synth.audit.likelihood_ratio import ComparedRun, SampledComparison

LOW_BITS = "low bits"  # of a stage's name: what its numbers say beyond their values

Charges = tuple[tuple[Event, int], ...]


@dataclass(frozen=True, eq=False)
class Stage:
    """What the answers of one kind say between two worlds, and the curve of their charges."""

    name: str
    worlds: Worlds
    claim: PrivacyCurve


def stages_of(inside: Sequence[ComparedRun], outside: Sequence[ComparedRun]) -> list[Stage]:
    """Return every stage that says something between the tables, by part and reason.

    The scores are of fresh answers. In either world half of them were given in runs about the
    table with the target, half in runs about the other: earlier answers, and all noise that was
    chosen in view of them, then have one law in both worlds, so that the stage's own curve
    bounds the area of any score. Where runs were charged differently, `dearest` is the claim.
    """
    names = dict.fromkeys((c.part, c.why) for run in (*inside, *outside) for c in run.comparisons)
    found = []
    for part, why in names:
        first, second = _scores(inside, outside, part, why)
        if np.ptp([*first, *second]):
            claim = dearest({_charges(run, part, why) for run in (*inside, *outside)})
            found.append(Stage(f"{part}: {why}", Worlds.of(first, second), claim))
    return found


def low_bits_of(
    inside: Sequence[ComparedRun], outside: Sequence[ComparedRun], claim: PrivacyCurve
) -> list[Stage]:
    """Return a stage of low bits for each kind of noisy sums in which they differ over the runs.

    The score of a run is in how many steps floating-point noise leads to all that was released
    from the sum with the target alone, less those where it does from the sum without it alone.
    It is a function of everything that was released, so that ``claim`` is the curve of all.
    Likelihood ratios, of the real numbers that are meant, know nothing of it.
    """
    runs = (*inside, *outside)
    sums = [c for run in runs for c in run.comparisons if isinstance(c, SampledComparison)]
    found = []
    for part, why in dict.fromkeys((c.part, c.why) for c in sums):
        first, second = (
            [_low_bits(run, part, why) for run in world] for world in (inside, outside)
        )
        if np.ptp([*first, *second]):
            name = f"{part}: {why}: {LOW_BITS}"
            found.append(Stage(name, Worlds.of(first, second), claim))
    return found


def total_scores(runs: Sequence[ComparedRun]) -> list[float]:
    """Return each run's log-likelihood ratio of all its answers: the asked table's to the other."""
    return [math.fsum(c.log_ratio() for c in run.comparisons) for run in runs]


def _scores(
    inside: Sequence[ComparedRun], outside: Sequence[ComparedRun], part: str, why: str
) -> tuple[list[float], list[float]]:
    """Return a stage's scores of the world with the target, and of the one without it."""
    scores: tuple[list[float], list[float]] = ([], [])
    for asked, runs in enumerate((inside, outside)):
        for number, run in enumerate(runs):
            there = bool(number % 2)
            score = math.fsum(
                c.fresh_log_ratio(there=there)
                for c in run.comparisons
                if (c.part, c.why) == (part, why)
            )
            scores[(asked + there) % 2].append(-score if asked else score)
    return scores


def _low_bits(run: ComparedRun, part: str, why: str) -> float:
    return float(
        sum(
            c.low_bits
            for c in run.comparisons
            if isinstance(c, SampledComparison) and (c.part, c.why) == (part, why)
        )
    )


def dearest(charges: Iterable[Charges]) -> PrivacyCurve:
    """Return one curve that no run's charges of a stage exceed.

    Three facts make it a bound of every run, and of a pool of runs whose charges were decided by
    what has one law in both worlds (its attacks' rates are averages of points below one concave
    ROC curve):

    - A mechanism whose privacy loss has range r has any larger range as well, by definition, and
      a constant has range 0. So choices of ranges r1 >= r2 >= ... are choices of R1 >= R2 >= ...
      too where Ri >= ri for every i, and none is a choice of any range: their curve, certified
      for all mechanisms of these ranges, holds for runs with smaller and with fewer ranges. Ri
      is the largest i-th range of all runs.
    - Gaussian answers are one of mu = sqrt(sum of mu_i ** 2) (Dong, Roth & Su 2022, Cor. 3.3), and
      a larger mu dominates a smaller.
    - What dominates part by part dominates the product (Zhu, Dong & Wang 2022): given the
      earlier answers a run's fresh ones are independent, in whatever order they are composed.

    Of charges of another kind each is taken as often as in the run that has most of it.
    """
    runs = list(charges)
    gaussians = max((_gaussians(run) for run in runs), key=lambda events: compose(events).mu)
    ranges = zip_longest(*(_ranges(run) for run in runs), fillvalue=0.0)
    choices = [(Selection(max(column)), 1) for column in ranges]
    others: Counter[Event] = Counter()
    for run in runs:
        others |= _others(run)  # the larger of both counts
    return compose([*gaussians, *choices, *others.items()])


def _gaussians(run: Charges) -> Charges:
    return tuple(charge for charge in run if isinstance(charge[0], Gaussian))


def _others(run: Charges) -> Counter[Event]:
    counts: Counter[Event] = Counter()
    for event, count in run:
        if not isinstance(event, Gaussian | Selection):
            counts[event] += count
    return counts


def _ranges(run: Charges) -> list[float]:
    """Return the range of every choice of a run, the largest first."""
    ranges = ([event.epsilon] * count for event, count in run if isinstance(event, Selection))
    return sorted(chain(*ranges), reverse=True)


def _charges(run: ComparedRun, part: str, why: str) -> Charges:
    """Return what a stage was charged for; of rounds, whose answers are another's, the choices."""
    events = ((e.event, e.count) for e in run.ledger.charges if (e.part, e.why) == (part, why))
    return tuple((e.choice if isinstance(e, Round) else e, count) for e, count in events)
