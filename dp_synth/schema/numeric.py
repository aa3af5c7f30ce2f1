"""Columns on a number line between public bounds: integers, real numbers, dates and times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta, timezone, tzinfo
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeVar

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

from dp_synth.schema.columns import (
    MAX_MAGNITUDE,
    MAX_SINGLE_VALUES,
    MAX_SLOPE,
    BaseColumn,
    Bins,
    FineBins,
    equal_ratios,
    make_bins,
    make_fine_bins,
)
from dp_synth.schema.parsing import (
    SECONDS_PER_DAY,
    Cells,
    DateFormat,
    NumberFormat,
    Text,
    bound_seconds,
    iso_seconds,
    moment_at,
    narrowed,
    numbers_of,
    offset_of,
    offset_seconds,
    seconds_of,
    to_seconds,
    to_units,
    truth_of,
)
from dp_synth.types import Codes, Floats, Integers

MAX_BINS = 100_000
"""More public cells than this are refused: each is a code of the column."""

LARGEST = float(np.finfo(np.float32).max)
"""Numbers beyond this count as infinite: their squares, or narrow floats of them, may be none."""

MAX_INT = 2**62
"""Integers of a typed table are kept within this size, so that int64 holds them."""

MAX_DECIMALS = 12

Edge = TypeVar("Edge")
Bound = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Slope = Annotated[float, Field(strict=True, ge=-MAX_SLOPE, le=MAX_SLOPE, allow_inf_nan=False)]
Decimals = Annotated[int, Field(strict=True, ge=0, le=MAX_DECIMALS)]


class LineColumn(BaseColumn):
    """A column whose cells are numbers on a line, or are read as such: dates as whole steps.

    Its kinds say how cells are read (`numbers`, `mark_numbers`) and written (`written`).
    """

    density: tuple[Slope, ...] | None = None

    _cuts: tuple[float, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _density_tells_of_each_cell(self) -> Self:
        if self.density is not None and len(self.density) != len(self.grid):
            raise ValueError(
                f"field 'density': must have a number for each of the {len(self.grid)} cells of "
                f"'bins', got {len(self.density)}"
            )
        return self

    @model_validator(mode="after")
    def _marks_are_no_values(self) -> Self:
        lower, upper = self._ends
        for mark, number in zip(self.missing, self.mark_numbers.tolist(), strict=True):
            if lower <= number <= upper:
                raise ValueError(f"field 'missing': {mark!r} must lie outside lower and upper")
        return self

    @property
    def is_numeric(self) -> bool:
        """True: values have an order and a distance."""
        return True

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The bounds as numbers."""
        raise NotImplementedError

    @cached_property
    def grid(self) -> Bins:
        """The public cells of this column."""
        raise NotImplementedError

    @cached_property
    def fine(self) -> FineBins | None:
        """The fine cells from which a fit makes this column's; None where those are declared."""
        raise NotImplementedError

    def _fine_bins(self, *common: float) -> FineBins | None:
        """Return fine cells, each bound and ``common`` number one by itself; None for few numbers.

        Many records hold a bound, at which an earlier hand clipped them.
        """
        lower, upper = self._ends
        few = self.grid.whole and upper - lower < MAX_SINGLE_VALUES
        if few or lower == upper:
            return None
        return make_fine_bins(self.grid, self._cuts, (lower, *common, upper))

    @property
    def size(self) -> int:
        """The number of codes, those of missing marks included."""
        return len(self.grid) + len(self.missing)

    @property
    def mark_numbers(self) -> Floats:
        """The number that each missing mark writes, such as -999; NaN for words."""
        raise NotImplementedError

    def cut_at(self, cuts: tuple[float, ...]) -> Self:
        """Return the column whose cells begin at each of ``cuts`` as well."""
        if cuts == self._cuts:
            return self
        column = self._with({})
        column._cuts = cuts
        return column

    def with_density(self, slopes: Floats) -> Self:
        """Return the column whose cells have an exponential density each, of such ``slopes``."""
        column = self._with({"density": slopes.tolist()})
        column._cuts = self._cuts
        return column

    def _sloped(self, grid: Bins) -> Bins:
        """Return the cells with the density that is declared, if it is declared of these."""
        if self.density is None or len(self.density) != len(grid):
            return grid
        return replace(grid, slopes=np.array(self.density))

    def with_cells(self, grid: Bins) -> Self:
        """Return the column with the cells of ``grid`` declared as its bins."""
        return self._with({"bins": self._spelt_edges(grid.edges)})

    def _spelt_edges(self, edges: Floats) -> list[object]:
        raise NotImplementedError

    def number_of(self, given: object) -> float:
        """Return the number that a condition gives; ValueError for anything else."""
        raise NotImplementedError

    def numbers(self, cells: Cells) -> Floats:
        """Return the number in each distinct cell, also an infinite one; NaN where it is none."""
        raise NotImplementedError

    def written(self, numbers: Floats) -> NDArray[np.generic]:
        """Return ``numbers`` as the table holds them."""
        raise NotImplementedError

    def encode(self, series: pd.Series) -> Codes:
        """Return the cell of each number, clipped to the bounds.

        What is no number or date becomes the first missing mark, else the lower bound.
        """
        return self.codes(Cells.of(series))

    def codes(self, cells: Cells, grid: Bins | None = None) -> Codes:
        """Return what `encode` does, of cells that were read already, over ``grid`` or its own."""
        grid = self.grid if grid is None else grid
        numbers = self.numbers(cells)
        places = self._mark_lookup(cells, numbers)
        found = np.where(places >= 0, len(grid) + places, grid.cells(numbers))
        return found.astype(np.int32)[cells.positions]

    def decode(self, codes: Codes, rng: np.random.Generator) -> pd.Series:
        """Return a cell for each code, uniform inside its bin, or the missing mark."""
        numbers, places = draw(self.grid, codes, rng)
        return self.with_marks(self.written(numbers), places)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return what is written in each cell, not binned and not clipped, or the missing mark."""
        cells = Cells.of(series)
        numbers = self.numbers(cells)
        places = self._mark_lookup(cells, numbers)
        written = self.written(np.nan_to_num(self._finite(numbers), nan=self.grid.lower))
        return self.with_marks(written[cells.positions], places[cells.positions])

    def values(self, series: pd.Series) -> Floats:
        """Return the number in each cell, not clipped; NaN for missing ones."""
        return self.on_line(series)

    def on_line(self, series: pd.Series) -> Floats:
        """Return the place of each cell on the line, not clipped; NaN for missing ones."""
        cells = Cells.of(series)
        numbers = self.numbers(cells)
        places = self._mark_lookup(cells, numbers)
        return np.where(places >= 0, np.nan, self._finite(numbers))[cells.positions]

    def _mark_lookup(self, cells: Cells, numbers: Floats) -> Integers:
        """Return each distinct cell's place in ``missing``, -1 for values; the absent one is last.

        Without marks what is no number is -1 too: it has no code of its own.
        """
        places = self.written_marks(cells, numbers)
        if self.missing:
            places[np.isnan(numbers) & (places < 0)] = 0
            places[-1] = self.absent_mark
        return places

    def written_marks(self, cells: Cells, numbers: Floats) -> Integers:
        """Return the place in ``missing`` of the mark that each distinct cell writes, else -1.

        A mark is written as its number, as what a 32-bit float holds of it, or as its text.
        """
        places = np.full(len(numbers), -1)
        if not self.missing:
            return places
        held = numbers if self.grid.whole else narrowed(numbers)
        marks = self.mark_numbers
        narrow = marks if self.grid.whole else narrowed(marks)
        outside = (numbers < self.grid.lower) | (numbers > self.grid.upper)
        for place, number in enumerate(marks):
            places[(numbers == number) | (outside & (held == narrow[place]))] = place
        unknown = np.flatnonzero(~np.isfinite(numbers))
        texts = cells.texts() if len(unknown) > 1 else []
        by_text = {mark: place for place, mark in enumerate(self.missing)}
        for i in unknown[:-1]:
            places[i] = by_text.get(texts[i], -1)
        return places

    def _finite(self, numbers: Floats) -> Floats:
        """Return numbers, but the nearer bound in place of those beyond `LARGEST`."""
        nearer = np.where(numbers > 0, self.grid.upper, self.grid.lower)
        return np.where(np.abs(numbers) > LARGEST, nearer, numbers)

    def with_marks(self, written: NDArray[np.generic], places: NDArray[np.integer]) -> pd.Series:
        """Return cells as a table holds them: those of a place in ``missing`` are that mark."""
        if not self.missing:
            return pd.Series(written, name=self.name, dtype=written.dtype)
        texts = np.array(self.missing, dtype=object)
        mixed = np.where(places >= 0, texts[places], written.astype(object))
        return pd.Series(mixed, name=self.name, dtype=object)


class NumericColumn(LineColumn):
    """A column of integers or real numbers between public bounds.

    ``bins`` is a number of equal-width cells, or the increasing values at which cells begin: cells
    are half-open, the last one is closed, the bounds are the outer ends, and a value given twice
    is a cell by itself. Without ``bins`` an integer column of at most `bins.MAX_SINGLE_VALUES`
    values has a cell for each; a fit chooses the cells of any other by paid noisy counts, and
    where no fit is at work it has `bins.DEFAULT_CELLS` of equal width. With ``scale`` "log" its
    cells are public, each as many times the one before, and numbers inside one are uniform in
    their logarithms. ``density`` is what a fit found of the numbers inside its cells: how the
    logarithm of their density grows from one end of each to the other. Real values are drawn
    with so many ``decimals``. ``format`` says how numbers are written, where not plainly: such a
    column is text in a table.
    """

    type: Literal["integer", "real"]
    lower: Bound
    upper: Bound
    scale: Literal["log"] | None = None
    bins: int | tuple[float, ...] | None = Field(default=None, validate_default=True)
    decimals: Decimals | None = None
    format: NumberFormat | None = None

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

    @field_validator("scale")
    @classmethod
    def _logarithms_need_positive_numbers(
        cls, scale: str | None, info: ValidationInfo
    ) -> str | None:
        lower = info.data.get("lower", 1.0)
        if scale == "log" and lower <= 0:
            raise ValueError(f"'log' needs a lower bound above 0, got {_plain(lower)}")
        return scale

    @field_validator("bins", mode="plain")
    @classmethod
    def _bins_fit_the_bounds(
        cls, bins: object, info: ValidationInfo
    ) -> int | tuple[float, ...] | None:
        checked = _checked_bins(bins, _edge)
        if {"type", "lower", "upper"} <= info.data.keys():
            whole = info.data["type"] == "integer"
            _check_edges(checked, info.data["lower"], info.data["upper"], whole=whole)
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

    @cached_property
    def _ends(self) -> tuple[float, float]:
        return self.lower, self.upper

    @cached_property
    def grid(self) -> Bins:
        """The public cells of this column."""
        whole, (lower, upper) = self.type == "integer", self._ends
        bins: int | Sequence[float] | None = self.bins
        if self.scale == "log":
            bins = equal_ratios(lower, upper, bins, whole=whole)
        cells = make_bins(lower, upper, bins, whole=whole, cuts=self._cuts, decimals=self.decimals)
        cells = replace(cells, is_log=True) if self.scale == "log" else cells
        return self._sloped(cells)

    @cached_property
    def fine(self) -> FineBins | None:
        """The fine cells from which a fit makes this column's; None where those are declared."""
        zero = (0.0,) if self.lower < 0 < self.upper else ()  # many records hold nothing
        known = self.bins is not None or self.scale is not None
        return None if known else self._fine_bins(*zero)

    @property
    def mark_numbers(self) -> Floats:
        """The number that each missing mark writes, such as -999; NaN for words."""
        return numbers_of(self.missing) if self.format is None else self.format.read(self.missing)

    def _spelt_edges(self, edges: Floats) -> list[object]:
        return [*edges.tolist()]

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


class DatetimeColumn(LineColumn):
    """A column of dates, times or both between public bounds: whole steps since 1970.

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

    @field_validator("format")
    @classmethod
    def _format_tells_dates(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            DateFormat(pattern)
        return pattern

    @field_validator("lower", "upper")
    @classmethod
    def _bounds_are_in_order(cls, bound: str, info: ValidationInfo) -> str:
        seconds = iso_seconds(bound) if info.data.get("format") else seconds_of(bound)
        if np.isnan(seconds):
            raise ValueError(f"must be an ISO date or time such as 2024-01-31, got {bound!r}")
        if info.field_name == "upper" and "lower" in info.data:
            lower = info.data["lower"]
            if bool(offset_of(lower)) != bool(offset_of(bound)):
                raise ValueError(f"must say its offset from UTC where lower does ({lower})")
            if seconds < iso_seconds(lower):
                raise ValueError(f"must be above lower ({lower}), got {bound}")
        return bound

    @field_validator("bins", mode="plain")
    @classmethod
    def _bins_fit_the_bounds(
        cls, bins: object, info: ValidationInfo
    ) -> int | tuple[str, ...] | None:
        checked = _checked_bins(bins, str)
        if {"lower", "upper"} <= info.data.keys():
            bounds = (info.data["lower"], info.data["upper"])
            step = _step(info.data.get("format"), *bounds)
            offset = offset_seconds(offset_of(bounds[0]))
            lower, upper = _steps_of(bounds, step, offset)
            _check_edges(_edges(checked, step, offset), lower, upper, whole=True)
        return checked

    @field_serializer("bins")
    def _edges_as_a_list(self, bins: int | tuple[str, ...] | None) -> int | list[str] | None:
        return list(bins) if isinstance(bins, tuple) else bins

    @property
    def step(self) -> str:
        """The smallest step of this column as numpy names it: s, m, h, D, M or Y."""
        return _step(self.format, self.lower, self.upper)

    @property
    def offset(self) -> int:
        """The seconds by which the times of this column are ahead of UTC; 0 where none are said."""
        return offset_seconds(offset_of(self.lower))

    @property
    def zone(self) -> tzinfo | None:
        """The offset that the bounds say, in which times are written; None where they say none."""
        return timezone(timedelta(seconds=self.offset)) if offset_of(self.lower) else None

    @cached_property
    def _ends(self) -> tuple[float, float]:
        lower, upper = _steps_of((self.lower, self.upper), self.step, self.offset)
        return lower, upper

    @cached_property
    def grid(self) -> Bins:
        """The public cells of this column, in steps since 1970."""
        edges = _edges(self.bins, self.step, self.offset)
        return self._sloped(make_bins(*self._ends, edges, whole=True, cuts=self._cuts))

    @cached_property
    def fine(self) -> FineBins | None:
        """The fine cells from which a fit makes this column's; None where those are declared."""
        return self._fine_bins() if self.bins is None else None

    @cached_property
    def _form(self) -> DateFormat | None:
        last = int(self.upper[:4]) if self.upper[:4].isdigit() else 1970
        return None if self.format is None else DateFormat(self.format, last)

    @property
    def mark_numbers(self) -> Floats:
        """The step since 1970 that each missing mark writes; NaN for words."""
        seconds = np.array([self._seconds(mark) for mark in self.missing], dtype=np.float64)
        return to_units(seconds + self.offset, self.step)

    def _spelt_edges(self, edges: Floats) -> list[object]:
        return [*self._iso(edges).tolist()]

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
            said = iso_seconds(text) if self.format is not None else seconds_of(text)
            zoned = bool(offset_of(text))
        return said if zoned else said - self.offset

    def written(self, numbers: Floats) -> NDArray[np.generic]:
        """Return ``numbers`` as texts in the format, else as ISO dates or times like the bounds."""
        if self._form is not None:
            distinct, places = np.unique(numbers, return_inverse=True)
            moments = map(moment_at, to_seconds(distinct, self.step).tolist())
            offset = offset_of(self.lower)
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
        offset = offset_of(self.lower)
        return np.array([f"{text}{offset}" for text in texts.tolist()], dtype=object)

    def values(self, series: pd.Series) -> Floats:
        """Return each cell in days since 1970, not clipped; NaN for missing ones."""
        return to_seconds(self.on_line(series), self.step) / SECONDS_PER_DAY


def draw(grid: Bins, codes: Codes, rng: np.random.Generator) -> tuple[Floats, Codes]:
    """Return a number for each code, one draw each, and its place in ``missing``, -1 for values."""
    ordinary = len(grid)
    numbers = grid.draw(np.where(codes < ordinary, codes, 0), rng)
    return numbers, np.where(codes < ordinary, -1, codes - ordinary)


def _checked_bins(bins: object, edge: Callable[[object], Edge]) -> int | tuple[Edge, ...] | None:
    """Return a number of cells, or each ``edge`` of a list; ValueError for anything else."""
    if bins is None or isinstance(bins, int):
        if bins is not None and (isinstance(bins, bool) or not 1 <= bins <= MAX_BINS):
            raise ValueError(f"must be a number of cells from 1 to {MAX_BINS}, got {bins}")
        return bins
    if not isinstance(bins, (list, tuple)) or len(bins) < 2 or len(bins) > MAX_BINS:
        raise ValueError("must be a number of cells, or a list of at least two increasing edges")
    return tuple(map(edge, bins))


def _check_edges(
    bins: int | tuple[float, ...] | None, lower: float, upper: float, *, whole: bool
) -> None:
    """Raise ValueError for edges out of order or beyond the bounds, and for an empty cell."""
    if isinstance(bins, tuple):
        thrice = any(first == third for first, third in zip(bins, bins[2:], strict=False))
        if thrice or not all(low <= high for low, high in pairwise(bins)):
            raise ValueError("must list increasing edges, one that is a cell by itself twice")
        if bins[0] < lower or bins[-1] > upper:
            raise ValueError("must list edges that lie within lower and upper")
    make_bins(lower, upper, bins, whole=whole)


def _plain(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _edge(edge: object) -> float:
    if isinstance(edge, bool) or not isinstance(edge, (int, float)):
        raise ValueError(f"must list numbers, got {edge!r}")
    return float(edge)


def _edges(
    bins: int | tuple[str, ...] | None, step: str, offset: int
) -> int | tuple[float, ...] | None:
    return tuple(_steps_of(bins, step, offset)) if isinstance(bins, tuple) else bins


def _steps_of(texts: Iterable[str], step: str, offset: int) -> list[float]:
    """Return the step since 1970 of each ISO text; ValueError for anything else."""
    seconds = np.array([bound_seconds(text) for text in texts])
    return [float(number) for number in to_units(seconds + offset, step)]


def _step(pattern: str | None, lower: str, upper: str) -> str:
    """Return the step of the format; without one a day where both bounds are plain dates."""
    if pattern is not None:
        return DateFormat(pattern).unit
    plain = all(len(bound.strip()) <= len("2024-01-31") for bound in (lower, upper))
    return "D" if plain else "s"
