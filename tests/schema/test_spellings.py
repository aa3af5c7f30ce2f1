"""Cells of equal value in another type, width or spelling take equal codes."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dp_synth.schema import Misfits, Schema


def codes(column: dict[str, object], cells: object) -> list[int]:
    schema = Schema.from_dict({"name": "t", "columns": [{"name": "x", **column}]})
    return schema.encode(pd.DataFrame({"x": cells}))[:, 0].tolist()


def told(column: dict[str, object], cells: object) -> dict[str, int]:
    """Return how many cells do not fit, by what is wrong with them."""
    schema = Schema.from_dict({"name": "t", "columns": [{"name": "x", **column}]})
    misfits = Misfits()
    misfits.add(schema.column("x"), schema.cells(pd.DataFrame({"x": cells}), "x"))
    return {what: count for (_, what), count in misfits.counts().items()}


NAMED = {"type": "categorical", "categories": ["False", "True"]}
LOWER_CASE = {"type": "categorical", "categories": ["true", "false"]}
BITS = {"type": "ordinal", "size": 2}
DIGITS = {"type": "categorical", "categories": ["1", "0"], "missing": [""]}
WHOLE = {"type": "integer", "lower": 0, "upper": 1}
SPELLINGS = [
    ["0", "1"],
    ["false", "true"],
    ["False", "True"],
    ["FALSE", "TRUE"],
    ["0.0", "1.0"],
    [0, 1],
    [0.0, 1.0],
    [False, True],
    [b"false", b"true"],
    pd.array([False, True], dtype="boolean"),
    pd.array([0, 1], dtype="Int64"),
]


@pytest.mark.parametrize("cells", SPELLINGS, ids=repr)
@pytest.mark.parametrize("column", [NAMED, LOWER_CASE, BITS, DIGITS, WHOLE])
def test_logical_values_are_matched_in_any_spelling(
    column: dict[str, object], cells: object
) -> None:
    false, true = codes(column, cells)
    wanted = codes(column, column.get("categories", ["0", "1"]))
    assert sorted(wanted) == [0, 1]
    assert [false, true] == ([1, 0] if column in (LOWER_CASE, DIGITS) else [0, 1])
    assert told(column, cells) == {}


def test_logical_values_are_not_guessed_where_two_categories_say_the_same() -> None:
    both = {"type": "categorical", "categories": ["1", "True", "0"]}
    assert codes(both, ["True", "1", "1.0"]) == [1, 0, 0]
    assert told(both, ["TRUE", "false"]) == {"unseen category": 2}
    words = {"type": "categorical", "categories": ["no", "yes"]}
    assert told(words, ["true", "0", True]) == {"unseen category": 3}


def test_a_missing_mark_that_says_true_stays_a_mark() -> None:
    column = {"type": "integer", "lower": 0, "upper": 9, "missing": ["TRUE"]}
    assert codes(column, ["TRUE", "1"]) == [10, 1]


def test_narrow_floats_are_the_decimals_that_they_were_written_as() -> None:
    narrow = pd.Series([-99.9, 0.1, 2.7], dtype=np.float32)
    measured = {"type": "real", "lower": 0, "upper": 3, "bins": 3, "missing": ["?", "-99.9"]}
    assert codes(measured, narrow) == codes(measured, ["-99.9", "0.1", "2.7"]) == [4, 0, 2]
    listed = {"type": "categorical", "categories": ["0.1", "2.7"], "missing": ["-99.9"]}
    assert codes(listed, narrow) == [2, 0, 1]
    assert codes(listed, pd.Series(list(narrow.to_numpy()), dtype=object)) == [2, 0, 1]
    assert told(measured, narrow) == told(listed, narrow) == {}


def test_narrow_floats_are_known_again_after_they_were_read_as_wide_ones() -> None:
    wide = pd.Series([-99.9, 0.1, 2.7], dtype=np.float32).astype(np.float64)
    assert wide[0] != -99.9
    measured = {"type": "real", "lower": 0, "upper": 3, "bins": 3, "missing": ["?", "-99.9"]}
    listed = {"type": "categorical", "categories": ["0.1", "2.7"], "missing": ["-99.9"]}
    for cells in (wide, wide.map(repr), ["-99.9000015", "0.100000001", "2.70000005"]):
        assert codes(measured, cells) == [4, 0, 2]
        assert codes(listed, cells) == [2, 0, 1]
        assert told(measured, cells) == told(listed, cells) == {}
    whole = {"type": "categorical", "categories": ["16777216"], "missing": ["?"]}
    assert codes(whole, ["16777217"]) == [1]  # whole numbers are what they are
    close = {"type": "categorical", "categories": ["0.1", "0.100000001"], "missing": ["?"]}
    assert codes(close, ["0.1000000015"]) == [2]


def test_bytes_are_the_text_that_they_spell() -> None:
    column = {"type": "categorical", "categories": ["a", "café"], "missing": [""]}
    cells = [b"a", "café".encode(), "café".encode("latin-1"), b"", None]
    assert codes(column, cells) == [0, 1, 1, 2, 2]
    assert codes(column, np.array([b"a", b"caf"])) == [0, 2]
    assert codes({"type": "integer", "lower": 1, "upper": 9}, [b"3", b" 9"]) == [2, 8]


def test_an_infinite_number_goes_to_the_nearer_bound_unless_it_is_a_mark() -> None:
    column = {"type": "real", "lower": 0, "upper": 3, "bins": 3}
    assert codes(column, [np.inf, -np.inf]) == codes(column, ["inf", "-Infinity"]) == [2, 0]
    assert codes({**column, "missing": ["?", "inf"]}, ["inf", "-inf", "x"]) == [4, 0, 3]
    assert told(column, ["inf", "-inf", "1e999", "2"]) == {"cell outside the bounds": 3}
    schema = Schema.from_dict({"name": "t", "columns": [{"name": "x", **column}]})
    frame = pd.DataFrame({"x": [np.inf, 1.0, -np.inf]})
    assert schema.typed(frame)["x"].tolist() == [3.0, 1.0, 0.0]
    assert schema.column("x").values(frame["x"]).tolist() == [3.0, 1.0, 0.0]


def test_a_duration_is_its_number_of_seconds() -> None:
    column = {"type": "integer", "lower": 0, "upper": 100}
    cells = [timedelta(seconds=7), timedelta(minutes=1)]
    assert codes({**column, "bins": 101}, pd.Series(cells)) == [7, 60]
    assert codes({**column, "bins": 101}, pd.Series(cells, dtype=object)) == [7, 60]


def test_whole_numbers_that_are_one_float_are_not_taken_for_each_other() -> None:
    column = {"type": "categorical", "categories": ["9007199254740992"], "missing": ["?"]}
    assert codes(column, ["9007199254740992", "9007199254740993"]) == [0, 1]


AWARE = {
    "type": "datetime",
    "lower": "2021-03-01T00:00:00+02:00",
    "upper": "2021-03-02T00:00:00+02:00",
    "bins": 24,
}
NAIVE = {
    "type": "datetime",
    "lower": "2021-03-01T00:00:00",
    "upper": "2021-03-02T00:00:00",
    "bins": 24,
}


def test_times_with_an_offset_are_read_alike_as_text_and_typed() -> None:
    texts = ["2021-03-01T09:30:00+02:00", "2021-03-01T07:30:00Z", "2021-03-01T08:30:00+01:00"]
    stamps = pd.to_datetime(pd.Series(["2021-03-01T09:30:00+02:00"] * 3))
    assert stamps.dt.tz is not None
    assert codes(AWARE, texts) == codes(AWARE, stamps) == [9, 9, 9]
    assert codes(AWARE, ["2021-03-01T09:30:00"]) == [9]  # without one, the column's own
    assert codes(AWARE, pd.to_datetime(pd.Series(["2021-03-01T09:30:00"]))) == [9]
    assert told(AWARE, texts) == told(AWARE, stamps) == {}


def test_rows_carry_the_offset_of_the_lower_bound() -> None:
    schema = Schema.from_dict({"name": "t", "columns": [{"name": "x", **AWARE}]})
    hours = np.arange(24)[:, None]
    rows = schema.decode(hours, np.random.default_rng(0))
    assert all(text.endswith("+02:00") for text in rows["x"])
    assert [int(text[11:13]) for text in rows["x"]] == list(range(24))
    assert (schema.encode(rows) == hours).all()
    frame = pd.DataFrame({"x": ["2021-03-01T07:30:00Z"]})
    assert schema.typed(frame)["x"].tolist() == ["2021-03-01T09:30:00+02:00"]


def test_times_with_an_offset_beside_bounds_without_one_are_taken_to_utc_and_told() -> None:
    texts = ["2021-03-01T09:30:00+02:00", "2021-03-01T09:30:00"]
    what = "cell with an offset from UTC, where the bounds say none: taken to UTC"
    assert codes(NAIVE, texts) == [7, 9]
    assert told(NAIVE, texts) == {what: 1}
    assert told(NAIVE, pd.to_datetime(pd.Series(texts[:1]))) == {what: 1}


def test_bounds_say_both_their_offset_or_neither() -> None:
    column = {"name": "x", **AWARE, "upper": "2021-03-02T00:00:00"}
    with pytest.raises(ValueError, match="must say its offset from UTC where lower does"):
        Schema.from_dict({"name": "t", "columns": [column]})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times_of_any_unit_fall_into_the_second_that_their_text_says(unit: str) -> None:
    stamps = np.array(["2021-03-01T09:59:59.999999999", "2021-03-01T10:00:00"], "datetime64[ns]")
    typed = pd.Series(stamps.astype(f"datetime64[{unit}]"))
    schema = Schema.from_dict({"name": "t", "columns": [{"name": "x", **NAIVE}]})
    texts = schema.typed(pd.DataFrame({"x": typed}))["x"].tolist()
    assert texts == schema.typed(pd.DataFrame({"x": typed.map(str)}))["x"].tolist()
    assert texts == ["2021-03-01T09:59:59", "2021-03-01T10:00:00"]
