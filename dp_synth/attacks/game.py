"""The membership game: who is fitted and who is not, decided by a coin of ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.distance import isolation
from dp_synth.errors import InputError
from dp_synth.schema import Schema


@dataclass(frozen=True, eq=False)
class Pool:
    """Equally many members, to be fitted, and non-members of one population, split at random.

    The flags say which records are among the most isolated ones.
    """

    members: pd.DataFrame
    non_members: pd.DataFrame
    member_isolated: NDArray[np.bool_]
    non_member_isolated: NDArray[np.bool_]


def split_pool(
    frame: pd.DataFrame,
    schema: Schema,
    reference: pd.DataFrame,
    *,
    members: int,
    isolated: int,
    rng: np.random.Generator,
) -> Pool:
    """Return a pool of 2 x ``members`` records of ``frame``, one half of them members.

    The pool holds the ``isolated`` records that lie farthest from ``reference`` (see
    ``isolation``) and others drawn at random. Keep ``reference`` apart from ``frame``: an attack
    may then use it. InputError when ``frame`` has too few records.
    """
    if members < 1 or not 0 <= isolated <= 2 * members:
        raise InputError(
            "members must be at least 1 and isolated between 0 and 2 x members, "
            f"got {members} and {isolated}"
        )
    if len(frame) < 2 * members:
        raise InputError(f"{members} members need a table of at least {2 * members} records")
    chosen = _most_isolated(frame, schema, reference, isolated, rng)
    others = np.setdiff1d(np.arange(len(frame)), chosen)
    pool = np.concatenate([chosen, rng.choice(others, 2 * members - isolated, replace=False)])
    order = rng.permutation(2 * members)
    inside, outside = order[:members], order[members:]
    return Pool(
        frame.iloc[pool[inside]].reset_index(drop=True),
        frame.iloc[pool[outside]].reset_index(drop=True),
        inside < isolated,
        outside < isolated,
    )


def _most_isolated(
    frame: pd.DataFrame,
    schema: Schema,
    reference: pd.DataFrame,
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    if not count:
        return np.empty(0, dtype=np.intp)
    ties = rng.random(len(frame))
    return np.lexsort((ties, -isolation(frame, schema, reference)))[:count]
