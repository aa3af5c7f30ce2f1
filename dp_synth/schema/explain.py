"""The first fault of a schema, in one line that names column and field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dp_synth.extensions import nearest

_LONGEST_INPUT = 60
_MESSAGES = {
    "missing": "is required",
    "union_tag_not_found": "is required",
    "union_tag_invalid": "must be categorical, ordinal, integer, real, datetime or id",
    "string_type": "must be text",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
_LIMITS = {"greater_than_equal": ("ge", "least"), "less_than_equal": ("le", "most")}
_INPUT_SHOWN = {"string_type", "float_type", "int_type", "tuple_type", *_LIMITS}


Parts = Mapping[str, type[BaseModel]]  # by the type of a column or the key of another part


def first_fault(
    error: ValidationError, mapping: Mapping[str, object], whole: type[BaseModel], *, parts: Parts
) -> str:
    """Return where in ``mapping`` the first fault of ``error`` lies and what would be right.

    ``whole`` describes the file, ``parts`` what lies in it: of them are the fields that may have
    been meant by one that is not known.
    """
    # A misspelt field is also a missing one: what stands in the file says more.
    faults = error.errors(include_url=False)
    details = min(faults, key=lambda found: found["type"] != "extra_forbidden")
    where = list(details["loc"])
    within = [parts[key] for key in map(str, where[:-1]) if key in parts]
    known = _fields(within[-1] if within else whole)
    said = []
    if len(where) >= 2 and where[0] == "columns":
        said.append(f"column {_column_name(mapping, where[1])}")
        where = where[3:]  # a column's index and the tag of its type
        if details["type"].startswith("union_tag"):
            where = ["type"]
    elif len(where) >= 2 and where[0] == "constraints":
        said.append(f"constraint {int(where[1]) + 1}")
        if where[2:3] == ["impossible"] and len(where) > 3:
            said.append(f"column {where[3]!r}")
        where = [] if len(said) > 1 else where[2:][-1:]
    elif where == ["columns"] and details["type"] == "value_error":
        where = []  # the message names the column
    if where:
        said.append(f"field {str(where[0])!r}")
    return ": ".join([*said, _what(details, known)])


def _fields(kind: type[BaseModel]) -> list[str]:
    """Return the keys that a part of the file may have, as the file spells them."""
    return [field.alias or name for name, field in kind.model_fields.items()]


def _what(details: ErrorDetails, known: Sequence[str]) -> str:
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"is not a field that is known here; {nearest(details['loc'][-1], known)}"
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    message = _MESSAGES.get(kind, details["msg"][:1].lower() + details["msg"][1:])
    if kind in _LIMITS:
        key, what = _LIMITS[kind]
        message = f"must be at {what} {details['ctx'][key]}"
    given = details["input"]
    if kind == "union_tag_not_found" and isinstance(given, Mapping):
        return f"{message}, got the fields {', '.join(map(repr, given))}"
    if kind == "union_tag_invalid":
        given = given.get("type") if isinstance(given, Mapping) else given
    elif kind not in _INPUT_SHOWN:
        return message
    return f"{message}, got {repr(given)[:_LONGEST_INPUT]}"


def _column_name(mapping: Mapping[str, object], index: int | str) -> str:
    """Return the quoted name of a column, or its place where it has none."""
    columns = mapping.get("columns")
    if isinstance(columns, Sequence) and isinstance(index, int) and index < len(columns):
        column = columns[index]
        if isinstance(column, Mapping) and isinstance(column.get("name"), str):
            return repr(column["name"])
    return f"number {int(index) + 1}" if isinstance(index, int) else str(index)
