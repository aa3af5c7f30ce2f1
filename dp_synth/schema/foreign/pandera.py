"""Schemas of pandera, as its ``to_yaml`` and ``to_json`` write them.

``infer_schema`` reads the ranges and values of checks, and whether cells are missing, from a table,
and its files do not say whether a person wrote them: all of them are drafts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from dp_synth.errors import SchemaError
from dp_synth.schema.foreign.dates import iso_text
from dp_synth.schema.foreign.described import (
    Described,
    Known,
    Part,
    cell_text,
    column_part,
    whole_end,
)

_LEAST = {"greater_than_or_equal_to": False, "ge": False, "greater_than": True, "gt": True}
_MOST = {"less_than_or_equal_to": False, "le": False, "less_than": True, "lt": True}
_READ = {*_LEAST, *_MOST, "in_range", "between", "isin", "eq", "equal_to"}
_STATED = {
    *("dtype", "nullable", "unique", "coerce", "required", "regex", "title", "description"),
    *("checks", "default", "metadata", "report_duplicates", "name", "parsers"),
    "drop_invalid_rows",
}


def is_pandera(content: object) -> bool:
    """Tell whether the content of a YAML or JSON file is a schema of pandera."""
    return isinstance(content, Mapping) and "schema_type" in content and "columns" in content


def read(content: object, source: str, name: str) -> Described:
    """Return what a schema of pandera says of the columns of a frame."""
    whole = Part(content, source)
    kind = whole.text("schema_type")
    if kind != "dataframe":
        whole.refuse("schema_type", f"must be 'dataframe', got {kind!r}")
    columns = whole.part("columns", "field 'columns'")
    if columns is None or not columns.content:
        raise SchemaError(f"{source}: field 'columns': must name at least one column")
    known = [
        _known(column_part(said, source, column), str(column))
        for column, said in columns.content.items()
    ]
    return Described(whole.text("name") or name, "a pandera schema", known)


def _known(part: Part, name: str) -> Known:
    known = _typed(part, name)
    told = []
    if known.lower is not None or known.upper is not None:
        told.append("range")
    if "isin" in _checks(part)[0]:
        told.append("values")
    if not known.missing and known.type != "id":
        told.append("that no cell is missing")
    return replace(known, detected=tuple(told))


def _typed(part: Part, name: str) -> Known:
    if part.truth("regex"):
        part.refuse("regex", "names many columns; name each of them")
    checks, unread = _checks(part)
    missing = ("",) if part.truth("nullable") else ()
    title = part.text("title") or part.text("description") or ""
    notes = tuple(f"its check {one} is not read" for one in unread)
    base: dict[str, Any] = {"missing": missing, "title": title, "notes": notes}
    dtype = (part.text("dtype") or "").lower()
    values = _values(part, checks)
    if values is not None:
        if set(values) <= {"false", "true"}:
            values = ("false", "true")
        return Known(name, "categorical", categories=values, **base)
    if part.truth("unique"):
        return Known(name, "id", title=title)
    if dtype.startswith("bool"):
        return Known(name, "categorical", categories=("false", "true"), **base)
    if dtype.startswith(("datetime", "timestamp", "date")):
        first, last = (_date(part, *end) for end in _ends(part, checks))
        _check_order(part, first, last)
        return Known(name, "datetime", first, last, **base)
    whole = re.match(r"u?int", dtype) is not None
    if whole or dtype.startswith(("float", "double", "decimal")):
        ends = zip(_ends(part, checks), (1, -1), strict=True)
        lower, upper = (_number(part, end, inwards, whole=whole) for end, inwards in ends)
        _check_order(part, lower, upper)
        return Known(name, "integer" if whole else "real", lower, upper, **base)
    is_text = dtype.startswith(("str", "object", "category", "large_string"))
    return Known(name, "categorical" if is_text else None, **base)


def _checks(part: Part) -> tuple[dict[str, object], list[str]]:
    """Return the checks of a column by name, and the names of those that are not read here.

    Early versions have them under ``checks``, as an object or a list of them, others beside the
    other keys.
    """
    found = {key: value for key, value in part.content.items() if key not in _STATED}
    given = part.content.get("checks") or {}
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, Mapping):
            part.refuse("checks", "must hold objects")
        if "options" in one and isinstance(one["options"], Mapping):
            check = str(one["options"].get("check_name", "check"))
            rest = {key: value for key, value in one.items() if key != "options"}
            found[check] = rest.get("value", rest)
        else:
            found |= one
    whole = {key: _bare(value) for key, value in found.items()}
    return whole, sorted(key for key in whole if key not in _READ)


def _bare(value: object) -> object:
    """Return the value of a check without its options."""
    if isinstance(value, Mapping) and "value" in value:
        return value["value"]
    return value


def _values(part: Part, checks: Mapping[str, object]) -> tuple[str, ...] | None:
    given = checks.get("isin")
    if isinstance(given, Mapping):
        given = given.get("allowed_values")
    if given is None:
        return None
    if not isinstance(given, list) or not given:
        part.refuse("isin", "must list at least one value")
    return tuple(cell_text(value) for value in given)


def _ends(part: Part, checks: Mapping[str, object]) -> list[tuple[str, object, int]]:
    """Return field, value and step inwards (0, 1 or -1) of both bounds; None without one."""
    ends: list[tuple[str, object, int]] = []
    within = checks.get("in_range", checks.get("between"))
    for keys, end, inwards in ((_LEAST, "min", 1), (_MOST, "max", -1)):
        key = next((key for key in keys if key in checks), None)
        if key is not None:
            ends.append((key, checks[key], inwards * keys[key]))
        elif isinstance(within, Mapping):
            closed = within.get(f"include_{end}", True) is not False
            ends.append(("in_range", within.get(f"{end}_value"), 0 if closed else inwards))
        else:
            ends.append(("", None, 0))
    return ends


def _number(part: Part, end: tuple[str, object, int], inwards: int, *, whole: bool) -> float | None:
    key, value, step = end
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        part.refuse(key, f"must be a number, got {str(value)[:60]!r}")
    if not isfinite(value):
        part.refuse(key, "must be a finite number")
    if not whole:
        return float(value)
    return whole_end(value, inwards, is_open=bool(step))


def _date(part: Part, key: str, value: object, step: int) -> str | None:
    text = None if value is None else iso_text(str(value), None)
    if value is not None and text is None:
        part.refuse(key, f"must be a date, got {str(value)[:60]!r}")
    return text.removesuffix("T00:00:00") if text else None


def _check_order(part: Part, lower: object, upper: object) -> None:
    if lower is not None and upper is not None and lower > upper:  # type: ignore[operator]
        part.refuse("checks", f"the least value {lower} is above the largest one {upper}")
