"""What a release is good for to each group of people: scores by category, as metrics give them."""

from __future__ import annotations

from functools import lru_cache
from typing import TypedDict

import numpy as np

import dp_synth as dps
from dp_synth.metrics import METRICS, Compared, RealTables
from dp_synth.metrics.subgroups import groups_of

DELTA = 1e-5
SCORES = ("tv", "accuracy", "accuracy_loss", "auc_loss")


class Fared(TypedDict):
    """Scores of each group, named by attribute and category, and the gaps between groups."""

    groups: dict[str, dict[str, float]]
    gaps: dict[str, float]


@lru_cache(maxsize=1)
def real_tables() -> RealTables:
    """Return Adult's training and hold-out parts."""
    data = dps.datasets.load("adult")
    return RealTables(data.train, data.holdout, data.schema)


def fare(synthesizer: dps.Synthesizer | None, epsilon: float, seed: int) -> Fared:
    """Return the scores of each group, and the gaps between them.

    Without a synthesizer the synthetic table is a bootstrap of the training records.
    """
    real = real_tables()
    if synthesizer is None:
        places = np.random.default_rng(seed).integers(len(real.train), size=len(real.train))
        rows = real.train.iloc[places].reset_index(drop=True)
    else:
        budget = dps.PrivacyBudget(epsilon, DELTA)
        release = synthesizer.fit(real.train, real.schema, budget, seed=seed)
        rows = release.sample(len(real.train), seed=seed)
    compared = Compared(real, rows, seed)
    groups = {
        f"{group.attribute}: {group.category}": {
            "records": group.records,
            **{s: round(group.scores[s].value, 5) for s in SCORES if s in group.scores},
        }
        for groups in groups_of(compared).values()
        for group in groups
    }
    gaps = {name: round(one.value, 5) for name, one in METRICS["subgroups"](compared).items()}
    return {"groups": groups, "gaps": gaps}
