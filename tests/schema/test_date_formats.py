"""Dates and times in the formats that tables have, read and written back as they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.errors import SchemaError
from dp_synth.schema import DatetimeColumn, Schema
from dp_synth.schema.parsing import DateFormat


def column(pattern: str | None, lower: str, upper: str, **more: object) -> DatetimeColumn:
    said = {"name": "x", "type": "datetime", "lower": lower, "upper": upper, **more}
    (made,) = Schema.from_dict(
        {"name": "t", "columns": [{**said, **({"format": pattern} if pattern else {})}]}
    ).columns
    assert isinstance(made, DatetimeColumn)
    return made


WRITTEN = [
    ("%d/%m/%Y", "1920-01-01", "2020-12-31", ["31/12/1980", "01/02/1999"]),
    ("%-m/%-d/%y", "1920-01-01", "2010-12-31", ["4/8/47", "12/31/09"]),
    ("%d.%m.%Y", "1920-01-01", "2020-12-31", ["31.12.1980"]),
    ("%Y%m%d", "1920-01-01", "2020-12-31", ["19801231"]),
    ("%Y-%m-%d 00:00:00", "1920-01-01", "2020-12-31", ["1980-12-31 00:00:00"]),
    ("%Y-%m", "1920-01", "2020-12", ["1980-12", "1999-02"]),
    ("%b %Y", "1920-01", "2020-12", ["Dec 1980"]),
    ("%-d %B %Y", "1920-01-01", "2020-12-31", ["5 March 1980"]),
    ("%H:%M", "00:00", "23:59", ["09:27", "23:59"]),
    ("%-I:%M%p", "00:00", "23:59", ["9:27AM", "12:05PM", "12:00AM"]),
    ("%H:%M:%S", "00:00:00", "23:59:59", ["09:27:01"]),
    ("%d/%m/%Y %H:%M", "1999-01-01T00:00", "2020-12-31T23:59", ["31/12/2001 10:15"]),
    ("%Y/%m/%d %H:%M %z", "1999-01-01T00:00+02:00", "2020-12-31T23:59+02:00",
     ["2001/12/31 10:15 +02:00"]),
    (None, "2021-01-01T00:00:00+02:00", "2022-01-01T00:00:00+02:00",
     ["2021-03-01T09:00:00+02:00"]),
    (None, "2021-01-01 00:00:00Z", "2022-01-01 00:00:00Z", ["2021-03-01 09:00:00Z"]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "lower", "upper", "cells"), WRITTEN)
def test_dates_come_back_as_they_were_written(pattern, lower, upper, cells):
    one = column(pattern, lower, upper)
    assert one.typed(pd.Series(cells)).tolist() == cells
    # Rows that are drawn are written so too: they are read again as what they are.
    drawn = one.decode(np.arange(len(one.grid), dtype=np.int32), np.random.default_rng(0))
    assert one.typed(drawn).tolist() == drawn.tolist()
    assert one.encode(drawn).tolist() == list(range(len(one.grid)))


@pytest.mark.parametrize(("pattern", "lower", "upper", "cells"), WRITTEN)
def test_cells_that_a_fit_declares_are_the_same_cells(pattern, lower, upper, cells):
    one = column(pattern, lower, upper)
    again = one.with_cells(one.grid)
    assert again.grid.cuts.tolist() == one.grid.cuts.tolist()
    assert (
        type(one).model_validate(again.model_dump()).grid.cuts.tolist() == again.grid.cuts.tolist()
    )


def test_typed_dates_and_iso_texts_are_read_beside_a_format():
    one = column("%d/%m/%Y", "1920-01-01", "2020-12-31")
    cells = [
        pd.Timestamp("1980-12-31"),
        "1980-12-31",
        "31/12/1980",
        pd.Timestamp("1980-12-31").date(),
    ]
    assert len(set(one.encode(pd.Series(cells, dtype=object)).tolist())) == 1
    typed = pd.Series(pd.to_datetime(["1980-12-31"]))
    assert one.typed(typed).tolist() == ["31/12/1980"]


def test_two_digit_years_are_those_of_the_hundred_years_that_end_with_upper():
    cells = pd.Series(["1/1/19", "1/1/20", "1/1/98"])
    old = column("%-m/%-d/%y", "1900-01-01", "1998-12-31")
    assert old.values(cells).tolist() == [
        (pd.Timestamp(year, 1, 1) - pd.Timestamp(0)).days for year in (1919, 1920, 1998)
    ]
    new = column("%-m/%-d/%y", "1950-01-01", "2019-12-31")
    assert new.values(cells).tolist()[0] == (pd.Timestamp(2019, 1, 1) - pd.Timestamp(0)).days


def test_day_and_month_are_never_taken_for_each_other():
    one = column("%d/%m/%Y", "1980-01-01", "1980-12-31", missing=["NA"])
    assert one.typed(pd.Series(["05/06/1980", "12/31/1980", "NA"])).tolist() == [
        "05/06/1980",
        "NA",
        "NA",
    ]


def test_synthetic_times_carry_the_offset_of_the_lower_bound():
    one = column(None, "2021-01-01T00:00:00+02:00", "2021-12-31T00:00:00+02:00")
    cells = pd.Series(["2021-03-01T07:00:00Z", "2021-03-01T09:00:00"])
    assert one.typed(cells).tolist() == ["2021-03-01T09:00:00+02:00"] * 2
    with pytest.raises(SchemaError, match="field 'upper': must say its offset from UTC"):
        column(None, "2021-01-01T00:00:00+02:00", "2021-12-31T00:00:00")


def test_conditions_take_dates_in_iso_or_in_the_format():
    one = column("%d/%m/%Y", "1980-01-01", "1989-12-31")
    assert one.number_of("1980-02-01") == one.number_of("01/02/1980")
    with pytest.raises(ValueError, match="a condition gives ISO dates, got '13/13/1980'"):
        one.number_of("13/13/1980")


@pytest.mark.parametrize(
    "pattern",
    ["", "%Q", "%M", "%d", "%Y-%d", "%Y-%m %H", "%I:%M", "%y%Y", "%d/%d/%Y", "%", "%H:%S"],
)
def test_a_format_that_tells_no_date_is_refused(pattern):
    with pytest.raises(ValueError, match=r"must (tell a date|be made of)"):
        DateFormat(pattern)
    content = {"name": "x", "type": "datetime", "lower": "1980-01-01", "upper": "1981-01-01"}
    with pytest.raises(SchemaError, match="column 'x': field 'format': must "):
        Schema.from_dict({"name": "t", "columns": [{**content, "format": pattern}]})


def test_bounds_without_a_format_are_whole_dates():
    with pytest.raises(SchemaError, match="field 'lower': must be an ISO date"):
        column(None, "1980-01", "1990-01")
