"""The YAML text of a grid: what it holds, what is set over that, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from dp_synth.errors import GridError
from dp_synth.extensions import nearest
from dp_synth.readers import Lines, YamlFault, line_of, parse_yaml, read_yaml


def read_grid(path: str | Path) -> tuple[object, Lines]:
    """Return the content of a YAML file and the lines of its keys; GridError, in one line."""
    return read_yaml(path, GridError)


def with_settings(content: object, settings: Sequence[str]) -> object:
    """Return the content with each ``key.path=value`` set; values are read as YAML.

    >>> with_settings({"seeds": 5, "utility": {"epsilons": [1]}}, ["utility.epsilons=[1, 10]"])
    {'seeds': 5, 'utility': {'epsilons': [1, 10]}}
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not all(path.split(".")):
            raise GridError(f"--set takes key=value, such as seeds=2, got {setting!r}")
        try:
            value, _ = parse_yaml(text)
        except YamlFault:
            raise GridError(f"--set {path}: not a YAML value: {text!r}") from None
        content = _set(content, path.split("."), value)
    return content


def explain(
    error: ValidationError,
    grid: type[BaseModel],
    parts: Mapping[str, type[BaseModel]],
    lines: Lines,
) -> str:
    """Return one finding as ``line: key path: what is wrong and what would be right``."""
    # A misspelt key is also a missing one: what stands in the file says more.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        keys = (parts[path[0]] if path[:-1] else grid).model_fields
        said = f"unknown key; {nearest(path[-1], keys)}"
    elif first["type"] == "missing":
        said = "this key is missing"
    else:
        said = reason(first["msg"])
        if first["type"] != "value_error":
            said += f", got {first['input']!r}"
    line = line_of(path, lines)
    where = [f"line {line}" if line else "", ".".join(path)]
    return ": ".join([*filter(None, where), said])


def reason(message: str) -> str:
    """Return the message of a validation as the end of a line.

    >>> reason("Value error, The list must name at least one")
    'the list must name at least one'
    """
    text = " ".join(message.split()).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _set(content: object, path: Sequence[str], value: object) -> object:
    if not path:
        return value
    if not isinstance(content, dict | None):
        raise GridError(f"--set: there is no key {path[0]!r} in a value that is no mapping")
    return {**(content or {}), path[0]: _set((content or {}).get(path[0]), path[1:], value)}
