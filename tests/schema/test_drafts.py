"""Drafts: the likely reading of each kind of column, and questions where a table cannot tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.dialect import Dialect
from dp_synth.schema import Schema, check, draft, notes_of, record_like, remarks
from dp_synth.schema.draft import draft_column

RNG = np.random.default_rng(0)
MANY = [str(number) for number in RNG.integers(0, 300, 400)]
DAYS = pd.to_datetime("1950-01-01") + pd.to_timedelta(RNG.integers(0, 20_000, 400), unit="D")
WORDS = list("abcdefghij")


def drafted(cells: list[str], name: str = "x", decimal: str | None = None) -> dict[str, object]:
    frame = pd.DataFrame({name: pd.Series(cells, dtype="str")})
    content = draft(frame, "t", Dialect(decimal=decimal))
    schema = Schema.from_dict(content)  # what a draft writes is a schema
    assert check(frame, schema) == []
    (column,) = content["columns"]
    return column


def written(pattern: str) -> list[str]:
    return [day.strftime(pattern) for day in DAYS]


DATES = [
    ("%d/%m/%Y", "%d/%m/%Y"),
    ("%m/%d/%Y", "%m/%d/%Y"),
    ("%d.%m.%y", "%d.%m.%y"),
    ("%-m/%-d/%Y", "%-m/%-d/%Y"),
    ("%Y/%m/%d", "%Y/%m/%d"),
    ("%Y%m%d", "%Y%m%d"),
    ("%Y%m", "%Y%m"),
    ("%Y-%m", "%Y-%m"),
    ("%m/%Y", "%m/%Y"),
    ("%d-%b-%Y", "%d-%b-%Y"),
    ("%b %-d, %Y", "%b %-d, %Y"),
    ("%Y-%m-%d 00:00:00", "%Y-%m-%d 00:00:00"),
    ("%Y-%m-%dT00:00:00", "%Y-%m-%dT00:00:00"),
    ("%-m/%-d/%Y 0:00", "%-m/%-d/%Y 0:00"),
    ("%Y-%m-%d", None),
]


@pytest.mark.parametrize(("pattern", "form"), DATES)
@pytest.mark.parametrize("mark", ["", "NA", "unknown"])
def test_dates_are_drafted_in_the_format_that_they_have(pattern, form, mark):
    column = drafted([*written(pattern), mark])
    assert column["type"] == "datetime"
    assert column.get("format") == form
    assert column["missing"] == [mark]
    resolution = "M" if "%d" not in pattern.replace("-", "") else "D"
    first, last = (str(np.datetime64(day, resolution)) for day in (DAYS.min(), DAYS.max()))
    assert (column["lower"], column["upper"]) == (first, last)


@pytest.mark.parametrize(
    ("cells", "form", "lower", "upper"),
    [
        (["9:27AM", "11:03PM"], "%-I:%M%p", "09:27", "23:03"),
        (["08:15", "23:59"], "%H:%M", "08:15", "23:59"),
        (["08:15:01", "23:59:59"], "%H:%M:%S", "08:15:01", "23:59:59"),
    ],
)
def test_times_of_day_are_drafted_as_such(cells, form, lower, upper):
    found = drafted(cells)
    assert (found["format"], found["lower"], found["upper"]) == (form, lower, upper)


def test_whether_day_or_month_comes_first_is_asked_where_no_cell_tells():
    column = drafted(["01/02/1990", "03/04/1991"])
    assert "is the day or the month first?" in column["note"]
    assert "%m/%d/%Y" in column["note"]
    assert "note" not in drafted(["01/02/1990", "13/04/1991"])


def test_two_digit_years_lie_before_their_longest_gap_and_not_in_the_future():
    column = drafted([f"1/20/{year:02d}" for year in (19, *range(30, 99))])
    assert (column["lower"], column["upper"]) == ("1919-01-20", "1998-01-20")
    assert "hundred years that end with upper" in column["note"]
    assert drafted(["1/20/15", "1/20/20"])["upper"] == "2020-01-20"


@pytest.mark.parametrize("cell", ["01234567", "00012345", "02139"])
def test_codes_with_leading_zeros_are_neither_numbers_nor_dates(cell):
    assert drafted([cell, "10001001"] * 30)["type"] == "categorical"


@pytest.mark.parametrize("digits", [17, 18, 25])
def test_numbers_beyond_the_bounds_of_a_schema_are_identifiers(digits):
    cells = [str(10**digits + 7919 * int(place)) for place in RNG.permutation(400)]
    assert drafted(cells)["type"] == "id"


@pytest.mark.parametrize(
    ("cells", "form", "kind"),
    [
        ([f"{n / 7:,.2f}".translate(str.maketrans(",.", ".,")) for n in range(400, 90_000, 90)],
         {"decimal": ",", "thousands": "."}, "real"),
        ([f"{n / 10:.1f}".replace(".", ",") for n in range(400)], {"decimal": ","}, "real"),
        ([f"{n:,}" for n in range(0, 900_000, 1013)], {"thousands": ","}, "integer"),
        ([f"${n:,.2f}" for n in range(0, 900_000, 1013)],
         {"thousands": ",", "prefix": "$"}, "real"),
        ([f"-${n / 4:.2f}" for n in range(1, 400)], {"prefix": "$"}, "real"),
        ([f"{n}%" for n in RNG.integers(0, 101, 300)], {"suffix": "%"}, "integer"),
        ([f"{n / 10} %" for n in range(300)], {"suffix": " %"}, "real"),
        ([f"{n / 10} kg" for n in range(300)], {"suffix": " kg"}, "real"),
    ],
)  # fmt: skip
def test_money_shares_and_numbers_of_other_countries_are_numbers(cells, form, kind):
    cells = [str(cell) for cell in RNG.permutation(np.array([*cells, *cells]))]
    column = drafted([*cells, "NA"])
    assert column["type"] == kind or (form.get("prefix") and column["type"] == "integer")
    assert column["format"] == form
    assert column["missing"] == ["NA"]


def test_a_comma_that_could_be_either_sign_is_asked_about():
    cells = [f"{n // 1000},{n % 1000:03d}" for n in RNG.integers(1000, 99_999, 300)]
    assert "draft again with --decimal ','" in drafted(cells)["note"]
    column = drafted(cells, decimal=",")
    assert column["format"] == {"decimal": ","}
    assert column["upper"] < 100


def test_prices_keep_the_zeros_that_they_are_written_with():
    prices = [f"{n / 100:.2f}" for n in range(300)]
    assert drafted([*prices, ""])["format"] == {"decimal": "."}
    schema = Schema.from_dict(draft(pd.DataFrame({"x": prices}), "t"))
    column = schema.column("x")
    assert column.written(np.array([81.8, 2.0])).tolist() == ["81.80", "2.00"]
    for plain in ([str(n / 100) for n in range(300)], [f"{n / 10:.1f}" for n in range(300)]):
        assert "format" not in drafted(plain)


def test_the_decimals_of_a_column_are_counted():
    assert drafted([f"{n / 10}" for n in range(300)])["decimals"] == 1
    assert drafted([f"{n / 100:.2f}" for n in range(300)])["decimals"] == 2
    assert "decimals" not in drafted([str(n / 7) for n in range(300)])


def test_several_words_for_missing_leave_a_column_numeric():
    column = drafted([*MANY, "NA", "unknown", "", "refused"])
    assert column["type"] == "integer"
    assert set(column["missing"]) == {"NA", "unknown", "", "refused"}
    assert "'refused'" in column["note"]
    assert "'NA'" not in column["note"]


def test_whether_minus_one_means_missing_is_asked():
    assert "does -1 mean missing" in drafted([*MANY, "-1"])["note"]
    assert "does -1 mean missing" in drafted(["-1", "1", "2", "3"] * 20)["note"]
    assert "does 99999 mean missing" in drafted([*MANY, "99999"])["note"]


def test_ages_of_which_the_last_means_and_more_are_an_ordered_list():
    column = drafted([*(str(n) for n in RNG.integers(18, 90, 400)), "90+", "90+"])
    assert column["type"] == "ordinal"
    assert column["categories"][-2:] == ["89", "90+"]
    assert "missing" not in column


@pytest.mark.parametrize("mark", ["-999", "-9", "-7", "-999.0"])
def test_a_negative_number_among_positive_ones_is_a_mark_and_asked_about(mark):
    column = drafted([*MANY, mark, mark])
    assert (column["lower"], column["missing"]) == (0, [mark])
    assert f"{mark!r}: read as missing" in column["note"]


def test_ratings_are_ordinal_and_years_and_counts_are_integers():
    stars = [str(n) for n in RNG.integers(1, 6, 400)]
    assert drafted(stars)["type"] == "ordinal"
    assert "no order" in drafted(stars)["note"]
    four = [str(n) for n in RNG.integers(1, 5, 400)]
    assert drafted(four)["type"] == "categorical"
    assert drafted(four, "satisfaction_score")["type"] == "ordinal"
    assert drafted([str(n) for n in RNG.integers(2008, 2018, 400)], "season") == {
        "name": "season", "type": "integer", "lower": 2008, "upper": 2017}  # fmt: skip
    counts = [str(n) for n in RNG.poisson(2, 3000)]
    counts = [n for n in counts if n != "7"] + ["9", "12"]
    assert drafted(counts, "visits")["type"] == "integer"


@pytest.mark.parametrize(
    ("categories", "order"),
    [
        (["65+", "18-24", "25-64"], ["18-24", "25-64", "65+"]),
        (["high", "low", "medium"], ["low", "medium", "high"]),
        (["Often", "Never", "Sometimes"], ["Never", "Sometimes", "Often"]),
        (["<18", "18-64", ">64"], ["<18", "18-64", ">64"]),
        (["10+ years", "1 year", "< 1 year"], ["< 1 year", "1 year", "10+ years"]),
    ],
)
def test_bands_and_words_of_degree_are_in_order(categories, order):
    column = drafted(categories * 30)
    assert (column["type"], column["categories"]) == ("ordinal", order)


@pytest.mark.parametrize(
    ("cells", "categories", "drafted_as"),
    [
        (["lo", "hi", None], ["tiny", "lo", "hi"], ["tiny", "lo", "hi"]),
        ([3, 1, 2], [3, 1, 2], ["3", "1", "2"]),
        (["b", "", "a"], ["", "b", "a"], ["b", "a"]),
    ],
)
def test_an_ordered_categorical_keeps_the_order_that_its_frame_declares(
    cells, categories, drafted_as
):
    ordered = pd.Categorical(cells * 30, categories=categories, ordered=True)
    column = draft_column("grade", pd.Series(ordered))
    assert (column["type"], column["categories"]) == ("ordinal", drafted_as)
    assert column.get("missing", []) == ([] if 3 in cells else [""])
    unordered = draft_column("grade", pd.Series(ordered.as_unordered()))
    assert unordered["categories"] == sorted(text for text in drafted_as if text != "tiny")


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        ([str(n) for n in RNG.choice(10**4, 400, replace=False)], "nr"),
        ([str(n) for n in RNG.choice(10**8, 400, replace=False)], "visitorId"),
        ([str(n) for n in RNG.choice(10**8, 150, replace=False)] * 3, "VisitorId"),
        ([str(n) for n in range(5, 4000, 9)], "place"),
        (["" if n % 40 else f"T{n}" for n in range(400)], "ticket"),
        ([f"{n:x}" if n % 9 == 0 else "" for n in range(3000)], "parent"),
        ([f"name {n % 1500}" for n in range(9000)], "author"),
    ],
)
def test_identifiers_are_found_that_are_sparse_or_not_contiguous(cells, name):
    assert drafted(cells, name)["type"] == "id"


def test_codes_of_shops_and_places_are_categories_and_numbers_are_numbers():
    shops = [str(n) for n in RNG.choice(RNG.integers(100, 9999, 60), 2000)]
    assert drafted(shops, "store_id")["type"] == "categorical"
    assert "by its name" in drafted(shops, "store_id")["note"]
    assert (
        drafted([str(n) for n in RNG.normal(4e4, 1e4, 400).astype(int)], "pay")["type"] == "integer"
    )


def test_a_column_that_cannot_be_read_is_left_out_with_a_word_why():
    cells = [f"{n}/{n + 1}/{n + 2}" for n in range(100, 300)]
    assert "holds figures in no format" in drafted(cells)["note"]
    mixed = [*map(str, RNG.choice(10**5, 200, replace=False)), *(f"A/{n}" for n in range(60))]
    assert "most cells are numbers" in drafted(mixed)["note"]


def test_questions_are_told_once_for_all_columns_of_which_they_are_asked():
    stars = [str(n) for n in RNG.integers(1, 6, 400)]
    content = draft(pd.DataFrame({"a": stars, "b": stars, "c": ["x", "y"] * 200}), "t")
    (line,) = notes_of(content)
    assert line.startswith("columns 'a', 'b': read as an ordered scale")


def test_a_first_line_that_is_a_record_is_told_from_names():
    record = pd.DataFrame({"41": ["52", "41"], "f": ["m", "f"], "52310.5": ["1", "2"]})
    assert "reads like a record" in record_like(record)[0]
    assert "reads like a record" in remarks(record, Schema.from_dict(draft(record, "t")))[0]
    named = Schema.from_dict(draft(record, "t", Dialect(names=())))
    assert remarks(record, named) == []
    assert record_like(pd.DataFrame({"age": ["41"], "sex": ["f"], "2019": ["1"]})) == []


def test_a_draft_keeps_the_dialect_of_its_file():
    frame = pd.DataFrame({"column_1": ["a", "b"]})
    content = draft(frame, "t", Dialect(separator=";", names=(), index=True, decimal=","))
    assert content["dialect"] == {"separator": ";", "names": ["column_1"], "index": True}
    assert "dialect" not in draft(frame, "t")


PARTS = [
    "", "?", "NA", "0", "1", "7", "-999", "90+", "12.5", "1,5", "1.234,5", "$3", "4 %", "00501",
    "31/12/1980", "1980-12-31", "1980-12-31 00:00:00", "9:27AM", "2020-05", "abc", "1e400", "inf",
    "123456789012345678", "True", " 5", "<18", "18-24", "1e-30", "9" * 40, "nan", "20200131", "ü",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_column_holds_its_draft_fits_it(seed):
    rng = np.random.default_rng(seed)
    parts = rng.choice(PARTS, rng.integers(1, 6), replace=False)
    cells = [str(cell) for cell in rng.choice(parts, rng.integers(1, 120))]
    if seed % 3 == 0:
        cells += [str(number) for number in rng.integers(-5, 10**9, 60)]
    drafted(cells, str(rng.choice(["x", "id", "zip_code", "rating"])))
