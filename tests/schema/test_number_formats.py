"""Numbers of other spellings, read and written back as they were; decimals that are kept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.dialect import Dialect
from dp_synth.errors import SchemaError
from dp_synth.schema import NumericColumn, Schema
from dp_synth.schema.parsing import NumberFormat


def column(**said: object) -> NumericColumn:
    fields = {"name": "x", "type": "real", "lower": -9000, "upper": 9000, **said}
    (made,) = Schema.from_dict({"name": "t", "columns": [fields]}).columns
    assert isinstance(made, NumericColumn)
    return made


SPELT = [
    ({"decimal": ","}, ["812,40", "-0,05"], [812.4, -0.05]),
    ({"decimal": ",", "thousands": "."}, ["1.234,50", "12,00"], [1234.5, 12.0]),
    ({"thousands": ","}, ["1,234.50", "-1,000.00"], [1234.5, -1000.0]),
    ({"prefix": "$", "thousands": ","}, ["$1,234.50", "-$3.00"], [1234.5, -3.0]),
    ({"suffix": " %"}, ["45.50 %"], [45.5]),
    ({"suffix": " €", "decimal": ",", "thousands": "\u00a0"}, ["1\u00a0234,50 €"], [1234.5]),
    ({"thousands": "'"}, ["1'234.50"], [1234.5]),
]


@pytest.mark.parametrize(("form", "cells", "values"), SPELT)
def test_numbers_come_back_as_they_were_spelt(form, cells, values):
    one = column(format=form, decimals=2)
    assert one.values(pd.Series(cells)).tolist() == values
    assert one.typed(pd.Series(cells)).tolist() == cells
    drawn = one.decode(np.zeros(5, dtype=np.int32), np.random.default_rng(0))
    assert one.typed(drawn).tolist() == drawn.tolist()


def test_what_is_no_number_in_its_format_is_missing():
    one = column(format={"thousands": ","}, missing=["?"])
    cells = pd.Series(["12,34", "1,2345", "1.5.6", "abc", "", "--3", "1,234"])
    assert one.values(cells).tolist()[:-1] == pytest.approx([np.nan] * 6, nan_ok=True)
    assert one.values(cells).tolist()[-1] == 1234


def test_typed_numbers_are_read_beside_a_format():
    one = column(format={"decimal": ","}, decimals=1)
    assert one.typed(pd.Series([1.5, 2.0])).tolist() == ["1,5", "2,0"]


def test_whole_numbers_keep_their_spelling():
    one = column(type="integer", format={"suffix": "%"})
    assert one.typed(pd.Series(["45%", "7 %"])).tolist() == ["45%", "7%"]


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({"thousands": "."}, "must not be the decimal sign"),
        ({"prefix": "5$"}, "must hold no digit"),
        ({"decimal": ";"}, "must be"),
        ({"prefx": "$"}, "did you mean 'prefix'"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused_in_one_line(form, fault):
    with pytest.raises(SchemaError, match=fault) as caught:
        column(format=form)
    assert "\n" not in str(caught.value)


def test_no_decimals_are_written_as_whole_numbers():
    one = column(decimals=0, lower=0, upper=100_000)
    drawn = one.decode(np.zeros(3, dtype=np.int32), np.random.default_rng(0))
    assert all("." not in text for text in drawn.astype(str))
    # a real table that holds more is not rounded
    assert one.typed(pd.Series(["1.5", "2"])).tolist() == [1.5, 2.0]


def test_the_decimal_sign_of_a_dialect_is_that_of_its_numeric_columns():
    content = {
        "name": "t",
        "dialect": {"decimal": ",", "separator": ";"},
        "columns": [
            {"name": "x", "type": "real", "lower": 0, "upper": 9},
            {"name": "y", "type": "real", "lower": 0, "upper": 9, "format": {"decimal": "."}},
            {"name": "z", "type": "categorical", "categories": ["1,5"]},
        ],
    }
    schema = Schema.from_dict(content)
    frame = pd.DataFrame({"x": ["1,5"], "y": ["1.5"], "z": ["1,5"]})
    assert schema.typed(frame).to_dict("list") == {"x": ["1,5"], "y": ["1.5"], "z": ["1,5"]}
    assert Schema.from_dict(schema.to_dict()) == schema
    plain = Schema.from_dict({**content, "dialect": None}).read_as(Dialect(decimal=","))
    assert plain.columns == schema.columns


def test_spelling_leaves_numbers_exact():
    rng = np.random.default_rng(0)
    form = NumberFormat(decimal=",", thousands=".", prefix="€ ")
    numbers = np.round(rng.normal(0, 1e6, 500), 2)
    assert form.read(form.spell(numbers, 2)).tolist() == numbers.tolist()
    assert form.read(form.spell(numbers, None)).tolist() == numbers.tolist()
