"""Grammar of what is given of columns: names, values, alternatives and ranges, read and written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dp_synth.errors import InputError
from dp_synth.estimates.groups import Conditions
from dp_synth.sampling import Given, Value, attribute_of
from dp_synth.schema import DiscreteColumn, NumericColumn, Schema
from dp_synth.schema.constraints import Column

WORDS = ("where", "between", "and")
"""Words of the grammar, which as names or values stand in backticks."""

RANGE = ".."
QUOTED = re.compile(r"`((?:[^`]|``)*)`")
BARE_NAME = re.compile(r"[^\s,=|`]+")
BARE_VALUE = re.compile(r"(?:(?!\.\.)[^\s,|`])+")
SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class Alternatives:
    """Values that stand beside a column's name: any of them, or all between two."""

    texts: tuple[str | None, ...]
    is_range: bool = False

    def of(self, column: Column) -> Given:
        """Return the values as a column takes them.

        Those of a column of numbers are numbers, unless the table writes these in its own way.
        """
        if self.is_range and isinstance(column, DiscreteColumn):
            text = RANGE.join(one or "" for one in self.texts)
            if text in (*column.texts, *column.missing):
                return text  # a category with points in it
        values = [_read(column, text) for text in self.texts]
        if self.is_range:
            return tuple(values)
        return values if len(values) > 1 else values[0]


def _read(column: Column, text: str | None) -> Value:
    plain = isinstance(column, NumericColumn) and column.format is None
    if text is None or not plain or text in column.missing:
        return text
    for kind in (int, float):
        try:
            number: float = kind(text)
        except ValueError:
            continue
        if math.isfinite(number) and "_" not in text:
            return number
    return text


def given_of(schema: Schema, conditions: Mapping[str, Alternatives]) -> Conditions:
    """Return what is given of columns; InputError for an unknown one."""
    return {
        name: alternatives.of(schema.column(attribute_of(schema, name)))
        for name, alternatives in conditions.items()
    }


class Reader:
    """A text that is read from its start; every failure is an InputError that quotes it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._place = 0

    @property
    def rest(self) -> str:
        """What is not read yet, without spaces around it."""
        return self.text[self._place :].strip()

    def failure(self, expected: str) -> InputError:
        """Return the error that tells what should stand at this place."""
        found = repr(self.rest.split()[0]) if self.rest else "the end"
        return InputError(f"question {self.text!r}: expected {expected}, found {found}")

    def word(self) -> str:
        """Take the next word; "" where none stands."""
        return self._take(BARE_NAME) or ""

    def takes(self, word: str) -> bool:
        """Take a word of the grammar, if it is the next one."""
        before = self._place
        if self.word() == word:
            return True
        self._place = before
        return False

    def name(self) -> str:
        """Take the name of a column."""
        before = self._place
        quoted = self._take(QUOTED)
        bare = self._take(BARE_NAME) if quoted is None else None
        if quoted is None and (bare is None or bare in WORDS):
            self._place = before
            raise self.failure("the name of a column")
        return (bare or "") if quoted is None else quoted.replace("``", "`")

    def conditions(self) -> dict[str, Alternatives]:
        """Take what is given of columns, with commas between them."""
        found: dict[str, Alternatives] = {}
        while not found or self._takes_sign(","):
            name = self.name()
            if not self._takes_sign("="):
                raise self.failure(f"'=' and a value after {spelled_name(name)}")
            if name in found:
                raise InputError(
                    f"question {self.text!r}: column {name!r} is given twice; "
                    f"write alternatives as {spelled_name(name)}=a|b"
                )
            found[name] = self._alternatives()
        return found

    def _alternatives(self) -> Alternatives:
        texts = [self._value()]
        if self._takes_sign(RANGE):
            return Alternatives((texts[0], self._value()), is_range=True)
        while self._takes_sign("|"):
            texts.append(self._value())
        return Alternatives(tuple(texts))

    def _value(self) -> str | None:
        """Take a value; None, an absent cell, where none stands."""
        before = self._place
        quoted = self._take(QUOTED)
        if quoted is not None:
            return quoted.replace("``", "`")
        bare = self._take(BARE_VALUE)
        if bare in WORDS:
            self._place, bare = before, None
        return bare

    def _takes_sign(self, sign: str) -> bool:
        return self._take(re.compile(f"({re.escape(sign)})")) is not None

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """Take what a pattern, or its group, finds behind spaces; None where it finds nothing."""
        space = SPACE.match(self.text, self._place)
        found = pattern.match(self.text, space.end() if space else self._place)
        if found is None:
            return None
        self._place = found.end()
        return found.group(pattern.groups)


def spelled(given: Conditions) -> str:
    """Return what is given of columns as the grammar writes it.

    >>> spelled({"age": (30, 39), "native country": ["a", "b c"]})
    'age=30..39, `native country`=a|`b c`'
    """
    return ", ".join(f"{spelled_name(name)}={_values(one)}" for name, one in given.items())


def spelled_name(name: str) -> str:
    """Return a column's name as the grammar writes it, in backticks where it must be.

    >>> spelled_name("age"), spelled_name("native country"), spelled_name("a`b")
    ('age', '`native country`', '`a``b`')
    """
    bare = BARE_NAME.fullmatch(name) is not None and name not in WORDS
    return name if bare else _quoted(name)


def _values(wanted: object) -> str:
    if isinstance(wanted, tuple):
        return "..".join(map(_value, wanted))
    return "|".join(map(_value, wanted)) if isinstance(wanted, list) else _value(wanted)


def _value(value: object) -> str:
    """Return a value as the grammar writes it: None, the mark of an absent cell, is nothing."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else repr(value)
    bare = BARE_VALUE.fullmatch(text) is not None and text not in WORDS
    return text if bare else _quoted(text)


def _quoted(text: str) -> str:
    return "`" + text.replace("`", "``") + "`"
