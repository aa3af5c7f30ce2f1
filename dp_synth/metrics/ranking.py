"""The area under a ROC curve with an interval, from scores of two groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from dp_synth.metrics.estimate import TAIL, Estimate, clopper_pearson, quantile

FEWEST_FOR_DELONG = 30  # below this many scores in either group, the exact interval of pairs
MOST_FOR_DELONG = 0.98  # an area beyond this or its mirror image has the interval of pairs too


def placements(
    positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each positive's share of negatives below it, each negative's of positives above.

    Ties count half. These are the structural components of DeLong, DeLong & Clarke-Pearson 1988;
    either mean is the Mann-Whitney area.
    """
    return _share_below(positive, negative), 1.0 - _share_below(negative, positive)


def area_under_roc(
    positive: NDArray[np.float64], negative: NDArray[np.float64], rng: np.random.Generator
) -> Estimate:
    """Return the chance that a positive scores above a negative, ties counted half.

    The interval is DeLong's on the logit scale, whose misses were found near the nominal 5 % by
    simulation for areas up to 0.98 and 250 scores a group. For fewer than 30 scores in a group
    and for areas nearer to 0 or 1, where it is too short, the Clopper-Pearson interval of the
    wins among disjoint random pairs takes its place: exact, and wider. Without scores in a group
    the value is 0.5 and the interval all of [0, 1].
    """
    if not len(positive) or not len(negative):
        return Estimate(0.5, 0.0, 1.0)
    of_positive, of_negative = placements(positive, negative)
    area = min(max(float(of_positive.mean()), 0.0), 1.0)
    few = min(len(positive), len(negative)) < FEWEST_FOR_DELONG
    if few or not 1 - MOST_FOR_DELONG <= area <= MOST_FOR_DELONG:
        return _interval_of_pairs(area, positive, negative, rng)
    variance = of_positive.var(ddof=1) / len(positive) + of_negative.var(ddof=1) / len(negative)
    return on_logit_scale(area, float(variance))


def on_logit_scale(area: float, variance: float, degrees: float = np.inf) -> Estimate:
    """Return Student's interval that is symmetric after the logit; the area itself at 0 and 1.

    All of [0, 1] where ``variance`` was estimated with no ``degrees`` of freedom.
    """
    if degrees <= 0:
        return Estimate(area, 0.0, 1.0)
    if not 0 < area < 1:
        return Estimate(area, area, area)
    half = quantile(degrees) * np.sqrt(variance) / (area * (1 - area))
    low, high = expit(logit(area) - half), expit(logit(area) + half)
    return Estimate(area, min(float(low), area), max(float(high), area))


def of_few(value: float, variance: float, degrees: float, trials: float) -> Estimate:
    """Return the interval of a rate in [0, 1] that is a mean of ``trials`` or of more.

    That of `on_logit_scale`, and of fewer than 30 trials, or where all but 2 % is settled, also
    the exact one of so many independent ones, as it has few or no misses to see a variance by.
    """
    found = on_logit_scale(value, variance, degrees)
    settled = not 1 - MOST_FOR_DELONG <= value <= MOST_FOR_DELONG
    if not settled and trials >= FEWEST_FOR_DELONG:
        return found
    whole = int(trials)
    low = clopper_pearson(int(value * whole), whole)[0]
    high = clopper_pearson(int(np.ceil(value * whole)), whole)[1]
    return Estimate(value, min(found.low, low), max(found.high, high))


def _share_below(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, side="left")
    below_or_equal = np.searchsorted(ordered, scores, side="right")
    share: NDArray[np.float64] = (below + below_or_equal) / (2.0 * len(ordered))
    return share


def _interval_of_pairs(
    area: float,
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
    rng: np.random.Generator,
) -> Estimate:
    # Disjoint pairs are independent, and a tie decided by a coin wins with chance one half: the
    # number of wins is binomial with the area as its success probability, whatever the scores.
    pairs = min(len(positive), len(negative))
    first, second = rng.permutation(positive)[:pairs], rng.permutation(negative)[:pairs]
    wins = np.where(first == second, rng.random(pairs) < 0.5, first > second)
    low, high = clopper_pearson(int(wins.sum()), pairs, TAIL)
    return Estimate(area, min(low, area), max(high, area))
