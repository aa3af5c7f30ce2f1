"""Cells of a column, text or typed, read once for each distinct value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.frames import FOREIGN, text_of, texts_of
from dp_synth.types import Flags, Floats

_EPOCH = datetime(1970, 1, 1)
_OFFSET = re.compile(r":\d\d.*([-+]\d\d:?\d\d|Z)\s*$")
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Cells:
    """The distinct cells of a column, and which of them each record holds.

    ``positions`` indexes lookup arrays one longer than ``distinct``: an absent cell (NaN, None,
    NaT) has position -1 and so takes the last entry. Typed times with a ``zone`` are held in UTC.
    Whatever a cell holds, nothing here raises.
    """

    distinct: NDArray[np.generic]
    positions: NDArray[np.intp]
    zone: tzinfo | None = None

    @classmethod
    def of(cls, series: pd.Series) -> Cells:
        """Return the cells of ``series``, whatever its dtype."""
        try:
            positions, distinct = pd.factorize(series)
            _ = np.asarray(distinct)
        except FOREIGN:  # cells that cannot be hashed or compared, such as lists
            positions, distinct = pd.factorize(pd.Series(_one_by_one(series), dtype=object))
        if pd.api.types.is_datetime64_any_dtype(distinct):
            moments = pd.DatetimeIndex(distinct)
            zone = moments.tz
            naive = moments if zone is None else moments.tz_convert(None)
            return cls(naive.to_numpy(), positions, zone)
        found = np.asarray(distinct)
        if found.dtype.kind in "mS":  # durations and bytes are known by their text
            found = np.array([text_of(cell) for cell in found], dtype=object)
        return cls(found, positions)

    def texts(self) -> list[str]:
        """Return the distinct cells as text, the absent one (last) as an empty text."""
        return self._texts

    @cached_property
    def _texts(self) -> list[str]:
        if self.distinct.dtype.kind == "M":
            moments = pd.DatetimeIndex(self.distinct)
            if self.zone is not None:
                moments = moments.tz_localize("UTC").tz_convert(self.zone)
            return [*map(str, moments), ""]
        return [*map(text_of, self.distinct), ""]

    def numbers(self) -> Floats:
        """Return the distinct cells as numbers, infinite ones as well; NaN where they are none.

        Narrow floats are the decimals that their text says; logical values are no numbers.
        """
        return self._numbers

    @cached_property
    def _numbers(self) -> Floats:
        kind, width = self.distinct.dtype.kind, self.distinct.dtype.itemsize
        if kind == "b":
            return np.full(len(self.distinct) + 1, np.nan)
        if kind in "iu" or (kind == "f" and width >= 8):
            return np.append(self.distinct.astype(np.float64), np.nan)
        if kind == "f":
            return np.append(self.distinct.astype(str).astype(np.float64), np.nan)
        return np.append(_read(map(_readable, self.distinct)), np.nan)

    def truths(self) -> Floats:
        """Return 1 and 0 for cells that say true and false, as words or as numbers; else NaN."""
        said = np.full(len(self.distinct) + 1, np.nan)
        numbers = self.numbers()
        said[(numbers == 0) | (numbers == 1)] = numbers[(numbers == 0) | (numbers == 1)]
        texts = self.texts()
        for place in np.flatnonzero(np.isnan(numbers))[:-1]:
            said[place] = truth_of(texts[place])
        return said

    def seconds(self, offset: float = 0.0) -> Floats:
        """Return the distinct cells as seconds since 1970 in UTC; NaN where they are no dates.

        Times that say no offset from UTC are taken to be ``offset`` seconds ahead of it.
        """
        if self.distinct.dtype.kind == "M":
            ahead = offset if self.zone is None else 0.0
            return np.append(_seconds(self.distinct) - ahead, np.nan)
        texts = self.texts()[:-1]
        return np.append(np.array([seconds_of(text, offset) for text in texts]), np.nan)

    def have_offsets(self) -> Flags:
        """Tell which distinct cells are times that say their offset from UTC."""
        if self.distinct.dtype.kind == "M":
            return np.append(np.full(len(self.distinct), self.zone is not None), False)
        return np.array([_OFFSET.search(text) is not None for text in self.texts()])


def _one_by_one(series: pd.Series) -> NDArray[np.object_]:
    """Return the cells of ``series`` as texts, the absent ones as None."""
    texts: list[str | None]
    if isinstance(series.dtype, pd.ArrowDtype):
        chunks = series.array.__arrow_array__().chunks
        texts = [text for chunk in chunks for text in texts_of(chunk)]
        texts = [text or None for text in texts]
    else:
        texts = [None if _is_absent(cell) else text_of(cell) for cell in series]
    found = np.empty(len(texts), dtype=object)
    found[:] = texts
    return found


def _is_absent(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or (type(cell) is float and cell != cell)


def numbers_of(texts: Iterable[str | float]) -> Floats:
    """Return the finite numbers that are written in ``texts``; NaN for anything else.

    >>> numbers_of(["5000.0", " 7", "1_000", "?", "inf"]).tolist()
    [5000.0, 7.0, nan, nan, nan]
    """
    return _finite(_read(texts))


def seconds_of(text: str, offset: float = 0.0) -> float:
    """Return the ISO date or time in ``text`` as seconds since 1970; NaN when it is none.

    A time with an offset is taken to UTC, one without is taken to be ``offset`` seconds ahead.

    >>> seconds_of("1970-01-02"), seconds_of("1970-01-01T01:00:00+01:00"), seconds_of("?")
    (86400.0, 0.0, nan)
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            moment, offset = moment.astimezone(UTC).replace(tzinfo=None), 0.0
    except (ValueError, OverflowError):
        return math.nan
    return (moment - _EPOCH).total_seconds() - offset


def truth_of(text: str) -> float:
    """Return 1 or 0 for a text that says true or false, as a word or a number; else NaN.

    >>> [truth_of(text) for text in ("TRUE", "false", "1.0", "0", "yes")]
    [1.0, 0.0, 1.0, 0.0, nan]
    """
    word = text.strip().lower()
    number = float(word == "true") if word in ("true", "false") else _number(word)
    return number if number in (0.0, 1.0) else math.nan


def _seconds(moments: NDArray[np.generic]) -> Floats:
    """Return typed moments as seconds since 1970, whatever unit they count, to the microsecond."""
    unit = np.datetime_data(str(moments.dtype))[0]
    counts = moments.astype(np.int64)
    if unit == "ns":
        return counts // 1000 / 1e6
    per_second = {"us": 1e6, "ms": 1e3}.get(unit, 1.0)
    return counts / per_second


def _readable(cell: object) -> str | float:
    if isinstance(cell, (bool, np.bool_)):
        return math.nan
    if isinstance(cell, (int, float)):
        return _number(cell)
    return text_of(cell)


def _read(texts: Iterable[str | float]) -> Floats:
    """Return the numbers that are written in ``texts``, infinite ones as well; else NaN."""
    cells = list(texts)
    try:
        plain = not any(isinstance(cell, str) and "_" in cell for cell in cells)
        if plain:
            return np.array(cells, dtype=object).astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        pass  # at least one cell is not a number: they are read one by one
    return np.array([_number(cell) for cell in cells], dtype=np.float64)


def _number(cell: str | float) -> float:
    try:
        return math.nan if isinstance(cell, str) and "_" in cell else float(cell)
    except OverflowError:  # an integer beyond all floats
        return math.inf if cell > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        return math.nan


def narrowed(numbers: Floats) -> Floats:
    """Return what 32-bit floats hold of ``numbers``; NaN for whole ones, which say what they are.

    >>> bool(narrowed(np.array([-99.9]))[0] == narrowed(np.array([-99.9000015]))[0])
    True
    """
    with np.errstate(over="ignore", invalid="ignore"):
        held = numbers.astype(np.float32).astype(np.float64)
        return np.where(numbers == np.rint(numbers), np.nan, held)


def _finite(numbers: Floats) -> Floats:
    return np.where(np.isfinite(numbers), numbers, np.nan)
