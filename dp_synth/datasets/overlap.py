"""Whether the same people stand in two tables, which no comparison of the two survives."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import log

import numpy as np
import pandas as pd

from dp_synth.errors import InputError
from dp_synth.types import Floats

OVERLAP_CHANCE = 1e-6
"""Tables drawn apart are refused as overlapping with at most this chance, each pair of them."""


def refuse_shared(tables: Mapping[str, pd.DataFrame]) -> None:
    """Raise InputError where two of several real tables share records; their names are given.

    Records that were fitted, others that were not, and those that an attacker has must be of
    different people: whatever is measured between them would otherwise say how many they share.
    """
    for (first, one), (second, other) in combinations(tables.items(), 2):
        if overlap(one, other):
            raise InputError(f"{first} and {second} share records; give tables of different people")


def overlap(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Tell whether the same people seem to stand in two tables.

    Different people may have equal records, so a pair of equal ones is no proof, nor are a few.
    Were the two tables drawn apart from one population, equal records would stand in one of them
    about as often as astride: what counts as overlap has a chance of at most 1e-6 then
    (Chernoff's bound). Where records are distinct otherwise, 20 that stand in both tables are
    enough, and two equal tables always are.
    """
    columns = [column for column in first.columns if column in second.columns]
    sides = [side[columns].astype(str).reset_index(drop=True) for side in (first, second)]
    if len(first) > 1 and sides[0].equals(sides[1]):
        return True
    if not columns or not len(first) or not len(second):
        return False
    keys = pd.concat(sides).groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    inside = np.bincount(keys[: len(first)], minlength=keys.max() + 1).astype(np.float64)
    outside = np.bincount(keys[len(first) :], minlength=keys.max() + 1).astype(np.float64)
    return _is_overlap(inside, outside)


def _is_overlap(inside: Floats, outside: Floats) -> bool:
    """Tell whether too many distinct records stand on both sides, given how often each occurs.

    A record that occurs t times, thrown by coins, stands on both sides with probability
    1 - p^t - (1 - p)^t, where p is the members' share of all.
    """
    times = inside + outside
    share = inside.sum() / times.sum()
    occurs, records = np.unique(times, return_counts=True)
    chance = np.clip(1 - share**occurs - (1 - share) ** occurs, 0.0, 1.0)
    astride = float(((inside > 0) & (outside > 0)).sum())
    slopes = np.geomspace(1e-3, 30.0, 200)
    growth = np.log1p(chance * np.expm1(slopes[:, None])) @ records
    log_probability = float(np.min(growth - slopes * astride))
    return log_probability <= log(OVERLAP_CHANCE)
