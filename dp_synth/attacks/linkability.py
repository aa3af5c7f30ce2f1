"""Linkability: do two halves of a person's record lead to the same synthetic record?"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd

from dp_synth.attacks.distance import Points, nearest
from dp_synth.attacks.excess_risk import AttackedTables, ExcessRisk, Guess, cites
from dp_synth.errors import InputError
from dp_synth.metrics.fidelity import attributes_of
from dp_synth.schema import Schema
from dp_synth.types import Flags


@cites("giomi2023")
def linkability(
    members: pd.DataFrame,
    controls: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    halves: tuple[Sequence[str], Sequence[str]] | None = None,
    seed: int = 0,
) -> ExcessRisk:
    """Return how much oftener fitted records are linked than fresh ones.

    The attacker holds two tables of the same people, with different columns each (``halves``;
    every other column by default), and takes two records for one person's when their nearest
    synthetic records are the same. The linkability of Giomi, Boenisch, Wehmeyer & Tasnádi 2023
    (arXiv:2211.10459), with one neighbour. The baseline is the chance that two random synthetic
    records are the same one.
    """
    names = [column.name for column in attributes_of(schema)]
    first, second = map(tuple, (names[::2], names[1::2]) if halves is None else halves)
    _refuse_unfit(first, second, schema)
    rng = np.random.default_rng(seed)
    found = [
        linked(frame, synthetic, schema, (first, second), rng=rng) for frame in (members, controls)
    ]
    return ExcessRisk.of(found[0], found[1], chance_of_link(len(synthetic), 1))


def linked(
    targets: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    halves: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    neighbours: int = 1,
    rng: np.random.Generator,
) -> Flags:
    """Return for each target whether its halves share one of their nearest synthetic records."""
    if not len(synthetic) or not len(targets):
        return np.zeros(len(targets), dtype=bool)
    asked, records = Points.of(targets, schema), Points.of(synthetic, schema)
    left, right = (
        nearest(asked.of_columns(half), records.of_columns(half), neighbours, rng)
        for half in halves
    )
    shared: Flags = (left[:, :, None] == right[:, None, :]).any(axis=(1, 2))
    return shared


def chance_of_link(records: int, neighbours: int) -> float:
    """Return the chance that two random sets of ``neighbours`` records share one.

    >>> chance_of_link(100, 1)
    0.01
    """
    if not records:
        return 0.0
    neighbours = min(neighbours, records)
    return round(1 - comb(records - neighbours, neighbours) / comb(records, neighbours), 15)


def _refuse_unfit(first: tuple[str, ...], second: tuple[str, ...], schema: Schema) -> None:
    known = {column.name for column in attributes_of(schema)}
    for name in (*first, *second):
        if name not in known:
            raise InputError(f"halves: {name!r} is no attribute of the schema")
    if not first or not second or set(first) & set(second):
        raise InputError("halves must be two lists of columns that share none, of one or more")


def _run(tables: AttackedTables) -> ExcessRisk | None:
    if len(attributes_of(tables.schema)) < 2:
        return None
    given = (tables.members, tables.controls, tables.synthetic, tables.schema)
    return linkability(*given, seed=tables.seed)


LINKABILITY = Guess(
    "linkability",
    "linkability",
    "Do two halves of a fitted record lead to the same synthetic record?",
    "The two halves of a {who} record were linked",
    _run,
    sees="the synthetic table, the record in two halves",
    fresh="those of a fresh one",
    cites=("giomi2023",),
)
