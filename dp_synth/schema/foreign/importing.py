"""Schemas made of metadata that a user has: the format is told from the content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from os import PathLike
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from dp_synth.databases import Address, is_address
from dp_synth.errors import InputError, SchemaError
from dp_synth.formats import STATISTICAL
from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.readers import read_json, read_yaml
from dp_synth.schema.check import OUTSIDE, UNSEEN, faults_of
from dp_synth.schema.columns import IdColumn
from dp_synth.schema.draft import draft_column
from dp_synth.schema.foreign import croissant, pandera, postgres, sdv, table_schema
from dp_synth.schema.foreign.described import (
    Described,
    bounds_from,
    check_content,
    columns_of,
    content_of,
    open_fields,
    questions,
)
from dp_synth.schema.parsing import Cells, numbers_of
from dp_synth.schema.schema import Schema

FORMATS = (
    *("sdv", "table-schema", "croissant", "pandera"),
    *("spss", "stata", "sas", "arrow", "parquet", "duckdb", "postgresql"),
)
"""What is read; `detect` tells which a file is."""

EXPORTS: Mapping[str, Callable[[Schema], tuple[dict[str, object], list[str]]]] = {
    "sdv": sdv.written,
    "table-schema": table_schema.written,
}
"""What is written."""

READ = "read from the data: confirm it"
_BEGINNING = 2**9
_SAS7BDAT = bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")
_STATA = (b"\x71", b"\x72", b"\x73", b"\x6c", b"\x6e", b"\x6f")
_TESTS: tuple[tuple[str, Callable[[object], bool]], ...] = (
    ("sdv", sdv.is_sdv),
    ("croissant", croissant.is_croissant),
    ("pandera", pandera.is_pandera),
    ("table-schema", table_schema.is_table_schema),
)


def detect(path: str | PathLike[str]) -> str:
    """Return which of `FORMATS` a file is, told from its content; InputError for none of them."""
    if is_address(str(path)):
        return {"duckdb": "duckdb", "postgres": "postgresql"}[Address.of(str(path)).dialect]
    begins = _first_bytes(path)
    magic = {
        "parquet": begins[:4] == b"PAR1",
        "arrow": begins[:6] == b"ARROW1" or begins[:4] in (b"FEA1", b"\xff\xff\xff\xff"),
        "spss": begins[:4] in (b"$FL2", b"$FL3") or b"SPSSPORT" in begins.replace(b"\n", b""),
        "sas": begins.startswith(b"HEADER RECORD*******LIB") or _SAS7BDAT in begins[:32],
        "duckdb": begins[8:12] == b"DUCK",
        "stata": begins.startswith(b"<stata_dta>") or _is_old_stata(begins),
    }
    if found := next((name for name, is_it in magic.items() if is_it), None):
        return found
    if begins[:4] == b"PK\x03\x04":
        raise InputError(f"{path}: a spreadsheet or archive describes no columns: schema draft it")
    content = _content(path, begins)
    if found := next((name for name, test in _TESTS if test(content)), None):
        return found
    raise InputError(
        f"{path}: is metadata of no kind that is read here ({', '.join(FORMATS)}); "
        "where it is one of them, name it by --format"
    )


def _first_bytes(path: str | PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_BEGINNING)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _is_old_stata(begins: bytes) -> bool:
    """Tell whether a file is of Stata 8 to 12: a version, a byte order, a type, a zero."""
    return begins[:1] in _STATA and begins[1:2] in (b"\x01", b"\x02") and begins[2:4] == b"\x01\x00"


def _content(path: str | PathLike[str], begins: bytes) -> object:
    """Return what a JSON or YAML file holds."""
    if begins.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return read_json(path, SchemaError)
    if b"\0" in begins:
        raise InputError(f"{path}: is metadata of no kind that is read here ({', '.join(FORMATS)})")
    return read_yaml(path, SchemaError)[0]


def describe(
    path: str | PathLike[str],
    kind: str | None = None,
    *,
    table: str | None = None,
    numeric: Collection[str] = (),
) -> Described:
    """Return what the file at ``path``, or the database at an address, says of a table.

    ``kind`` is one of `FORMATS`, told from the content by default; ``table`` chooses among several;
    columns ``numeric`` of a codebook are numbers, whatever labels they have. SchemaError in one
    line that names column and field where metadata contradict themselves.
    """
    if is_address(str(path)):
        address = Address.of(str(path), table)
        if numeric or kind not in (None, detect(path)):
            raise InputError(f"{address.said}: a database takes no --numeric and no other --format")
        if address.dialect == "postgres":
            return postgres.read(address)
        path, table = address.place, address.table
    place = Path(path)
    begins = _first_bytes(path)
    if kind is not None and kind not in FORMATS:
        raise InputError(f"--format must be one of {', '.join(FORMATS)}, got {kind!r}")
    kind = kind or detect(path)
    name = place.name.split(".")[0] or "table"
    if numeric and kind not in ("spss", "stata", "sas"):
        raise InputError(f"{path}: --numeric is for the codebooks of SPSS, Stata and SAS")
    if kind in ("spss", "stata", "sas"):
        from dp_synth.schema.foreign import statistical

        if place.suffix.lower().lstrip(".") not in STATISTICAL:
            raise InputError(f"{path}: its name must end in .{', .'.join(STATISTICAL)}")
        return statistical.read(place, name, numeric)
    if kind in ("arrow", "parquet"):
        from dp_synth.schema.foreign import arrow

        return arrow.read(place, name)
    if kind == "duckdb":
        from dp_synth.schema.foreign import sql

        return sql.read(place, name, table)
    content, source = _content(path, begins), str(path)
    if kind == "pandera":
        return pandera.read(content, source, name)
    reader = {"sdv": sdv.read, "table-schema": table_schema.read, "croissant": croissant.read}
    return reader[kind](content, source, table, name)


def import_schema(
    path: str | PathLike[str],
    kind: str | None = None,
    *,
    table: str | None = None,
    numeric: Collection[str] = (),
    data: pd.DataFrame | ArrowTable | None = None,
) -> dict[str, object]:
    """Return the content of a schema file made of the metadata at ``path``, a file or an address.

    Arguments are those of `describe`. What nobody has said yet is null, and `questions` lists it:
    `Schema.from_dict` refuses it by name. From ``data``, a table of text cells, what is null is
    drafted; it is private then until a person has confirmed it. SchemaError where metadata and
    ``data`` contradict each other; its line names no cell.
    """
    described = describe(path, kind, table=table, numeric=numeric)
    source = Address.of(str(path)).said if is_address(str(path)) else str(path)
    content = content_of(described, source)
    if data is not None:
        _complete(content, described, as_frame(data), source)
    return content


def _complete(
    content: dict[str, object], described: Described, frame: pd.DataFrame, source: str
) -> None:
    """Draft what is null from a table, and compare all else with it."""
    present = set(map(str, frame.columns))
    filled = []
    for column in columns_of(content):
        name = str(column["name"])
        if column["type"] == "id":
            continue
        if name not in present:
            raise SchemaError(f"{source}: column {name!r}: field 'name': is not in the table")
        if open_fields(column):
            _fill(column, column_of(frame, name), source)
            _check_filled({**content, "columns": [column]}, name, source)
            filled.append(name)
    content["bounds_from"] = bounds_from(described, filled)
    check_content(content, source)
    if not questions(content):
        _compare(Schema.from_dict(content, source), frame, source)


def _check_filled(content: Mapping[str, object], name: str, source: str) -> None:
    """Raise SchemaError, whose line has nothing of the cells, where a draft is no column."""
    try:
        check_content(content, source)
    except SchemaError:
        raise SchemaError(
            f"{source}: column {name!r}: the cells of the table contradict what is said of it; "
            "say there what is missing, or mend what is said"
        ) from None


def _fill(column: dict[str, object], cells: pd.Series, source: str) -> None:
    """Draft the null fields of a column from its cells."""
    name, kind = str(column["name"]), column["type"]
    marks = set(_marks(column))
    drafted = draft_column(name, cells[~cells.isin(marks)])
    note = [str(one["note"]) for one in (column, drafted) if "note" in one]
    column["note"] = "; ".join([*note, READ])
    if kind in ("integer", "real"):
        numbers = numbers_of([text for text in Cells.of(cells).texts() if text not in marks])
        numbers = numbers[np.isfinite(numbers)]
        if drafted["type"] in ("integer", "real"):
            ends = drafted["lower"], drafted["upper"]
            column |= {key: drafted[key] for key in ("format", "decimals") if key in drafted}
        elif len(numbers):
            ends = float(numbers.min()), float(numbers.max())
        else:
            _refuse_type(source, name, f"{kind}, and the table has no numbers")
        if kind == "integer":
            column.pop("decimals", None)
        _set_ends(column, ends)
        return
    if kind == "datetime":
        if drafted["type"] != "datetime":
            _refuse_type(source, name, "datetime, and the table has no dates")
        _set_ends(column, (drafted["lower"], drafted["upper"]))
        if column.get("format") is None and "format" in drafted:
            column["format"] = drafted["format"]
        return
    if kind == "categorical" and drafted["type"] in ("integer", "real"):
        texts = [text for text in Cells.of(cells).texts()[:-1] if text not in marks and text]
        drafted = {"type": "categorical", "categories": sorted(set(texts))}
    missing = [*_marks(column), *_marks(drafted)]
    for key in ("categories", "lower", "upper"):
        if column.get(key, "") is None:
            del column[key]
    column |= {key: value for key, value in drafted.items() if key not in ("name", "note")}
    if missing and column["type"] != "id":
        column["missing"] = list(dict.fromkeys(missing))


def _marks(column: Mapping[str, object]) -> list[str]:
    marks = column.get("missing", [])
    assert isinstance(marks, list)
    return marks


def _refuse_type(source: str, name: str, why: str) -> NoReturn:
    raise SchemaError(f"{source}: column {name!r}: field 'type': is {why}")


def _set_ends(column: dict[str, object], ends: tuple[object, object]) -> None:
    for key, end in zip(("lower", "upper"), ends, strict=True):
        if column[key] is None:
            column[key] = int(end) if isinstance(end, float) and end.is_integer() else end


def _compare(schema: Schema, frame: pd.DataFrame, source: str) -> None:
    """Raise SchemaError where a table has codes or values that its metadata exclude."""
    for column in schema.columns:
        if isinstance(column, IdColumn):
            continue
        cells = Cells.of(column_of(frame, column.name))
        finite = ~np.isinf(cells.numbers())  # infinite ones count as the nearer bound
        for what, chosen in faults_of(column, cells).items():
            if what in (UNSEEN, OUTSIDE) and bool((chosen & finite)[:-1].any()):
                field = "categories" if what == UNSEEN else "lower, upper"
                raise SchemaError(
                    f"{source}: column {column.name!r}: field {field!r}: the table has "
                    "cells that it excludes; `schema check` shows them"
                )
