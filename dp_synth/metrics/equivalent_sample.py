"""How small a sample of real records would be as far from the truth as a synthetic table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.estimate import TAIL, Estimate
from dp_synth.metrics.fidelity import cliques_of, mean_total_variation, total_variation_influences
from dp_synth.types import Floats

DRAWS = 5  # orders of the training records, each the beginning of a sample of every share
HALVINGS = 10  # shares 1, 1/2, ... down to 1/1024
FEWEST_RECORDS = 10  # of the smallest sample
DRAW_SEED = 0  # of the samples: the same beside every table


@dataclass(frozen=True, eq=False)
class _Curve:
    """Distances from the hold-out of samples, shape (draws, shares), of rising ``log_shares``."""

    log_shares: Floats
    distances: Floats

    def log_share_at(self, distance: float, distances: Floats) -> float:
        """Return where the falling curve of ``distances`` meets one, kept to the shares drawn."""
        return float(np.interp(-distance, -distances, self.log_shares))


def equivalent_sample(compared: Compared) -> Estimate:
    """Return the share of training records whose random sample is as far from the hold-out.

    Distance is ``tv2``, the mean total variation of all pairs: that of the synthetic table from
    the hold-out records is looked up on the curve of samples of 1/1024 of the training records
    (ten, in a small table), 1/512, ..., all, linear in the logarithm of the share and made to
    fall by isotonic regression. A table that is nearer than all training records has 1, one
    that is farther than the smallest sample that sample's share with an interval down to 0.
    ValueError where a table has fewer than two attributes, or no record.

    The interval is for the drawing of the synthetic records, by the slope of the curve, and of
    the samples, by five draws of them: Student's, on the log scale. The hold-out is the same for
    both, so that its drawing cancels to first order.
    """
    real = compared.real
    if len(real.binning.sizes) < 2 or not len(real.train) or not len(real.holdout):
        raise ValueError("an equivalent sample needs two attributes, and records in both tables")
    curve = real.remembered("equivalent_sample", lambda: _curve(real))
    distance, error = _distance(compared)
    mean = _falling(curve.distances.mean(axis=0))
    found = curve.log_share_at(distance, mean)
    by_draw = [curve.log_share_at(distance, _falling(row)) for row in curve.distances]
    quantile = float(stdtrit(DRAWS - 1, 1 - TAIL))
    # What error in the distance does to the share: by the curve itself, which is not straight.
    near, far = (curve.log_share_at(distance + side * quantile * error, mean) for side in (-1, 1))
    of_draws = quantile * np.sqrt(float(np.var(by_draw, ddof=1)) / DRAWS)
    low = found - np.hypot(found - far, of_draws)
    high = found + np.hypot(near - found, of_draws)
    below_all = distance >= mean[0]
    return Estimate(
        float(np.exp(found)),
        0.0 if below_all else min(float(np.exp(low)), float(np.exp(found))),
        min(max(float(np.exp(high)), float(np.exp(found))), 1.0),
    )


def equivalent_share(compared: Compared) -> Mapping[str, Estimate]:
    """Return `equivalent_sample` by its name; empty where it cannot be had."""
    real = compared.real
    if len(real.binning.sizes) < 2 or not len(real.train) or not len(real.holdout):
        return {}
    return {"equivalent_sample": equivalent_sample(compared)}


def _distance(compared: Compared) -> tuple[float, float]:
    """Return the distance from the hold-out, and its standard error by the synthetic records."""
    real, sizes = compared.real, compared.real.binning.sizes
    distance = compared.total_variation(2, "holdout").value
    if len(compared.codes) < 2:
        return distance, 0.0
    _, influences = total_variation_influences(
        real.holdout_codes, compared.codes, sizes, cliques_of(len(sizes), 2)
    )
    return distance, float(np.sqrt(influences.var(ddof=1) / len(influences)))


def _curve(real: RealTables) -> _Curve:
    records, sizes = len(real.train_codes), real.binning.sizes
    least = min(1.0, max(2.0**-HALVINGS, FEWEST_RECORDS / records))
    shares = np.geomspace(least, 1.0, 1 + int(np.ceil(-np.log2(least) - 1e-9)))
    cliques, rng = cliques_of(len(sizes), 2), np.random.default_rng(DRAW_SEED)
    distances = np.empty((DRAWS, len(shares)))
    for draw in range(DRAWS):
        order = rng.permutation(records)
        for place, part in enumerate(shares):
            sample = real.train_codes[order[: max(1, round(part * records))]]
            distances[draw, place] = mean_total_variation(
                real.holdout_codes, sample, sizes, cliques
            ).value
    return _Curve(np.log(shares), distances)


def _falling(distances: Floats) -> Floats:
    """Return the nearest falling sequence, by pooling of adjacent violators.

    >>> _falling(np.array([4.0, 1.0, 2.0])).tolist()
    [4.0, 1.5, 1.5]
    """
    means: list[float] = []
    sizes: list[int] = []
    for distance in distances.tolist():
        mean, size = distance, 1
        while means and means[-1] < mean:
            before, count = means.pop(), sizes.pop()
            mean, size = (mean * size + before * count) / (size + count), size + count
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes)


EQUIVALENT_SAMPLE = Metric(
    "equivalent_sample",
    "share of the training records whose random sample is as near to hold-out pairs",
    "higher",
    equivalent_share,
    needs="two columns, and records of both real tables",
)
