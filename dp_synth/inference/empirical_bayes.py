"""Empirical Bayes estimates of histograms whose noise may hide them."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from dp_synth.inference.histograms import project_to_simplex, simplex_mean
from dp_synth.inference.one_way import histogram
from dp_synth.transcript import Measurement
from dp_synth.types import Floats

SHAPES = (0.03, 0.1, 0.3, 1.0, 3.0)  # of the prior: from a few codes that hold all to all alike
FEW = 5  # codes
CLEAR = 8.0  # in standard deviations of the noise: larger counts are left as they are
FAR = 5.0  # in standard deviations: what lies further from a noisy count did not give it
NEAR_ZERO, LEAST = 0.2, 1e-4  # in standard deviations: below the first the grid is geometric
BLOCK = 10_000  # cells that are looked at together: 20 megabytes


def averaged_histogram(one: Measurement, ordered: int, total: float) -> Floats:
    """Return a histogram for noise that may hide it: the mean of three that err differently.

    The nearest of the sum (``project_to_simplex``) keeps spikes and puts noise into what is
    empty, a smooth one (``histogram``) joins its first ``ordered`` codes to steps, and the
    medians of an empirical prior (``posterior_medians``) empty what is mostly noise. Their mean
    errs less than each where records are few, whatever the column is like. Of fewer than ``FEW``
    codes no prior can be learnt: ``simplex_mean`` stands for the medians.
    """
    nearest = project_to_simplex(one.values, total, np.square(one.stddev))
    prior = posterior_medians if len(one.values) >= FEW else simplex_mean
    likely = prior(one.values, total, float(np.max(one.stddev)))
    return (nearest + histogram(one, ordered, total) + likely) / 3


def posterior_medians(values: Floats, total: float, stddev: float) -> Floats:
    """Return the median of each count given all noisy ones, scaled to sum to ``total``.

    Counts far above the noise are left as they are, and tell nothing of the others: these are
    a sample from a gamma distribution whose mean is what is left of ``total``, shared evenly, and
    whose shape is one of ``SHAPES``, weighted by the likelihood of their noisy counts (empirical
    Bayes, Robbins 1956). The median is the estimate of least expected L1 error. Where noise is
    small it changes nothing.

    >>> posterior_medians(np.array([60.0, 39.0, 5.0, -3.0, 2.0, -3.0]), 100.0, 3.0).round()
    array([59., 38.,  1.,  0.,  1.,  0.])
    """
    clear = values > CLEAR * stddev
    found = np.where(clear, values, 0.0)
    hidden = np.flatnonzero(~clear)
    if not hidden.size:
        return project_to_simplex(values, total)
    left = max(total - float(found.sum()), stddev)
    medians, log_likelihood = _hidden_medians(values[hidden], left / hidden.size, stddev)
    sums = medians.sum(axis=1, keepdims=True)
    even = left / hidden.size
    scaled = np.where(sums > 0, medians * left / np.where(sums > 0, sums, 1.0), even)
    weights = np.exp(log_likelihood - log_likelihood.max())
    found[hidden] = weights @ scaled / weights.sum()
    return np.asarray(found * total / found.sum())


def _hidden_medians(values: Floats, mean: float, stddev: float) -> tuple[Floats, Floats]:
    """Return medians of counts that noise may hide, a row a shape, and each shape's likelihood."""
    medians = np.empty((len(SHAPES), len(values)))
    log_likelihood = np.zeros(len(SHAPES))
    grid, steps = _grid(stddev)
    for start in range(0, len(values), BLOCK):
        part = slice(start, start + BLOCK)
        cells = values[part]
        # In proportion to the density at zero, or at the count where that is more likely.
        best = np.maximum(cells, 0.0)
        off = 0.5 * np.square((cells - best) / stddev)
        near = np.exp(off[:, None] - 0.5 * np.square((cells[:, None] - grid) / stddev))
        at_zero = np.exp(off - 0.5 * np.square(cells / stddev))
        for row, shape in enumerate(SHAPES):
            prior = np.exp(_log_gamma(grid, shape, mean)) * steps
            rest = max(0.0, 1 - float(prior.sum())) if shape <= 1 else 0.0
            mass = np.cumsum(near * prior, axis=1) + (rest * at_zero)[:, None]
            evidence = np.maximum(mass[:, -1], np.finfo(float).tiny)
            log_likelihood[row] += float((np.log(evidence) - off).sum())
            below = (mass < evidence[:, None] / 2).sum(axis=1)
            medians[row, part] = np.where(below, grid[np.minimum(below, len(grid) - 1)], 0.0)
    return medians, log_likelihood


def _grid(stddev: float) -> tuple[Floats, Floats]:
    """Return counts up to what may be hidden, fine near zero, and the width of each."""
    low = np.geomspace(LEAST, NEAR_ZERO, 60, endpoint=False)
    counts = stddev * np.concatenate([low, np.linspace(NEAR_ZERO, CLEAR + FAR, 160)])
    return counts, np.gradient(counts)


def _log_gamma(counts: Floats, shape: float, mean: float) -> Floats:
    """Return the log density of a gamma distribution, normalised."""
    rate = shape / mean
    scale = shape * np.log(rate) - gammaln(shape)
    return np.asarray((shape - 1) * np.log(counts) - rate * counts + scale)
