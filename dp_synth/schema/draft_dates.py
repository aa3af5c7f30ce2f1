"""Which format of dates a column of texts is written in, for a draft."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import product

import numpy as np

from dp_synth.schema.formats import DateFormat, to_units
from dp_synth.schema.parsing import seconds_of
from dp_synth.types import Floats

Drafted = dict[str, object]

FIRST_YEAR, LAST_YEAR = 1800, 2199
"""Digits alone are read as dates between these years only."""

MIN_COMPACT = {"%Y%m%d": 2, "%Y%m": 12}
"""So many distinct whole numbers, all of them dates, are no chance."""

_TRIED = 200  # texts that rule most formats out, before all are read
_DATES = (
    *(sign.join(("%d", "%m", "%Y")) for sign in "/.-"),
    *(sign.join(("%m", "%d", "%Y")) for sign in "/.-"),
    *(sign.join(("%Y", "%m", "%d")) for sign in "-/."),
    *(sign.join(("%d", "%m", "%y")) for sign in "/.-"),
    *(sign.join(("%m", "%d", "%y")) for sign in "/.-"),
    *(
        f"%d{sign}{month}{sign}{year}"
        for sign, month, year in product(" -", ("%b", "%B"), ("%Y", "%y"))
    ),
    *(f"{month} %d{comma} %Y" for month, comma in product(("%b", "%B"), (",", ""))),
)
_MONTHS = (
    *("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%m.%Y"),
    *("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%b %y"),
)
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M%p", "%I:%M %p", "%I:%M:%S %p")
_MIDNIGHTS = ("00:00:00", "00:00", "00:00:00.000", "00:00:00.000000", "12:00:00 AM", "0:00")


def dates(texts: Sequence[str]) -> Drafted | None:
    """Return the column of dates that ``texts`` are, all of them; None where they are none."""
    iso = np.array([seconds_of(text) for text in texts])
    if not np.isnan(iso).any() and all(_is_plain_iso(text.strip()) for text in texts):
        return _iso(texts, iso)
    found = [form for form in _formats(texts) if _reads(form, texts)]
    if not found:
        return None
    form = DateFormat(found[0].pattern, _last_year(found[0], texts))
    column = _bounded(form, texts)
    other = [one.pattern for one in found[1:] if _swapped(one.pattern) == form.pattern]
    if other:
        column["note"] = (
            f"is the day or the month first? read as {form.pattern}; else the format is "
            f"{other[0]}, with other bounds"
        )
    elif "y" in form.pattern.replace("%Y", ""):
        column["note"] = "two-digit years are those of the hundred years that end with upper"
    return column


def compact_dates(texts: Sequence[str]) -> Drafted | None:
    """Return the column of dates of whole numbers such as 20240131; None where they are none."""
    for pattern, least in MIN_COMPACT.items():
        form = DateFormat(pattern)
        digits = {len(text) for text in texts} == {len(form.text(datetime(2000, 1, 1)))}
        if not digits or len(texts) < least or not _reads(form, texts):
            continue
        if all(FIRST_YEAR <= int(text[:4]) <= LAST_YEAR for text in texts):
            shown = "yyyymmdd" if pattern == "%Y%m%d" else "yyyymm"
            note = f"read as dates written {shown}; if they are numbers, the type is integer"
            return {**_bounded(form, texts), "note": note}
    return None


def _is_plain_iso(text: str) -> bool:
    """Tell whether a text is written as dates and times are where no format is given."""
    date, sign, time = text[:10], text[10:11], text[11:]
    if len(date) < 10 or date[4] + date[7] != "--" or "W" in date:
        return False
    return not sign or (sign in "T " and len(time) >= len("00:00:00") and time[2] + time[5] == "::")


def _iso(texts: Sequence[str], seconds: Floats) -> Drafted:
    first, last = texts[int(seconds.argmin())].strip(), texts[int(seconds.argmax())].strip()
    rests = {text.strip()[10:] for text in texts}
    midnight = next(iter(rests)) if len(rests) == 1 else ""
    if midnight[1:] in _MIDNIGHTS:
        note = "every time is midnight: read as whole days"
        return {
            "type": "datetime",
            "lower": first[:10],
            "upper": last[:10],
            "format": f"%Y-%m-%d{midnight}",
            "note": note,
        }
    timed = any(len(rest) for rest in rests)
    if timed and len(first) <= len("2024-01-31") >= len(last):
        first += "T00:00:00"  # some cells have a time of day, so the column is one of seconds
    column: Drafted = {"type": "datetime", "lower": first, "upper": last}
    offsets = {rest[9:].lstrip(".0123456789") for rest in rests if rest}
    if len(offsets) > 1:
        column["note"] = "times have several offsets from UTC: synthetic ones have that of lower"
    return column


def _formats(texts: Sequence[str]) -> Iterator[DateFormat]:
    """Give the formats that may have written ``texts``, likely ones first."""
    tried = texts[:: max(1, len(texts) // _TRIED)]
    if not all(any(sign.isdigit() for sign in text) and len(text) < 40 for text in tried):
        return
    last = datetime.now(UTC).year  # two-digit years lie in the past
    for pattern in _patterns(tried):
        form = DateFormat(pattern, last)
        if _reads(form, tried):
            yield DateFormat(_unpadded(form, texts), last)


def _patterns(tried: Sequence[str]) -> Iterator[str]:
    yield from (*_DATES, *_MONTHS, *_TIMES)
    tails = [(sign, tail) for sign in (" ", "T", ", ") for tail in (*_MIDNIGHTS, *_TIMES)]
    for sign, tail in tails:
        fits = [text for text in tried if sign in text]
        if len(fits) == len(tried) and (":" in tried[0]):
            yield from (f"{date}{sign}{tail}" for date in _DATES)


def _last_year(form: DateFormat, texts: Sequence[str]) -> int:
    """Return the last of the hundred years of two-digit ones: before their longest gap."""
    if "y" not in form.pattern:
        return form.last
    years = np.unique([int(_moment(form, text).year) for text in texts])
    gaps = np.append(years[1:], years[0] + 100) - years
    ends = int(years[gaps.argmax()])
    return ends if ends <= form.last else ends - 100


def _reads(form: DateFormat, texts: Sequence[str]) -> bool:
    return not any(np.isnan(form.seconds(text)) for text in texts)


def _unpadded(form: DateFormat, texts: Sequence[str]) -> str:
    """Return the pattern that writes no leading zeros, where the texts have none."""
    pattern = form.pattern
    for part in ("%d", "%m", "%H", "%I"):
        short = pattern.replace(part, f"%-{part[1]}")
        if part in pattern and _writes_more(short, pattern, form.last, texts):
            pattern = short
    return pattern


def _writes_more(first: str, second: str, last: int, texts: Sequence[str]) -> bool:
    forms = [DateFormat(pattern, last) for pattern in (first, second)]
    tried = texts[:: max(1, len(texts) // _TRIED)]
    scores = []
    for form in forms:
        same = [len(text.strip()) == len(form.text(_moment(form, text))) for text in tried]
        scores.append(sum(same))
    return scores[0] > scores[1]


def _moment(form: DateFormat, text: str) -> datetime:
    seconds = np.array([form.seconds(text)]).astype("datetime64[s]")
    moment: datetime = seconds[0].astype(datetime)
    return moment


def _swapped(pattern: str) -> str:
    for first, second in (("%d", "%m"), ("%-d", "%-m"), ("%d", "%-m"), ("%-d", "%m")):
        if first in pattern and second in pattern:
            return pattern.replace(first, "\0").replace(second, first).replace("\0", second)
    return ""


def _bounded(form: DateFormat, texts: Sequence[str]) -> Drafted:
    seconds = np.array([form.seconds(text) for text in texts])
    units = to_units(np.array([seconds.min(), seconds.max()]), form.unit).astype(np.int64)
    lower, upper = np.datetime_as_string(units.astype(f"datetime64[{form.unit}]")).tolist()
    if not form.is_dated:
        lower, upper = lower[11:], upper[11:]
    return {"type": "datetime", "lower": lower, "upper": upper, "format": form.pattern}
