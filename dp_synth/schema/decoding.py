"""Codes decoded in blocks: the same cells, of the same draws, as all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.schema import line
from dp_synth.schema.columns import DiscreteColumn
from dp_synth.schema.dates import DatetimeColumn
from dp_synth.schema.grid import Floats
from dp_synth.schema.kinds import of_codes, of_numbers
from dp_synth.schema.numeric import NumericColumn

Codes = NDArray[np.int32]
Numbers = tuple[Floats, Codes]
"""Numbers of a column, and their places among its missing marks, -1 for values."""

Draw = Callable[[Codes, np.random.Generator], Numbers]
Style = Literal["written", "listed", "schema"]
Line = NumericColumn | DatetimeColumn
Coded = DiscreteColumn | Line


def checked(columns: Sequence[Coded], codes: NDArray[np.integer]) -> Codes:
    """Return codes, shape (records, columns), as int32; ValueError where they are none."""
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != len(columns):
        raise ValueError(f"codes must have shape (records, {len(columns)}), got {codes.shape}")
    for axis, column in enumerate(columns):
        own = codes[:, axis]
        if len(own) and not 0 <= own.min() <= own.max() < column.size:
            raise ValueError(f"codes of {column.name!r} must lie in [0, {column.size})")
    return codes.astype(np.int32, copy=False)


def decoded(
    columns: Sequence[Coded],
    codes: Codes,
    rng: np.random.Generator,
    size: int,
    *,
    style: Style,
    given: Mapping[str, Draw],
) -> Iterator[pd.DataFrame]:
    """Give the table of ``codes`` in frames of at most ``size`` records, one at least.

    ``rng`` must be of bits that can be advanced, as that of numpy's ``default_rng``; the draws are
    those of `Schema.decode`.
    ``written`` cells are as `Schema.decode` gives them, ``listed`` ones the same with categories as
    categoricals, those of ``schema`` in the kinds of `Schema.in_kinds`. The numbers of ``given``
    columns are drawn as it says, after all others and all at once.
    """
    sources = _sources(columns, checked(columns, codes), rng, given)
    for start in range(0, max(len(codes), 1), size):
        part = slice(start, start + size)
        yield pd.DataFrame(
            {
                column.name: _listed(column, codes[part, axis], style)
                if isinstance(column, DiscreteColumn)
                else sources[column.name](part, style)
                for axis, column in enumerate(columns)
            }
        )


Source = Callable[[slice, Style], pd.Series]


def _sources(
    columns: Sequence[Coded],
    codes: Codes,
    rng: np.random.Generator,
    given: Mapping[str, Draw],
) -> dict[str, Source]:
    """Return what gives the cells of each column of numbers, asked for part after part."""
    sources: dict[str, Source] = {}
    lines = [(axis, c) for axis, c in enumerate(columns) if not isinstance(c, DiscreteColumn)]
    for axis, column in lines:
        own = deepcopy(rng)
        cast(np.random.PCG64, rng.bit_generator).advance(len(codes))  # a draw for each record
        if _is_mixed(column):
            sources[column.name] = _held(column, *line.draw(column.grid, codes[:, axis], own))
        else:
            sources[column.name] = _streamed(column, codes[:, axis], own)
    for axis, column in lines:
        if column.name in given:
            sources[column.name] = _held(column, *given[column.name](codes[:, axis], rng))
    return sources


def _streamed(column: Line, codes: Codes, rng: np.random.Generator) -> Source:
    def cells(part: slice, style: Style) -> pd.Series:
        return _shown(column, *line.draw(column.grid, codes[part], rng), style)

    return cells


def _held(column: Line, numbers: Floats, places: Codes) -> Source:
    plain = isinstance(column, NumericColumn) and column.format is None
    kind = column.written(numbers).dtype if plain else None

    def cells(part: slice, style: Style) -> pd.Series:
        return _shown(column, numbers[part], places[part], style, kind)

    return cells


def _is_mixed(column: Line) -> bool:
    """Tell whether the kind of what is written depends on all numbers: a whole one, or a real one.

    So it is where cells are to have no decimals, and one of them holds no whole number.
    """
    if isinstance(column, DatetimeColumn) or column.decimals != 0 or column.format is not None:
        return False
    cuts = column.grid.cuts
    return bool((np.floor(cuts[1:]) - np.ceil(cuts[:-1]) < 1).any())


def _shown(
    column: Line,
    numbers: Floats,
    places: Codes,
    style: Style,
    kind: np.dtype[np.generic] | None = None,
) -> pd.Series:
    if style == "schema":
        return of_numbers(column, np.where(places >= 0, np.nan, numbers))
    written = column.written(numbers)
    return line.with_marks(column, written if kind is None else written.astype(kind), places)


def _listed(column: DiscreteColumn, codes: Codes, style: Style) -> pd.Series:
    if style == "schema":
        return of_codes(column, codes)
    texts = [*column.texts, *column.missing]
    if style == "written":
        return pd.Series(np.array(texts, dtype=object)[codes], name=column.name, dtype=object)
    made = pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(texts))
    return pd.Series(made, name=column.name)
