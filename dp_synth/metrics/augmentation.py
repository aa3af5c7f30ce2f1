"""Whether synthetic records of rare classes help a model that has the real ones too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dp_synth.metrics.comparison import Compared, Metric
from dp_synth.metrics.estimate import Estimate, paired_difference, share
from dp_synth.metrics.models import MODELS
from dp_synth.metrics.utility import Examples, auc_gain

MODEL = "gradient_boosting"
RARE_SHARE = 0.5  # of the commonest class: a class of fewer training records is rare


def augmentation(compared: Compared) -> Mapping[str, Estimate]:
    """Return what a model gains from synthetic records of rare classes beside all real ones.

    A class is rare that has less than half as many training records as the commonest. Synthetic
    records of it, drawn by the seed, fill it up to the commonest class's number as far as there
    are such records. A boosted classifier learns from training records with and without them,
    and both are tested on hold-out records, which neither saw.

    ``augmentation:auc_gain``
        area with them less area without.
    ``augmentation:recall``, ``augmentation:recall_gain``
        the share of rare-class hold-out records that are named as what they are, with them, and
        less that without them.

    Intervals are for the drawing of hold-out records (DeLong's for correlated areas; exact;
    normal over records). Empty where no class is rare, or none is in the hold-out. The rows are
    no privacy measure: the model has all training records.
    """
    real = compared.real
    if real.task is None or not len(real.examples("holdout")):
        return {}
    train = real.examples("train")
    counts = np.bincount(train.labels, minlength=real.task.classes)
    rare = np.flatnonzero((counts > 0) & (counts < RARE_SHARE * counts.max()))
    tested = np.isin(real.examples("holdout").labels, rare)
    if not tested.any():
        return {}
    more = _fill(compared.examples, counts, rare, np.random.default_rng(compared.seed))
    factory = MODELS[MODEL]
    without = real.predicted(MODEL, factory)
    learned = real.task.predict(
        train.with_more(more), real.examples("holdout"), factory, compared.seed
    )
    hits, before = (
        (one.named == one.labels)[tested].astype(np.float64) for one in (learned, without)
    )
    return {
        "augmentation:auc_gain": auc_gain(learned, without),
        "augmentation:recall": share(int(hits.sum()), len(hits)),
        "augmentation:recall_gain": paired_difference(hits, before),
    }


def _fill(
    synthetic: Examples,
    counts: NDArray[np.integer],
    rare: NDArray[np.integer],
    rng: np.random.Generator,
) -> Examples:
    """Return synthetic records of each rare class, so many as it lacks of the commonest."""
    chosen = []
    for label in rare.tolist():
        places = rng.permutation(np.flatnonzero(synthetic.labels == label))
        chosen.append(places[: int(counts.max() - counts[label])])
    return synthetic.at(np.concatenate(chosen))


AUGMENTATION = Metric(
    "augmentation",
    "gain of a model by synthetic records of rare classes beside the real ones",
    "higher",
    augmentation,
    needs="a categorical or ordinal label with a rare class",
)
