"""What kinds of models learn from synthetic records, and whether they rank as on real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dp_synth.metrics.auc import of_few
from dp_synth.metrics.comparison import LABEL_NEEDED, Compared, Metric
from dp_synth.metrics.estimate import Estimate, left_out, random_groups, variance_of
from dp_synth.metrics.models import SEVERAL
from dp_synth.metrics.utility import Predicted, auc_of, tellable
from dp_synth.types import Floats

RESAMPLES = 100
FEWEST_TRIALS = 5  # records of the rarer class, from which an order of models is told


def several_models(compared: Compared) -> Mapping[str, Estimate]:
    """Return the AUC on hold-out records of seven kinds of models, and how their order agrees.

    ``several_models:auc:<model>``
        that of a model which learned from synthetic records, as ``auc``.
    ``several_models:mean_auc``
        the mean of these (Jordon, Yoon & van der Schaar 2019 take twelve kinds, and ask for
        the order of them too).
    ``several_models:rank_agreement``
        Spearman's correlation between these areas and those of the same models after learning
        from the training records: at 1 a synthetic table leads to the choice of model that the
        real one leads to. It is 0 where all areas of either are the same.

    The intervals of the last two are for the drawing of hold-out records, on which all models
    are tested: by a jackknife, and by a bootstrap.
    """
    if compared.real.task is None or not len(compared.real.examples("holdout")):
        return {}
    learned = {name: compared.predicted(name, factory) for name, factory in SEVERAL.items()}
    rng = np.random.default_rng(compared.seed)
    found = {  # drawn as `scores_of` draws them: a model has one interval, wherever it is shown
        f"several_models:auc:{name}": auc_of(one, np.random.default_rng(compared.seed))
        for name, one in learned.items()
    }
    real = [compared.real.predicted(name, factory) for name, factory in SEVERAL.items()]
    over = intervals_over_models(list(learned.values()), real, rng)
    return found | {f"several_models:{name}": estimate for name, estimate in over.items()}


def intervals_over_models(
    learned: Sequence[Predicted], real: Sequence[Predicted], rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return the ``mean_auc`` of models on the same records, and their ``rank_agreement``."""
    records, trials = len(learned[0].labels), tellable(learned[0])
    drawn = [
        np.bincount(rng.integers(records, size=records), minlength=records)
        for _ in range(RESAMPLES)
    ]
    groups = left_out(random_groups(records, rng))
    counts = np.concatenate([groups, np.array(drawn)])
    of_synthetic, of_real = (
        np.stack([areas(one, counts) for one in models], axis=1) for models in (learned, real)
    )
    mean = of_synthetic.mean(axis=1)[: len(groups)]
    agreement = rank_agreement(of_synthetic, of_real)
    value, resampled = float(agreement[0]), agreement[len(groups) :]
    degrees = min(len(groups) - 1, trials) - 1
    return {
        "mean_auc": of_few(float(mean[0]), variance_of(mean[1:]), degrees, trials),
        "rank_agreement": _either_way(value, resampled, int(trials)),
    }


def _either_way(value: float, resampled: Floats, trials: int) -> Estimate:
    """Return the interval of a correlation of ranks, as wide to both sides as to the wider one.

    Noise takes agreement away: drawn again, it lies on the side of 0, while the truth may lie as
    far on the other one. Of few trials nothing is said.
    """
    if trials < FEWEST_TRIALS:
        return Estimate(value, -1.0, 1.0)
    found = Estimate.bootstrap(value, resampled, trials)
    half = max(found.high - value, value - found.low)
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))


def areas(test: Predicted, counts: Floats) -> Floats:
    """Return the AUC, or its mean over classes present, with each row of ``counts`` of records."""
    total = np.zeros(len(counts))
    for c in test.scored:
        order = np.argsort(test.probabilities[:, c], kind="stable")
        ordered = test.probabilities[order, c]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        weights, inside = counts[:, order], test.labels[order] == c
        positive = np.add.reduceat(weights * inside, starts, axis=1)
        negative = np.add.reduceat(weights * ~inside, starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        wins = (positive * below).sum(axis=1)
        total += np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5)
    return total / max(len(test.scored), 1)


def rank_agreement(first: Floats, second: Floats) -> Floats:
    """Return Spearman's correlation of each row of two arrays, 0 where one has no order.

    >>> rank_agreement(np.array([[1.0, 2.0, 3.0]]), np.array([[0.1, 0.5, 0.9]])).tolist()
    [1.0]
    """
    from scipy.stats import rankdata

    ranks = [rankdata(one, axis=1) for one in (first, second)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    product = (centred[0] * centred[1]).sum(axis=1)
    return np.asarray(np.where(scale > 0, product / np.where(scale > 0, scale, 1.0), 0.0))


SEVERAL_MODELS = Metric(
    "several_models",
    "AUC of seven kinds of models trained on synthetic records, and their order",
    "higher",
    several_models,
    needs=LABEL_NEEDED,
)
