"""YAML with the line of every key, in which no key stands twice and nothing holds itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import NoReturn

import yaml

from dp_synth.errors import InputError
from dp_synth.readers import DEEPEST, MOST_DIGITS, read_text

Where = tuple[str, ...]
Lines = Mapping[Where, int]
"""From the path of a key or an item to the line on which it stands."""

LARGEST = 2**20
"""Characters of a text: PyYAML reads some tens of thousands a second."""
MOST = 300_000
"""So many keys and items a text may stand for: aliases of aliases soon stand for more."""
# What PyYAML raises, beside its own errors, of numbers and dates that are not what a tag says.
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError)


class YamlFault(InputError):
    """A text is no YAML that can be read; the message says why, and on which line."""


def read_yaml(path: str | PathLike[str], error: type[InputError]) -> tuple[object, Lines]:
    """Return what `parse_yaml` does of a file; an ``error`` in one line that names it, else."""
    try:
        return parse_yaml(read_text(path, error))
    except YamlFault as fault:
        raise error(f"{path}: {fault}") from None


def parse_yaml(text: str) -> tuple[object, Lines]:
    """Return what a YAML text holds, and the line of each of its keys and items.

    >>> parse_yaml("a: 1\\nb: [2, 3]")
    ({'a': 1, 'b': [2, 3]}, {('a',): 1, ('b',): 2, ('b', '0'): 2, ('b', '1'): 2})
    >>> parse_yaml("a: &x [*x]")
    Traceback (most recent call last):
    dp_synth.yaml_lines.YamlFault: line 1: a part that has a name must not stand within itself
    """
    if len(text) > LARGEST:
        raise YamlFault(f"is of more than {LARGEST:,} characters")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _check_scalar(node)
        lines: dict[Where, int] = {}
        for where, line in _lines(node, (), []):
            lines[where] = line
            if len(lines) > MOST:
                raise YamlFault(f"stands for more than {MOST:,} keys and items")
        content = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlFault((f"line {mark.line + 1}: " if mark else "") + str(error.problem)) from None
    except RecursionError:
        raise YamlFault("is nested too deeply") from None
    except YamlFault:
        raise
    except (yaml.YAMLError, ValueError) as error:  # the latter of a date that there is not
        raise YamlFault(f"not a YAML text: {' '.join(str(error).split())}") from None
    except _ODD:
        raise YamlFault("not a YAML text: a value is not what its tag says") from None
    return content, lines


def line_of(path: Iterable[object], lines: Lines) -> int | None:
    """Return the line of the deepest part of ``path`` that stands in the file, None without one.

    >>> line_of(["a", 1, "b"], {("a",): 4, ("a", "1"): 6})
    6
    """
    whole = tuple(map(str, path))
    known = (whole[:depth] for depth in range(len(whole), 0, -1) if whole[:depth] in lines)
    return next((lines[deepest] for deepest in known), None)


def _lines(
    node: yaml.Node | None, where: Where, within: list[yaml.Node]
) -> Iterator[tuple[Where, int]]:
    """Yield the line of every key and item below ``node``, which stands ``within`` others."""
    if not isinstance(node, yaml.CollectionNode):
        return
    if len(within) >= DEEPEST:
        _refuse(f"is nested more than {DEEPEST} deep", node)
    within, keys = [*within, node], set[str]()
    for place, part in enumerate(node.value):
        key, value = part if isinstance(node, yaml.MappingNode) else (None, part)
        name = str(place) if key is None else _new_key(key, keys)
        if any(value is outer for outer in within):
            _refuse("a part that has a name must not stand within itself", key or value)
        _check_scalar(value)
        yield (*where, name), (key or value).start_mark.line + 1
        yield from _lines(value, (*where, name), within)


def _new_key(key: yaml.Node, known: set[str]) -> str:
    if not isinstance(key, yaml.ScalarNode):
        _refuse("a key must be a text", key)
    if key.value in known:
        _refuse(f"the key {key.value!r} stands twice", key)
    _check_scalar(key)
    known.add(key.value)
    return str(key.value)


def _check_scalar(node: yaml.Node | None) -> None:
    """Refuse a number of more digits than one has, and what no file or path can be written with."""
    if not isinstance(node, yaml.ScalarNode):
        return
    if node.tag == "tag:yaml.org,2002:int" and len(node.value) > MOST_DIGITS:
        _refuse(f"a whole number must have at most {MOST_DIGITS} digits", node)
    if "\0" in node.value or any("\ud800" <= sign <= "\udfff" for sign in node.value):
        _refuse("a text must hold neither NUL nor half of a surrogate pair", node)


def _refuse(problem: str, node: yaml.Node) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
