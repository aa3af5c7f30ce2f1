"""Columns of dates and times between public bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta, timezone, tzinfo
from functools import cached_property
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import (
    Field,
    PrivateAttr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from dp_synth.schema import line
from dp_synth.schema.cells import SECONDS_PER_DAY, Cells, seconds_of
from dp_synth.schema.columns import BaseColumn, Text
from dp_synth.schema.date_format import (
    DateFormat,
    moment_at,
    offset_seconds,
    to_seconds,
    to_units,
)
from dp_synth.schema.fine import FineGrid, fine_grid
from dp_synth.schema.grid import MAX_SINGLE_VALUES, Floats, Grid, make_grid

_OFFSET = re.compile(r"\d\d:\d\d\S*?([-+]\d\d:?\d\d|Z)$")


class DatetimeColumn(BaseColumn):
    """A column of dates, times or both between public bounds.

    Cells are ISO texts, or written as ``format`` says: see `DateFormat`. Bounds are ISO texts in
    any case: ``2024-01-31``, with a time ``2024-01-31T09:30:00``, ``2024-01`` where the format
    tells no day, ``09:30`` where it tells no date. The format tells the smallest step; without
    one, bounds without a time of day make it whole days, others whole seconds. Where the bounds
    say their offset from UTC, times are written with that of ``lower``, and cells that say none
    are taken to have it; otherwise cells that say one are taken to UTC. ``bins`` is as in
    `NumericColumn`, its list holding ISO texts.
    """

    type: Literal["datetime"]
    format: Text | None = None
    lower: Text
    upper: Text
    bins: int | tuple[str, ...] | None = Field(default=None, validate_default=True)
    _cuts: tuple[float, ...] = PrivateAttr(default=())

    @field_validator("format")
    @classmethod
    def _format_tells_dates(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            DateFormat(pattern)
        return pattern

    @field_validator("lower", "upper")
    @classmethod
    def _bounds_are_in_order(cls, bound: str, info: ValidationInfo) -> str:
        seconds = _iso_seconds(bound) if info.data.get("format") else seconds_of(bound)
        if np.isnan(seconds):
            raise ValueError(f"must be an ISO date or time such as 2024-01-31, got {bound!r}")
        if info.field_name == "upper" and "lower" in info.data:
            lower = info.data["lower"]
            if bool(_offset_text(lower)) != bool(_offset_text(bound)):
                raise ValueError(f"must say its offset from UTC where lower does ({lower})")
            if seconds < _iso_seconds(lower):
                raise ValueError(f"must be above lower ({lower}), got {bound}")
        return bound

    @field_validator("bins", mode="plain")
    @classmethod
    def _bins_fit_the_bounds(
        cls, bins: object, info: ValidationInfo
    ) -> int | tuple[str, ...] | None:
        if bins is None or isinstance(bins, int):
            checked: int | tuple[str, ...] | None = line.count_of_bins(bins)
        else:
            checked = tuple(str(edge) for edge in line.listed(bins))
        if {"lower", "upper"} <= info.data.keys():
            bounds = (info.data["lower"], info.data["upper"])
            step = _step(info.data.get("format"), *bounds)
            lower, upper = _units_of(bounds, step, _offset_of(bounds[0]))
            edges = _edges(checked, step, _offset_of(bounds[0]))
            line.check_edges(edges, lower, upper)
            make_grid(lower, upper, edges, whole=True)
        return checked

    @field_serializer("bins")
    def _edges_as_a_list(self, bins: int | tuple[str, ...] | None) -> int | list[str] | None:
        return list(bins) if isinstance(bins, tuple) else bins

    @model_validator(mode="after")
    def _marks_are_no_values(self) -> Self:
        line.check_marks(self.missing, self.mark_numbers, *self._ends)
        return self

    @property
    def is_numeric(self) -> bool:
        """True: values have an order and a distance."""
        return True

    @property
    def step(self) -> str:
        """The smallest step of this column as numpy names it: s, m, h, D, M or Y."""
        return _step(self.format, self.lower, self.upper)

    @property
    def offset(self) -> int:
        """The seconds by which the times of this column are ahead of UTC; 0 where none are said."""
        return _offset_of(self.lower)

    @property
    def zone(self) -> tzinfo | None:
        """The offset that the bounds say, in which times are written; None where they say none."""
        return timezone(timedelta(seconds=self.offset)) if _offset_text(self.lower) else None

    @cached_property
    def grid(self) -> Grid:
        """The public cells of this column, in steps since 1970."""
        edges = _edges(self.bins, self.step, self.offset)
        return make_grid(*self._ends, edges, whole=True, cuts=self._cuts)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        lower, upper = _units_of((self.lower, self.upper), self.step, self.offset)
        return lower, upper

    @cached_property
    def _form(self) -> DateFormat | None:
        last = int(self.upper[:4]) if self.upper[:4].isdigit() else 1970
        return None if self.format is None else DateFormat(self.format, last)

    @cached_property
    def fine(self) -> FineGrid | None:
        """The fine cells from which a fit makes this column's; None where those are declared."""
        lower, upper = self.grid.lower, self.grid.upper
        if self.bins is not None or upper - lower < MAX_SINGLE_VALUES:
            return None
        return fine_grid(self.grid, self._cuts, (lower, upper))

    @property
    def size(self) -> int:
        """The number of codes, those of missing marks included."""
        return len(self.grid) + len(self.missing)

    @property
    def mark_numbers(self) -> Floats:
        """The step since 1970 that each missing mark writes; NaN for words."""
        seconds = np.array([self._seconds(mark) for mark in self.missing], dtype=np.float64)
        return to_units(seconds + self.offset, self.step)

    def cut_at(self, cuts: tuple[float, ...]) -> Self:
        """Return the column whose cells begin at each of ``cuts`` as well."""
        if cuts == self._cuts:
            return self
        column = type(self).model_validate(self.model_dump(by_alias=True, exclude_unset=True))
        column._cuts = cuts
        return column

    def with_cells(self, grid: Grid) -> Self:
        """Return the column with the cells of ``grid`` declared as its bins."""
        fields = self.model_dump(by_alias=True, exclude_unset=True)
        return type(self).model_validate({**fields, "bins": self._iso(grid.edges).tolist()})

    def number_of(self, given: object) -> float:
        """Return the steps since 1970 that a condition gives; ValueError for anything else."""
        seconds = self._seconds(given) if isinstance(given, str) else np.nan
        if np.isnan(seconds):
            raise ValueError(f"column {self.name!r}: a condition gives ISO dates, got {given!r}")
        number = to_units(np.array([seconds + self.offset]), self.step)[0]
        begins = to_seconds(np.array([number]), self.step)[0] - self.offset
        return float(number) if begins == seconds else float(number) + 0.5

    def numbers(self, cells: Cells) -> Floats:
        """Return the step since 1970 that each distinct cell falls in."""
        seconds = cells.seconds(float(self.offset))
        if self._form is not None and cells.distinct.dtype.kind != "M":
            texts = cells.texts()[:-1]
            seconds = np.append(np.array([self._seconds(text) for text in texts]), np.nan)
        return to_units(seconds + self.offset, self.step)

    def _seconds(self, text: str) -> float:
        """Return the seconds since 1970, in UTC, that ``text`` says in the format, else in ISO."""
        said = np.nan if self._form is None else self._form.seconds(text)
        zoned = self._form is not None and self._form.is_zoned
        if np.isnan(said):
            said = _iso_seconds(text) if self.format is not None else seconds_of(text)
            zoned = bool(_offset_text(text))
        return said if zoned else said - self.offset

    def written(self, numbers: Floats) -> NDArray[np.generic]:
        """Return ``numbers`` as texts in the format, else as ISO dates or times like the bounds."""
        if self._form is not None:
            distinct, places = np.unique(numbers, return_inverse=True)
            moments = map(moment_at, to_seconds(distinct, self.step).tolist())
            offset = _offset_text(self.lower)
            shown = [self._form.text(moment, offset or "+0000") for moment in moments]
            return np.array(shown, dtype=object)[places]
        return self._iso(numbers)

    def moments(self, numbers: Floats) -> pd.Series:
        """Return ``numbers`` as datetime64[s], in the time zone of the lower bound, if any."""
        seconds = to_seconds(numbers, self.step).astype(np.int64)
        moments = pd.Series(seconds.astype("datetime64[s]"))
        return moments.dt.tz_localize(self.zone) if self.zone else moments

    def _iso(self, numbers: Floats) -> NDArray[np.object_]:
        """Return ``numbers`` as ISO texts, those without a date as times of day."""
        moments = numbers.astype(np.int64).astype(f"datetime64[{self.step}]")
        texts = np.datetime_as_string(moments)
        if self._form is not None and not self._form.is_dated:
            texts = np.array([text[11:] for text in np.datetime_as_string(moments, unit="s")])
        elif " " in self.lower.strip() and len(texts):  # numpy replaces nothing in no texts
            texts = np.char.replace(texts, "T", " ")
        offset = _offset_text(self.lower)
        return np.array([f"{text}{offset}" for text in texts.tolist()], dtype=object)

    def encode(self, series: pd.Series) -> NDArray[np.int32]:
        """Return the cell of each date, clipped to the bounds.

        What is no date becomes the first missing mark, else the lower bound.
        """
        return self.codes(Cells.of(series))

    def codes(self, cells: Cells, grid: Grid | None = None) -> NDArray[np.int32]:
        """Return what `encode` does, of cells that were read already, over ``grid`` or its own."""
        return line.codes(self, cells, self.grid if grid is None else grid)

    def decode(self, codes: NDArray[np.int32], rng: np.random.Generator) -> pd.Series:
        """Return a text for each code, uniform inside its cell, or the missing mark."""
        return line.decode(self, codes, rng)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return the text of each cell, not binned and not clipped, or the missing mark."""
        return line.typed(self, series)

    def values(self, series: pd.Series) -> Floats:
        """Return each cell in days since 1970, not clipped; NaN for missing ones."""
        return to_seconds(line.values(self, series), self.step) / SECONDS_PER_DAY


def _edges(
    bins: int | tuple[str, ...] | None, step: str, offset: int
) -> int | tuple[float, ...] | None:
    return tuple(_units_of(bins, step, offset)) if isinstance(bins, tuple) else bins


def _units_of(texts: Iterable[str], step: str, offset: int) -> list[float]:
    seconds = np.array([_moment(text) for text in texts])
    return [float(number) for number in to_units(seconds + offset, step)]


def _moment(text: str) -> float:
    seconds = _iso_seconds(text)
    if np.isnan(seconds):
        raise ValueError(f"must be an ISO date or time such as 2024-01-31, got {text!r}")
    return seconds


def _iso_seconds(text: str) -> float:
    """Return the ISO date, year and month, or time of day in ``text`` as seconds since 1970."""
    seconds = seconds_of(text)
    for pattern in ("%Y-%m", "%H:%M", "%H:%M:%S", "%Y"):
        if np.isnan(seconds):
            seconds = DateFormat(pattern).seconds(text)
    return seconds


def _offset_text(bound: str) -> str:
    """Return the offset from UTC with which a bound ends, empty where it has none."""
    found = _OFFSET.search(bound.strip())
    return found[1] if found else ""


def _offset_of(bound: str) -> int:
    return offset_seconds(_offset_text(bound))


def _step(pattern: str | None, lower: str, upper: str) -> str:
    """Return the step of the format; without one a day where both bounds are plain dates."""
    if pattern is not None:
        return DateFormat(pattern).unit
    plain = all(len(bound.strip()) <= len("2024-01-31") for bound in (lower, upper))
    return "D" if plain else "s"
