"""Records of a Dask DataFrame: each partition is counted where it lies, and counts come back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dp_synth.counting.records import PrivateRecords
from dp_synth.counting.sums import OneLine
from dp_synth.errors import SchemaError
from dp_synth.frames import as_frame
from dp_synth.schema import Schema
from dp_synth.types import Clique, Codes, Floats

MOST_ADDED = 16  # partitions whose counts are added by one task


def is_on_cluster(data: object) -> bool:
    """Tell whether ``data`` is a Dask DataFrame; who has none has not imported Dask."""
    dask = sys.modules.get("dask.dataframe")
    return dask is not None and isinstance(data, dask.DataFrame)


class ClusterAdder:
    """Adds the counts of the partitions of a Dask DataFrame, on whatever scheduler is in use.

    A partition is encoded by the schema and counted in one task, and sums of counts are tasks as
    well: the client receives sums. SchemaError for a column that is not there.
    """

    def __init__(self, frame: Any, schema: Schema) -> None:
        names = [str(name) for name in frame.columns]
        for name in schema.names:
            if name not in names:
                raise SchemaError(f"the Dask DataFrame lacks column {name!r}, which the schema has")
        own = [column for column in frame.columns if str(column) in set(schema.names)]
        self._parts, self._schema = frame[own].to_delayed(), schema

    def sums(self, cliques: Sequence[Clique], groups: Mapping[str, Codes]) -> list[Floats]:
        """Return the marginal over each clique; InputError where a partition cannot be counted."""
        from dask.base import compute
        from dask.delayed import delayed

        counted = delayed(_counted, pure=False)
        added = delayed(_added, pure=False)
        tables = [counted(part, self._schema, list(cliques), dict(groups)) for part in self._parts]
        while len(tables) > 1:
            starts = range(0, len(tables), MOST_ADDED)
            tables = [added(tables[start : start + MOST_ADDED]) for start in starts]
        with OneLine("the cluster"):
            (found,) = compute(tables[0])  # type: ignore[no-untyped-call]
        return list(found)

    def close(self) -> None:
        """Leave the cluster to those who started it."""


def _counted(
    frame: pd.DataFrame, schema: Schema, cliques: list[Clique], groups: dict[str, Codes]
) -> list[Floats]:
    """Return the marginals of one partition, where it lies."""
    counts = PrivateRecords.of(as_frame(frame), schema).counts
    return counts.coarsened(groups).marginals(cliques)


def _added(parts: list[list[Floats]]) -> list[Floats]:
    return [np.sum(tables, axis=0) for tables in zip(*parts, strict=True)]
