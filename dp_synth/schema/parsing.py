"""Cells of a column, read once for each distinct value, and formats of dates and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dp_synth.dialect import Dialect
from dp_synth.frames import FOREIGN, text_of, texts_of, well_formed
from dp_synth.types import Flags, Floats

_EPOCH = datetime(1970, 1, 1)
_OFFSET = re.compile(r":\d\d.*([-+]\d\d:?\d\d|Z)\s*$")
SECONDS_PER_DAY = 86_400


def _writable(text: str) -> str:
    """Return ``text``; ValueError where UTF-8 cannot write it: a release must be written."""
    if well_formed(text) != text:
        raise ValueError(f"{text!r} holds half of a sign, which no file can hold")
    return text


Text = Annotated[str, Field(strict=True), AfterValidator(_writable)]


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


MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
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
_BOUND_OFFSET = re.compile(r"\d\d:\d\d\S*?([-+]\d\d:?\d\d|Z)$")

Sign = Annotated[Text, Field(max_length=8)]


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


def offset_of(bound: str) -> str:
    """Return the offset from UTC with which an ISO text ends, empty where it has none.

    >>> offset_of("2024-01-31T09:30+02:00"), offset_of("2024-01-31")
    ('+02:00', '')
    """
    found = _BOUND_OFFSET.search(bound.strip())
    return found[1] if found else ""


def iso_seconds(text: str) -> float:
    """Return the ISO date, year and month, or time of day in ``text`` as seconds since 1970."""
    seconds = seconds_of(text)
    for pattern in ("%Y-%m", "%H:%M", "%H:%M:%S", "%Y"):
        if np.isnan(seconds):
            seconds = DateFormat(pattern).seconds(text)
    return seconds


def bound_seconds(text: str) -> float:
    """Return what `iso_seconds` does; ValueError where ``text`` is none of these."""
    seconds = iso_seconds(text)
    if np.isnan(seconds):
        raise ValueError(f"must be an ISO date or time such as 2024-01-31, got {text!r}")
    return seconds


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


class NumberFormat(BaseModel):
    """How the numbers of a column are written.

    ``decimal`` is the sign before decimals, ``thousands`` the one between groups of three digits;
    ``prefix`` and ``suffix`` stand before and behind each number, such as a currency. Cells that
    leave some of it out are read as well. Synthetic cells are written in the same way, as text.

    >>> money = NumberFormat(prefix="$", thousands=",")
    >>> money.read(["$1,250.50", "-$3", "?"]).tolist()
    [1250.5, -3.0, nan]
    >>> money.spell(np.array([1250.5]), 2).tolist()
    ['$1,250.50']
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    decimal: Literal[".", ","] | None = None
    thousands: Literal[",", ".", " ", "'", "\u00a0", "\u202f"] | None = None
    prefix: Sign = ""
    suffix: Sign = ""

    @model_validator(mode="after")
    def _signs_differ(self) -> Self:
        if self.thousands == self.point:
            raise ValueError(f"field 'thousands': must not be the decimal sign {self.point!r}")
        for name in ("prefix", "suffix"):
            if re.search(r"[\d+-]", getattr(self, name)):
                raise ValueError(f"field {name!r}: must hold no digit and no sign of a number")
        return self

    @property
    def point(self) -> str:
        """The decimal sign."""
        return self.decimal or "."

    @cached_property
    def _form(self) -> re.Pattern[str]:
        prefix, suffix = (re.escape(text.strip()) for text in (self.prefix, self.suffix))
        whole = r"\d*"
        if self.thousands:
            whole = rf"(?:\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+|\d*)"
        digits = rf"{whole}(?:{re.escape(self.point)}\d*)?(?:[eE][-+]?\d+)?"
        return re.compile(
            rf"\s*([-+]?)\s*(?:{prefix})?\s*([-+]?)({digits})\s*(?:{suffix})?\s*", re.ASCII
        )

    def read(self, texts: Iterable[str]) -> Floats:
        """Return the number that each text spells; NaN for anything else."""
        return numbers_of([self._plain(text) for text in texts])

    def _plain(self, text: str) -> str:
        found = self._form.fullmatch(text)
        if found is None or (found[1] and found[2]):
            return ""
        digits = found[3].replace(self.thousands, "") if self.thousands else found[3]
        return f"{found[1]}{found[2]}{digits.replace(self.point, '.')}"

    def spell(self, numbers: Floats, decimals: int | None) -> NDArray[np.generic]:
        """Return ``numbers`` as the table writes them; whole ones have no decimals of their own."""
        distinct, places = np.unique(numbers, return_inverse=True)
        texts = [self._spelt(number, decimals) for number in distinct.tolist()]
        return np.array(texts, dtype=object)[places]

    def _spelt(self, number: float, decimals: int | None) -> str:
        size = abs(number)
        if decimals is not None and round(size, decimals) == size:
            plain = f"{size:.{decimals}f}"
        else:
            plain = f"{size:.0f}" if size.is_integer() else repr(size)
        whole, point, rest = plain.partition(".")
        if self.thousands:
            whole = f"{int(whole):,}".replace(",", self.thousands) if whole.isdigit() else whole
        sign = "-" if number < 0 else ""
        return f"{sign}{self.prefix}{whole}{self.point * bool(point)}{rest}{self.suffix}"


def moved_to_columns(content: Mapping[str, object]) -> dict[str, object]:
    """Return a schema's content with the decimal sign of its dialect said by its columns."""
    dialect, columns = content.get("dialect"), content.get("columns")
    said = dialect.model_dump(exclude_none=True) if isinstance(dialect, Dialect) else dialect
    if not isinstance(said, Mapping) or not isinstance(columns, (list, tuple)):
        return dict(content)
    if said.get("decimal") not in (".", ","):
        return dict(content)
    rest = {name: value for name, value in said.items() if name != "decimal"}
    given = {"decimal": said["decimal"]}
    moved = [_with_format(column, given) for column in columns]
    kept = {name: value for name, value in content.items() if name != "dialect"}
    return {**kept, **({"dialect": rest} if rest else {}), "columns": moved}


def _with_format(column: object, given: Mapping[str, object]) -> object:
    if not isinstance(column, Mapping) or column.get("type") not in ("integer", "real"):
        return column
    own = column.get("format", {})
    return {**column, "format": {**given, **own}} if isinstance(own, Mapping) else column
