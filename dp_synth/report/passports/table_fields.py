"""Fields of a Table Schema (Data Package 2.0): what is public of each column of synthetic rows."""

from __future__ import annotations

from dp_synth.schema import DiscreteColumn, NumericColumn, Schema
from dp_synth.schema.numeric import DatetimeColumn

Field = dict[str, object]

DATES = {"s": "datetime", "m": "datetime", "h": "datetime", "D": "date", "M": "yearmonth"}


def table_fields(schema: Schema) -> list[Field]:
    """Return a field for each column that rows have.

    Bounds and categories are those of the schema, declared or found by a fit that paid for them.
    """
    return [_field(column, schema) for column in schema.synthesized()]


def _field(column: DiscreteColumn | NumericColumn | DatetimeColumn, schema: Schema) -> Field:
    found: Field = {"name": column.name}
    if isinstance(column, DiscreteColumn):
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
    lower, upper = (int(b) if whole else b for b in (column.lower, column.upper))
    found: Field = {
        "type": "integer" if whole else "number",
        "constraints": {"minimum": lower, "maximum": upper},
    }
    if written is not None and written.thousands:
        found["groupChar"] = written.thousands
    decimal = written.decimal if written is not None else None
    decimal = decimal or (schema.dialect.decimal if schema.dialect else None)
    if not whole and decimal == ",":
        found["decimalChar"] = ","
    return found


def _dates(column: DatetimeColumn) -> Field:
    if column.format is None:
        kind = DATES.get(column.step, "any")
        limits: Field = {"minimum": column.lower, "maximum": column.upper}
        zoned = column.zone is not None
        return {"type": "any"} if zoned else {"type": kind, "constraints": limits}
    return {"type": "any"}  # written as a pattern says, which programs read in different ways
