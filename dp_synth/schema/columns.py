"""Columns: what is public of one, its type, categories or bounds, missing marks; and bins.

Bins are public cells on a number line, fine ones those among which noisy counts choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from dp_synth.errors import InputError
from dp_synth.schema.keys import KeyPattern
from dp_synth.schema.parsing import Cells, Text, narrowed, numbers_of, truth_of
from dp_synth.types import Codes, Flags, Floats

ABSENT_MARKS = ("", "nan", "NaN")
"""Marks for an absent cell (NaN, None, NaT) of a typed column, the first declared one wins."""

MAX_MAGNITUDE = 2.0**53 - 1
"""Numbers beyond this are matched by text alone; as bounds they are refused."""

MAX_CODES = 1_000_000
"""More categories, codes or missing marks than this are refused in one column."""

MAX_OPEN = 1_000
"""At most so many categories are added to an open column."""


def _pairs(given: object) -> object:
    if not isinstance(given, (Mapping, tuple)):
        raise ValueError("must be an object from cells to their labels")
    return tuple(given.items()) if isinstance(given, Mapping) else given


Labels = Annotated[tuple[tuple[Text, Text], ...], BeforeValidator(_pairs)]


class BaseColumn(BaseModel):
    """The fields that all columns share. Codes of missing marks follow those of the values.

    ``title`` says in words what the column holds, and ``labels`` what some of its cells mean, such
    as ``{"1": "female"}``: a public codebook, which files of SPSS, Stata and SAS carry. ``note``
    is for people who read the schema, such as what a draft asks; nothing else reads it.
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid", populate_by_name=True)

    name: Annotated[Text, Field(min_length=1)]
    missing: tuple[Text, ...] = ()
    title: Text | None = None
    labels: Labels = ()
    note: Text | None = None

    @field_validator("missing")
    @classmethod
    def _marks_are_distinct(cls, marks: tuple[str, ...]) -> tuple[str, ...]:
        _check_count(len(marks), "missing marks")
        return _distinct(marks)

    @field_validator("labels")
    @classmethod
    def _each_cell_has_one_label(cls, labels: Labels) -> Labels:
        _check_count(len(labels), "labels")
        _distinct(tuple(cell for cell, _ in labels))
        return labels

    @field_serializer("labels")
    def _labels_as_an_object(self, labels: Labels) -> dict[str, str]:
        return dict(labels)

    def _with(self, update: Mapping[str, object]) -> Self:
        """Return the column with some of its fields changed."""
        fields = self.model_dump(by_alias=True, exclude_unset=True)
        return type(self).model_validate({**fields, **update})

    @property
    def absent_mark(self) -> int:
        """The place in ``missing`` that an absent cell takes; 0 when none says so by name."""
        named = [mark for mark in ABSENT_MARKS if mark in self.missing]
        return self.missing.index(named[0]) if named else 0


class DiscreteColumn(BaseColumn):
    """A column of named categories, or of integer codes ``0`` to ``size - 1``.

    ``open`` declares that others than the named categories may occur: a fit then adds those
    whose noisy counts are large, and pays for it.

    >>> column = DiscreteColumn(name="sex", type="categorical", categories=("F", "M"))
    >>> column.encode(pd.Series(["M", "F", "never seen"])).tolist()
    [1, 0, 0]
    """

    type: Literal["categorical", "ordinal"]
    categories: tuple[Text, ...] | None = None
    code_count: Annotated[int | None, Field(alias="size", ge=1, strict=True)] = None
    open: Annotated[bool, Field(strict=True)] = False

    @field_validator("categories")
    @classmethod
    def _categories_are_distinct(
        cls, categories: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        _check_count(len(categories or ()), "categories")
        marks = set(info.data.get("missing", ()))
        for category in _distinct(categories or ()):
            if category in marks:
                raise ValueError(f"{category!r} is also a missing mark; it must be one of the two")
        if categories == () and not marks:
            raise ValueError("must name at least one category, or `missing` at least one mark")
        return categories

    @field_validator("code_count")
    @classmethod
    def _codes_are_no_marks(cls, count: int | None, info: ValidationInfo) -> int | None:
        _check_count(count or 0, "codes")
        for mark in info.data.get("missing", ()):
            # Not all decimal signs are of ASCII, and a text of very many is no code.
            few = mark.isdecimal() and len(mark) <= len(str(MAX_CODES))
            if count is not None and few and str(int(mark)) == mark and int(mark) < count:
                raise ValueError(f"{mark!r} is also a missing mark; it must be one of the two")
        return count

    @model_validator(mode="after")
    def _categories_or_size(self) -> Self:
        if (self.categories is None) == (self.code_count is None):
            raise ValueError("field 'categories': must be given, or else 'size', but not both")
        if self.open and (self.type != "categorical" or self.categories is None):
            raise ValueError("field 'open': must stand in a categorical column of 'categories'")
        known = {*self.texts, *self.missing} if self.labels and not self.open else set()
        if known and (unknown := [cell for cell, _ in self.labels if cell not in known]):
            raise ValueError(f"field 'labels': {unknown[0]!r} is neither a category nor a mark")
        return self

    @property
    def is_numeric(self) -> bool:
        """False: codes of categories have no distance."""
        return False

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text of each ordinary code."""
        if self.categories is not None:
            return self.categories
        return tuple(map(str, range(self.code_count or 0)))

    @property
    def size(self) -> int:
        """The number of codes, those of missing marks included."""
        return (self.code_count or len(self.texts)) + len(self.missing)

    @cached_property
    def _by_text(self) -> dict[str, int]:
        return {text: code for code, text in enumerate((*self.texts, *self.missing))}

    @cached_property
    def _by_number(self) -> dict[float, int]:
        numbers = numbers_of((*self.texts, *self.missing)).tolist()
        # Beyond MAX_MAGNITUDE two whole numbers can be one float.
        pairs = [(n, code) for code, n in enumerate(numbers) if abs(n) <= MAX_MAGNITUDE]
        return dict(reversed(pairs))  # of two spellings of one number the first wins

    @cached_property
    def _by_narrow(self) -> dict[float, int]:
        """The codes of numbers by what 32-bit floats hold of them, where that tells them apart."""
        held = narrowed(numbers_of((*self.texts, *self.missing))).tolist()
        often = Counter(held)
        return {n: code for code, n in enumerate(held) if n == n and often[n] == 1}

    @cached_property
    def _by_truth(self) -> dict[float, int]:
        """The codes of true (1) and false (0), of which the categories say one each at most."""
        truths = map(truth_of, self.texts)
        found = [(truth, code) for code, truth in enumerate(truths) if truth == truth]
        return dict(found) if len(dict(found)) == len(found) else {}

    @property
    def by_value(self) -> tuple[dict[float, int], dict[float, int], dict[float, int]]:
        """The codes of numbers, of what 32-bit floats hold of them, and of true and false."""
        return self._by_number, self._by_narrow, self._by_truth

    @property
    def codes_by_text(self) -> dict[str, int]:
        """The code of each category and missing mark."""
        return dict(self._by_text)

    def encode(self, series: pd.Series) -> Codes:
        """Return the code of each cell, matched by text, else by value.

        Values are numbers, what 32-bit floats hold of numbers, and true and false. An unseen
        category becomes the first missing mark, else the first category.
        """
        return self.codes(Cells.of(series))

    def codes(self, cells: Cells) -> Codes:
        """Return what `encode` does, of cells that were read already."""
        codes = [self._unseen if code is None else code for code in self.lookup(cells)]
        codes.append(self._unseen + self.absent_mark)
        return np.array(codes, dtype=np.int32)[cells.positions]

    def encode_openly(self, series: pd.Series) -> tuple[Codes, tuple[str, ...]]:
        """Return the code of each cell, and the unseen texts: their codes follow all others.

        Texts are sorted, and compared as they are read; an empty cell is none.
        """
        cells = Cells.of(series)
        texts, codes = cells.texts()[:-1], self.lookup(cells)
        pairs = zip(texts, codes, strict=True)
        unseen = tuple(sorted({text for text, code in pairs if code is None and text}))
        places = {text: self.size + place for place, text in enumerate(unseen)}
        by_cell = [
            places.get(text, self._unseen) if code is None else code
            for text, code in zip(texts, codes, strict=True)
        ]
        by_cell.append(self._unseen + self.absent_mark)
        return np.array(by_cell, dtype=np.int32)[cells.positions], unseen

    def opened(self, texts: Sequence[str]) -> Self:
        """Return the column with more categories, after those that it names."""
        return self._with({"categories": (*self.texts, *texts)})

    def codes_of(self, texts: Iterable[str]) -> Codes:
        """Return the code of each text, matched by text alone; unseen ones as in `encode`."""
        return np.array([self._by_text.get(text, self._unseen) for text in texts], dtype=np.int32)

    @property
    def _unseen(self) -> int:
        return len(self.texts) if self.missing else 0

    def lookup(self, cells: Cells) -> list[int | None]:
        """Return the code of each distinct cell but the absent one; None for an unseen category."""
        codes = [self._by_text.get(text) for text in cells.texts()[:-1]]
        ways: tuple[tuple[dict[float, int], Callable[[], Floats]], ...] = (
            (self._by_number, cells.numbers),
            (self._by_narrow, lambda: narrowed(cells.numbers())),
            (self._by_truth, cells.truths),
        )
        for known, values in ways:
            if known and None in codes:
                codes = [
                    known.get(value) if code is None else code
                    for code, value in zip(codes, values().tolist()[:-1], strict=True)
                ]
        return codes

    def decode(self, codes: Codes, rng: np.random.Generator) -> pd.Series:
        """Return the category or missing mark of each code, as text."""
        return self._texts_of(codes)

    def typed(self, series: pd.Series) -> pd.Series:
        """Return the declared text of each cell: its category, or a missing mark."""
        return self._texts_of(self.encode(series))

    def _texts_of(self, codes: Codes) -> pd.Series:
        texts = np.array([*self.texts, *self.missing], dtype=object)
        return pd.Series(texts[codes], name=self.name, dtype=object)

    def values(self, series: pd.Series) -> Floats:
        """Return the code of each cell; NaN for missing ones."""
        codes = self.encode(series)
        return np.where(codes < len(self.texts), codes, np.nan)


class IdColumn(BaseColumn):
    """An identifier: never read, nor synthesized from what it holds.

    With a ``pattern`` synthetic rows have new keys of it (`keys.KeyPattern`); without one the
    column is known to the schema so that it can be left out.

    >>> IdColumn(name="patient", type="id", pattern="P-[0-9]{6}").keys.size
    1000000
    """

    type: Literal["id"]
    pattern: Text | None = None

    @field_validator("pattern")
    @classmethod
    def _pattern_is_understood(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            KeyPattern.of(pattern)
        return pattern

    @cached_property
    def keys(self) -> KeyPattern:
        """The keys of its pattern; ValueError where it has none."""
        return KeyPattern.of(self.pattern or "")

    def as_kind(self, cells: pd.Series, kind: object) -> pd.Series:
        """Return keys of its pattern as a dtype; InputError where that cannot hold each of them."""
        try:
            converted: pd.Series = cells.astype(kind)  # type: ignore[call-overload]
            same = all(map(_is_same_key, cells.tolist(), converted.tolist()))
        except (TypeError, ValueError, ArithmeticError):
            same = False
        if not same:
            raise InputError(f"column {self.name!r} cannot be of kind {kind}")
        return converted

    def check_kind(self, kind: object) -> None:
        """Raise InputError for a dtype that cannot hold the first and the last of its keys."""
        self.as_kind(self.keys.column(self.name, self.keys.ends), kind)

    @property
    def is_numeric(self) -> bool:
        """False: identifiers have no distance."""
        return False


def _is_same_key(key: object, held: object) -> bool:
    """Tell whether a cell still is a key: the same text, or the number that it spells."""
    if isinstance(held, (int, float)) and not isinstance(held, bool):
        return int(held) == int(str(key))
    return str(held) == str(key)


def _check_count(count: int, noun: str) -> None:
    if count > MAX_CODES:
        raise ValueError(f"must be at most {MAX_CODES:,} {noun} in one column, got {count:,}")


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``texts``; ValueError that names the first text given twice."""
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            raise ValueError(f"{text!r} is given twice; each text must be given once")
        seen.add(text)
    return texts


DEFAULT_CELLS = 64
"""Equal-width cells of a numeric column that declares no bins, as long as none were measured."""

MAX_SINGLE_VALUES = 100
"""Whole-number columns with at most this many possible values get a cell for each."""

MAX_LEVELS = 3
"""Histograms of one column: each more tells ten times as fine, and shares the noise of all."""

FIRST_CELLS = 30
"""Equal-width cells of the first level, at most; those around zero come on top."""

DECADES = 5
"""Real numbers are told apart down to so many powers of ten below the larger bound."""


ROUNDING = 1e-12  # of a number, by which a computed power may lie above it
LEAST_SLOPE = 1e-9  # below which the density of a cell is flat

MAX_SLOPE = 500.0
"""A density grows at most by the exponential of this from one end of a cell to the other."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Half-open cells ``[cuts[i], cuts[i + 1])`` on the numbers from ``lower`` to ``upper``.

    The last cell is closed. In a grid of whole numbers each cut is the first number of its cell
    and the last cut is ``upper + 1``. Real numbers may be written with so many ``decimals``.
    Inside a cell numbers are uniform, in their logarithms where ``is_log``; else, where there are
    ``slopes``, of a density that grows by the factor ``exp(slopes[i])`` from one end of cell i to
    the other, exponentially.
    """

    lower: float
    upper: float
    cuts: Floats
    whole: bool
    decimals: int | None = None
    is_log: bool = False
    slopes: Floats | None = None

    def __len__(self) -> int:
        return len(self.cuts) - 1

    @property
    def edges(self) -> Floats:
        """The list of edges from which `make_bins` makes these cells again."""
        if self.whole:
            return np.append(self.cuts[:-1], self.upper)
        single = self.cuts[1:] == np.nextafter(self.cuts[:-1], np.inf)
        return np.append(self.cuts[0], np.where(single, self.cuts[:-1], self.cuts[1:]))

    def cells(self, numbers: Floats) -> Codes:
        """Return the cell of each number, those outside the bounds clipped; 0 for NaN."""
        clipped = np.clip(np.nan_to_num(numbers, nan=self.lower), self.lower, self.upper)
        return np.searchsorted(self.cuts[1:-1], clipped, side="right").astype(np.int32)

    def draw(self, cells: Codes, rng: np.random.Generator) -> Floats:
        """Return one number for each cell, drawn among the numbers of that cell."""
        first, beyond = self.cuts[cells], self.cuts[cells + 1]
        part = rng.random(len(cells))
        if self.slopes is not None:
            part = _quantile(part, self.slopes[cells])
        if self.is_log:
            part = _power_part(part, first, beyond)
        numbers = first + part * (beyond - first)
        if self.whole:
            return np.minimum(np.floor(numbers), beyond - 1)
        # Rounding may reach the next cell's first number: one step back stays inside.
        last = np.where(cells == len(self) - 1, beyond, np.nextafter(beyond, -np.inf))
        numbers = np.minimum(numbers, last)
        if self.decimals is None:
            return numbers
        return _with_decimals(numbers, part, first, last, scale=10.0**self.decimals)

    @property
    def is_uniform(self) -> bool:
        """Whether all numbers of one cell are alike."""
        return not self.is_log and self.slopes is None

    def mass_below(self, cells: Codes, numbers: Floats) -> Floats:
        """Return the part of each cell's records that lie below a number, by its density."""
        first, beyond = self.cuts[cells], self.cuts[cells + 1]
        width = np.where(beyond > first, beyond - first, 1.0)
        part = np.clip(numbers - first, 0.0, width) / width
        if self.is_log:
            return np.asarray(np.log1p(part * width / first) / np.log1p(width / first))
        if self.slopes is None:
            return part
        slopes = self.slopes[cells]
        flat = np.abs(slopes) < LEAST_SLOPE
        steep = np.where(flat, 1.0, slopes)
        return np.where(flat, part, np.expm1(steep * part) / np.expm1(steep))


def _quantile(part: Floats, slopes: Floats) -> Floats:
    """Return where in a cell a ``part`` of its records is reached; inverse of ``mass_below``."""
    flat = np.abs(slopes) < LEAST_SLOPE
    steep = np.where(flat, 1.0, slopes)
    return np.where(flat, part, np.log1p(part * np.expm1(steep)) / steep)


def _power_part(part: Floats, first: Floats, beyond: Floats) -> Floats:
    """Return where in a cell a ``part`` of its logarithms is reached, as a part of its width."""
    growth = beyond / first
    wide = growth > 1
    rise = np.where(wide, growth - 1, 1.0)
    return np.where(wide, np.expm1(part * np.log1p(rise)) / rise, part)


def make_bins(
    lower: float,
    upper: float,
    bins: int | Sequence[float] | None,
    *,
    whole: bool,
    cuts: Sequence[float] = (),
    decimals: int | None = None,
) -> Bins:
    """Return the grid that ``bins`` declares, or the default one, cut at ``cuts`` as well.

    An integer asks for that many cells of equal width. A list gives the numbers at which cells
    begin; the bounds are always the outer ends. A number given twice is a cell by itself.
    ValueError when a cell of ``bins`` would be empty.

    >>> make_bins(0, 9, [0, 1, 5], whole=True).cells(np.array([0.0, 1.0, 4.0, 5.0, 99.0])).tolist()
    [0, 1, 1, 2, 2]
    >>> make_bins(0, 1, [0, 0, 0.5, 1], whole=False).cells(np.array([0.0, 1e-9, 0.5, 1.0])).tolist()
    [0, 1, 2, 2]
    """
    edges = _edges(lower, upper, bins, whole=whole)
    if whole:
        edges = np.append(np.ceil(edges[:-1]), upper + 1)
        if not np.all(np.diff(edges) >= 1):
            raise ValueError("must leave at least one whole number in each cell")
    starts = np.unique([*edges[:-1], *(cut for cut in cuts if lower < cut <= upper)])
    return Bins(float(lower), float(upper), np.append(starts, edges[-1]), whole, decimals)


def equal_ratios(
    lower: float, upper: float, bins: int | Sequence[float] | None, *, whole: bool
) -> int | Sequence[float] | None:
    """Return the edges of so many cells, each as many times the one before; listed ones as given.

    Cells without a whole number are left out. What has a cell for each of few numbers keeps them.

    >>> equal_ratios(1, 1000, 3, whole=True)
    [1.0, 10.0, 100.0, 1000.0]
    """
    few = bins is None and whole and upper - lower < MAX_SINGLE_VALUES
    if isinstance(bins, Sequence) or few or lower == upper:
        return bins
    edges = np.geomspace(lower, upper, (bins or DEFAULT_CELLS) + 1)
    if whole:
        edges = np.unique(np.ceil(edges * (1 - ROUNDING)))
    return [float(lower), *edges[1:-1].tolist(), float(upper)]


def after(number: float, *, whole: bool) -> float:
    """Return the first number beyond ``number`` that the column could hold."""
    return number + 1 if whole else float(np.nextafter(number, np.inf))


def _edges(
    lower: float, upper: float, bins: int | Sequence[float] | None, *, whole: bool
) -> Floats:
    end = upper + 1 if whole else upper
    if bins is None:
        single = whole and end - lower <= MAX_SINGLE_VALUES
        bins = int(end - lower) if single else DEFAULT_CELLS if end > lower else 1
    if isinstance(bins, int):
        edges = np.linspace(lower, end, bins + 1)
        if end > lower and not np.all(np.diff(edges) > 0):
            raise ValueError("must leave room between the bounds for each cell")
        return edges
    listed = np.asarray(bins, dtype=np.float64)
    again = np.append(False, listed[1:] == listed[:-1])
    starts = np.where(again, listed + 1 if whole else np.nextafter(listed, np.inf), listed)
    if listed[-1] == upper and not again[-1]:
        starts = starts[:-1]  # the last cell is closed, so it holds the upper bound
    return np.array([lower, *starts[(starts > lower) & (starts <= upper)], end])


def _with_decimals(
    numbers: Floats, part: Floats, first: Floats, last: Floats, *, scale: float
) -> Floats:
    """Return a number of so many decimals in each interval; where there is none, ``numbers``."""
    low, high = np.ceil(first * scale), np.floor(last * scale)
    low -= (low - 1) / scale >= first  # the products were rounded, quotients are exact
    low += low / scale < first
    high += (high + 1) / scale <= last
    high -= high / scale > last
    chosen = np.minimum(low + np.floor(part * (high - low + 1)), high) / scale
    return np.where((low <= high) & (first <= chosen) & (chosen <= last), chosen, numbers)


@dataclass(frozen=True, eq=False)
class FineBins:
    """Fine cells; at which level each of them begins; where none may be merged with its left.

    Cells of the first level begin at multiples of a round width and at numbers of one
    significant digit, those of each next level at multiples of a tenth of it and at numbers of
    one digit more: so skewed columns are told apart near zero, and values that people round
    begin cells. At most ``most`` cells are to be made of them.
    """

    grid: Bins
    level: NDArray[np.int8]
    walls: Flags
    most: int

    @property
    def depth(self) -> int:
        """The number of levels."""
        return int(self.level.max()) + 1

    def merged(self, groups: Codes) -> Bins:
        """Return the grid in which neighbouring fine cells of one group number are one cell."""
        begins = np.append(True, groups[1:] != groups[:-1])
        cuts = np.append(self.grid.cuts[:-1][begins], self.grid.cuts[-1])
        return Bins(self.grid.lower, self.grid.upper, cuts, self.grid.whole, self.grid.decimals)


def make_fine_bins(coarse: Bins, cuts: Sequence[float], singles: Sequence[float]) -> FineBins:
    """Return the fine cells between the bounds of ``coarse``, which says how many may remain.

    Cells begin at each of ``cuts`` as well, and each of ``singles`` is a cell by itself: these
    are never merged with their neighbours.
    """
    lower, upper, whole = coarse.lower, coarse.upper, coarse.whole
    ends = [_next(number, coarse) for number in singles]
    inside = [cut for cut in (*cuts, *singles, *ends) if lower < cut <= upper]
    walls = np.unique([lower, *inside])
    tiers = [tier[(tier > lower) & (tier <= upper)] for tier in _tiers(coarse)]
    starts = np.unique(np.concatenate([walls, *tiers]))
    level = np.zeros(len(starts), dtype=np.int8)
    for depth, tier in reversed(list(enumerate(tiers))):
        level[np.searchsorted(starts, tier)] = depth
    is_wall = np.isin(starts, walls)
    level[is_wall] = 0
    grid = Bins(lower, upper, np.append(starts, coarse.cuts[-1]), whole, coarse.decimals)
    return FineBins(grid, level, is_wall, len(coarse))


def _next(number: float, grid: Bins) -> float:
    """Return where the cell of ``number`` alone ends: at the next number that may be drawn."""
    beyond = after(number, whole=grid.whole)
    if grid.decimals is None:
        return beyond
    scale = 10.0**grid.decimals
    return max(beyond, float((np.floor(number * scale) + 1) / scale))


def _tiers(grid: Bins) -> list[Floats]:
    """Return the numbers at which cells of each level begin; each holds those before it."""
    smallest = 0 if grid.whole else None if grid.decimals is None else -grid.decimals
    digit, power = _round_width((grid.upper - grid.lower) / FIRST_CELLS)
    tiers = []
    for depth in range(MAX_LEVELS):
        steps = (digit, power - depth)
        # Below twice the smallest step a further level would tell hardly more.
        ended = smallest is not None and digit * 10.0 ** (power - depth - smallest) < 2.5
        if ended:
            steps = (1, smallest or 0)
        multiples = _multiples(grid, *steps)
        tiers.append(np.concatenate([multiples, _significant(grid, depth + 1, smallest)]))
        if ended:
            break
    return tiers


def _round_width(least: float) -> tuple[int, int]:
    """Return digit and power of ten of the smallest of 1, 2, 5, 10, ... that is not below it."""
    power = int(np.floor(np.log10(least)))
    fits = [digit for digit in (1, 2, 5) if digit * 10.0**power >= least]
    return (fits[0], power) if fits else (1, power + 1)


def _multiples(grid: Bins, digit: int, power: int) -> Floats:
    step = digit * 10.0**power
    counts = np.arange(np.floor(grid.lower / step), np.ceil(grid.upper / step) + 1)
    return _scaled(counts * digit, power)


def _significant(grid: Bins, digits: int, smallest: int | None) -> Floats:
    """Return the numbers of at most so many significant digits, of both signs."""
    top = int(np.floor(np.log10(max(abs(grid.lower), abs(grid.upper)))))
    least = top - DECADES if smallest is None else smallest
    mantissas = np.arange(1.0, 10.0**digits)
    powers = range(max(least, top - 2 * DECADES), top + 1)
    numbers = np.concatenate([np.empty(0), *(_scaled(mantissas, power) for power in powers)])
    return np.concatenate([-numbers, numbers])


def _scaled(numbers: Floats, power: int) -> Floats:
    """Return whole ``numbers`` times a power of ten, as close as their decimal text is read."""
    return numbers * 10.0**power if power >= 0 else numbers / 10.0**-power
