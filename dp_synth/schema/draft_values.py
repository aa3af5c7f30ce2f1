"""Which kind of numbers a column of texts holds, and how they are written, for a draft."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

import numpy as np

from dp_synth.schema.columns import MAX_MAGNITUDE
from dp_synth.schema.formats import DateFormat, NumberFormat, to_units
from dp_synth.schema.parsing import numbers_of, seconds_of
from dp_synth.types import Floats

MAX_FEW_VALUES = 20
"""Whole numbers with at most this many distinct values may be drafted as categories."""

MIN_ID_VALUES = 50
"""A column is drafted as `id` only when it has more distinct values."""

MAX_CODES = 1_000
"""Numbers that a column's name calls codes are categories up to so many."""

MANY_DECIMALS = 8
"""Numbers of more decimals were computed, not rounded."""

MAX_WORDS = 3
"""So many words among many numbers may be marks for missing ones."""

SCALES = (5, 7, 10)
"""Whole numbers from 1 to one of these are likely a rating."""

MARKS = frozenset(
    [
        *("", "?", "nan", "null", "n/a", "na", "none", "nil", "unknown", "unk", "missing"),
        *("not available", "not known", "no data", "#n/a", "<na>", "n.a."),
        *("-", "--", ".", "..", "..."),
    ]
)
"""Words for a missing number or date, in whatever case."""

SENTINELS = frozenset(-float(str(digit) * count) for digit in (7, 8, 9) for count in range(1, 7))
"""Negative numbers that stand for a missing one where all others are positive."""

_LEADING_ZERO = re.compile(r"[-+]?0\d")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_IDS = {"id", "ids", "key", "uuid", "guid", "pid", "uid", "ssn", "identifier", "serial", "index"}
_CODES = {"code", "codes", "cd", "zip", "zipcode", "postcode", "plz"}
_RATINGS = {
    *("rating", "ratings", "score", "stars", "grade", "rank", "level", "satisfaction", "likert"),
    *("scale", "severity", "stage", "quality", "agreement", "importance"),
}
_TOP = re.compile(r"\s*([<>≤≥]=?)?\s*(\d+)\s*(\+|plus|(?:and|or) (?:over|above|more|older))?\s*")
_MONEY = r"US\$|R\$|[$€£¥₹₩₽₺]|kr|zł|USD|EUR|GBP|CHF|JPY|CAD|AUD|INR|BRL|SEK|NOK|DKK|PLN"
_SPELT = re.compile(
    rf"[-+]?(?P<prefix>(?:{_MONEY})\s?)?[-+]?(?P<digits>\d(?:[\d.,'\s]*[\d.])?|\.\d+)"
    rf"(?P<suffix>\s?(?:{_MONEY}|%)|\s[A-Za-z°µ/²³]{{1,8}})?"
)


@dataclass(frozen=True, eq=False)
class Texts:
    """The distinct texts of a column and how many records hold each, in the table's order.

    ``decimal`` is the decimal sign of the file, where that was said.
    """

    name: str
    counts: Mapping[str, int]
    decimal: str | None = None

    @property
    def words(self) -> set[str]:
        """The words of the column's name, in lower case."""
        return {word.lower() for word in _WORDS.findall(self.name)}

    @property
    def is_called_id(self) -> bool:
        """Whether the column's name says that it identifies something."""
        return bool(self.words & _IDS) or self.name.lower().endswith(("_id", "guid", "uuid"))

    def of(self, texts: Sequence[str]) -> int:
        """Return how many records hold one of ``texts``."""
        return sum(self.counts[text] for text in texts)


def numbers(seen: Texts) -> Drafted | None:
    """Return the column of numbers or of numeric codes; None where the texts are none."""
    marks = sorted(text for text in seen.counts if text.strip().lower() in MARKS)
    written = [text for text in seen.counts if text.strip().lower() not in MARKS]
    if not written or any(_LEADING_ZERO.match(text) and "." not in text for text in written):
        return None
    form = _format_of(written, seen.decimal)
    found = numbers_of(written) if form is None else form.read(written)
    words = sorted(t for t, n in zip(written, found, strict=True) if np.isnan(n))
    plain = [t for t, n in zip(written, found, strict=True) if not np.isnan(n)]
    values = found[~np.isnan(found)]
    notes = []
    if words:
        if not _are_marks(words, values):
            return None
        if form is None and (capped := _capped(words, plain, values)):
            return _noted(_with_marks(capped, marks), [_CAPPED])
        notes.append(f"{_listed(words)}: read as missing: is it?")
        marks += words
    if not len(values) or np.abs(values).max() > MAX_MAGNITUDE:
        return None
    column = _column(seen, plain, values, form, notes, marks)
    return None if column is None else _noted(_with_marks(column, marks), notes)


_MINUS_ONE = "does -1 mean missing? then list it in missing alone"
_CAPPED = "the highest or lowest number stands for all beyond it: read as an ordered list of each"


def is_code(text: str) -> bool:
    """Tell whether a number is written as a code, such as the postcode ``00501``.

    >>> is_code("00501"), is_code("0.5"), is_code("0")
    (True, False, False)
    """
    return _LEADING_ZERO.match(text) is not None


def _column(
    seen: Texts,
    texts: list[str],
    values: Floats,
    form: NumberFormat | None,
    notes: list[str],
    marks: list[str],
) -> Drafted | None:
    whole = bool(np.all(values == np.rint(values)))
    if whole and form is None and (found := compact_dates(texts)):
        return found
    if whole and form is None and _is_key(seen, texts, values):
        notes.append("read as an identifier, never synthesized; if it is a number, type integer")
        return {"type": "id"}
    few = len(np.unique(values)) <= MAX_FEW_VALUES and 2 * len(values) <= seen.of(texts)
    if set(values.tolist()) <= {0.0, 1.0} or (whole and few):
        return _few(seen, texts, values, form, notes)
    if whole and form is None and seen.words & (_CODES | _IDS) and len(values) <= MAX_CODES:
        notes.append("read as codes, by its name; if it is a quantity, type integer")
        return _categories(texts, values)
    if not whole and form is None and 50 * len(values) <= seen.of(texts) and len(values) <= 10:
        notes.append("only these numbers occur; if others could as well, type real")
        return _categories(texts, values)
    values = _without_sentinels(texts, values, notes, marks)
    column: Drafted = {"type": "integer" if whole else "real", **_bounds(values, whole=whole)}
    if not whole and (decimals := _decimals(texts, form)) is not None:
        column["decimals"] = decimals
        if form is None and _is_padded(texts, decimals):
            column["format"] = {"decimal": "."}
    if form is not None:
        column["format"] = form.model_dump(exclude_unset=True)
        if _is_doubtful(texts, form) and seen.decimal is None:
            notes.append(
                f"{form.thousands!r} is read as standing between thousands; if it is the decimal "
                f"sign, draft again with --decimal {form.thousands!r}"
            )
    return column


def _few(
    seen: Texts, texts: list[str], values: Floats, form: NumberFormat | None, notes: list[str]
) -> Drafted:
    """Return few whole numbers as categories, a scale, or a count."""
    distinct = np.unique(values)
    lower, upper, size = int(distinct[0]), int(distinct[-1]), len(distinct)
    categories = _categories(texts, values)
    if size <= 2 or form is not None or len(texts) > size:
        return categories
    if lower == -1:
        notes.append(_MINUS_ONE)
    contiguous = upper - lower + 1 == size and lower in (0, 1)
    if seen.words & _RATINGS and lower >= 0:
        return {**categories, "type": "ordinal"}
    if seen.words & (_CODES | _IDS):
        return categories
    if upper - lower + 1 == size and 1900 <= lower <= upper <= LAST_YEAR:
        return {"type": "integer", "lower": lower, "upper": upper}
    if contiguous and lower == 1 and size in SCALES:
        notes.append("read as an ordered scale; if its codes have no order, type categorical")
        return {**categories, "type": "ordinal"}
    falling = _falls([seen.counts[text] for text in texts], values)
    if (contiguous and size > max(SCALES)) or (not contiguous and lower in (0, 1) and falling):
        notes.append("read as counts; if they are codes, type categorical with a list of them")
        return {"type": "integer", "lower": lower, "upper": upper}
    if upper - lower + 1 > size and lower >= 0:
        notes.append(
            "these are all numbers that occur: type integer if those between them could as well"
        )
    return categories


def _falls(counts: list[int], values: Floats) -> bool:
    """Tell whether larger numbers are rarer, as they are where something is counted."""
    from scipy.stats import spearmanr  # it takes most of a second to load

    return len(values) > 6 and float(spearmanr(values, counts).statistic) < -0.7


def _is_key(seen: Texts, texts: list[str], values: Floats) -> bool:
    """Tell whether whole numbers name records, or what the column's name says they identify."""
    records, distinct = seen.of(texts), len(values)
    if distinct <= MIN_ID_VALUES or values.min() < 0:
        return False
    if seen.is_called_id or (seen.words & _CODES and 2 * distinct > records):
        return distinct > MAX_CODES or 20 * distinct > records
    if distinct < records:
        return False
    span = float(values.max() - values.min()) + 1
    counted = np.all(np.diff(values) > 0) or span == records
    long = len({len(text) for text in texts}) == 1 and len(texts[0]) >= 7
    # Numbers that were drawn among so few would have met: these were given out.
    return bool(counted or long or records**2 / (2 * span) > 7)


def _are_marks(words: Sequence[str], values: Floats) -> bool:
    distinct = len(values)
    if distinct > MAX_FEW_VALUES:
        return len(words) <= MAX_WORDS
    return len(words) == 1 and distinct > 1


def _capped(words: Sequence[str], texts: Sequence[str], values: Floats) -> Drafted | None:
    """Return the ordered list of numbers of which the last means "and more", such as ``90+``."""
    lower, upper = values.min(), values.max()
    if not np.all(values == np.rint(values)) or upper - lower > 150 or any(map(is_code, texts)):
        return None
    below: list[str] = []
    above: list[str] = []
    for word in words:
        found = _TOP.fullmatch(word)
        if found is None or not (found[1] or found[3]):
            return None
        number, is_low = int(found[2]), (found[1] or "")[:1] in ("<", "≤")
        if (number < upper and not is_low) or (is_low and number > lower + 1):
            return None
        (below if is_low else above).append(word)
    inside = [str(number) for number in range(int(lower), int(upper) + 1)]
    if len(below) > 1 or len(above) > 1 or not set(texts) <= set(inside):
        return None
    return {"type": "ordinal", "categories": [*below, *inside, *above]}


def _without_sentinels(
    texts: Sequence[str], values: Floats, notes: list[str], marks: list[str]
) -> Floats:
    """Return the numbers without those that likely mean missing, which become marks."""
    negative = set(values[values < 0].tolist())
    if negative and negative <= SENTINELS and len(values) > len(negative) + 2:
        found = [text for text, value in zip(texts, values, strict=True) if value < 0]
        notes.append(f"{_listed(found)}: read as missing; if it is a value, make it lower")
        marks += found
        return values[values >= 0]
    ordered = np.unique(values)
    if len(ordered) > MAX_FEW_VALUES:
        if negative == {-1.0}:
            notes.append(_MINUS_ONE)
        top = f"{ordered[-1]:.0f}"
        if set(top) == {"9"} and len(top) > 2 and ordered[-2] < ordered[-1] / 2:
            notes.append(f"does {top} mean missing, or all beyond it? then list it in missing")
    return values


def _bounds(values: Floats, *, whole: bool) -> Drafted:
    lower, upper = float(values.min()), float(values.max())
    return {"lower": int(lower) if whole else lower, "upper": int(upper) if whole else upper}


def _decimals(texts: Sequence[str], form: NumberFormat | None) -> int | None:
    """Return how many decimals nearly all numbers have; None where they are not rounded."""
    point = re.escape("." if form is None else form.point)
    lengths = []
    for text in texts:
        if "e" in text.lower():
            return None
        found = re.search(rf"{point}(\d+)", text)
        lengths.append(len(found[1]) if found else 0)
    most = max(lengths)
    if most > MANY_DECIMALS // 2:
        most = int(np.quantile(lengths, 0.99, method="higher"))
    return most if most <= MANY_DECIMALS else None


def _is_padded(texts: Sequence[str], decimals: int) -> bool:
    """Tell whether all numbers have all decimals, as 81.80 has, which no number needs."""
    ends = [text.strip().partition(".")[2] for text in texts]
    return (
        decimals > 1
        and {len(end) for end in ends} == {decimals}
        and any(end.endswith("0") for end in ends)
    )


def _categories(texts: Sequence[str], values: Floats) -> Drafted:
    pairs = sorted(zip(values.tolist(), texts, strict=True))
    return {"type": "categorical", "categories": [text for _, text in pairs]}


def _format_of(texts: Sequence[str], decimal: str | None) -> NumberFormat | None:
    """Return how numbers are written, where not plainly; None too where they are none."""
    if decimal != "," and not any(np.isnan(numbers_of(texts))):
        return None
    parts = [found for text in texts if (found := _SPELT.fullmatch(text.strip()))]
    if len(texts) - len(parts) > MAX_WORDS or not parts:
        return None
    said = {
        name: counted.most_common(1)[0][0]
        for name in ("prefix", "suffix")
        if (counted := Counter(part[name] for part in parts if part[name]))
    }
    signs = _signs([part["digits"].strip() for part in parts], decimal)
    form = NumberFormat.model_validate({**signs, **said})
    if not signs and not said:
        return None
    read = form.read(texts)
    return form if np.count_nonzero(np.isnan(read)) <= MAX_WORDS else None


def _signs(digits: Sequence[str], decimal: str | None) -> Drafted:
    """Return the signs for decimals and thousands that ``digits`` are written with."""
    commas = [text for text in digits if "," in text]
    points = [text for text in digits if "." in text]
    grouped = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d*)?")
    dotted = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d*)?")
    for sign in (" ", "\u00a0", "\u202f", "'"):
        if any(sign in text for text in digits):
            return {"thousands": sign, **({"decimal": ","} if commas else {})}
    if decimal == "," or (points and commas and all(map(dotted.fullmatch, points))):
        return {"decimal": ",", **({"thousands": "."} if points else {})}
    if commas and decimal != "." and not all(map(grouped.fullmatch, commas)):
        return {"decimal": ","}
    if commas:
        return {"thousands": ","}
    twice = [text for text in points if text.count(".") > 1]
    return {"decimal": ",", "thousands": "."} if twice else {}


def _is_doubtful(texts: Sequence[str], form: NumberFormat) -> bool:
    """Tell whether the sign between thousands could be the decimal one."""
    sign = form.thousands
    if sign is None or sign not in ",.":
        return False
    return not any(text.count(sign) > 1 or form.point in text for text in texts)


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts[:MAX_WORDS]))


def _with_marks(column: Drafted, marks: Sequence[str]) -> Drafted:
    return {**column, "missing": list(marks)} if marks else column


def _noted(column: Drafted, notes: Sequence[str]) -> Drafted:
    said = [str(column["note"])] if "note" in column else []
    whole = "; ".join([*said, *notes])
    return {**column, "note": whole} if whole else column


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
