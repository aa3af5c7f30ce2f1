"""Whom to attack: records that stand out, and made-up ones that stand out more."""

from __future__ import annotations

from itertools import combinations
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import cites
from dp_synth.attacks.density import counts_at, likely_cells
from dp_synth.attacks.distance import NEIGHBOURS, mean_nearest_distance
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.frames import Table, as_frame
from dp_synth.schema import IdColumn, Schema
from dp_synth.types import Floats

Method = Literal["isolation", "rarity", "leverage"]


def rank_vulnerable(frame: Table, schema: Schema, method: Method = "isolation") -> NDArray[np.intp]:
    """Return the positions of the records of ``frame``, the most vulnerable first.

    By `vulnerability`, records of equal value in their order. It looks at all of ``frame``: good
    for choosing targets of an attack or an audit, never for a release.
    """
    return np.argsort(-vulnerability(frame, schema, method), kind="stable")


@cites("meeus2023")
def vulnerability(frame: Table, schema: Schema, method: Method = "isolation") -> Floats:
    """Return how much each record of ``frame`` stands out among the others; higher is more.

    - ``isolation``: its mean distance to the 5 nearest others, as Achilles' Heels ranks targets
      (Meeus, Guepin, Cretu & de Montjoye 2023, arXiv:2306.10308), with the distance of
      ``ClosestRecord``;
    - ``rarity``: the sum of -log frequencies of its values, each column by itself;
    - ``leverage``: the mean, over all pairs of columns, of 1 / (records in its cell), which is
      its leverage on that marginal: what part of the cell's count it is.

    Frequencies are over public cells, or quantiles of ``frame``: see ``likely_cells``.
    """
    if method not in get_args(Method):
        raise InputError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    frame = as_frame(frame)
    if not len(frame):
        return np.empty(0)
    if method == "isolation":
        return _isolation_among(frame, schema)
    binning = likely_cells(schema, frame)
    codes, attributes = binning.codes(frame), len(binning.sizes)
    degree = 1 if method == "rarity" else min(2, attributes)
    cliques = list(combinations(range(attributes), degree))
    result = np.zeros(len(frame))
    for clique in cliques:
        (counts,) = counts_at([codes, codes], binning.sizes, clique)
        result += -np.log(counts / len(frame)) if method == "rarity" else 1 / counts
    return result if method == "rarity" else result / len(cliques)


def make_canary(schema: Schema, reference: Table | None = None) -> pd.DataFrame:
    """Return a table of one record of public values that is unlike most.

    In every column it has the value that is rarest in ``reference``, without one the last
    category or the highest cell, as far as the schema's constraints allow. Nothing private is
    looked at as long as ``reference`` is public. Identifiers are left out. InputError where
    constraints leave no record.
    """
    names = [column.name for column in schema.columns if not isinstance(column, IdColumn)]
    public = schema.select(names)
    domain = public.domain
    codes = None if reference is None else public.encode(reference)
    chosen: dict[str, int] = {}
    for axis, attribute in enumerate(domain):
        size = domain.size(attribute)
        counts = np.zeros(size) if codes is None else np.bincount(codes[:, axis], minlength=size)
        rarest = np.lexsort((-np.arange(size), counts))  # the last code of equally rare ones
        chosen[attribute] = _first_possible(domain, chosen, attribute, rarest)
    record = np.array([[chosen[attribute] for attribute in domain]])
    return public.decode(record, np.random.default_rng(0))


def _isolation_among(frame: pd.DataFrame, schema: Schema) -> Floats:
    """Return each record's mean distance to its 5 nearest others, fewer where there are fewer."""
    others = min(NEIGHBOURS, len(frame) - 1)
    if not others:
        return np.zeros(len(frame))
    # Each record is its own nearest neighbour, at distance 0.
    mean = mean_nearest_distance(frame, frame, schema, neighbours=others + 1)
    return mean * (others + 1) / others


def _first_possible(
    domain: Domain, chosen: dict[str, int], attribute: str, codes: NDArray[np.intp]
) -> int:
    for code in map(int, codes):
        known = {**chosen, attribute: code}
        masks = (
            s.mask(domain.shape(s.clique))[tuple(known.get(a, slice(None)) for a in s.clique)]
            for s in domain.supports
        )
        if all(map(np.any, masks)):
            return code
    raise InputError(
        f"the constraints leave no value of column {attribute!r} beside those chosen before; "
        "give a schema with fewer constraints"
    )
