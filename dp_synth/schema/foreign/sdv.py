"""Metadata of SDV (Synthetic Data Vault): V2, which SDV 2 writes, and V1.

SDV reads ranges, values and nulls from a table when it detects metadata, and its files do not
say whether a person wrote them: all of them are drafts. Keys: docs.sdv.dev, "Metadata JSON".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dp_synth.errors import SchemaError
from dp_synth.schema.columns import DiscreteColumn, IdColumn
from dp_synth.schema.constraints import Column
from dp_synth.schema.foreign.dates import bound_text, iso_text, plain_format
from dp_synth.schema.foreign.described import (
    Described,
    Known,
    Part,
    column_part,
    key_pattern,
    values_of,
)
from dp_synth.schema.numeric import MAX_DECIMALS, NumericColumn
from dp_synth.schema.schema import Schema

VERSIONS = ("V1", "V2", "SINGLE_TABLE_V1", "SINGLE_TABLE_V2", "MULTI_TABLE_V1", "MULTI_TABLE_V2")
VERSION = "METADATA_SPEC_VERSION"


def is_sdv(content: object) -> bool:
    """Tell whether the content of a JSON file is metadata of SDV."""
    return isinstance(content, Mapping) and VERSION in content


def read(content: object, source: str, table: str | None, name: str) -> Described:
    """Return what SDV's metadata say of ``table``, which may be None where there is one alone."""
    whole = Part(content, source)
    version = whole.text(VERSION) or ""
    if version not in VERSIONS:
        whole.refuse(VERSION, f"must be one of {', '.join(VERSIONS)}, got {version!r}")
    part = whole
    tables = whole.part("tables")
    if tables is not None:
        name = chosen(list(tables.content), table, source)
        part = Part(tables.content[name], source, f"table {name!r}")
    columns = part.part("columns", "field 'columns'")
    if columns is None:
        raise SchemaError(f"{source}: field 'columns': is required")
    keys = _keys(part) | _foreign(whole, name)
    number = version[-2:]
    known = [
        _known(column_part(said, source, str(column)), str(column), number, keys)
        for column, said in columns.content.items()
    ]
    return Described(name, f"metadata of SDV {number}, table {name}", known)


def chosen(names: Sequence[str], asked: str | None, source: str) -> str:
    """Return the table that is asked for, or the only one; SchemaError where it is not clear."""
    if asked is not None:
        if asked not in names:
            raise SchemaError(
                f"{source}: has no table {asked!r}; there are {', '.join(map(repr, names))}"
            )
        return asked
    if len(names) != 1:
        shown = ", ".join(map(repr, names)) or "none"
        raise SchemaError(f"{source}: say by --table which table is meant: {shown}")
    return names[0]


def _keys(part: Part) -> dict[str, str]:
    keys: list[object] = []
    for field in ("primary_key", "sequence_key"):
        keys.append(part.content.get(field))
    keys += part.items("alternate_keys") or []
    return {str(key): "a key" for key in keys if isinstance(key, str)}


def _foreign(whole: Part, name: str) -> dict[str, str]:
    found = {}
    for relation in whole.items("relationships") or []:
        one = Part(relation, whole.source, "field 'relationships'")
        key = one.content.get("child_foreign_key")
        if one.text("child_table_name") == name and isinstance(key, str):
            found[key] = f"refers to table {one.text('parent_table_name')!r}"
    return found


def _known(part: Part, name: str, version: str, keys: Mapping[str, str]) -> Known:
    sdtype = part.text("sdtype")
    if sdtype is None:
        part.refuse("sdtype", "is required")
    never = part.truth("range_is_nullable") is False
    known = _typed(part, name, sdtype, version, keys, () if never else ("",))
    if never and known.type != "id":
        known = replace(known, detected=(*known.detected, "that no cell is missing"))
    return known


def _typed(
    part: Part,
    name: str,
    sdtype: str,
    version: str,
    keys: Mapping[str, str],
    missing: tuple[str, ...],
) -> Known:
    pattern, foreign = key_pattern(part.text("regex_format"))
    if name in keys and sdtype in ("id", "unknown", "numerical", "categorical"):
        notes = foreign if keys[name] == "a key" else (keys[name], *foreign)
        return Known(name, "id", pattern=pattern, notes=notes)
    if sdtype == "numerical":
        return _numerical(part, name, version, missing)
    if sdtype == "datetime":
        return _datetime(part, name, missing)
    if sdtype == "boolean":
        return Known(name, "categorical", categories=("false", "true"), missing=missing)
    if sdtype in ("categorical", "ordinal"):
        return _categorical(part, name, sdtype, missing)
    notes = foreign if sdtype == "id" else (f"{sdtype!r} to SDV: left out as an identifier",)
    return Known(name, "id", pattern=pattern if sdtype == "id" else None, notes=notes)


def _numerical(part: Part, name: str, version: str, missing: tuple[str, ...]) -> Known:
    lower, upper = part.number("range_min"), part.number("range_max")
    if lower is not None and upper is not None and lower > upper:
        part.refuse("range_max", f"must be at least range_min ({lower:g}), got {upper:g}")
    places = part.number("decimal_places")
    kept = part.text("computer_representation") or ""
    notes: tuple[str, ...] = ()
    whole = places == 0 or kept.startswith(("Int", "UInt"))
    if places is None and not kept:
        notes = ("SDV does not say whether numbers are whole: read as real ones",)
    decimals = int(places) if places and places <= MAX_DECIMALS else None
    ends = all(end is None or float(end).is_integer() for end in (lower, upper))
    return Known(
        name,
        "integer" if whole and ends else "real",
        None if lower is None else float(lower),
        None if upper is None else float(upper),
        missing=missing,
        decimals=decimals,
        detected=("range",) if lower is not None or upper is not None else (),
        notes=notes,
    )


def _datetime(part: Part, name: str, missing: tuple[str, ...]) -> Known:
    pattern = part.text("datetime_format")
    form, notes = plain_format(pattern)
    ends = []
    for key in ("range_min", "range_max"):
        said = part.text(key)
        text = None if said is None else iso_text(said, pattern)
        if said is not None and text is None:
            part.refuse(key, f"must be a date of the format {pattern!r}, got {said!r}")
        ends.append(text)
    lower, upper = ends
    if lower is not None and upper is not None and lower > upper:
        part.refuse("range_max", f"must be at least range_min ({lower}), got {upper}")
    detected = ("range",) if any(ends) else ()
    return Known(
        name, "datetime", lower, upper, missing=missing, format=form, detected=detected, notes=notes
    )


def _categorical(part: Part, name: str, sdtype: str, missing: tuple[str, ...]) -> Known:
    values = part.texts("range_values")
    order = part.texts("order")
    if order is not None:
        return Known(name, "ordinal", categories=order, missing=missing)
    if values is not None and set(values) == {"false", "true"}:
        return Known(name, "categorical", categories=("false", "true"), missing=missing)
    if values is not None and sdtype == "ordinal":
        values = _in_order(values)
    if values is not None and "" in values:
        missing = ()
    detected = ("values",) if values is not None else ()
    return Known(name, sdtype, categories=values, missing=missing, detected=detected)


def _in_order(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return numbers in their order: SDV lists values as they occur."""
    try:
        return tuple(sorted(values, key=float))
    except ValueError:
        return values


def written(schema: Schema) -> tuple[dict[str, object], list[str]]:
    """Return a schema as metadata of SDV V2, and a line for each thing that they cannot hold."""
    columns, lost = {}, []
    for column in schema.columns:
        columns[column.name] = _column(column)
        marks = [mark for mark in column.missing if mark]
        if marks and not isinstance(column, IdColumn):
            lost.append(f"column {column.name!r}: SDV knows null alone, not {', '.join(marks)}")
        if column.labels:
            lost.append(f"column {column.name!r}: SDV has no labels")
    if schema.constraints:
        lost.append("constraints: SDV keeps them outside of metadata")
    return {
        "tables": {schema.name: {"columns": columns}},
        "relationships": [],
        VERSION: "V2",
    }, lost


def _column(column: Column) -> dict[str, object]:
    null = {"range_is_nullable": bool(column.missing)}
    if isinstance(column, IdColumn):
        new = {"regex_format": column.keys.expression} if column.pattern else {}
        return {"sdtype": "id", **new}
    if isinstance(column, DiscreteColumn):
        if tuple(sorted(column.texts)) == ("false", "true"):
            return {"sdtype": "boolean", **null}
        values = values_of(column.texts)
        return {"sdtype": column.type, "range_values": values, **null}
    if isinstance(column, NumericColumn):
        whole = column.type == "integer"
        ends = [int(end) if whole else end for end in (column.lower, column.upper)]
        places = 0 if whole else column.decimals
        said: dict[str, object] = {} if places is None else {"decimal_places": places}
        return {"sdtype": "numerical", "range_min": ends[0], "range_max": ends[1], **said, **null}
    pattern = column.format or ("%Y-%m-%d" if column.step == "D" else "%Y-%m-%dT%H:%M:%S")
    pattern = pattern.replace("%-", "%")
    first, last = (bound_text(end, pattern) for end in (column.lower, column.upper))
    ends_of = {"range_min": first, "range_max": last}
    return {"sdtype": "datetime", "datetime_format": pattern, **ends_of, **null}
