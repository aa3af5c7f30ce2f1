"""The YAML text of a grid: where each key stands, what is set over it, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from dp_synth.errors import GridError
from dp_synth.extensions import nearest

Lines = dict[tuple[str, ...], int]  # from the path of a key to the line on which it stands


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """Return the mapping of ``node``; ConstructorError where a key stands twice."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_grid(path: str | Path) -> tuple[object, Lines]:
    """Return the content of a YAML file and the lines of its keys; GridError, in one line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_StrictLoader)
        node = yaml.compose(text, Loader=_StrictLoader)
    except OSError as error:
        raise GridError(f"{path} cannot be read ({error.strerror})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise GridError(f"{path}: {line}{error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GridError(f"{path}: not a YAML text: {reason(str(error))}") from None
    lines: Lines = {}
    if node is not None:
        _note_lines(node, (), lines)
    return content, lines


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
            value = yaml.load(text, Loader=_StrictLoader)
        except yaml.YAMLError:
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
    where = [_line(path, lines), ".".join(path)]
    return ": ".join([*filter(None, where), said])


def reason(message: str) -> str:
    """Return the message of a validation as the end of a line.

    >>> reason("Value error, The list must name at least one")
    'the list must name at least one'
    """
    text = " ".join(message.split()).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _line(path: Iterable[str], lines: Lines) -> str:
    """Return the line of the deepest part of ``path`` that stands in the file."""
    whole = tuple(path)
    known = (whole[:depth] for depth in range(len(whole), 0, -1) if whole[:depth] in lines)
    return next((f"line {lines[deepest]}" for deepest in known), "")


def _note_lines(node: yaml.Node, path: tuple[str, ...], lines: Lines) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                lines[(*path, key.value)] = key.start_mark.line + 1
                _note_lines(value, (*path, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            lines[(*path, str(position))] = value.start_mark.line + 1
            _note_lines(value, (*path, str(position)), lines)


def _set(content: object, path: Sequence[str], value: object) -> object:
    if not path:
        return value
    if not isinstance(content, dict | None):
        raise GridError(f"--set: there is no key {path[0]!r} in a value that is no mapping")
    return {**(content or {}), path[0]: _set((content or {}).get(path[0]), path[1:], value)}
