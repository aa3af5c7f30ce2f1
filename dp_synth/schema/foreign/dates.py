"""Dates of foreign files: their formats and bounds in the words of a schema."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from dp_synth.schema.parsing import DateFormat, bound_seconds, iso_seconds, moment_at

ISO = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S")
"""Formats that a schema need not say."""

UNKNOWN = "its dates are written {pattern!r}, which is no format of a schema: say how"


def plain_format(pattern: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return the ``format`` of a column whose dates a source writes so, and what is to be noted.

    >>> plain_format("%d.%m.%Y"), plain_format("%Y-%m-%d")
    (('%d.%m.%Y', ()), (None, ()))
    """
    if pattern is None or pattern in ISO:
        return None, ()
    try:
        DateFormat(pattern)
    except ValueError:
        return None, (UNKNOWN.format(pattern=pattern),)
    return pattern, ()


def iso_text(text: str, pattern: str | None) -> str | None:
    """Return a date that is written so, or as ISO, as a bound of a schema; None for anything else.

    >>> iso_text("31.12.2020", "%d.%m.%Y"), iso_text("2020-12-31 09:30:00", None)
    ('2020-12-31', '2020-12-31T09:30:00')
    """
    form = None
    if pattern is not None:
        try:
            form = DateFormat(pattern)
        except ValueError:
            form = None
    seconds = float("nan") if form is None else form.seconds(text)
    if np.isnan(seconds):
        seconds = iso_seconds(text.strip())
        if np.isnan(seconds):
            return None
        if form is None:
            return text.strip().replace(" ", "T", 1)
    moment = moment_at(seconds)
    assert form is not None
    if not form.is_dated:
        return moment.time().isoformat()
    if form.unit in ("D", "M", "Y"):
        return {"D": moment.date().isoformat(), "M": f"{moment:%Y-%m}", "Y": f"{moment:%Y}"}[
            form.unit
        ].rjust(4, "0")
    return moment.isoformat()


def bound_text(bound: str, pattern: str) -> str:
    """Return a bound of a schema as a format writes it."""
    moment: datetime = moment_at(bound_seconds(bound))
    return DateFormat(pattern).text(moment)
