"""Settings of frozen dataclasses: checked against their annotations, and read from text."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from dp_synth.errors import InputError
from dp_synth.readers import parse_json

T = TypeVar("T")

SCALARS = (np.bool_, np.integer, np.floating, np.str_)  # of numpy, that Python has as well


def check_settings(instance: Any) -> None:
    """Raise InputError for a field of ``instance`` that is not of its annotated kind.

    For ``__post_init__`` of dataclasses whose fields are bool, int, float, str, Literal, tuples of
    these, and None; fields of other kinds are checked where their kind is a class. A whole number
    stands for a float, a scalar of numpy becomes Python's, a list a tuple. A class variable
    ``LARGEST`` says by name beyond which value there is no room, or no time, ``LEAST`` what is the
    smallest, and ``ABOVE`` what must be exceeded; other ranges are the class's own to check.
    """
    kind: Any = type(instance)
    hints = _hints(kind)
    largest, least, above = (getattr(kind, name, {}) for name in ("LARGEST", "LEAST", "ABOVE"))
    for field in fields(instance):
        if field.name not in hints:
            continue
        given, hint = getattr(instance, field.name), hints[field.name]
        value = _plain(given)
        if not _is(value, hint):
            raise InputError(f"{field.name} must be {described(hint)}, got {given!r}")
        if value is not given:
            object.__setattr__(instance, field.name, value)
        most = largest.get(field.name, math.inf)
        if isinstance(value, int | float) and most < value < math.inf:
            raise InputError(f"{field.name} must be at most {most}, got {value}")
        if field.name in least and value < least[field.name]:
            raise InputError(f"{field.name} must be {least[field.name]} or more, got {value}")
        if field.name in above and not value > above[field.name]:
            raise InputError(f"{field.name} must be above {above[field.name]}, got {value}")


def checked(fields: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``fields`` that ``kinds`` names, lists as tuples.

    For objects of a file. InputError where one is missing or not of its kind, which is as in
    `check_settings`, or a mapping of texts to kinds.

    >>> checked({"a": [1, 2], "b": {}}, {"a": tuple[int, ...]})
    {'a': (1, 2)}
    """
    found = {}
    for name, kind in kinds.items():
        if name not in fields:
            raise InputError(f"{name!r} is missing")
        found[name] = _plain(fields[name])
        if not _is(found[name], kind):
            raise InputError(f"{name!r} must be {described(kind)}")
    return found


def made_of(kind: type[T], given: Mapping[str, Any]) -> T:
    """Return what a dataclass makes of settings as JSON holds them, tuples as lists.

    By its own constructor, which may know better than its fields: ``MST(as_published=True)`` is a
    ``PublishedMST``. ValidationError for a field that there is not, or of another kind.
    """
    from pydantic import TypeAdapter

    read: Any = TypeAdapter(kind).validate_python(dict(given))
    return kind(**{field.name: getattr(read, field.name) for field in fields(read)})


def read_setting(kind: type, name: str, text: str) -> object:
    """Return the value of a field that ``text`` writes, as a command or a form takes it.

    JSON, but for texts, which stand as they are, and True, False and None, which may be written
    as in Python. What is no value of the field's kind is returned as text, for `check_settings`
    to refuse.
    """
    alternatives = _alternatives(_hints(kind).get(name, object))
    try:
        value = parse_json(text)
    except ValueError:
        value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
    if any(_is_text(one) for one in alternatives):
        absent = value is None and type(None) in alternatives
        return value if isinstance(value, str) or absent else text
    return value


def described(hint: Any) -> str:
    """Return in words which values a kind has.

    >>> described(int | None), described(Literal["a", "b"]), described(tuple[str, ...])
    ('a whole number or None', 'one of a, b', 'a list of texts')
    """
    names: dict[object, str] = {bool: "True or False", int: "a whole number", float: "a number"}
    names |= {str: "a text", Callable: "a function"}
    names[type(None)] = "None"
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(described, get_args(hint)))
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if dict in (origin, hint):
        return "an object"
    if origin is tuple:
        inner = described(get_args(hint)[0]).removeprefix("a ")
        return f"a list of {inner}s" if inner in ("text", "number", "whole number") else "a list"
    return names.get(get_origin(hint) or hint, getattr(hint, "__name__", str(hint)))


@lru_cache(maxsize=256)
def _hints(kind: type) -> Mapping[str, Any]:
    try:
        return get_type_hints(kind)
    except (NameError, TypeError):  # names that exist for type checkers alone
        return {}


def _plain(value: Any) -> Any:
    """Return the Python value of a scalar of numpy, and a tuple for a list."""
    if isinstance(value, SCALARS):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, list) else value


def _is(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_is(value, one) for one in get_args(hint))
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if origin is tuple:
        kinds = get_args(hint)
        if isinstance(value, tuple) and kinds[1:] == (...,):
            return all(_is(one, kinds[0]) for one in value)
        right = isinstance(value, tuple) and len(value) == len(kinds)
        return right and all(map(_is, value, kinds))
    if origin is dict:
        keys, kind = get_args(hint)
        return isinstance(value, dict) and all(
            _is(key, keys) and _is(_plain(one), kind) for key, one in value.items()
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    kind = origin or hint  # isinstance cannot be asked of some protocols
    checkable = isinstance(kind, type) and not getattr(kind, "_is_protocol", False)
    return isinstance(value, kind) if checkable else True


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is_text(hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return all(isinstance(one, str) for one in get_args(hint))
    return hint is str
