"""Backends: the library whose frames synthetic rows come back as, and dtypes declared public.

A frame's library is the caller's choice and no fact of its records. Its dtypes are facts of
records in part: pandas makes floats of whole numbers where one is missing, readers infer them, a
categorical has the values that were seen. They are taken where somebody declares them, and the
categories never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
from pandas.api import types

from dp_synth.errors import InputError, SchemaError, warn
from dp_synth.extensions import nearest
from dp_synth.frames import FOREIGN
from dp_synth.schema import DatetimeColumn, IdColumn, NumericColumn, Schema
from dp_synth.schema.columns import DiscreteColumn
from dp_synth.schema.constraints import Column
from dp_synth.schema.kinds import in_kinds

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN, NULLABLE, ARROW = "pandas", "pandas_nullable", "pandas_pyarrow"
BACKENDS = (PLAIN, NULLABLE, ARROW, "polars", "pyarrow", "modin", "cudf")
"""What rows may come back as; three are pandas, with columns of numpy, nullable, or of Arrow."""

COLLECTED = {"dask": PLAIN, "duckdb": "pyarrow", "ibis": "pyarrow", "pyspark": "pyarrow"}
"""Of lazy tables, what narwhals computes them into."""

ENUM = "enum"  # of polars: a categorical whose values are declared
_MASKED = {"int64": "Int64", "float64": "Float64", "bool": "boolean"}
_KINDS = "biufmMO"  # of numpy's dtypes those that columns may have

Frame = Any
"""A table of the library that a release returns; a `pandas.DataFrame` where nothing says else."""


@dataclass(frozen=True)
class Output:
    """What rows of a release come back as: a backend, and dtypes by column, declared public.

    ``dtypes`` are names of dtypes of pandas, whatever the backend, such as ``int8`` or
    ``timestamp[us, tz=UTC][pyarrow]``, and ``enum``. Columns without one are of the schema's kind.

    >>> Output.of(pd.DataFrame({"age": [1]})), Output.of("train.csv").backend
    (Output(backend='pandas', dtypes={}), 'pandas')
    """

    backend: str = PLAIN
    dtypes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise InputError(f"no backend {self.backend!r}; {nearest(self.backend, BACKENDS)}")

    @classmethod
    def of(cls, data: object) -> Output:
        """Return what rows of a table come back as: its library's frames, of the schema's kinds.

        Of a file, and of a table that narwhals does not know or refuses, those of pandas: this is
        asked when a fit is paid, so that nothing may be raised.
        """
        try:
            return cls(_backend_of(data))
        except FOREIGN:
            return cls()

    def declared(self, kinds: object, schema: Schema, keys: Sequence[IdColumn] = ()) -> Output:
        """Return the output with the dtypes of ``kinds``: a frame, its dtypes, or a mapping.

        A frame's library is taken with them. InputError for a dtype that cannot hold its column,
        whose bounds and categories are those of ``schema``, and for a column that is neither in it
        nor one of the new ``keys``.
        """
        given, known = _dtypes_of(kinds), [*schema.names, *(column.name for column in keys)]
        if isinstance(kinds, Mapping) and (foreign := [n for n in given if n not in known]):
            raise InputError(f"dtypes: no column {foreign[0]!r}; {nearest(foreign[0], known)}")
        names = {name: _named(name, given[name]) for name in known if name in given}
        backend = _backend_of(kinds) if _is_frame(kinds) else self.backend
        output = replace(self, backend=backend, dtypes=MappingProxyType(names))
        output.check(schema, keys)
        return output

    def check(self, schema: Schema, keys: Sequence[IdColumn] = ()) -> None:
        """Raise InputError for a dtype that cannot hold its column, by public facts alone."""
        new = {column.name: column for column in keys}
        for name, kind in self.kinds.items():
            if name in new:
                if self.dtypes[name] != ENUM:
                    new[name].check_kind(kind)
                    continue
                raise InputError(f"column {name!r} cannot be of kind enum: its keys are new")
            try:
                column = schema.column(name)
            except SchemaError as error:
                raise InputError(f"dtypes: {error}") from None
            if self.dtypes[name] == ENUM and not isinstance(column, DiscreteColumn):
                raise InputError(
                    f"column {name!r} cannot be of kind enum: the schema lists no categories of it"
                )
            if not isinstance(column, IdColumn):
                in_kinds([column], pd.DataFrame({name: _ends(column)}), {name: kind})

    @property
    def kinds(self) -> dict[str, object]:
        """The declared dtypes, as `Schema.in_kinds` takes them."""
        return {name: _dtype(name, text) for name, text in self.dtypes.items()}

    def made(self, rows: pd.DataFrame, *, as_written: bool = False) -> Frame:
        """Return rows of pandas as a frame of the backend, in which texts stay what they are.

        Where its library is not installed they stay in pandas, and a warning says so. Cells that
        are ``as_written`` keep the dtypes of their texts and numbers.
        """
        if self.backend == PLAIN or (as_written and self.backend in (NULLABLE, ARROW)):
            return rows
        if self.backend in (NULLABLE, ARROW):
            cells = {n: c if n in self.dtypes else self._backed(c) for n, c in rows.items()}
            return pd.DataFrame(cells, index=rows.index)
        try:
            import_module(self.backend)
        except ImportError:
            warn(f"{self.backend} is not installed: rows come back in pandas", UserWarning)
            return rows
        backend: Any = self.backend
        made = nw.from_arrow(_arrow_table(rows), backend=backend).to_native()
        return self._with_enums(made, rows) if self.backend == "polars" else made

    def _backed(self, cells: pd.Series) -> pd.Series:
        """Return a column of the schema's kind in nullable dtypes, or in Arrow's."""
        if self.backend == NULLABLE or cells.dtype.kind not in "biufM":
            kind: Any = _MASKED.get(str(cells.dtype), cells.dtype)
            return cells.astype(kind)
        import pyarrow as pa

        return cells.astype(pd.ArrowDtype(pa.Array.from_pandas(cells[:0]).type))

    def _with_enums(self, made: Any, rows: pd.DataFrame) -> Frame:
        """Return a frame of polars whose categoricals know the categories of the schema."""
        import polars as pl

        listed = {
            str(name): pl.Enum([str(text) for text in cells.cat.categories])
            for name, cells in rows.items()
            if isinstance(cells.dtype, pd.CategoricalDtype)
            and self.dtypes.get(str(name)) != "category"
        }
        return made.with_columns(pl.col(name).cast(kind) for name, kind in listed.items())

    def to_fields(self) -> dict[str, object]:
        """Return the JSON object that stands for the output in a release file."""
        return {"backend": self.backend, "dtypes": dict(self.dtypes)}

    @classmethod
    def from_fields(
        cls, fields: Mapping[str, Any], schema: Schema, keys: Sequence[IdColumn] = ()
    ) -> Output:
        """Return the output that `to_fields` wrote; InputError where it does not fit the schema."""
        texts = fields.get("dtypes", {})
        if not isinstance(texts, Mapping) or not all(isinstance(t, str) for t in texts.values()):
            raise InputError("its dtypes must be texts by column")
        output = cls(str(fields.get("backend", PLAIN)), MappingProxyType(dict(texts)))
        output.check(schema, keys)
        return output


OF_PANDAS = Output()
"""Frames of pandas in the kinds of the schema."""


def require(backend: str) -> None:
    """Raise InputError where the library of a backend is not installed."""
    library = PLAIN if backend in (PLAIN, NULLABLE, ARROW) else backend
    try:
        import_module(library)
    except ImportError:
        raise InputError(f"{library} is not installed: pip install {library}") from None


def _is_frame(table: object) -> bool:
    return isinstance(table, pd.DataFrame) or (
        not isinstance(table, (pd.Series, Mapping, str)) and _arrow_schema_of(table) is not None
    )


def _backend_of(table: object) -> str:
    """Return the backend of a table: by its type, and of pandas by whose columns it has."""
    known = nw.from_native(table, pass_through=True)
    if isinstance(known, (nw.DataFrame, nw.LazyFrame)):
        library = str(known.implementation.value)
        native = known.to_native()
        if isinstance(native, pd.DataFrame):
            return _backend_of_pandas(native)
        library = COLLECTED.get(library, library)
        return library if library in BACKENDS else PLAIN
    return "pyarrow" if type(table).__module__.startswith("pyarrow.") else PLAIN


def _backend_of_pandas(frame: pd.DataFrame) -> str:
    kinds = list(frame.dtypes)
    if any(isinstance(kind, pd.ArrowDtype) for kind in kinds):
        return ARROW
    return NULLABLE if any(map(_is_nullable, kinds)) else PLAIN


def _is_nullable(kind: object) -> bool:
    """Tell whether a dtype is Int64, Float64, boolean, or a text beside them.

    Texts count: were it the numbers alone, one odd cell, which makes a text of the only column of
    numbers, would change what a release remembers.
    """
    if isinstance(kind, pd.StringDtype):
        return kind.na_value is pd.NA
    return hasattr(kind, "numpy_dtype")


def _dtypes_of(kinds: object) -> dict[str, object]:
    """Return the dtypes that are given by column, of whatever library."""
    given: Any = kinds
    if isinstance(kinds, pd.DataFrame):
        given = kinds.dtypes
    elif not isinstance(kinds, (pd.Series, Mapping)):
        given = None if isinstance(kinds, str) else _arrow_schema_of(kinds)
        if given is None:
            got = repr(kinds) if isinstance(kinds, str) else type(kinds).__name__
            raise InputError(f"dtypes must be a frame, its dtypes or a mapping, got {got}")
    return {str(name): dtype for name, dtype in given.items()}


def _arrow_schema_of(table: object) -> Mapping[str, object] | None:
    """Return the dtypes of a table of Arrow, polars or another library; None for no table."""
    import pyarrow as pa

    if isinstance(table, (pa.Table, pa.RecordBatch, pa.RecordBatchReader)):
        table = table.schema
    if isinstance(table, pa.Schema):
        return dict(zip(table.names, table.types, strict=True))
    known = nw.from_native(table, pass_through=True)
    if not isinstance(known, (nw.DataFrame, nw.LazyFrame)):
        return None
    if known.implementation.is_polars():
        return dict(known.to_native().lazy().collect_schema())
    if isinstance(known, nw.LazyFrame):
        known = known.head(0).collect()
    if known.implementation.is_pandas_like():
        return dict(known.head(0).to_pandas().dtypes)
    return _arrow_schema_of(known.head(0).to_arrow())


def _named(name: str, dtype: object) -> str:
    """Return the name by which a column's dtype is kept; InputError for one that has none."""
    if dtype is None:  # of which numpy makes a float
        raise InputError(f"column {name!r} cannot be of kind None; leave it out instead")
    text = dtype if isinstance(dtype, str) else _text(_pandas_dtype(name, dtype))
    found = _dtype(name, text)
    return ENUM if text == ENUM else _text(found)


def _pandas_dtype(name: str, dtype: object) -> object:
    import pyarrow as pa

    if isinstance(dtype, pa.DataType):
        return pd.ArrowDtype(dtype)
    kind = dtype if isinstance(dtype, type) else type(dtype)
    if not kind.__module__.startswith("polars."):
        return _dtype(name, dtype)
    import polars as pl

    if kind is pl.Enum:
        return ENUM
    try:
        (arrow,) = pl.DataFrame(schema={name: dtype}).to_arrow().schema.types  # type: ignore[dict-item]
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        raise InputError(f"column {name!r} cannot be of kind {dtype}") from None
    return pd.ArrowDtype(arrow)


def _text(dtype: object) -> str:
    """Return the name of a dtype of pandas, without categories, which are the schema's."""
    kind = getattr(dtype, "pyarrow_dtype", dtype)
    if isinstance(dtype, pd.CategoricalDtype) or str(kind).startswith("dictionary"):
        return "category"
    if isinstance(dtype, pd.StringDtype):
        return "str" if dtype.na_value is not pd.NA else f"string[{dtype.storage}]"
    return str(dtype)


def _dtype(name: str, dtype: Any) -> object:
    """Return the dtype of pandas that has a name; InputError for none that a column may have."""
    if dtype in (ENUM, "str"):
        return "category" if dtype == ENUM else pd.Series(dtype="str").dtype
    try:
        found = types.pandas_dtype(dtype)
    except (TypeError, ValueError, NotImplementedError):
        raise InputError(f"column {name!r} cannot be of kind {dtype}") from None
    if isinstance(found, np.dtype) and found.kind not in _KINDS:
        raise InputError(f"column {name!r} cannot be of kind {dtype}: there is no way to it")
    return found


def _ends(column: Column) -> pd.Series:
    """Return the least and greatest cells that a column may have, or all of its categories.

    Of real numbers also one between them, which is no truth.
    """
    if isinstance(column, DiscreteColumn):
        return pd.Series([*column.texts, *column.missing], dtype=object)
    if isinstance(column, DatetimeColumn):
        return column.moments(np.array([column.grid.lower, column.grid.upper]))
    assert isinstance(column, NumericColumn)
    between = [] if column.grid.whole else [(column.lower + column.upper) / 2]
    return pd.Series([column.lower, *between, column.upper])


def _arrow_table(rows: pd.DataFrame) -> pa.Table:
    """Return rows as a table of Arrow; columns of mixed objects as texts."""
    import pyarrow as pa

    cells = {n: c.map(str, na_action="ignore") if c.dtype == object else c for n, c in rows.items()}
    table = pa.Table.from_pandas(pd.DataFrame(cells, index=rows.index), preserve_index=False)
    kinds = [
        field.with_type(pa.large_string()) if pa.types.is_null(field.type) else field
        for field in table.schema
    ]  # columns of objects without a cell have no type
    return table.cast(pa.schema(kinds)).replace_schema_metadata(None)
