"""Cells in the kinds of a schema or of declared dtypes, and codes decoded in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from dp_synth.errors import InputError
from dp_synth.schema.columns import DiscreteColumn, IdColumn
from dp_synth.schema.constraints import Column
from dp_synth.schema.numeric import MAX_INT, DatetimeColumn, NumericColumn, draw
from dp_synth.schema.parsing import numbers_of
from dp_synth.types import Codes, Flags, Floats

Kinds = Literal["schema", "written"] | pd.DataFrame | pd.Series | Mapping[str, object]
"""Kinds of columns: those of the schema, cells as a CSV file has them, or dtypes by column.

A frame stands for its dtypes, and a mapping or ``frame.dtypes`` may leave columns to the schema.
"""

LOGICAL = ("false", "true")

Numbers = tuple[Floats, Codes]
"""Numbers of a column, and their places among its missing marks, -1 for values."""

Draw = Callable[[Codes, np.random.Generator], Numbers]
Style = Literal["written", "listed", "schema"]
Line = NumericColumn | DatetimeColumn
Coded = DiscreteColumn | Line
Source = Callable[[slice, Style], pd.Series]


def in_kinds(columns: Iterable[Column], frame: pd.DataFrame, kinds: Kinds) -> pd.DataFrame:
    """Return the cells of ``frame``, one column of text or values for each of ``columns``.

    InputError for a column that is not there and for a dtype that cannot hold one.
    """
    by_name = {column.name: column for column in columns}
    dtypes = _dtypes_of(kinds, by_name)
    return pd.DataFrame(
        {
            name: _cast(column, frame[name], dtypes[name])
            if name in dtypes
            else of_schema(column, frame[name])
            for name, column in by_name.items()
        }
    )


def of_schema(column: Column, cells: pd.Series) -> pd.Series:
    """Return the cells of a column in the kind that the schema tells, missing ones absent.

    Integers are int64, and Int64 where there are missing marks; real numbers float64; dates and
    times datetime64[s], in the time zone of the bounds. Categories true and false are bool or
    boolean, all others a categorical of the schema's texts, ordered in an ordinal column. Which
    of several missing marks a cell held is lost.
    """
    if isinstance(column, IdColumn):
        return cells
    if isinstance(column, DiscreteColumn):
        return of_codes(column, column.encode(cells))
    return of_numbers(column, column.on_line(cells))


def of_codes(column: DiscreteColumn, codes: Codes) -> pd.Series:
    """Return what `of_schema` does, of the codes of the cells."""
    return _logical(column, codes) if is_logical(column) else _categorical(column, codes)


def of_numbers(column: NumericColumn | DatetimeColumn, numbers: Floats) -> pd.Series:
    """Return what `of_schema` does, of the numbers in the cells, NaN for missing ones."""
    absent = np.isnan(numbers) if column.missing else None
    numbers = np.nan_to_num(numbers, nan=column.grid.lower)
    if isinstance(column, DatetimeColumn):
        moments = column.moments(numbers).rename(column.name)
        return moments if absent is None else moments.mask(absent)
    if column.type == "integer":
        return _integers(column.name, numbers, absent)
    return pd.Series(
        numbers if absent is None else np.where(absent, np.nan, numbers), name=column.name
    )


def is_logical(column: DiscreteColumn) -> bool:
    """Tell whether the categories are true and false, in any case."""
    return tuple(sorted(text.lower() for text in column.texts)) == LOGICAL


def _dtypes_of(kinds: Kinds, columns: Mapping[str, Column]) -> dict[str, object]:
    """Return the dtypes that are given by column; InputError for what is no such thing."""
    known = isinstance(kinds, (pd.DataFrame, pd.Series, Mapping))
    if not known and not (isinstance(kinds, str) and kinds == "schema"):
        got = repr(kinds) if isinstance(kinds, str) else type(kinds).__name__
        raise InputError(f"kinds must be 'schema', 'written', a frame or its dtypes, got {got}")
    if isinstance(kinds, str):
        return {}
    given = kinds.dtypes if isinstance(kinds, pd.DataFrame) else kinds
    found = {str(name): dtype for name, dtype in given.items()}
    foreign = [name for name in found if name not in columns]
    if foreign and isinstance(kinds, Mapping):
        there = ", ".join(map(repr, columns))
        raise InputError(f"kinds: no column {foreign[0]!r}; there are {there}")
    return {name: dtype for name, dtype in found.items() if name in columns}


def _cast(column: Column, cells: pd.Series, dtype: Any) -> pd.Series:
    """Return the cells of a column as a dtype, or the nullable one beside it if cells may miss."""
    try:
        return _as(column, cells, types.pandas_dtype(dtype))
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        why = f": {error}" if isinstance(error, InputError) else ""
        raise InputError(f"column {column.name!r} cannot be of kind {dtype}{why}") from None


def _as(column: Column, cells: pd.Series, dtype: Any) -> pd.Series:
    kind = getattr(dtype, "pyarrow_dtype", dtype)  # Arrow's own, where pandas wraps one
    if isinstance(column, IdColumn):
        return _to(cells, dtype)
    if isinstance(dtype, pd.CategoricalDtype) or str(kind).startswith("dictionary"):
        # The categories of a frame are those that its records have: they are not taken.
        if isinstance(column, DiscreteColumn):
            return _categorical(column, column.encode(cells))
        return of_schema(column, cells).astype("category")
    if types.is_bool_dtype(dtype):
        return _truths(column, cells, dtype)
    if types.is_numeric_dtype(dtype):
        if types.is_integer_dtype(dtype):
            return _whole(column, cells, dtype)
        return _to(_numbers(column, cells), dtype)
    if types.is_datetime64_any_dtype(dtype) or str(kind).startswith("date"):
        return _dated(column, cells, dtype)
    if getattr(dtype, "kind", "") == "m":
        return _lasting(column, cells, dtype)
    if types.is_string_dtype(dtype):
        return _text(column, cells, dtype)
    raise InputError("there is no way to it")


def _absent(column: DiscreteColumn, codes: Codes) -> tuple[Codes, Flags]:
    """Return codes, 0 for missing ones, and which are missing."""
    absent = codes >= len(column.texts)
    return np.where(absent, 0, codes), absent


def _categorical(column: DiscreteColumn, codes: Codes) -> pd.Series:
    codes, absent = _absent(column, codes)
    kind = pd.CategoricalDtype(list(column.texts), ordered=column.type == "ordinal")
    made = pd.Categorical.from_codes(np.where(absent, -1, codes), dtype=kind)
    return pd.Series(made, name=column.name)


def _logical(column: DiscreteColumn, codes: Codes) -> pd.Series:
    codes, absent = _absent(column, codes)
    truths = np.array([text.lower() == "true" for text in column.texts])[codes]
    kept = pd.array(truths, dtype="boolean")
    kept[absent] = pd.NA
    return pd.Series(kept if column.missing else truths, name=column.name)


def _integers(name: str, numbers: Floats, absent: Flags | None) -> pd.Series:
    whole = np.clip(np.rint(numbers), -MAX_INT, MAX_INT).astype(np.int64)
    if absent is None:
        return pd.Series(whole, name=name)
    return pd.Series(pd.arrays.IntegerArray(whole, absent), name=name)


def _numbers(column: Column, cells: pd.Series) -> pd.Series:
    """Return the number in each cell, NaN for missing ones; InputError where there are none."""
    if isinstance(column, DiscreteColumn):
        codes, absent = _absent(column, column.encode(cells))
        by_code = numbers_of(column.texts)
        if np.isnan(by_code).any() and is_logical(column):
            by_code = np.array([float(text.lower() == "true") for text in column.texts])
        if np.isnan(by_code).any():
            raise InputError("its categories are no numbers")
        numbers = np.where(absent, np.nan, by_code[codes])
    elif isinstance(column, NumericColumn):
        numbers = column.on_line(cells)
        if not column.missing:
            numbers = np.nan_to_num(numbers, nan=column.lower)
    else:
        raise InputError("it has no numbers")
    return pd.Series(numbers, name=column.name)


def _whole(column: Column, cells: pd.Series, dtype: Any) -> pd.Series:
    """Return whole numbers of a dtype; pandas would wrap those around that it cannot hold."""
    numbers = _numbers(column, cells)
    plain = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    ends = np.iinfo(plain)
    if (numbers.round() < ends.min).any() or (numbers.round() > ends.max).any():
        raise InputError(f"it has numbers beyond {ends.min} to {ends.max}")
    absent = numbers.isna().to_numpy()
    whole = _integers(column.name, np.nan_to_num(numbers), absent)
    nullable = f"{'U' * (plain.kind == 'u')}Int{8 * plain.itemsize}"
    return _to(whole, nullable if column.missing and isinstance(dtype, np.dtype) else dtype)


def _truths(column: Column, cells: pd.Series, dtype: Any) -> pd.Series:
    numbers = _numbers(column, cells)
    if not numbers.dropna().isin([0.0, 1.0]).all():
        raise InputError("it has values that are neither true nor false")
    truths = numbers.astype("boolean")
    return truths if column.missing and isinstance(dtype, np.dtype) else _to(truths, dtype)


def _dated(column: Column, cells: pd.Series, dtype: Any) -> pd.Series:
    if not isinstance(column, DatetimeColumn):
        raise InputError("it has no dates")
    moments = of_schema(column, cells)
    zone = getattr(dtype, "tz", None) or getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None)
    if zone is None and column.zone is not None:
        moments = moments.dt.tz_convert(None)
    if zone is not None and column.zone is None:
        moments = moments.dt.tz_localize("UTC")
    return _to(moments, dtype)


def _lasting(column: Column, cells: pd.Series, dtype: Any) -> pd.Series:
    """Return numbers of seconds as durations, as cells of durations are read."""
    arrow = getattr(dtype, "pyarrow_dtype", None)
    unit: Any = np.datetime_data(dtype)[0] if arrow is None else arrow.unit
    numbers = _numbers(column, cells)
    counts = np.rint(numbers * float(np.timedelta64(1, "s") / np.timedelta64(1, unit)))
    if (counts.abs() > MAX_INT).any():
        raise InputError(f"it has more seconds than durations of {unit} can hold")
    absent = counts.isna()
    whole = counts.fillna(0).to_numpy().astype(np.int64).astype(f"timedelta64[{unit}]")
    return _to(pd.Series(whole, name=column.name).mask(absent), dtype)


def _text(column: Column, cells: pd.Series, dtype: Any) -> pd.Series:
    """Return texts as the schema writes them, but numbers and truths among objects."""
    typed = of_schema(column, cells)
    absent = typed.isna().to_numpy()
    if isinstance(column, IdColumn) or (
        types.is_object_dtype(dtype) and typed.dtype.kind in "biuf"
    ):
        kept = typed.astype(object)
    else:
        kept = column.typed(cells).map(str).astype(object)
    kept[absent] = np.nan
    return _to(kept, dtype)


def _to(series: pd.Series, dtype: Any) -> pd.Series:
    made: pd.Series = series.astype(dtype)
    return made


def checked(columns: Sequence[Coded], codes: NDArray[np.integer]) -> Codes:
    """Return codes, shape (records, columns), as int32; ValueError where they are none."""
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != len(columns):
        raise ValueError(f"codes must have shape (records, {len(columns)}), got {codes.shape}")
    for axis, column in enumerate(columns):
        own = codes[:, axis]
        if len(own) and not 0 <= own.min() <= own.max() < column.size:
            raise ValueError(f"codes of {column.name!r} must lie in [0, {column.size})")
    return codes.astype(np.int32, copy=False)


def decoded(
    columns: Sequence[Coded],
    codes: Codes,
    rng: np.random.Generator,
    size: int,
    *,
    style: Style,
    given: Mapping[str, Draw],
) -> Iterator[pd.DataFrame]:
    """Give the table of ``codes`` in frames of at most ``size`` records, one at least.

    ``rng`` must be of bits that can be advanced, as that of numpy's ``default_rng``; the draws are
    those of `Schema.decode`.
    ``written`` cells are as `Schema.decode` gives them, ``listed`` ones the same with categories as
    categoricals, those of ``schema`` in the kinds of `Schema.in_kinds`. The numbers of ``given``
    columns are drawn as it says, after all others and all at once.
    """
    sources = _sources(columns, checked(columns, codes), rng, given)
    for start in range(0, max(len(codes), 1), size):
        part = slice(start, start + size)
        yield pd.DataFrame(
            {
                column.name: _listed(column, codes[part, axis], style)
                if isinstance(column, DiscreteColumn)
                else sources[column.name](part, style)
                for axis, column in enumerate(columns)
            }
        )


def _sources(
    columns: Sequence[Coded], codes: Codes, rng: np.random.Generator, given: Mapping[str, Draw]
) -> dict[str, Source]:
    """Return what gives the cells of each column of numbers, asked for part after part."""
    sources: dict[str, Source] = {}
    lines = [(axis, c) for axis, c in enumerate(columns) if not isinstance(c, DiscreteColumn)]
    for axis, column in lines:
        own = deepcopy(rng)
        cast(np.random.PCG64, rng.bit_generator).advance(len(codes))  # a draw for each record
        if _is_mixed(column):
            sources[column.name] = _held(column, *draw(column.grid, codes[:, axis], own))
        else:
            sources[column.name] = _streamed(column, codes[:, axis], own)
    for axis, column in lines:
        if column.name in given:
            sources[column.name] = _held(column, *given[column.name](codes[:, axis], rng))
    return sources


def _streamed(column: Line, codes: Codes, rng: np.random.Generator) -> Source:
    def cells(part: slice, style: Style) -> pd.Series:
        return _shown(column, *draw(column.grid, codes[part], rng), style)

    return cells


def _held(column: Line, numbers: Floats, places: Codes) -> Source:
    plain = isinstance(column, NumericColumn) and column.format is None
    kind = column.written(numbers).dtype if plain else None

    def cells(part: slice, style: Style) -> pd.Series:
        return _shown(column, numbers[part], places[part], style, kind)

    return cells


def _is_mixed(column: Line) -> bool:
    """Tell whether the kind of what is written depends on all numbers: a whole one, or a real one.

    So it is where cells are to have no decimals, and one of them holds no whole number.
    """
    if isinstance(column, DatetimeColumn) or column.decimals != 0 or column.format is not None:
        return False
    cuts = column.grid.cuts
    return bool((np.floor(cuts[1:]) - np.ceil(cuts[:-1]) < 1).any())


def _shown(
    column: Line,
    numbers: Floats,
    places: Codes,
    style: Style,
    kind: np.dtype[np.generic] | None = None,
) -> pd.Series:
    if style == "schema":
        return of_numbers(column, np.where(places >= 0, np.nan, numbers))
    written = column.written(numbers)
    return column.with_marks(written if kind is None else written.astype(kind), places)


def _listed(column: DiscreteColumn, codes: Codes, style: Style) -> pd.Series:
    if style == "schema":
        return of_codes(column, codes)
    texts = [*column.texts, *column.missing]
    if style == "written":
        return pd.Series(np.array(texts, dtype=object)[codes], name=column.name, dtype=object)
    made = pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(texts))
    return pd.Series(made, name=column.name)
