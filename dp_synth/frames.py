"""Tables as frames: those of other libraries, and columns looked up by the text of their name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from dp_synth.errors import InputError, LeftOut, SchemaError, warn
from dp_synth.typed_cells import texts_of

if TYPE_CHECKING:
    import pyarrow as pa
from collections.abc import Mapping
from itertools import combinations
from math import log

from dp_synth.types import Floats

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class ArrowTable(Protocol):
    """A table that hands out its columns in the Arrow C stream, as pyarrow's and polars' do."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a capsule with an Arrow stream."""


def as_frame(table: object, source: str = "the table") -> pd.DataFrame:
    """Return a frame as it is, another library's table as a frame of text.

    Taken are tables that speak Arrow's C stream or the dataframe interchange protocol (pyarrow,
    polars, DuckDB), and those with a ``to_pandas``. A table of Arrow becomes the frame that
    `datasets.read_table` reads from its Parquet file. InputError for anything else, and for
    columns without a name of their own; ``source`` opens its line.
    """
    if isinstance(table, pd.DataFrame):
        return table
    if not isinstance(table, (type, pd.Series, pd.Index)):
        if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
            return from_arrow(_arrow_of(table, source), source)
        if hasattr(table, "__dataframe__"):
            from pyarrow.interchange import from_dataframe

            return from_arrow(from_dataframe(table), source)
        if hasattr(table, "to_pandas") and isinstance(frame := table.to_pandas(), pd.DataFrame):
            return frame
    raise InputError(f"{_taken(source, table)}{_advice(table)}")


def from_arrow(table: pa.Table, source: str) -> pd.DataFrame:
    """Return an Arrow table as a frame of text, nulls as empty texts.

    Without the index that pandas wrote: see `without_index`. InputError for a name that is empty
    or stands twice; ``source`` opens its line.
    """
    names = without_index(table.column_names, source)
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"{source}: each column must have a name of its own")
    columns = {}  # as they would be read from the table's Parquet file
    for name in names:
        texts = [text for chunk in table.column(name).chunks for text in texts_of(chunk)]
        columns[name] = pd.Series(texts, dtype="str")
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def without_index(names: Iterable[str], source: str) -> list[str]:
    """Return the names of columns, without those that pandas gave to an index without a name.

    Row numbers of a table that was filtered or sorted are no column of it, though pandas writes
    them as one. A `LeftOut` warning that ``source`` opens says so.

    >>> without_index(["age", "sex"], "t.parquet")
    ['age', 'sex']
    """
    names = list(names)
    for name in filter(_PANDAS_INDEX.fullmatch, names):
        text = f"{source}: {name!r} is an index of pandas, no column: left out"
        warn(text, LeftOut)
    return [name for name in names if not _PANDAS_INDEX.fullmatch(name)]


def column_of(frame: pd.DataFrame, name: str, schema: str | None = None) -> pd.Series:
    """Return the column of ``frame`` whose name has this text, such as 0 for ``"0"``.

    SchemaError when there is none, or more than one; ``schema`` is that which names it.
    InputError for a table that is no frame.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(
            f"a pandas DataFrame is needed here, got {type(frame).__name__}; "
            "dp_synth.frames.as_frame makes one of it"
        )
    if frame.columns.inferred_type == "string" and frame.columns.is_unique and name in frame:
        return frame[name]
    places = [place for place, own in enumerate(frame.columns) if str(own) == name]
    if len(places) == 1:
        return frame.iloc[:, places[0]]
    if places:
        raise SchemaError(f"column {name!r} stands twice in the table; names must be distinct")
    of = "the schema" if schema is None else f"schema {schema!r}"
    shown = [repr(str(own)) for own in frame.columns[:20]]
    more = ", ..." if len(frame.columns) > 20 else ""
    raise SchemaError(
        f"column {name!r} of {of} is not in the table, which has {', '.join(shown)}{more}"
    )


def _arrow_of(table: object, source: str) -> pa.Table:
    import pyarrow as pa

    try:
        return table.read_all() if isinstance(table, pa.RecordBatchReader) else pa.table(table)
    except (pa.ArrowException, TypeError, ValueError):  # a single column speaks Arrow too
        raise InputError(_taken(source, table)) from None


def _taken(source: str, table: object) -> str:
    kind = type(table)
    got = (
        kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    )
    return f"{source} must be a pandas, Arrow or polars table, got {got}"


def _advice(table: object) -> str:
    if isinstance(table, np.ndarray):
        return "; pd.DataFrame(array, columns=[...]) names its columns"
    if isinstance(table, (list, tuple, dict)):
        return "; pd.DataFrame(...) makes one of it"
    return "; collect() it first" if hasattr(table, "collect") else ""


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
