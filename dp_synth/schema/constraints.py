"""What can never hold together in one record: public rules that become structural zeros."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, inf, prod
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dp_synth.domain import Support
from dp_synth.extensions import unknown
from dp_synth.schema.columns import DiscreteColumn, IdColumn, after
from dp_synth.schema.numeric import DatetimeColumn, NumericColumn
from dp_synth.schema.parsing import numbers_of
from dp_synth.types import Flags

MAX_CELLS = 1_000_000
"""A constraint over more cells than this is refused: each of them is held in memory."""

Column = DiscreteColumn | NumericColumn | DatetimeColumn | IdColumn
Bound = float | str

_SHAPES = (
    'must be a list of texts or numbers, {"from": ..., "below": ...} or {"missing": true}, got'
)


class Interval(BaseModel):
    """Numbers, or dates, from one on and below another; an end left out is open."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid", populate_by_name=True)

    first: Annotated[Bound | None, Field(alias="from")] = None
    below: Bound | None = None


class AnyMark(BaseModel):
    """Any of the column's missing marks."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    missing: Literal[True]


def _read(given: object) -> object:
    """Return the condition that a file gives; ValueError says which kinds there are."""
    if isinstance(given, (tuple, Interval, AnyMark)):
        return given
    if isinstance(given, list) and given and all(_is_value(item) for item in given):
        return tuple(given)
    if isinstance(given, Mapping):
        ends = [end for end in given.values() if _is_value(end)]
        if given and given.keys() <= {"from", "below"} and len(ends) == len(given):
            return Interval.model_validate(dict(given))
        if given.keys() == {"missing"} and given["missing"] is True:
            return AnyMark(missing=True)
    raise ValueError(f"{_SHAPES} {str(given)[:60]}")


def _is_value(given: object) -> bool:
    return isinstance(given, (str, int, float)) and not isinstance(given, bool)


Value = str | int | float
Condition = Annotated[tuple[Value, ...] | Interval | AnyMark, BeforeValidator(_read)]


class Case(BaseModel):
    """One line of a function's table: where the one column is so, the other must be that."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    when: Condition
    then: str | tuple[str, ...]


class Function(BaseModel):
    """A column whose values are given, or narrowed, by those of another."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    of: str
    gives: str
    where: Annotated[tuple[Case, ...], Field(min_length=1)]


class Constraint(BaseModel):
    """Conditions on some columns that never hold together, or a column that follows another.

    >>> Constraint.model_validate({"impossible": {"age": {"below": 15}, "job": ["manager"]}}).names
    ('age', 'job')
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    impossible: Annotated[dict[str, Condition] | None, Field(min_length=1)] = None
    function: Function | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.impossible is None) == (self.function is None):
            raise ValueError("must hold either 'impossible' or 'function'")
        if self.function and self.function.of == self.function.gives:
            raise ValueError(f"column {self.function.of!r} cannot be a function of itself")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it is about."""
        if self.function:
            return (self.function.of, self.function.gives)
        return tuple(self.impossible or ())

    def conditions(self, name: str) -> list[tuple[Value, ...] | Interval | AnyMark]:
        """Return what it says about one column."""
        if self.function is None:
            return [self.impossible[name]] if self.impossible and name in self.impossible else []
        if name == self.function.of:
            return [case.when for case in self.function.where]
        gives = [case.then for case in self.function.where if name == self.function.gives]
        return [(then,) if isinstance(then, str) else then for then in gives]

    def possible(self, columns: Mapping[str, Column]) -> Flags:
        """Return which cells of its columns can occur, one axis each in the order of ``names``."""
        shape = tuple(_size(columns, name) for name in self.names)
        if prod(shape) > MAX_CELLS:
            raise ValueError(
                f"columns {_list(self.names)}: have {prod(shape)} cells together, and a "
                f"constraint can be over {MAX_CELLS} at most; give them fewer bins"
            )
        masks = {
            name: [codes_where(columns[name], condition) for condition in self.conditions(name)]
            for name in self.names
        }
        if self.function is None:
            together = np.ones((), dtype=bool)
            for name in self.names:
                together = np.logical_and.outer(together, masks[name][0])
            return np.asarray(~together)
        allowed = np.ones(shape, dtype=bool)
        of, gives = masks.values()
        for when, then in zip(of, gives, strict=True):
            allowed[when] &= then
        return allowed


def supports_of(constraints: Sequence[Constraint], columns: Sequence[Column]) -> list[Support]:
    """Return the structural zeros, one support for each set of columns, in the table's order.

    ValueError, naming the column, for a constraint that does not fit them or leaves nothing.
    """
    by_name = {column.name: column for column in columns}
    masks: dict[tuple[str, ...], Flags] = {}
    for number, constraint in enumerate(constraints, 1):
        clique = tuple(name for name in by_name if name in constraint.names)
        try:
            mask = constraint.possible(by_name)
        except ValueError as error:
            raise ValueError(f"constraint {number}: {error}") from None
        mask = mask.transpose([constraint.names.index(name) for name in clique])
        masks[clique] = masks[clique] & mask if clique in masks else mask
        if not masks[clique].any():
            raise ValueError(f"constraint {number}: leaves nothing possible for {_list(clique)}")
    return [Support.of(clique, mask) for clique, mask in masks.items()]


def cuts_of(constraints: Iterable[Constraint], column: Column) -> tuple[float, ...]:
    """Return where cells of a column must begin, so that each meets a condition or does not."""
    if isinstance(column, (DiscreteColumn, IdColumn)):
        return ()
    ends: set[float] = set()
    for number, constraint in enumerate(constraints, 1):
        try:
            for condition in constraint.conditions(column.name):
                ends.update(end for pair in _intervals(column, condition) for end in pair)
        except ValueError as error:
            raise ValueError(f"constraint {number}: {error}") from None
    return tuple(sorted(end for end in ends if abs(end) < inf))


def codes_where(column: Column, condition: tuple[Value, ...] | Interval | AnyMark) -> Flags:
    """Return which codes of ``column`` meet a condition; ValueError when it does not fit."""
    mask = np.zeros(0 if isinstance(column, IdColumn) else column.size, dtype=bool)
    marks = mask[len(mask) - len(column.missing) :]
    if isinstance(condition, AnyMark):
        if not column.missing:
            raise ValueError(f"column {column.name!r}: has no missing marks")
        marks[:] = True
    elif isinstance(condition, tuple):
        marks[:] = np.isin(column.missing, [str(item) for item in condition])
    values = mask[: len(mask) - len(column.missing)]
    if isinstance(column, DiscreteColumn):
        values[:] = _categories_where(column, condition)
    elif not isinstance(column, IdColumn):
        starts = column.grid.cuts[:-1]
        for first, beyond in _intervals(column, condition):
            values |= (starts >= first) & (starts < beyond)
    return mask


def _categories_where(
    column: DiscreteColumn, condition: tuple[Value, ...] | Interval | AnyMark
) -> Flags:
    if isinstance(condition, AnyMark):
        return np.zeros(len(column.texts), dtype=bool)
    if isinstance(condition, tuple):
        texts = [str(item) for item in condition]
        for text in texts:
            if text not in column.texts and text not in column.missing:
                raise ValueError(f"column {column.name!r}: has no category {text!r}")
        return np.isin(column.texts, texts)
    numbers = numbers_of(column.texts)
    ends = [condition.first, condition.below]
    if np.isnan(numbers).any() or any(isinstance(end, str) for end in ends):
        raise ValueError(
            f"column {column.name!r}: 'from' and 'below' need numbers, and categories that are"
        )
    first, below = (end for end in ends)
    low = -inf if first is None else float(first)
    high = inf if below is None else float(below)
    return (numbers >= low) & (numbers < high)


def _intervals(
    column: NumericColumn | DatetimeColumn, condition: tuple[Value, ...] | Interval | AnyMark
) -> list[tuple[float, float]]:
    """Return first numbers, and first numbers beyond, of what a condition holds for."""
    if isinstance(condition, AnyMark):
        return []
    whole = column.type != "real"
    if isinstance(condition, Interval):
        ends = []
        for end, otherwise in ((condition.first, -inf), (condition.below, inf)):
            number = otherwise if end is None else column.number_of(end)
            ends.append(float(ceil(number)) if whole and end is not None else number)
        return [(ends[0], ends[1])]
    found = []
    for item in condition:
        if str(item) in column.missing:
            continue
        number = column.number_of(item)
        if whole and not number.is_integer():
            raise ValueError(f"column {column.name!r}: holds whole numbers, got {item!r}")
        if not column.grid.lower <= number <= column.grid.upper:
            raise ValueError(f"column {column.name!r}: {item!r} lies outside lower and upper")
        found.append((number, after(number, whole=whole)))
    return found


def _size(columns: Mapping[str, Column], name: str) -> int:
    if name not in columns:
        raise ValueError(unknown("column", name, columns))
    column = columns[name]
    if isinstance(column, IdColumn):
        raise ValueError(f"column {name!r}: is an identifier, which is never synthesized")
    return column.size


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
