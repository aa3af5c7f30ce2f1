"""YAML with the line of every key, in which no key stands twice and nothing holds itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

import yaml

from dp_synth.errors import InputError

Where = tuple[str, ...]
Lines = Mapping[Where, int]
"""From the path of a key or an item to the line on which it stands."""

MOST = 300_000
"""So many keys and items a text may stand for: aliases of aliases soon stand for more."""


class YamlFault(InputError):
    """A text is no YAML that can be read; the message says why, and on which line."""


def parse_yaml(text: str) -> tuple[object, Lines]:
    """Return what a YAML text holds, and the line of each of its keys and items.

    >>> parse_yaml("a: 1\\nb: [2, 3]")
    ({'a': 1, 'b': [2, 3]}, {('a',): 1, ('b',): 2, ('b', '0'): 2, ('b', '1'): 2})
    >>> parse_yaml("a: &x [*x]")
    Traceback (most recent call last):
    dp_synth.yaml_lines.YamlFault: line 1: a part that has a name must not stand within itself
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
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
    within, keys = [*within, node], set[str]()
    for place, part in enumerate(node.value):
        key, value = part if isinstance(node, yaml.MappingNode) else (None, part)
        name = str(place) if key is None else _new_key(key, keys)
        if any(value is outer for outer in within):
            _refuse("a part that has a name must not stand within itself", key or value)
        yield (*where, name), (key or value).start_mark.line + 1
        yield from _lines(value, (*where, name), within)


def _new_key(key: yaml.Node, known: set[str]) -> str:
    if not isinstance(key, yaml.ScalarNode):
        _refuse("a key must be a text", key)
    if key.value in known:
        _refuse(f"the key {key.value!r} stands twice", key)
    known.add(key.value)
    return str(key.value)


def _refuse(problem: str, node: yaml.Node) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
