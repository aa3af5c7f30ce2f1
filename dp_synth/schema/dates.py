"""Columns of dates and times between public bounds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
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
from dp_synth.schema.fine import FineGrid, fine_grid
from dp_synth.schema.grid import MAX_SINGLE_VALUES, Floats, Grid, make_grid


class DatetimeColumn(BaseColumn):
    """A column of ISO dates or times between public bounds.

    Bounds without a time of day make it a column of whole days, others one of whole seconds.
    Where the bounds say their offset from UTC, times are written with that of ``lower``, and cells
    that say none are taken to have it; otherwise cells that say one are taken to UTC.
    ``bins`` is as in `NumericColumn`, its list holding ISO texts.
    """

    type: Literal["datetime"]
    lower: Text
    upper: Text
    bins: int | tuple[str, ...] | None = Field(default=None, validate_default=True)
    _cuts: tuple[float, ...] = PrivateAttr(default=())

    @field_validator("lower", "upper")
    @classmethod
    def _bounds_are_in_order(cls, bound: str, info: ValidationInfo) -> str:
        seconds = _moment(bound)
        if info.field_name == "upper" and "lower" in info.data:
            lower = info.data["lower"]
            if (offset_of(lower) is None) != (offset_of(bound) is None):
                raise ValueError(f"must say its offset from UTC where lower does ({lower})")
            if seconds < seconds_of(lower):
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
            lower, upper = info.data["lower"], info.data["upper"]
            unit = _unit(lower, upper)
            edges = _edges(checked, unit, offset_of(lower))
            line.check_edges(edges, _moment(lower) // unit, _moment(upper) // unit)
            make_grid(_moment(lower) // unit, _moment(upper) // unit, edges, whole=True)
        return checked

    @field_serializer("bins")
    def _edges_as_a_list(self, bins: int | tuple[str, ...] | None) -> int | list[str] | None:
        return list(bins) if isinstance(bins, tuple) else bins

    @model_validator(mode="after")
    def _marks_are_no_values(self) -> Self:
        lower, upper = (seconds_of(bound) // self.unit for bound in (self.lower, self.upper))
        line.check_marks(self.missing, self.mark_numbers, lower, upper)
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
    def offset(self) -> float | None:
        """Seconds that ``lower`` is ahead of UTC; None where it does not say so."""
        return offset_of(self.lower)

    @property
    def zone(self) -> tzinfo | None:
        """The offset of the lower bound, in which times are written; None for whole days."""
        if self.offset is None or self.unit != 1:
            return None
        return timezone(timedelta(seconds=self.offset))

    @cached_property
    def grid(self) -> Grid:
        """The public cells of this column, in units since 1970."""
        lower, upper = (seconds_of(bound) // self.unit for bound in (self.lower, self.upper))
        edges = _edges(self.bins, self.unit, self.offset)
        return make_grid(lower, upper, edges, whole=True, cuts=self._cuts)

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
        """The unit since 1970 that each missing mark writes; NaN for words."""
        seconds = [seconds_of(mark, self.offset or 0.0) for mark in self.missing]
        return np.array(seconds, dtype=np.float64) // self.unit

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
        return type(self).model_validate({**fields, "bins": self.written(grid.edges).tolist()})

    def number_of(self, given: object) -> float:
        """Return the units since 1970 that a condition gives; ValueError for anything else."""
        seconds = seconds_of(given, self.offset or 0.0) if isinstance(given, str) else np.nan
        if np.isnan(seconds):
            raise ValueError(f"column {self.name!r}: a condition gives ISO dates, got {given!r}")
        return seconds / self.unit

    def numbers(self, cells: Cells) -> Floats:
        """Return the unit since 1970 that each distinct cell falls in."""
        return cells.seconds(self.offset or 0.0) // self.unit

    def written(self, numbers: Floats) -> NDArray[np.generic]:
        """Return ``numbers`` as ISO texts, dates or times like the bounds."""
        step = "s" if self.unit == 1 else "D"
        local = numbers.astype(np.int64) + int(self.offset or 0)
        texts = np.datetime_as_string(local.astype(f"datetime64[{step}]"))
        if " " in self.lower.strip() and len(texts):  # numpy replaces nothing in no texts
            texts = np.char.replace(texts, "T", " ")
        written: NDArray[np.object_] = texts.astype(object)
        return written if self.offset is None else written + _suffix(self.lower)

    def moments(self, numbers: Floats) -> pd.Series:
        """Return ``numbers`` as datetime64[s], in the time zone of the lower bound, if any."""
        moments = pd.Series((numbers * self.unit).astype(np.int64).astype("datetime64[s]"))
        return moments.dt.tz_localize("UTC").dt.tz_convert(self.zone) if self.zone else moments

    def encode(self, series: pd.Series) -> NDArray[np.int32]:
        """Return the cell of each date, clipped to the bounds.

        What is no date becomes the first missing mark, else the lower bound.
        """
        return self.codes(Cells.of(series))

    def codes(self, cells: Cells, grid: Grid | None = None) -> NDArray[np.int32]:
        """Return what `encode` does, of cells that were read already, over ``grid`` or its own."""
        return line.codes(self, cells, self.grid if grid is None else grid)

    def decode(self, codes: NDArray[np.int32], rng: np.random.Generator) -> pd.Series:
        """Return an ISO text for each code, uniform inside its cell, or the missing mark."""
        return line.decode(self, codes, rng)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return the ISO text of each cell, not binned and not clipped, or the missing mark."""
        return line.typed(self, series)

    def values(self, series: pd.Series) -> Floats:
        """Return each cell in days since 1970, not clipped; NaN for missing ones."""
        return line.values(self, series) * self.unit / SECONDS_PER_DAY


def offset_of(text: str) -> float | None:
    """Return how many seconds an ISO time is ahead of UTC; None where it does not say so.

    >>> offset_of("2024-01-31T12:00:00+02:00"), offset_of("2024-01-31")
    (7200.0, None)
    """
    offset = datetime.fromisoformat(text.strip()).utcoffset()
    return None if offset is None else offset.total_seconds()


def _suffix(text: str) -> str:
    """Return how an ISO time writes its offset from UTC."""
    moment = datetime.fromisoformat(text.strip())
    return "Z" if text.strip().endswith("Z") else moment.isoformat(timespec="seconds")[19:]


def _edges(
    bins: int | tuple[str, ...] | None, unit: int, offset: float | None
) -> int | tuple[float, ...] | None:
    if not isinstance(bins, tuple):
        return bins
    return tuple(_moment(edge, offset or 0.0) // unit for edge in bins)


def _moment(text: str, offset: float = 0.0) -> float:
    seconds = seconds_of(text, offset)
    if np.isnan(seconds):
        raise ValueError(f"must be an ISO date or time such as 2024-01-31, got {text!r}")
    return seconds


def _unit(lower: str, upper: str) -> int:
    """Return the seconds of a day where both bounds are plain dates, else one second."""
    plain = all(len(bound.strip()) <= len("2024-01-31") for bound in (lower, upper))
    return SECONDS_PER_DAY if plain else 1
