"""Cells to codes and back: matching, clipping, missing marks, public bins."""

import numpy as np
import pandas as pd
import pytest

from dp_synth.schema import Schema
from dp_synth.schema.columns import DEFAULT_CELLS, make_bins


def one_column(**fields: object) -> Schema:
    return Schema.from_dict({"name": "t", "columns": [{"name": "x", **fields}]})


def codes(schema: Schema, cells: object) -> list[int]:
    series = cells if isinstance(cells, pd.Series) else pd.Series(cells, dtype=object)
    return schema.encode(pd.DataFrame({"x": series}))[:, 0].tolist()


NUMBERED = {"type": "categorical", "categories": ["0", "1", "2"]}
GRADES = {"type": "ordinal", "size": 4, "missing": ["?"]}
AGE = {"type": "integer", "lower": 0, "upper": 9, "missing": ["", "-99"]}
PRICE = {"type": "real", "lower": -1.0, "upper": 1.0, "bins": 4, "missing": ["NA"]}
DAY = {"type": "datetime", "lower": "2020-01-01", "upper": "2020-12-31", "missing": ["?"]}


@pytest.mark.parametrize("fields", [NUMBERED, GRADES, AGE, PRICE])
@pytest.mark.parametrize("dtype", [int, float, "Int64", "category", object])
def test_typed_cells_get_the_codes_of_the_same_cells_as_text(fields, dtype):
    schema, numbers = one_column(**fields), [0, 1, 2, 1]
    assert codes(schema, pd.Series(numbers).astype(dtype)) == codes(schema, list(map(str, numbers)))
    assert len(set(codes(schema, ["0", "1", "2"]))) == (3 if fields is not PRICE else 2)


def test_logical_cells_match_their_text_and_else_their_number():
    named = one_column(type="categorical", categories=["True", "False"])
    assert codes(named, pd.Series([True, False])) == codes(named, ["True", "False"]) == [0, 1]
    assert codes(one_column(**NUMBERED), pd.Series([True, False])) == [1, 0]


def test_dates_get_one_code_as_text_as_date_and_as_timestamp():
    schema = one_column(**DAY)
    texts = ["2020-01-01", "2020-03-05", "2020-12-31"]
    stamps = pd.Series(pd.to_datetime(texts))
    assert codes(schema, stamps) == codes(schema, texts)
    assert codes(schema, [stamp.date() for stamp in stamps]) == codes(schema, texts)
    assert codes(schema, stamps.dt.tz_localize("UTC")) == codes(schema, texts)
    assert codes(schema, texts) == [0, 11, 63]  # 64 cells over 366 days


def test_a_date_beyond_the_clock_of_nanoseconds_is_clipped():
    assert codes(one_column(**DAY), ["9999-12-31", "0001-01-01"]) == [63, 0]


def test_a_category_is_matched_as_text_before_it_is_matched_as_a_number():
    schema = one_column(type="categorical", categories=["1.0", "1"])
    assert codes(schema, ["1", "1.0", "1.00"]) == [1, 0, 0]


def test_an_unseen_category_takes_the_first_mark_or_else_the_first_category():
    assert codes(one_column(type="categorical", categories=["a", "b"]), ["c", "", None]) == [0] * 3
    marked = one_column(type="categorical", categories=["a", "b"], missing=["?", ""])
    assert codes(marked, ["c", "?", ""]) == [2, 2, 3]


def test_an_absent_cell_takes_the_mark_that_says_so_or_else_the_first():
    named = one_column(type="categorical", categories=["a"], missing=["?", ""])
    assert codes(named, [None, float("nan"), pd.NaT]) == [2, 2, 2]
    assert codes(one_column(**PRICE), pd.Series([np.nan])) == [4]
    assert codes(one_column(**AGE), pd.Series([np.nan, -99.0])) == [10, 11]


def test_numbers_are_clipped_and_words_become_missing_or_the_lower_bound():
    bare = one_column(type="integer", lower=3, upper=9)
    assert codes(bare, ["2", "3", "9", "10", "x", "", "5.0", "inf", "1e400", "-inf"]) == [
        *[0, 0, 6, 6, 0, 0, 2, 6, 6, 0]
    ]
    assert codes(one_column(**AGE), ["x", "", "-99", "-99.0", "-98"]) == [10, 10, 11, 11, 0]


@pytest.mark.parametrize("fields", [NUMBERED, GRADES, AGE, PRICE, DAY])
@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["1"],
        [""] * 3,
        [None] * 3,
        [np.nan],
        [[1, 2], {"a": 1}],
        [b"x", 1j, "\ud800"],
        [(1, 2), (3, 4), 10**5000, 10**400],
    ],
)
def test_no_cell_and_no_count_of_records_stops_an_encoding(fields, cells):
    schema = one_column(**fields)
    encoded = schema.encode(pd.DataFrame({"x": pd.Series(cells, dtype=object)}))
    assert encoded.shape == (len(cells), 1)
    assert encoded.dtype == np.int32
    assert ((encoded >= 0) & (encoded < schema.domain.sizes[0])).all()
    typed = schema.typed(pd.DataFrame({"x": pd.Series(cells, dtype=object)}))
    assert (schema.encode(typed) == encoded).all()


def test_edges_give_a_spike_a_cell_of_its_own_and_close_the_last_cell():
    schema = one_column(type="integer", lower=0, upper=99, bins=[0, 1, 10, 99])
    assert schema.domain.sizes == (3,)
    assert codes(schema, ["0", "1", "9", "10", "98", "99"]) == [0, 1, 1, 2, 2, 2]


def test_edges_inside_the_bounds_are_continued_to_the_bounds():
    schema = one_column(type="real", lower=0, upper=10, bins=[2, 5])
    assert codes(schema, ["0", "1.9", "2", "4.9", "5", "10"]) == [0, 0, 1, 1, 2, 2]


def test_whole_numbers_get_a_cell_each_up_to_a_hundred_and_equal_cells_beyond():
    assert one_column(type="integer", lower=1, upper=100).domain.sizes == (100,)
    assert one_column(type="integer", lower=0, upper=100).domain.sizes == (DEFAULT_CELLS,)
    assert one_column(type="integer", lower=4, upper=4).domain.sizes == (1,)
    assert one_column(type="real", lower=4, upper=4).domain.sizes == (1,)


def test_whole_numbers_decode_uniformly_among_the_numbers_of_their_cell():
    schema = one_column(type="integer", lower=0, upper=9, bins=[0, 1, 10 - 1])
    drawn = schema.decode(np.ones((90_000, 1), dtype=np.int32), np.random.default_rng(0))["x"]
    counts = np.bincount(drawn, minlength=10)
    assert counts[0] == 0
    assert drawn.dtype == np.int64
    # 9 numbers, 10,000 expected of each: 5.5 standard deviations of a binomial are 519
    assert abs(counts[1:] - 10_000).max() < 519


def test_real_numbers_stay_inside_their_half_open_cell():
    grid = make_bins(0.1, 0.7, 3, whole=False)
    cells = np.repeat(np.arange(3, dtype=np.int32), 50_000)
    drawn = grid.draw(cells, np.random.default_rng(0))
    assert (grid.cells(drawn) == cells).all()
    # uniform in the first cell, width 0.2: the mean has standard deviation 0.2 / sqrt(12 * 50,000)
    assert abs(drawn[:50_000].mean() - 0.2) < 5.5 * 0.2 / np.sqrt(12 * 50_000)


def test_missing_marks_come_back_as_often_as_they_went_in():
    schema = one_column(type="integer", lower=0, upper=500, missing=["", "N"])
    frame = pd.DataFrame({"x": ["7"] * 50 + [""] * 30 + ["N"] * 20})
    decoded = schema.decode(schema.encode(frame), np.random.default_rng(0))["x"]
    assert decoded.dtype == object
    assert (decoded == "").sum() == 30
    assert (decoded == "N").sum() == 20
    assert all(type(value) is int for value in decoded[:50])


def test_decoded_kinds_are_integers_floats_and_text():
    schema = Schema.from_dict(
        {
            "name": "t",
            "columns": [
                {"name": "n", "type": "integer", "lower": 0, "upper": 1000},
                {"name": "r", "type": "real", "lower": 0, "upper": 1},
                {"name": "d", "type": "datetime", "lower": "2020-01-01", "upper": "2020-01-31"},
                {
                    "name": "s",
                    "type": "datetime",
                    "lower": "2020-01-01T00:00:00",
                    "upper": "2020-01-02T00:00:00",
                },
                {"name": "c", "type": "categorical", "size": 2},
            ],
        }
    )
    some = np.zeros((2, 5), dtype=np.int32)
    decoded = schema.decode(some, np.random.default_rng(0))
    assert [str(kind) for kind in decoded.dtypes] == ["int64", "float64"] + ["object"] * 3
    assert decoded["d"].tolist() == ["2020-01-01"] * 2
    assert decoded["c"].tolist() == ["0"] * 2
    assert decoded["s"].str.fullmatch(r"2020-01-01T00:\d\d:\d\d").all()
    assert (schema.encode(decoded) == some).all()
    assert list(decoded.dtypes) == list(schema.typed(decoded.astype(str)).dtypes)


def test_typed_keeps_values_that_lie_between_cells_and_outside_the_bounds():
    schema = one_column(type="real", lower=0, upper=1, missing=["?"])
    typed = schema.typed(pd.DataFrame({"x": ["0.123", "7", "?", "word"]}, index=[5, 6, 7, 8]))
    assert typed["x"].tolist() == [0.123, 7.0, "?", "?"]
    assert list(typed.index) == [0, 1, 2, 3]


def test_values_are_numbers_days_or_codes_and_nan_for_missing():
    def values(cells: list[str], **fields: object) -> list[float]:
        return one_column(**fields).column("x").values(pd.Series(cells)).tolist()

    np.testing.assert_equal(values(["5000.0", "-99", "x"], **AGE), [5000, np.nan, np.nan])
    np.testing.assert_equal(
        values(["1970-01-03", "?"], **{**DAY, "lower": "1970-01-01"}), [2, np.nan]
    )
    np.testing.assert_equal(values(["3", "?"], **GRADES), [3, np.nan])
    timed = {"type": "datetime", "lower": "1970-01-01T00:00", "upper": "1970-02-01T00:00"}
    assert values(["1970-01-01T12:00:00"], **timed) == [0.5]


def test_every_code_of_random_columns_decodes_to_a_value_of_that_code():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lower = float(rng.integers(-1000, 1000))
        upper = lower + float(rng.integers(1, 3000))
        kind = str(rng.choice(["integer", "real"]))
        room = int(upper - lower) + 1
        bins = [None, int(rng.integers(1, min(room, 200) + 1))][int(rng.integers(2))]
        schema = one_column(type=kind, lower=lower, upper=upper, bins=bins, missing=["?"])
        every = np.arange(schema.domain.sizes[0], dtype=np.int32).repeat(20)[:, None]
        assert (schema.encode(schema.decode(every, rng)) == every).all()


def test_columns_are_matched_exactly_by_name_and_extra_ones_ignored():
    schema = one_column(**NUMBERED)
    frame = pd.DataFrame({"other": ["?"], "x": ["2"]})
    assert schema.encode(frame).tolist() == [[2]]
    assert list(schema.typed(frame)) == ["x"]
    with pytest.raises(ValueError, match="column 'x' of schema 't' is not in the table"):
        schema.encode(frame.rename(columns={"x": "X"}))


def test_codes_are_integers_of_32_bits_in_column_order():
    schema = Schema.from_dict(
        {"name": "t", "columns": [{"name": n, "type": "ordinal", "size": 3} for n in "ab"]}
    )
    encoded = schema.encode(pd.DataFrame({"a": [0, 1], "b": [2, 2]}))
    assert encoded.dtype == np.int32
    assert encoded.flags.f_contiguous
    with pytest.raises(ValueError, match=r"codes must have shape \(records, 2\)"):
        schema.decode(encoded[:, :1], np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"codes of 'a' must lie in \[0, 3\)"):
        schema.decode(encoded + 3, np.random.default_rng(0))
