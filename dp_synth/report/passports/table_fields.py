"""Fields of a Table Schema (Data Package 2.0): what is public of each column of synthetic rows."""

from __future__ import annotations

import numpy as np

from dp_synth.schema import Column, DiscreteColumn, IdColumn, NumericColumn, Schema
from dp_synth.schema.numeric import DatetimeColumn

Field = dict[str, object]


def table_fields(schema: Schema) -> list[Field]:
    """Return a field for each column that rows have.

    Bounds and categories are those of the schema, declared or found by a fit that paid for them.
    """
    return [_field(column, schema) for column in schema.in_rows()]


def _field(column: Column, schema: Schema) -> Field:
    found: Field = {"name": column.name}
    if isinstance(column, IdColumn):
        found |= _new_keys(column)
    elif isinstance(column, DiscreteColumn):
        found |= _categories(column)
    elif isinstance(column, NumericColumn):
        found |= _numbers(column, schema)
    else:
        found |= _dates(column)
    if column.note:
        found["description"] = column.note
    if column.missing:
        found["missingValues"] = list(column.missing)
    else:
        found["constraints"] = {"required": True, **_limits(found)}
    return found


def _limits(found: Field) -> Field:
    limits = found.get("constraints", {})
    assert isinstance(limits, dict)
    return limits


def _new_keys(column: IdColumn) -> Field:
    if column.keys.text == "integer":
        first, last = (int(key) for key in column.keys.ends)
        limits: Field = {"minimum": first, "maximum": last}
        return {"type": "integer", "constraints": {"unique": True, **limits}}
    return {"type": "string", "constraints": {"unique": True, "pattern": column.keys.expression}}


def _categories(column: DiscreteColumn) -> Field:
    if column.categories is None:
        last = (column.code_count or 1) - 1
        return {"type": "integer", "constraints": {"minimum": 0, "maximum": last}}
    texts = list(column.texts)
    found: Field = {"type": "string", "constraints": {"enum": texts}} if texts else {"type": "any"}
    if column.type == "ordinal":
        found |= {"categories": texts, "categoriesOrdered": True}
    return found


def _numbers(column: NumericColumn, schema: Schema) -> Field:
    written = column.format
    if written is not None and (written.prefix or written.suffix):
        return {"type": "string"}  # such as a currency: no number by the standard
    whole = column.type == "integer"
    grouped = None if written is None else written.thousands
    lower, upper = (int(b) if whole else b for b in (column.lower, column.upper))
    found: Field = {
        "type": "integer" if whole and not grouped else "number",  # readers group numbers alone
        "constraints": {"minimum": lower, "maximum": upper},
    }
    if grouped:
        found["groupChar"] = grouped
    decimal = written.decimal if written is not None else None
    decimal = decimal or (schema.dialect.decimal if schema.dialect else None)
    if not whole and decimal == ",":
        found["decimalChar"] = ","
    return found


def _dates(column: DatetimeColumn) -> Field:
    pattern = iso_pattern(column)
    if pattern is None:  # written as a format says, which programs read in different ways
        return {"type": "any"}
    lower, upper = written_bounds(column)
    return {
        "type": "date" if column.step == "D" else "datetime",
        "format": pattern if " " in pattern else "default",
        "constraints": {"minimum": lower, "maximum": upper},
    }


def iso_pattern(column: DatetimeColumn) -> str | None:
    """Return the pattern of ISO cells; None where they have a format of their own, or an offset."""
    if column.format is not None or column.zone is not None:
        return None
    between = " " if " " in column.lower.strip() else "T"
    return "%Y-%m-%d" if column.step == "D" else f"%Y-%m-%d{between}%H:%M:%S"


def written_bounds(column: DatetimeColumn) -> tuple[str, str]:
    """Return the bounds as cells are written, down to the second where those are."""
    lower, upper = column.written(np.array([column.grid.lower, column.grid.upper]))
    return str(lower), str(upper)
