"""Tables with a structure that is known, and what their marginals truly are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.inference import Model
from dp_synth.schema import Schema
from dp_synth.types import Clique

NAMES = "abcdef"
EDGES: list[Clique] = [("a", "b"), ("b", "c"), ("b", "d"), ("d", "e"), ("e", "f")]
PAIRS: list[Clique] = list(combinations(NAMES, 2))
SCHEMA = Schema.from_dict(
    {
        "name": "tree",
        "columns": [
            {"name": name, "type": "categorical", "categories": list("0123")} for name in NAMES
        ],
    }
)


def tree_table(count: int, seed: int = 0, *, kept: float = 0.7) -> pd.DataFrame:
    """Each attribute repeats its parent's value with this probability, else it is uniform."""
    rng = np.random.default_rng(seed)
    columns = {"a": rng.integers(0, 4, count)}
    for parent, child in EDGES:
        repeated = rng.random(count) < kept
        columns[child] = np.where(repeated, columns[parent], rng.integers(0, 4, count))
    return pd.DataFrame({name: columns[name].astype(str) for name in NAMES})


def exact_counts(frame: pd.DataFrame, clique: Clique) -> NDArray[np.float64]:
    """The counts of the marginal over ``clique``."""
    codes = SCHEMA.encode(frame)
    counts = np.zeros(SCHEMA.domain.shape(clique))
    np.add.at(counts, tuple(codes[:, SCHEMA.domain.axis(a)] for a in clique), 1)
    return counts


def largest_error(model: Model, frame: pd.DataFrame, cliques: list[Clique]) -> float:
    """The largest total variation distance of the model's marginals from the exact ones."""
    gaps = [np.abs(model.marginal(c) - exact_counts(frame, c)).sum() for c in cliques]
    return float(max(gaps)) / 2 / len(frame)
