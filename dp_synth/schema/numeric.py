"""Columns on a number line: integers, real numbers and dates between public bounds."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_serializer, field_validator, model_validator

from dp_synth.schema.cells import SECONDS_PER_DAY, Cells, numbers_of, seconds_of
from dp_synth.schema.columns import BaseColumn, Text
from dp_synth.schema.grid import Grid, make_grid

MAX_MAGNITUDE = 2.0**53
"""Bounds beyond this are refused: whole numbers would no longer be told apart."""

MAX_INT = 2**62
"""Integers of a typed table are kept within this size, so that int64 holds them."""

MAX_BINS = 100_000
"""More public cells than this are refused: each is a code of the column."""

Bound = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class NumericColumn(BaseColumn):
    """A column of integers or real numbers between public bounds.

    ``bins`` is a number of equal-width cells, or the increasing values at which cells begin: cells
    are half-open, the last one is closed, the bounds are the outer ends. In an integer column
    ``[0, 1, 1000]`` gives zero a cell of its own. Without ``bins`` an integer column of at most
    `grid.MAX_SINGLE_VALUES` values has a cell for each, any other `grid.DEFAULT_CELLS` cells.
    """

    type: Literal["integer", "real"]
    lower: Bound
    upper: Bound
    bins: int | tuple[float, ...] | None = None

    @field_validator("lower", "upper")
    @classmethod
    def _bounds_are_in_order(cls, bound: float, info: ValidationInfo) -> float:
        if info.data.get("type") == "integer" and not bound.is_integer():
            raise ValueError(f"must be a whole number, got {bound:g}")
        if abs(bound) > MAX_MAGNITUDE:
            raise ValueError(f"must lie within {MAX_MAGNITUDE:.0f} of zero, got {bound:g}")
        if info.field_name == "upper" and bound < info.data.get("lower", bound):
            raise ValueError(
                f"must be above lower ({_plain(info.data['lower'])}), got {_plain(bound)}"
            )
        return bound

    @field_validator("bins", mode="plain")
    @classmethod
    def _bins_fit_the_bounds(
        cls, bins: object, info: ValidationInfo
    ) -> int | tuple[float, ...] | None:
        if bins is None or isinstance(bins, int):
            checked: int | tuple[float, ...] | None = _count_of_bins(bins)
        else:
            checked = tuple(_edge(edge) for edge in _listed(bins))
        if {"type", "lower", "upper"} <= info.data.keys():
            _check_edges(checked, info.data["lower"], info.data["upper"])
            whole = info.data["type"] == "integer"
            make_grid(info.data["lower"], info.data["upper"], checked, whole=whole)
        return checked

    @field_serializer("lower", "upper")
    def _whole_without_a_point(self, bound: float) -> int | float:
        return _plain(bound)

    @field_serializer("bins")
    def _edges_without_a_point(
        self, bins: int | tuple[float, ...] | None
    ) -> int | list[int | float] | None:
        return [_plain(edge) for edge in bins] if isinstance(bins, tuple) else bins

    @model_validator(mode="after")
    def _marks_are_no_values(self) -> Self:
        _check_marks(self.missing, self.mark_numbers, self.lower, self.upper)
        return self

    @property
    def is_numeric(self) -> bool:
        """True: values have an order and a distance."""
        return True

    @cached_property
    def grid(self) -> Grid:
        """The public cells of this column."""
        return make_grid(self.lower, self.upper, self.bins, whole=self.type == "integer")

    @property
    def size(self) -> int:
        """The number of codes, those of missing marks included."""
        return len(self.grid) + len(self.missing)

    @property
    def mark_numbers(self) -> NDArray[np.float64]:
        """The number that each missing mark writes, such as -999; NaN for words."""
        return numbers_of(self.missing)

    def numbers(self, cells: Cells) -> NDArray[np.float64]:
        """Return the number in each distinct cell, rounded in a column of integers."""
        return np.rint(cells.numbers()) if self.type == "integer" else cells.numbers()

    def written(self, numbers: NDArray[np.float64]) -> NDArray[np.generic]:
        """Return ``numbers`` as the table holds them: int64 or float64."""
        if self.type == "integer":
            return np.clip(numbers, -MAX_INT, MAX_INT).astype(np.int64)
        return numbers

    def encode(self, series: pd.Series) -> NDArray[np.int32]:
        """Return the cell of each number, clipped to the bounds.

        What is no number becomes the first missing mark, else the lower bound.
        """
        return _encode(self, series)

    def decode(self, codes: NDArray[np.int32], rng: np.random.Generator) -> pd.Series:
        """Return a number for each code, uniform inside its cell, or the missing mark."""
        return _decode(self, codes, rng)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return the number in each cell, not binned and not clipped, or the missing mark."""
        return _typed(self, series)

    def values(self, series: pd.Series) -> NDArray[np.float64]:
        """Return the number in each cell, not clipped; NaN for missing ones."""
        return _values(self, series)


class DatetimeColumn(BaseColumn):
    """A column of ISO dates or times between public bounds.

    Bounds without a time of day make it a column of whole days, others one of whole seconds.
    ``bins`` is as in `NumericColumn`, its list holding ISO texts.
    """

    type: Literal["datetime"]
    lower: Text
    upper: Text
    bins: int | tuple[str, ...] | None = None

    @field_validator("lower", "upper")
    @classmethod
    def _bounds_are_in_order(cls, bound: str, info: ValidationInfo) -> str:
        seconds = _moment(bound)
        if info.field_name == "upper" and "lower" in info.data:
            lower = info.data["lower"]
            if seconds < seconds_of(lower):
                raise ValueError(f"must be above lower ({lower}), got {bound}")
        return bound

    @field_validator("bins", mode="plain")
    @classmethod
    def _bins_fit_the_bounds(
        cls, bins: object, info: ValidationInfo
    ) -> int | tuple[str, ...] | None:
        if bins is None or isinstance(bins, int):
            checked: int | tuple[str, ...] | None = _count_of_bins(bins)
        else:
            checked = tuple(str(edge) for edge in _listed(bins))
        if {"lower", "upper"} <= info.data.keys():
            lower, upper = info.data["lower"], info.data["upper"]
            unit = _unit(lower, upper)
            edges = _edges(checked, unit)
            _check_edges(edges, _moment(lower) // unit, _moment(upper) // unit)
            make_grid(_moment(lower) // unit, _moment(upper) // unit, edges, whole=True)
        return checked

    @model_validator(mode="after")
    def _marks_are_no_values(self) -> Self:
        _check_marks(self.missing, self.mark_numbers, self.grid.lower, self.grid.upper)
        return self

    @property
    def is_numeric(self) -> bool:
        """True: values have an order and a distance."""
        return True

    @property
    def unit(self) -> int:
        """Seconds in the smallest step of this column: one, or those of a day."""
        return _unit(self.lower, self.upper)

    @cached_property
    def grid(self) -> Grid:
        """The public cells of this column, in units since 1970."""
        lower, upper = (seconds_of(bound) // self.unit for bound in (self.lower, self.upper))
        return make_grid(lower, upper, _edges(self.bins, self.unit), whole=True)

    @property
    def size(self) -> int:
        """The number of codes, those of missing marks included."""
        return len(self.grid) + len(self.missing)

    @property
    def mark_numbers(self) -> NDArray[np.float64]:
        """The unit since 1970 that each missing mark writes; NaN for words."""
        return np.array([seconds_of(mark) for mark in self.missing], dtype=np.float64) // self.unit

    def numbers(self, cells: Cells) -> NDArray[np.float64]:
        """Return the unit since 1970 that each distinct cell falls in."""
        return cells.seconds() // self.unit

    def written(self, numbers: NDArray[np.float64]) -> NDArray[np.generic]:
        """Return ``numbers`` as ISO texts, dates or times like the bounds."""
        step = "s" if self.unit == 1 else "D"
        texts = np.datetime_as_string(numbers.astype(np.int64).astype(f"datetime64[{step}]"))
        if " " in self.lower.strip():
            texts = np.char.replace(texts, "T", " ")
        return texts.astype(object)

    def encode(self, series: pd.Series) -> NDArray[np.int32]:
        """Return the cell of each date, clipped to the bounds.

        What is no date becomes the first missing mark, else the lower bound.
        """
        return _encode(self, series)

    def decode(self, codes: NDArray[np.int32], rng: np.random.Generator) -> pd.Series:
        """Return an ISO text for each code, uniform inside its cell, or the missing mark."""
        return _decode(self, codes, rng)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return the ISO text of each cell, not binned and not clipped, or the missing mark."""
        return _typed(self, series)

    def values(self, series: pd.Series) -> NDArray[np.float64]:
        """Return each cell in days since 1970, not clipped; NaN for missing ones."""
        return _values(self, series) * self.unit / SECONDS_PER_DAY


AnyNumeric = NumericColumn | DatetimeColumn


def _mark_lookup(
    column: AnyNumeric, cells: Cells, numbers: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return, for each distinct cell and the absent one, its place in ``missing``; -1 for values.

    Without marks what is no number is -1 too: it has no code of its own.
    """
    places = np.full(len(numbers), -1)
    if not column.missing:
        return places
    by_text = {mark: place for place, mark in enumerate(column.missing)}
    for place, number in enumerate(column.mark_numbers):
        places[numbers == number] = place
    unknown = np.flatnonzero(np.isnan(numbers))
    texts = cells.texts() if len(unknown) > 1 else []
    for i in unknown[:-1]:
        places[i] = by_text.get(texts[i], 0)
    places[-1] = column.absent_mark
    return places


def _encode(column: AnyNumeric, series: pd.Series) -> NDArray[np.int32]:
    cells = Cells.of(series)
    numbers = column.numbers(cells)
    places = _mark_lookup(column, cells, numbers)
    codes = np.where(places >= 0, len(column.grid) + places, column.grid.cells(numbers))
    return codes.astype(np.int32)[cells.positions]


def _values(column: AnyNumeric, series: pd.Series) -> NDArray[np.float64]:
    cells = Cells.of(series)
    numbers = column.numbers(cells)
    places = _mark_lookup(column, cells, numbers)
    return np.where(places >= 0, np.nan, numbers)[cells.positions]


def _typed(column: AnyNumeric, series: pd.Series) -> pd.Series:
    cells = Cells.of(series)
    numbers = column.numbers(cells)
    places = _mark_lookup(column, cells, numbers)
    written = column.written(np.nan_to_num(numbers, nan=column.grid.lower))
    return _with_marks(column, written[cells.positions], places[cells.positions])


def _decode(column: AnyNumeric, codes: NDArray[np.int32], rng: np.random.Generator) -> pd.Series:
    ordinary = len(column.grid)
    drawn = column.grid.draw(np.where(codes < ordinary, codes, 0), rng)
    places = np.where(codes < ordinary, -1, codes - ordinary)
    return _with_marks(column, column.written(drawn), places)


def _with_marks(
    column: AnyNumeric, written: NDArray[np.generic], places: NDArray[np.integer]
) -> pd.Series:
    if not column.missing:
        return pd.Series(written, name=column.name, dtype=written.dtype)
    texts = np.array(column.missing, dtype=object)
    mixed = np.where(places >= 0, texts[places], written.astype(object))
    return pd.Series(mixed, name=column.name, dtype=object)


def _plain(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _count_of_bins(bins: int | None) -> int | None:
    if bins is not None and (isinstance(bins, bool) or not 1 <= bins <= MAX_BINS):
        raise ValueError(f"must be a number of cells from 1 to {MAX_BINS}, got {bins}")
    return bins


def _listed(bins: object) -> tuple[object, ...]:
    if not isinstance(bins, (list, tuple)) or len(bins) < 2 or len(bins) > MAX_BINS:
        raise ValueError("must be a number of cells, or a list of at least two increasing edges")
    return tuple(bins)


def _edge(edge: object) -> float:
    if isinstance(edge, bool) or not isinstance(edge, (int, float)):
        raise ValueError(f"must list numbers, got {edge!r}")
    return float(edge)


def _edges(bins: int | tuple[str, ...] | None, unit: int) -> int | tuple[float, ...] | None:
    return tuple(_moment(edge) // unit for edge in bins) if isinstance(bins, tuple) else bins


def _check_edges(bins: int | tuple[float, ...] | None, lower: float, upper: float) -> None:
    if not isinstance(bins, tuple):
        return
    if not all(low < high for low, high in pairwise(bins)):
        raise ValueError("must list increasing edges")
    if bins[0] < lower or bins[-1] > upper:
        raise ValueError("must list edges that lie within lower and upper")


def _check_marks(
    marks: tuple[str, ...], numbers: NDArray[np.float64], lower: float, upper: float
) -> None:
    for mark, number in zip(marks, numbers.tolist(), strict=True):
        if lower <= number <= upper:
            raise ValueError(f"field 'missing': {mark!r} must lie outside lower and upper")


def _moment(text: str) -> float:
    seconds = seconds_of(text)
    if np.isnan(seconds):
        raise ValueError(f"must be an ISO date or time such as 2024-01-31, got {text!r}")
    return seconds


def _unit(lower: str, upper: str) -> int:
    """Return the seconds of a day where both bounds are plain dates, else one second."""
    plain = all(len(bound.strip()) <= len("2024-01-31") for bound in (lower, upper))
    return SECONDS_PER_DAY if plain else 1
