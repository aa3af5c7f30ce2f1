"""How dates and times are written in a table: formats such as ``%d/%m/%Y``, read and written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1)
_SHORT = tuple(name[:3] for name in MONTHS)
_TWO = r"\d\d?"
_READ = {  # a part and what it may look like
    "Y": r"\d{4}", "y": r"\d\d", "m": _TWO, "d": _TWO, "H": _TWO, "I": _TWO, "M": r"\d\d",
    "S": r"\d\d", "p": "[AaPp][Mm]", "b": "|".join(_SHORT), "B": "|".join(MONTHS),
    "z": r"Z|[-+]\d\d:?\d\d",
}  # fmt: skip
_WRITE: dict[str, Callable[[datetime], str]] = {
    "Y": lambda t: f"{t.year:04d}",
    "y": lambda t: f"{t.year % 100:02d}",
    "m": lambda t: f"{t.month:02d}",
    "d": lambda t: f"{t.day:02d}",
    "H": lambda t: f"{t.hour:02d}",
    "I": lambda t: f"{(t.hour - 1) % 12 + 1:02d}",
    "M": lambda t: f"{t.minute:02d}",
    "S": lambda t: f"{t.second:02d}",
    "p": lambda t: "AM" if t.hour < 12 else "PM",
    "b": lambda t: _SHORT[t.month - 1],
    "B": lambda t: MONTHS[t.month - 1],
}
_UNITS = (("S", "s"), ("M", "m"), ("HI", "h"), ("d", "D"), ("mbB", "M"), ("Yy", "Y"))
_PART = re.compile(r"%(-?)(.)", re.DOTALL)


@dataclass(frozen=True)
class DateFormat:
    """A pattern of ``%Y %y %m %d %b %B %H %I %M %S %p %z`` and of text that stands as it is.

    The parts mean what they mean in Python's ``strptime``, names of months are English ones,
    and ``%-d`` writes no leading zero. Two-digit years are those of the hundred years that end
    with the year ``last``. ValueError for a pattern that tells neither a date nor a time of day.

    >>> form = DateFormat("%d/%m/%y", last=2010)
    >>> form.seconds("31/12/50"), form.unit
    (-599702400.0, 'D')
    >>> form.text(datetime(1950, 12, 31))
    '31/12/50'
    """

    pattern: str
    last: int = 2068

    def __post_init__(self) -> None:
        """Check the pattern."""
        parts = [part for _, part in _PART.findall(self.pattern)]
        unknown = [part for part in parts if part not in _READ]
        if unknown or self.pattern.replace("%%", "").count("%") != len(parts):
            known = " ".join(f"%{part}" for part in _READ)
            raise ValueError(f"must be made of {known}, got {self.pattern!r}")
        kinds = ["".join(p for p in parts if p in group) for group in ("Yy", "mbB", "d", "HI")]
        year, month, day, hour = kinds
        dated = bool(year) and len(year) == 1 and len(month) <= 1 and (not day or bool(month))
        timed = not (year or month or day) and bool(hour)
        twice = len(set(parts)) < len(parts) or len(hour) > 1 or len(day) > 1
        halves = ("I" in parts) != ("p" in parts)
        gaps = ("M" in parts and not hour) or ("S" in parts and "M" not in parts)
        if twice or halves or gaps or not (dated or timed) or (dated and hour and not day):
            raise ValueError(
                "must tell a date, such as '%d/%m/%Y' or '%Y-%m', a time of day, such as '%H:%M', "
                f"or both, got {self.pattern!r}"
            )

    @property
    def unit(self) -> str:
        """The smallest step that the pattern tells, as numpy names it: s, m, h, D, M or Y."""
        parts = {part for _, part in _PART.findall(self.pattern)}
        return next(unit for group, unit in _UNITS if parts & set(group))

    @property
    def is_dated(self) -> bool:
        """Whether the pattern tells a date, not a time of day alone."""
        return any(part in "Yy" for _, part in _PART.findall(self.pattern))

    @property
    def is_zoned(self) -> bool:
        """Whether the pattern holds an offset from UTC."""
        return "%z" in self.pattern

    def seconds(self, text: str) -> float:
        """Return what ``text`` says as seconds since 1970, in UTC where it has an offset.

        A time of day is one of 1970-01-01. NaN for anything else.
        """
        found = _reader(self.pattern).fullmatch(text.strip())
        return math.nan if found is None else self._seconds(found.groupdict())

    def text(self, moment: datetime, offset: str = "") -> str:
        """Return ``moment`` as the pattern writes it, with ``offset`` for ``%z``."""

        def written(found: re.Match[str]) -> str:
            if found[2] == "z":
                return offset
            shown = _WRITE[found[2]](moment)
            return str(int(shown)) if found[1] else shown

        return _PART.sub(written, self.pattern)

    def _seconds(self, said: dict[str, str]) -> float:
        month = int(said.get("m", 1))
        for key, names in (("b", _SHORT), ("B", MONTHS)):
            if key in said:
                month = [name.lower() for name in names].index(said[key].lower()) + 1
        hour = int(said.get("H", 0))
        if "I" in said:
            if not 1 <= int(said["I"]) <= 12:
                return math.nan
            hour = int(said["I"]) % 12 + 12 * (said["p"].lower() == "pm")
        minute, second = int(said.get("M", 0)), int(said.get("S", 0))
        try:
            day = int(said.get("d", 1))
            moment = datetime(self._year(said), month, day, hour, minute, second)
        except ValueError:
            return math.nan
        return (moment - _EPOCH).total_seconds() - offset_seconds(said.get("z", "Z"))

    def _year(self, said: dict[str, str]) -> int:
        if "y" in said:
            return self.last - (self.last - int(said["y"])) % 100
        return int(said.get("Y", 1970))


def offset_seconds(offset: str) -> int:
    """Return the seconds from UTC that an offset such as ``+02:00`` or ``Z`` says.

    >>> offset_seconds("-0130"), offset_seconds("Z")
    (-5400, 0)
    """
    if offset in ("", "Z"):
        return 0
    digits = offset[1:].replace(":", "")
    seconds = 3600 * int(digits[:2]) + 60 * int(digits[2:4])
    return -seconds if offset[0] == "-" else seconds


def moment_at(seconds: float) -> datetime:
    """Return the moment so many seconds since 1970, kept between the years 1 and 9999."""
    first, last = (datetime.min - _EPOCH).total_seconds(), (datetime.max - _EPOCH).total_seconds()
    return _EPOCH + timedelta(seconds=int(min(max(seconds, first), last - 1)))


def to_units(seconds: Floats, unit: str) -> Floats:
    """Return seconds since 1970 as whole units since 1970, rounded down; NaN stays."""
    known = ~np.isnan(seconds)
    units = np.full(len(seconds), np.nan)
    units[known] = np.floor(seconds[known]).astype("datetime64[s]").astype(f"datetime64[{unit}]")
    return units


def to_seconds(units: Floats, unit: str) -> Floats:
    """Return the seconds since 1970 at which each unit begins; NaN stays."""
    known = ~np.isnan(units)
    seconds = np.full(len(units), np.nan)
    whole = np.floor(units[known]).astype(np.int64)
    seconds[known] = whole.astype(f"datetime64[{unit}]").astype("datetime64[s]").astype(np.int64)
    return seconds


@lru_cache(maxsize=256)
def _reader(pattern: str) -> re.Pattern[str]:
    """Return the expression that matches what a pattern writes."""
    places, read = 0, ""
    for found in _PART.finditer(pattern):
        read += re.escape(pattern[places : found.start()])
        read += f"(?P<{found[2]}>{_READ[found[2]]})"
        places = found.end()
    return re.compile(read + re.escape(pattern[places:]), re.ASCII | re.IGNORECASE)
