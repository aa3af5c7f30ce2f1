"""Columns as SDV's metadata describe them, in its version V2 (sdv 2.0) and V1 (sdv 1.x)."""

from __future__ import annotations

from dp_synth.report.passports.table_fields import iso_pattern, written_bounds
from dp_synth.schema import Column as SchemaColumn
from dp_synth.schema import DiscreteColumn, IdColumn, NumericColumn, Schema
from dp_synth.schema.kinds import is_logical
from dp_synth.schema.numeric import DatetimeColumn

Column = dict[str, object]


def sdv_columns(schema: Schema, version: str) -> dict[str, Column]:
    """Return the description of each column that rows have, by its name; ``version`` V1 or V2.

    Ranges are those of the schema; V1 has none.
    """
    return {column.name: _column(column, version) for column in schema.in_rows()}


def _column(column: SchemaColumn, version: str) -> Column:
    new = version == "V2"
    if isinstance(column, IdColumn):
        return {"sdtype": "id", "regex_format": column.keys.expression}
    if isinstance(column, DiscreteColumn):
        found = _categories(column, new=new)
    elif isinstance(column, NumericColumn):
        found = _numbers(column, new=new)
    else:
        found = _dates(column, new=new)
    if new:
        found["range_is_nullable"] = bool(column.missing)
    return found


def _categories(column: DiscreteColumn, *, new: bool) -> Column:
    if is_logical(column):
        return {"sdtype": "boolean"}
    values: list[object] = list(column.texts)
    if column.categories is None:
        values = list(range(column.code_count or 0))
    ordinal = column.type == "ordinal"
    if not new:
        order = {"order": values} if ordinal and values else {}
        return {"sdtype": "categorical", **order}
    ranges = {"range_values": values} if values else {}
    return {"sdtype": "ordinal" if ordinal else "categorical", **ranges}


def _numbers(column: NumericColumn, *, new: bool) -> Column:
    whole = column.type == "integer"
    if not new:
        return {"sdtype": "numerical", "computer_representation": "Int64" if whole else "Float"}
    lower, upper = (int(b) if whole else b for b in (column.lower, column.upper))
    places = {"decimal_places": 0} if whole else {}
    if column.decimals is not None:
        places = {"decimal_places": column.decimals}
    return {"sdtype": "numerical", "range_min": lower, "range_max": upper, **places}


def _dates(column: DatetimeColumn, *, new: bool) -> Column:
    pattern = column.format or iso_pattern(column)
    found: Column = {"sdtype": "datetime"}
    if pattern is None or column.zone is not None:
        return found
    found["datetime_format"] = pattern
    if new and column.format is None:
        found["range_min"], found["range_max"] = written_bounds(column)
    return found
