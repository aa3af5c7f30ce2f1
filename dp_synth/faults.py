"""The first fault of a pydantic error, in one line: where it lies and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dp_synth.extensions import nearest
from dp_synth.readers import Lines, line_of

Parts = Mapping[str, type[BaseModel]]
"""What lies within a file, by the key or the tag under which it stands."""

LONGEST_INPUT = 60  # characters of what was given that are shown
_MESSAGES = {
    "missing": "is required",
    "union_tag_not_found": "is required",
    "string_type": "must be text",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
_UNSHOWN = {"missing", "value_error", "string_too_short", "too_short"}  # as it says nothing more
_WORDS = (
    ("Input should be ", "must be "),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
)


@dataclass(frozen=True)
class Fault:
    """What is wrong in a file, at the path of keys and places ``where``; pydantic's name of it."""

    where: tuple[int | str, ...]
    what: str
    kind: str = "value_error"

    def line(self, lines: Lines | None = None, *, within: Iterable[str] = ()) -> str:
        """Return ``line: key path: what``; the path is one ``within`` others.

        >>> Fault(("leakage", "epsilons", 0), "must be above 0").line({("leakage",): 7})
        'line 7: leakage.epsilons.0: must be above 0'
        """
        number = line_of(self.where, lines or {})
        path = ".".join(map(str, (*within, *self.where)))
        return ": ".join(filter(None, (f"line {number}" if number else "", path, self.what)))


def first_fault(
    error: ValidationError,
    whole: type[BaseModel] | None = None,
    parts: Parts | None = None,
    *,
    shows_input: bool = False,
) -> Fault:
    """Return the first fault of ``error``, an unknown key before all others.

    ``whole`` describes the file and ``parts`` what lies in it: of them are the keys that may have
    been meant by one that is not known. What was given is told where it ``shows_input``: never of
    what may be private.
    """
    # A misspelt key is also a missing one: what stands in the file says more.
    faults = error.errors(include_url=False)
    first = min(faults, key=lambda found: found["type"] != "extra_forbidden")
    where = first["loc"]
    if first["type"] == "extra_forbidden":
        within = [parts[key] for key in map(str, where[:-1]) if parts and key in parts]
        model = within[-1] if within else whole
        if model is None:
            return Fault(where, "unknown key", first["type"])
        known = [field.alias or name for name, field in model.model_fields.items()]
        return Fault(where, f"unknown key; {nearest(where[-1], known)}", first["type"])
    if first["type"].startswith("union_tag"):
        where = (*where, str(first["ctx"]["discriminator"]).strip("'"))
    return Fault(where, _what(first, shows_input=shows_input), first["type"])


def _what(first: ErrorDetails, *, shows_input: bool) -> str:
    kind, given = first["type"], first["input"]
    message = _MESSAGES.get(kind, " ".join(first["msg"].split()).removeprefix("Value error, "))
    for theirs, ours in _WORDS:
        message = message.replace(theirs, ours)
    message = message[:1].lower() + message[1:]
    if kind == "union_tag_invalid":
        tags = str(first["ctx"]["expected_tags"]).replace("'", "")
        message = f"must be {' or '.join(tags.rsplit(', ', 1))}"
        given = first["ctx"]["tag"]
    if not shows_input or kind in _UNSHOWN:
        return message
    if kind == "union_tag_not_found" and isinstance(given, Mapping):
        return f"{message}, got the fields {', '.join(map(repr, given))}"
    return f"{message}, got {repr(given)[:LONGEST_INPUT]}"
