"""Partition selection: categories that no schema lists, where enough records hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import ThresholdedGaussians
from dp_synth.errors import InputError
from dp_synth.mechanisms.noise import LARGEST_SCALE, random_bits, rounded_gaussian
from dp_synth.mechanisms.table import PrivateTable, marginal_sensitivity
from dp_synth.schema.columns import MAX_OPEN


def release_texts(
    table: PrivateTable,
    unlisted: Mapping[str, Sequence[str]],
    part: ThresholdedGaussians,
    rng: np.random.Generator,
) -> dict[str, tuple[str, ...]]:
    """Return, sorted, the texts of each column whose noisy counts reach the threshold.

    ``unlisted`` are private: the texts of the last codes of each column. At most ``MAX_OPEN`` of
    the largest noisy counts are kept. Each column is charged as one event of ``part``, whatever
    it holds, before any is read; BudgetExceeded as in `measure`.

    Privacy
    -------
    Each text that occurs gets Gaussian noise on its count and is released when that reaches
    `least_count`; texts that do not occur get none.

    *One record, added or removed*, changes the count of one text, by one. Given the noise of all
    other texts, which texts are released depends on one bit of that text's: whether its noisy
    count reaches some threshold, the least count or what takes one of the places of the largest.
    So each column is a `PartitionSelection` (Desfontaines, Voss, Gipson & Mandayam 2022,
    arXiv:2006.03684, have the best one alone; `docs/accounting.md` proves what it costs beside
    other events). A new text reaches it with a chance of at most delta (`chance_alone`).

    *Otherwise* noisy counts are charged as if they were seen, for ties of the largest may tell
    more than one bit of two texts. Let x and x' be neighbours, S the texts that occur in both, U
    those in x alone and V those in x' alone. Noise is independent, so that the output is that on
    S beside that on U and on V. On S it is post-processing of a Gaussian mechanism on counts of
    L2 sensitivity `marginal_sensitivity`. On U and V nothing is released with chance 1 - u from x
    and 1 - v from x', where u and v are the chances that some text of U, of V, is. All other
    outputs are possible from one table alone, hence for epsilon >= 0 the hockey-stick divergence
    is u + max(0, 1 - u - exp(epsilon) * (1 - v)) <= max(u, v): the pair is (0, max(u, v))-DP.
    Texts of U and V are held by one unit alone, whose records are ``max_rows`` at most, so that
    both chances are at most `chance_alone`, also under replace_one, since the larger of them counts
    and not their sum. The product of the two pairs is charged, a `ThresholdedGaussian`: the
    Gaussian sparse histogram (Wilkins, Kifer, Zhang & Karrer 2024, arXiv:2202.01100); Korolova et
    al. 2009 have it with Laplace noise.
    """
    most = table.payer.budget.max_rows
    event = part.event(marginal_sensitivity(table.adjacency, most))
    if event.stddev > LARGEST_SCALE:
        raise InputError(f"noise of stddev {event.stddev:.3g} says nothing; raise epsilon")
    for name in unlisted:
        table.payer.charge(part, event, 1, why=f"categories of {name!r}", sampler="exact")
    least = least_count(event.stddev, event.delta, most)
    bits = random_bits(table.payer, rng)
    released = {}
    for name, texts in unlisted.items():
        counts = table.exact_marginal((name,))[table.domain.size(name) - len(texts) :]
        occurring = np.flatnonzero(counts > 0)
        noise = rounded_gaussian(event.stddev, occurring.shape, bits)
        noisy = counts[occurring] + noise
        released[name] = _largest([texts[place] for place in occurring.tolist()], noisy, least)
    return released


def least_count(stddev: float, delta: float, max_rows: int = 1) -> int:
    """Return the least threshold on noisy counts at which `chance_alone` is at most ``delta``.

    >>> least_count(stddev=10.0, delta=1e-10)
    66
    """
    from scipy.special import ndtri

    each = -math.expm1(math.log1p(-delta) / max_rows)
    reach = max(max_rows - stddev * ndtri(delta), 1 - stddev * ndtri(each))
    least = math.ceil(reach + 0.5)
    while chance_alone(stddev, least, max_rows) > delta:  # by a rounding error
        least += 1
    return least


def chance_alone(stddev: float, least: int, max_rows: int = 1) -> float:
    """Return an upper bound on the chance that texts of one unit alone reach a threshold.

    A count of c with rounded noise reaches it with chance p(c) = Phi((c + 1/2 - least) /
    stddev). The logarithm of 1 - p(c) is concave in c, so that over all ways to spread
    ``max_rows`` records over texts the chance is largest at an end: all in one, or each in a
    text of its own.

    >>> round(chance_alone(stddev=1.0, least=4), 4), chance_alone(stddev=1e-3, least=2)
    (0.0062, 0.0)
    """
    from scipy.special import log_ndtr, ndtr

    together = float(ndtr((max_rows + 0.5 - least) / stddev))
    apart = -math.expm1(max_rows * float(log_ndtr((least - 1.5) / stddev)))
    return max(together, apart) * (1 + 1e-12)


def _largest(texts: Sequence[str], noisy: NDArray[np.float64], least: int) -> tuple[str, ...]:
    """Return, sorted, the texts of counts from the least on, and of the largest ``MAX_OPEN``."""
    order = np.argsort(-noisy, kind="stable")[:MAX_OPEN]
    return tuple(sorted(texts[place] for place in order if noisy[place] >= least))
