"""Schemas of Arrow and Parquet files: types, nulls, and dictionaries.

A dictionary may list what the records hold, and no more: it is a draft.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dp_synth.errors import InputError
from dp_synth.formats.arrow import opened
from dp_synth.frames import FOREIGN, parquet_batches, texts_of, without_index
from dp_synth.schema.draft import MOST_CATEGORIES
from dp_synth.schema.foreign.described import Described, Known

if TYPE_CHECKING:
    import pyarrow as pa

RECORDS = 2**16  # of a file that are read at one time, for their dictionaries


def read(path: Path, name: str) -> Described:
    """Return what the schema of a Parquet or Arrow file says; InputError where it is none."""
    with open(path, "rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    if is_parquet:
        from pyarrow import parquet

        try:
            schema = parquet.read_schema(path)
        except FOREIGN:  # of a damaged file; Arrow has many kinds
            raise InputError(f"{path}: is not a Parquet file, or a damaged one") from None
        listed = [field.name for field in schema if _is_listed(field.type)]
        batches: Iterable[pa.RecordBatch] = parquet_batches(path, listed, RECORDS) if listed else ()
        values = _values(batches, listed)
    else:
        with opened(path) as (schema, read_batches):
            listed = [field.name for field in schema if _is_listed(field.type)]
            values = _values(read_batches, listed)
    kept = set(without_index(schema.names, str(path)))
    columns = [_known(field, values.get(field.name)) for field in schema if field.name in kept]
    what = "Parquet" if is_parquet else "Arrow"
    return Described(name, f"the schema of {what} file {path.name}", columns)


def _is_listed(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(kind))


def _values(batches: Iterable[pa.RecordBatch], names: list[str]) -> dict[str, list[str]]:
    """Return the values of the dictionaries of columns, each in the order of the file."""
    found: dict[str, dict[str, None]] = {name: {} for name in names}
    for batch in batches:
        for name in names:
            column = batch.column(name)
            if _is_listed(column.type):
                found[name].update(dict.fromkeys(texts_of(column.dictionary)))
    return {name: list(values) for name, values in found.items()}


def _known(field: pa.Field, values: list[str] | None) -> Known:
    import pyarrow as pa

    kind, types = field.type, pa.types
    missing = ("",) if field.nullable else ()
    said = (field.metadata or {}).get(b"description", b"").decode("utf-8", "replace")
    base: dict[str, Any] = {"missing": missing, "title": said}
    if values is not None:
        if not values or len(values) > MOST_CATEGORIES:
            return Known(field.name, "categorical", **base)
        ordered = "ordinal" if kind.ordered else "categorical"
        marks = tuple(mark for mark in missing if mark not in values)
        return Known(
            field.name,
            ordered,
            categories=tuple(values),
            missing=marks,
            title=said,
            detected=("values",),
        )
    if types.is_boolean(kind):
        return Known(field.name, "categorical", categories=("false", "true"), **base)
    if types.is_integer(kind):
        return Known(field.name, "integer", **base)
    if types.is_decimal(kind):
        places = kind.scale if 0 < kind.scale <= 12 else None
        return Known(field.name, "real" if kind.scale else "integer", decimals=places, **base)
    if types.is_floating(kind):
        return Known(field.name, "real", **base)
    if types.is_temporal(kind) and not types.is_duration(kind):
        form = "%H:%M:%S" if types.is_time(kind) else None
        return Known(field.name, "datetime", format=form, **base)
    if types.is_string(kind) or types.is_large_string(kind):
        return Known(field.name, "categorical", **base)
    return Known(field.name, "id", title=said, notes=(f"of type {kind}: left out",))
