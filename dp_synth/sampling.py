"""Sampling of a release: evidence that is given of its rows, rows drawn by it, gaps completed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.inference import Model
from dp_synth.schema import Schema, numeric
from dp_synth.schema.columns import Bins, DiscreteColumn, IdColumn, after
from dp_synth.schema.kinds import Coded, Draw, Style, decoded
from dp_synth.schema.numeric import DatetimeColumn, NumericColumn
from dp_synth.schema.parsing import Cells, numbers_of
from dp_synth.types import Codes, Floats

Value = str | int | float | None
Given = Value | Sequence[Value] | Set[Value] | NDArray[np.generic] | pd.Series | pd.Index

Line = NumericColumn | DatetimeColumn

SHOWN = 10  # categories in a message
DRAWN = 2**20
"""Records that are drawn at one time where rows come in blocks: no fewer than are by default."""

LEAST_PART = 1e-12  # of a cell that a value has, where the density there is too small to compute

MOST_CODES = 2**26  # that are drawn at one time: of more than 64 columns fewer records than that


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is given of one column: how much of each code it picks, and the values then drawn."""

    column: str
    weights: Floats
    drawn: Drawn | None  # None for categories, whose codes are their values


@dataclass(frozen=True, eq=False)
class Drawn:
    """A column of numbers or dates cut to pieces of its cells, from which values are drawn.

    Of code c, the ``pieces[c]`` are cells of ``grid``, drawn with the chances ``shares[c]``.
    """

    column: Line
    grid: Bins
    pieces: Mapping[int, NDArray[np.intp]]
    shares: Mapping[int, Floats]

    def draw(self, codes: Codes, rng: np.random.Generator) -> tuple[Floats, Codes]:
        """Return what `numeric.draw` does, of the pieces of each cell."""
        ordinary = len(self.column.grid)
        own = codes - ordinary + len(self.grid)
        for code, pieces in self.pieces.items():
            here = np.flatnonzero(codes == code)
            own[here] = rng.choice(pieces, len(here), p=self.shares[code])
        return numeric.draw(self.grid, own.astype(np.int32), rng)


def read_given(schema: Schema, given: Mapping[str, Given]) -> list[Evidence]:
    """Return what is given, column by column.

    A value stands for itself, a list, set or array for any of its values, and in a column of
    numbers or dates a pair ``(low, high)`` for all from ``low`` to ``high``. None is the mark for
    an absent cell. InputError when a column is unknown, or when it has no such value.
    """
    return [_read(schema, str(name), wanted) for name, wanted in given.items()]


def read_given_rows(schema: Schema, rows: pd.DataFrame | ArrowTable) -> Codes:
    """Return the code of each cell of partial rows, shape (records, attributes); -1 for a gap.

    Gaps are the cells of columns that ``rows`` lacks, absent cells (NaN, None) and empty texts.
    InputError when a column is unknown, or when it has no such value.
    """
    rows = as_frame(rows, "given")
    codes = np.full((len(rows), len(schema.domain)), -1, dtype=np.int32)
    for name in map(str, rows.columns):
        column = schema.column(attribute_of(schema, name))
        assert not isinstance(column, IdColumn)  # a release has none
        cells = Cells.of(column_of(rows, name))
        by_cell = [-1 if text == "" else _code(column, text) for text in cells.texts()[:-1]]
        codes[:, schema.domain.axis(name)] = np.array([*by_cell, -1])[cells.positions]
    return codes


def _code(column: DiscreteColumn | Line, text: str) -> int:
    """Return the code of a value; InputError when the column has no such value."""
    if isinstance(column, DiscreteColumn):
        return _category(column, text)
    place = _mark(column, text)
    if place >= 0:
        return len(column.grid) + place
    return int(column.grid.cells(np.array([_number(column, text)]))[0])


def attribute_of(schema: Schema, name: str) -> str:
    """Return ``name``; InputError when no column of the schema is called so."""
    if name not in schema.names:
        raise InputError(unknown("column", name, schema.names))
    return name


def _read(schema: Schema, name: str, wanted: Given) -> Evidence:
    column = schema.column(attribute_of(schema, name))
    if isinstance(column, (NumericColumn, DatetimeColumn)):
        if isinstance(wanted, tuple):
            return _in_range(column, wanted)
        return _among(column, _listed(name, wanted))
    assert isinstance(column, DiscreteColumn)
    if isinstance(wanted, tuple):
        raise InputError(f"column {name!r} has no ranges; give a category, or a list of them")
    weights = np.zeros(column.size)
    for value in _listed(name, wanted):
        weights[_category(column, value)] = 1.0
    return Evidence(name, weights, None)


def _listed(name: str, wanted: Given) -> Sequence[Value]:
    if isinstance(wanted, (np.ndarray, pd.Series, pd.Index)):
        wanted = np.asarray(wanted).ravel().tolist()
    elif isinstance(wanted, Set):
        wanted = list(wanted)
    if isinstance(wanted, str) or not isinstance(wanted, Sequence):
        return [wanted]
    if not wanted:
        raise InputError(f"column {name!r}: an empty list leaves no record; name a value")
    return wanted


def _category(column: DiscreteColumn, value: Value) -> int:
    if value is None:
        return len(column.texts) + _mark(column, value)
    code = column.lookup(Cells.of(pd.Series([value], dtype=object)))[0]
    if code is None:
        known = [*column.texts, *column.missing]
        raise InputError(f"column {column.name!r} has {unknown('category', value, known)}")
    return code


def _mark(column: DiscreteColumn | Line, value: Value) -> int:
    """Return the place of a missing mark; -1 when the value is none."""
    if value is None and column.missing:
        return column.absent_mark
    if value is None:
        raise InputError(f"column {column.name!r} has no missing values; give a value")
    if str(value) in column.missing:
        return column.missing.index(str(value))
    if isinstance(column, DiscreteColumn):
        return -1
    number = column.numbers(Cells.of(pd.Series([value], dtype=object)))[0]
    places = np.flatnonzero(column.mark_numbers == number)  # -999.0 for -999
    return int(places[0]) if len(places) else -1


def _among(column: Line, values: Sequence[Value]) -> Evidence:
    """Return the evidence that a column holds one of some values.

    Of a cell of whole numbers a value is its share; of a cell of real numbers, where one number
    has no share, all of it.
    """
    grid = column.grid
    weights = np.zeros(column.size)
    numbers: set[float] = set()
    for value in values:
        place = _mark(column, value)
        if place >= 0:
            weights[len(grid) + place] = 1.0
        else:
            numbers.add(_number(column, value))
    singles = np.array(sorted(numbers))
    cells = grid.cells(singles)
    width = grid.cuts[cells + 1] - grid.cuts[cells] if grid.whole else 1.0
    parts = np.ones(len(singles))
    own = np.broadcast_to(1.0 / width, cells.shape)
    if grid.whole and not grid.is_uniform:
        within = grid.mass_below(cells, singles + 1) - grid.mass_below(cells, singles)
        own = parts = np.maximum(within, LEAST_PART)
    np.add.at(weights, cells, own)
    ends = np.array([after(number, whole=grid.whole) for number in singles])
    return Evidence(column.name, np.minimum(weights, 1.0), _drawn(column, singles, ends, parts))


def _in_range(column: Line, ends: Sequence[Value]) -> Evidence:
    """Return the evidence that a column lies between two numbers, both included."""
    grid = column.grid
    if len(ends) != 2 or any(end is None for end in ends):
        raise InputError(f"column {column.name!r}: a range is a pair (low, high)")
    low, high = (_number(column, end, bounded=False) for end in ends)
    if low > high or high < grid.lower or low > grid.upper:
        raise InputError(
            f"column {column.name!r}: a range (low, high) must rise and meet its bounds "
            f"{_bounds(column)}, got {ends[0]} to {ends[1]}"
        )
    low, high = max(low, grid.lower), min(high, grid.upper)
    if grid.whole:
        low, high = float(np.ceil(low)), float(np.floor(high))
    if low > high:
        raise InputError(f"column {column.name!r}: holds whole numbers, and none is in that range")
    if low == high:
        value: Value = int(low) if grid.whole else low
        if isinstance(column, DatetimeColumn):
            value = str(column.written(np.array([low]))[0])
        return _among(column, [value])
    cuts = grid.cuts.copy()
    cuts[-1] = after(grid.upper, whole=grid.whole)  # the last cell is closed
    begins = np.maximum(cuts[:-1], low)
    beyond = np.minimum(cuts[1:], after(high, whole=grid.whole))
    shares = np.maximum(beyond - begins, 0.0) / np.diff(cuts)
    if not grid.is_uniform:
        closed, every = replace(grid, cuts=cuts), np.arange(len(grid), dtype=np.int32)
        within = closed.mass_below(every, beyond) - closed.mass_below(every, begins)
        shares = np.where(shares > 0, np.maximum(within, LEAST_PART), 0.0)
    kept = np.flatnonzero(shares > 0)
    weights = np.zeros(column.size)
    weights[: len(grid)] = shares
    drawn = _drawn(column, begins[kept], beyond[kept], np.ones(len(kept)))
    return Evidence(column.name, weights, drawn)


def _drawn(column: Line, begins: Floats, ends: Floats, parts: Floats) -> Drawn:
    """Return pieces ``[begin, end)`` of a column's cells, each with its part of a cell."""
    grid = column.grid
    beyond = max(grid.upper, float(ends.max(initial=grid.upper))) + 1.0  # the last cell stays empty
    cuts = np.unique([grid.lower, *begins, *ends, beyond, beyond + 1.0])
    cells, places = grid.cells(begins), np.searchsorted(cuts, begins)
    narrow = Bins(grid.lower, beyond + 1.0, cuts, grid.whole, grid.decimals, grid.is_log)
    if grid.slopes is not None:
        slopes, widths = np.zeros(len(narrow)), np.diff(grid.cuts)[cells]
        slopes[places] = grid.slopes[cells] * (ends - begins) / np.where(widths > 0, widths, 1.0)
        narrow = replace(narrow, slopes=slopes)
    pieces = {int(cell): places[cells == cell] for cell in np.unique(cells)}
    shares = {cell: parts[cells == cell] / parts[cells == cell].sum() for cell in pieces}
    return Drawn(column, narrow, pieces, shares)


def _number(column: Line, value: Value, *, bounded: bool = True) -> float:
    """Return the number, or the unit since 1970, that a value is; InputError for no such value."""
    number = float("nan")
    if isinstance(column, DatetimeColumn):
        number = float(column.numbers(Cells.of(pd.Series([value], dtype=object)))[0])
    elif value is not None and not isinstance(value, bool):
        if isinstance(value, str) and column.format is not None:
            number = float(column.format.read([value])[0])  # as the table writes numbers
        if np.isnan(number):
            number = float(numbers_of([value])[0])
    outside = not column.grid.lower <= number <= column.grid.upper
    if np.isnan(number) or (bounded and outside):
        kind = "a date" if isinstance(column, DatetimeColumn) else "a number"
        marks = f" or a missing mark ({', '.join(map(repr, column.missing))})"
        raise InputError(
            f"column {column.name!r}: takes {kind} from {_bounds(column)}"
            f"{marks if column.missing and bounded else ''}, got {value!r}"
        )
    if bounded and column.grid.whole and not number.is_integer():
        raise InputError(f"column {column.name!r}: holds whole numbers, got {value!r}")
    return number


def _bounds(column: Line) -> str:
    lower, upper = column.lower, column.upper
    texts = [f"{b:.15g}" if isinstance(b, float) else str(b) for b in (lower, upper)]
    return " to ".join(texts)


@dataclass(frozen=True, eq=False)
class Sampler:
    """A model of the records that are as given, with numbers drawn as given, and what to balance.

    ``model`` draws codes over ``columns``; the values of ``balance`` get as equal numbers of
    records as can be.
    """

    columns: tuple[Coded, ...]
    model: Model
    given: Mapping[str, Draw]
    balance: str | None = None

    @classmethod
    def of(
        cls, schema: Schema, model: Model, given: Mapping[str, Given], balance: str | None
    ) -> Sampler:
        """Return the sampler of what is given; InputError for what there is not, or cannot be."""
        evidence = read_given(schema, given)
        if evidence:
            model = _conditioned(model, {one.column: one.weights for one in evidence})
        draws = {one.column: one.drawn.draw for one in evidence if one.drawn is not None}
        column = None if balance is None else attribute_of(schema, balance)
        return cls(schema.synthesized(), model, draws, column)

    def frames(
        self, records: int, rng: np.random.Generator, size: int | None, style: Style
    ) -> Iterator[pd.DataFrame]:
        """Give records in frames of at most ``size``, one at least; without a size all in one.

        Without one all codes are drawn at once, else those of at most `DRAWN` records: memory
        does not grow with their number then.
        """
        most = max(records, 1) if size is None else self._drawn_at_once(records)
        for start in range(0, max(records, 1), most):
            codes = self._codes(min(records - start, most), rng)
            yield from decoded(
                self.columns, codes, rng, size or most, style=style, given=self.given
            )
            del codes  # before the next are drawn

    def _drawn_at_once(self, records: int) -> int:
        most = max(1, min(DRAWN, MOST_CODES // len(self.columns)))
        if self.balance is None or records <= most:
            return most
        return max(1, most - most % len(_possible(self.model, self.balance)))

    def _codes(self, records: int, rng: np.random.Generator) -> Codes:
        if self.balance is None:
            codes = self.model.sample(records, rng)
        else:
            codes = _balanced(self.model, self.balance, records, rng)
        return codes[:, : len(self.columns)]


def completed(
    schema: Schema, model: Model, partial: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return each of the partial rows with its gaps drawn, given all else in it."""
    known = read_given_rows(schema, partial)
    behind = np.full((len(known), len(model.domain) - known.shape[1]), -1, dtype=np.int32)
    codes, possible = model.completed(np.hstack([known, behind]), rng)
    codes = codes[:, : known.shape[1]]
    impossible = np.flatnonzero(~possible).tolist()
    if impossible:
        raise InputError(
            f"no record of the release can have what is given in {_numbered(impossible)}; "
            "give less of them, or leave them out"
        )
    rows = schema.decode(codes, rng)
    for name in map(str, partial.columns):
        is_drawn = known[:, schema.domain.axis(name)] < 0
        column = schema.select([name]).typed(partial)[name]
        rows[name] = rows[name].where(is_drawn, column)
    return rows


def _conditioned(model: Model, weights: Mapping[str, Floats]) -> Model:
    try:
        return model.conditioned(weights)
    except ValueError as error:
        raise InputError(
            f"no record of the release can have what is given of "
            f"{', '.join(map(repr, weights))}; ask for less at once"
        ) from error


def _balanced(model: Model, column: str, records: int, rng: np.random.Generator) -> Codes:
    """Return rows of codes, as many for each code of a column that can occur, in random order."""
    size, possible = model.domain.size(column), _possible(model, column)
    counts = np.full(len(possible), records // len(possible))
    counts[rng.permutation(len(possible))[: records % len(possible)]] += 1
    parts = [
        model.conditioned({column: (np.arange(size) == code).astype(float)}).sample(int(count), rng)
        for code, count in zip(possible, counts, strict=True)
        if count
    ]
    return rng.permutation(np.concatenate(parts)) if parts else model.sample(0, rng)


def _possible(model: Model, column: str) -> NDArray[np.intp]:
    return np.flatnonzero(model.marginal((column,)) > 0)


def _numbered(places: list[int]) -> str:
    shown = ", ".join(str(place + 1) for place in sorted(places)[:SHOWN])
    return f"row{'s' * (len(places) > 1)} {shown}{', ...' * (len(places) > SHOWN)}"
