"""Columns of integers and real numbers between public bounds."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

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
from dp_synth.schema.cells import Cells, numbers_of, truth_of
from dp_synth.schema.columns import MAX_MAGNITUDE, BaseColumn
from dp_synth.schema.fine import FineGrid, fine_grid
from dp_synth.schema.grid import MAX_SINGLE_VALUES, Floats, Grid, make_grid
from dp_synth.schema.number_format import NumberFormat

MAX_INT = 2**62
"""Integers of a typed table are kept within this size, so that int64 holds them."""

MAX_DECIMALS = 12

Bound = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Decimals = Annotated[int, Field(strict=True, ge=0, le=MAX_DECIMALS)]


class NumericColumn(BaseColumn):
    """A column of integers or real numbers between public bounds.

    ``bins`` is a number of equal-width cells, or the increasing values at which cells begin: cells
    are half-open, the last one is closed, the bounds are the outer ends, and a value given twice
    is a cell by itself. Without ``bins`` an integer column of at most `grid.MAX_SINGLE_VALUES`
    values has a cell for each; a fit chooses the cells of any other by paid noisy counts, and
    where no fit is at work it has `grid.DEFAULT_CELLS` of equal width. Real values are drawn
    with so many ``decimals``. ``format`` says how numbers are written, where not plainly: such a
    column is text in a table.
    """

    type: Literal["integer", "real"]
    lower: Bound
    upper: Bound
    bins: int | tuple[float, ...] | None = Field(default=None, validate_default=True)
    decimals: Decimals | None = None
    format: NumberFormat | None = None
    _cuts: tuple[float, ...] = PrivateAttr(default=())

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
            checked: int | tuple[float, ...] | None = line.count_of_bins(bins)
        else:
            checked = tuple(_edge(edge) for edge in line.listed(bins))
        if {"type", "lower", "upper"} <= info.data.keys():
            line.check_edges(checked, info.data["lower"], info.data["upper"])
            whole = info.data["type"] == "integer"
            make_grid(info.data["lower"], info.data["upper"], checked, whole=whole)
        return checked

    @field_validator("decimals")
    @classmethod
    def _whole_numbers_have_no_decimals(
        cls, decimals: int | None, info: ValidationInfo
    ) -> int | None:
        if decimals is not None and info.data.get("type") == "integer":
            raise ValueError("must stand in a column of type 'real'")
        return decimals

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
        line.check_marks(self.missing, self.mark_numbers, self.lower, self.upper)
        return self

    @property
    def is_numeric(self) -> bool:
        """True: values have an order and a distance."""
        return True

    @cached_property
    def grid(self) -> Grid:
        """The public cells of this column."""
        whole = self.type == "integer"
        return make_grid(
            self.lower,
            self.upper,
            self.bins,
            whole=whole,
            cuts=self._cuts,
            decimals=self.decimals,
        )

    @cached_property
    def fine(self) -> FineGrid | None:
        """The fine cells from which a fit makes this column's; None where those are declared."""
        few = self.type == "integer" and self.upper - self.lower < MAX_SINGLE_VALUES
        if self.bins is not None or few or self.lower == self.upper:
            return None
        zero = (0.0,) if self.lower < 0 < self.upper else ()
        # Many records hold nothing, or a bound at which an earlier hand clipped them.
        return fine_grid(self.grid, self._cuts, (self.lower, *zero, self.upper))

    @property
    def size(self) -> int:
        """The number of codes, those of missing marks included."""
        return len(self.grid) + len(self.missing)

    @property
    def mark_numbers(self) -> Floats:
        """The number that each missing mark writes, such as -999; NaN for words."""
        return numbers_of(self.missing) if self.format is None else self.format.read(self.missing)

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
        return type(self).model_validate({**fields, "bins": grid.edges.tolist()})

    def number_of(self, given: object) -> float:
        """Return the number that a condition gives; ValueError for anything else."""
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise ValueError(f"column {self.name!r}: a condition gives numbers, got {given!r}")
        return float(given)

    def numbers(self, cells: Cells) -> Floats:
        """Return the number in each distinct cell, rounded in a column of integers.

        True and false are 1 and 0, unless one of them is a missing mark.
        """
        if self.format is None or cells.distinct.dtype.kind in "biuf":
            found = cells.numbers()
        else:
            found = np.append(self.format.read(cells.texts()[:-1]), np.nan)
        words = np.isnan(found)
        if words[:-1].any() and np.isnan([truth_of(mark) for mark in self.missing]).all():
            found = np.where(words, cells.truths(), found)
        return np.rint(found) if self.type == "integer" else found

    def written(self, numbers: Floats) -> NDArray[np.generic]:
        """Return ``numbers`` as the table holds them: int64, float64, or text in their format."""
        if self.format is not None:
            return self.format.spell(numbers, self.decimals)
        whole = self.decimals == 0 and bool(np.all(numbers == np.rint(numbers)))
        if self.type == "integer" or whole:
            return np.clip(numbers, -MAX_INT, MAX_INT).astype(np.int64)
        return numbers

    def encode(self, series: pd.Series) -> NDArray[np.int32]:
        """Return the cell of each number, clipped to the bounds.

        What is no number becomes the first missing mark, else the lower bound.
        """
        return self.codes(Cells.of(series))

    def codes(self, cells: Cells, grid: Grid | None = None) -> NDArray[np.int32]:
        """Return what `encode` does, of cells that were read already, over ``grid`` or its own."""
        return line.codes(self, cells, self.grid if grid is None else grid)

    def decode(self, codes: NDArray[np.int32], rng: np.random.Generator) -> pd.Series:
        """Return a number for each code, uniform inside its cell, or the missing mark."""
        return line.decode(self, codes, rng)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return the number in each cell, not binned and not clipped, or the missing mark."""
        return line.typed(self, series)

    def values(self, series: pd.Series) -> Floats:
        """Return the number in each cell, not clipped; NaN for missing ones."""
        return line.values(self, series)


def _plain(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _edge(edge: object) -> float:
    if isinstance(edge, bool) or not isinstance(edge, (int, float)):
        raise ValueError(f"must list numbers, got {edge!r}")
    return float(edge)
