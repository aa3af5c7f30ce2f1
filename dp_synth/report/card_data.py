"""What in the private rows themselves calls for care: near keys, rare combinations, exact copies.

All of it is internal. The comparisons are between records that were fitted and fresh records of
the same people: what both have in equal measure is chance, not leakage.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.estimate import Estimate, difference, share
from dp_synth.metrics.fidelity import Binning, attributes_of, cells_of, cliques_of
from dp_synth.report.card_measured import Measured
from dp_synth.schema import Schema

NEAR_UNIQUE = 0.5
"""A column is named when more than this share of records has a value of its own."""

MOST_PAIRS = 500
"""Of more pairs of columns than this so many are looked at, drawn by the seed."""

Flags = NDArray[np.bool_]
Codes = NDArray[np.int32]


def data_warnings(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    seed: int = 0,
) -> tuple[Measured, ...]:
    """Return what calls for care, each with its interval.

    ``near_unique``: the share of fitted records whose value no other one has, of each column in
    which that is more than half. ``copies`` and ``rare_combinations``: the share of fitted
    records that stand exactly in the synthetic table, and of those alone in a cell of two columns
    that have such a cell there; ``beside`` is the same share of fresh records, and
    ``copies_excess`` and ``rare_combinations_excess`` are the differences.
    """
    keys = record_keys([train, holdout, synthetic], schema)
    copied = [np.isin(own, keys[2]) for own in keys[:2]]
    return (
        *_near_unique(train, schema),
        *_beside("copies", *map(_share, copied)),
        *_beside("rare_combinations", *rare_shares(train, holdout, synthetic, schema, seed=seed)),
    )


def record_keys(frames: list[pd.DataFrame], schema: Schema) -> list[NDArray[np.intp]]:
    """Return a number for each record of each table, the same for records equal in all columns.

    Values are compared in the schema's kinds, neither binned nor clipped.
    """
    names = [column.name for column in attributes_of(schema)]
    public = schema.select(names)
    written = [public.in_kinds(frame).astype(str) for frame in frames]
    together = pd.concat(written, ignore_index=True)
    numbers = together.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    return np.split(numbers, np.cumsum([len(frame) for frame in frames])[:-1])


def rare_shares(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    seed: int = 0,
) -> tuple[Estimate, Estimate]:
    """Return how many lonely fitted, and lonely fresh, records have such a cell in the rows.

    A record is lonely when it is the only one of both tables in a cell of some pair of columns,
    with the cells of `Binning`. A lonely record was as likely fitted as fresh, by the tables'
    sizes, whatever its values: so the shares differ only where being fitted matters.
    """
    real = pd.concat([train, holdout], ignore_index=True)
    binning = Binning.from_frame(schema, real)
    of_real, of_synthetic = binning.codes(real), binning.codes(synthetic)
    lonely, met = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for first, second in _pairs(len(binning.sizes), seed):
        size = binning.sizes[second]
        cells = [
            codes[:, first].astype(np.int64) * size + codes[:, second]
            for codes in (of_real, of_synthetic)
        ]
        alone = _alone(cells[0])
        lonely |= alone
        met |= alone & np.isin(cells[0], cells[1])
    fitted = np.arange(len(real)) < len(train)
    return _share(met[lonely & fitted]), _share(met[lonely & ~fitted])


def _pairs(attributes: int, seed: int) -> list[tuple[int, ...]]:
    if attributes < 2:
        return []
    pairs = cliques_of(attributes, 2)
    if len(pairs) <= MOST_PAIRS:
        return pairs
    kept = np.random.default_rng(seed).choice(len(pairs), MOST_PAIRS, replace=False)
    return [pairs[i] for i in sorted(kept.tolist())]


def _alone(cells: NDArray[np.int64]) -> Flags:
    _, places, counts = np.unique(cells, return_inverse=True, return_counts=True)
    return np.asarray(counts[places] == 1)


def _near_unique(train: pd.DataFrame, schema: Schema) -> Iterator[Measured]:
    for column in attributes_of(schema):
        cells = cells_of(train, column).astype(str)
        alone = _share(~cells.duplicated(keep=False).to_numpy())
        if alone.value > NEAR_UNIQUE:
            yield Measured.of("near_unique", alone, about=column.name)


def _beside(name: str, fitted: Estimate, fresh: Estimate) -> Iterator[Measured]:
    yield Measured.of(name, fitted, beside=fresh.value)
    yield Measured.of(f"{name}_excess", difference(fitted, fresh))


def _share(flags: Flags) -> Estimate:
    if not len(flags):
        return Estimate(0.0, 0.0, 1.0)  # of no records nothing is known
    return share(int(flags.sum()), len(flags))
