"""Cells of a column, text or typed, read once for each distinct value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1)
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Cells:
    """The distinct cells of a column, and which of them each record holds.

    ``positions`` indexes lookup arrays one longer than ``distinct``: an absent cell (NaN, None,
    NaT) has position -1 and so takes the last entry. Whatever a cell holds, nothing here raises.
    """

    distinct: NDArray[np.generic]
    positions: NDArray[np.intp]

    @classmethod
    def of(cls, series: pd.Series) -> Cells:
        """Return the cells of ``series``, whatever its dtype."""
        try:
            positions, distinct = pd.factorize(series)
        except TypeError:  # cells that cannot be hashed, such as lists
            positions, distinct = pd.factorize(series.map(str))
        if pd.api.types.is_datetime64_any_dtype(distinct):
            naive = pd.DatetimeIndex(distinct)
            naive = naive.tz_convert(None) if naive.tz is not None else naive
            return cls(naive.to_numpy(), positions)
        return cls(np.asarray(distinct), positions)

    def texts(self) -> list[str]:
        """Return the distinct cells as text, the absent one (last) as an empty text."""
        if self.distinct.dtype.kind == "M":
            return [*(str(cell) for cell in pd.DatetimeIndex(self.distinct)), ""]
        return [*(cell if isinstance(cell, str) else _text(cell) for cell in self.distinct), ""]

    def numbers(self) -> NDArray[np.float64]:
        """Return the distinct cells as finite numbers; NaN where they are none."""
        if self.distinct.dtype.kind in "biuf":
            return _finite(np.append(self.distinct.astype(np.float64), np.nan))
        return np.append(numbers_of(map(_readable, self.distinct)), np.nan)

    def seconds(self) -> NDArray[np.float64]:
        """Return the distinct cells as seconds since 1970 in UTC; NaN where they are no dates."""
        if self.distinct.dtype.kind == "M":
            microseconds = self.distinct.astype("datetime64[us]").astype(np.int64)
            return np.append(microseconds / 1e6, np.nan)
        return np.append(np.array([seconds_of(text) for text in self.texts()[:-1]]), np.nan)


def numbers_of(texts: Iterable[str | float]) -> NDArray[np.float64]:
    """Return the finite numbers that are written in ``texts``; NaN for anything else.

    >>> numbers_of(["5000.0", " 7", "1_000", "?", "inf"]).tolist()
    [5000.0, 7.0, nan, nan, nan]
    """
    cells = list(texts)
    try:
        plain = not any(isinstance(cell, str) and "_" in cell for cell in cells)
        if plain:
            return _finite(np.array(cells, dtype=object).astype(np.float64))
    except (ValueError, TypeError, OverflowError):
        pass  # at least one cell is not a number: they are read one by one
    return _finite(np.array([_number(cell) for cell in cells], dtype=np.float64))


def seconds_of(text: str) -> float:
    """Return the ISO date or time in ``text`` as seconds since 1970; NaN when it is none.

    A time with an offset is taken to UTC, one without is taken as it is.

    >>> seconds_of("1970-01-02"), seconds_of("1970-01-01T01:00:00+01:00"), seconds_of("?")
    (86400.0, 0.0, nan)
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return math.nan
    return (moment - _EPOCH).total_seconds()


def _text(cell: object) -> str:
    try:
        return str(cell)
    except ValueError:  # an integer of more digits than Python writes
        return ""


def _readable(cell: object) -> str | float:
    if isinstance(cell, str):
        return cell
    # True reads as 1, as it does in a column of logical values.
    return float(cell) if isinstance(cell, (bool, np.bool_, np.floating)) else _text(cell)


def _number(cell: str | float) -> float:
    text = str(cell)
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def _finite(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(numbers), numbers, np.nan)
