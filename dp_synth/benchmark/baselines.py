"""Tables that give every curve its floor and its ceiling; none of them is private.

Each baseline is a function ``(fitted, fresh, rng)``: ``fitted`` holds the records that a
synthesizer would have been fitted on, ``fresh`` records of the same population that are neither
there nor among those that the scores are tested on.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
import pandas as pd

Baseline = Callable[[pd.DataFrame, pd.DataFrame, np.random.Generator], pd.DataFrame]


def real_rows(fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the fitted records themselves: what a model learns from real data."""
    return fitted


def fresh_rows(fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return other real records, at most as many: the error that is left to sampling alone."""
    size = min(len(fitted), len(fresh))
    return fresh.iloc[rng.choice(len(fresh), size, replace=False)].reset_index(drop=True)


def independent_without_noise(
    fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return each fitted column in an order of its own: exact columns, no dependence."""
    return pd.DataFrame(
        {name: fitted[name].array[rng.permutation(len(fitted))] for name in fitted.columns}
    )


def bootstrap_of_members(
    fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return fitted records drawn with replacement: what an attack finds without any privacy."""
    rows = rng.integers(max(len(fitted), 1), size=len(fitted))
    return fitted.iloc[rows].reset_index(drop=True)


def sample_of_rows(fitted: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return a random ``share`` of the fitted records, at least one: a scale for utility."""
    size = max(1, round(share * len(fitted)))
    return fitted.iloc[rng.permutation(len(fitted))[:size]].reset_index(drop=True)


SAMPLE_OF_ROWS = "sample_of_rows"  # the name of its cells, whose settings hold the share

UTILITY_BASELINES: MappingProxyType[str, Baseline] = MappingProxyType(
    {
        "real_rows": real_rows,
        "fresh_rows": fresh_rows,
        "independent_without_noise": independent_without_noise,
    }
)
LEAKAGE_BASELINES: MappingProxyType[str, Baseline] = MappingProxyType(
    {"no_privacy": bootstrap_of_members, "fresh_rows": fresh_rows}
)
