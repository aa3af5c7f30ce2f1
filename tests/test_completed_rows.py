"""Partial rows are completed once each: what is given stays, and the rest follows exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.errors import InputError
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST

SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 59, "bins": 6},
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "wage", "type": "real", "lower": 0, "upper": 100, "missing": ["-1"]},
            {"name": "born", "type": "datetime", "lower": "1950-01-01", "upper": "1999-12-31"},
            {"name": "job", "type": "categorical", "categories": ["a", "b"], "missing": ["?"]},
            {"name": "new", "type": "categorical", "categories": ["false", "true"]},
        ],
    }
)


@pytest.fixture(scope="module")
def release() -> Release:
    rng, count = np.random.default_rng(0), 3_000
    age = rng.integers(0, 60, count)
    frame = pd.DataFrame(
        {
            "age": age,
            "sex": np.where(rng.random(count) < age / 60, "F", "M"),
            "wage": np.round(age * rng.random(count), 2),
            "born": (np.datetime64("1999-01-01") - age * np.timedelta64(290, "D")).astype(str),
            "job": np.where(rng.random(count) < 0.1, "?", np.where(age < 30, "a", "b")),
            "new": rng.random(count) < 0.5,
        }
    )
    return MST().fit(frame, SCHEMA, PrivacyBudget(10.0, 1e-6), seed=0)


def partial() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [17.0, np.nan, 3, 59, np.nan, 17],
            "sex": ["F", None, "", "M", np.nan, "F"],
            "wage": [np.nan, 12.25, np.nan, -1.0, np.nan, np.nan],
            "born": pd.to_datetime([None, "1970-05-06", None, None, None, None]),
            "job": [None, None, "?", "b", None, None],
            "new": pd.array([None, True, False, None, None, None], dtype="boolean"),
        }
    )


def test_each_row_is_completed_in_its_place_and_what_is_given_stays(release: Release) -> None:
    given = partial()
    rows = release.sample(given=given, seed=0)
    assert len(rows) == len(given)
    assert rows["age"].tolist()[0::5] == [17, 17]
    assert rows["age"].tolist()[2:4] == [3, 59]
    assert rows["sex"].tolist()[0] == "F"
    assert rows["sex"].tolist()[3] == "M"
    assert rows["wage"].tolist()[1] == 12.25
    assert np.isnan(rows["wage"].tolist()[3])
    assert rows["born"].tolist()[1] == pd.Timestamp("1970-05-06")
    assert pd.isna(rows["job"].tolist()[2])
    assert rows["new"].tolist()[1:3] == [True, False]
    assert not rows.drop(columns=["wage", "job"]).isna().any().any()
    assert rows.dtypes.equals(release.sample(5, seed=0).dtypes)


def test_every_gap_is_drawn_from_the_model_given_the_rest(release: Release) -> None:
    """4,000 completions of each of two rows: counts lie within six deviations of what they must."""
    each = 4_000
    given = pd.DataFrame({"age": [5, 55] * each, "job": ["a", "b"] * each})
    rows = release.sample(given=given, seed=0)
    for place, (age, job) in enumerate([(5, "a"), (55, "b")]):
        half = rows.iloc[place::2]
        assert (half["age"] == age).all()
        assert (half["job"] == job).all()
        weights = {}
        for name, value in (("age", age), ("job", job)):
            code = release.schema.column(name).encode(pd.Series([value]))[0]
            weights[name] = np.eye(release.schema.domain.size(name))[code]
        expected = release.model.conditioned(weights).marginal(("sex",))
        share = expected[0] / expected.sum()
        deviation = np.sqrt(share * (1 - share) / each)
        assert abs((half["sex"] == "F").mean() - share) < 6 * deviation + 1 / each


def test_rows_without_anything_given_are_drawn_freely(release: Release) -> None:
    rows = release.sample(given=pd.DataFrame(index=range(500)), seed=0)
    assert len(rows) == 500
    assert abs((rows["sex"] == "F").mean() - 0.5) < 0.15
    assert len(release.sample(given=partial().head(0), seed=0)) == 0
    assert list(release.sample(given=partial().head(0), seed=0)) == list(SCHEMA.names)


def test_one_seed_completes_in_one_way_and_a_table_of_arrow_as_its_frame(release: Release) -> None:
    given = partial()
    rows = release.sample(given=given, seed=3)
    assert release.sample(given=given, seed=3).equals(rows)
    assert not release.sample(given=given, seed=4).equals(rows)
    table = pa.Table.from_pandas(given, preserve_index=False)
    assert release.sample(given=table, seed=3).equals(rows)
    assert release.sample(given=given.set_index(pd.Index(list("abcdef"))), seed=3).equals(rows)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (pd.DataFrame({"height": [1]}), "no column 'height'; there are: age, "),
        (pd.DataFrame({"age": [77]}), "column 'age': takes a number from 0 to 59"),
        (pd.DataFrame({"age": [2.5]}), "column 'age': holds whole numbers"),
        (pd.DataFrame({"sex": ["X"]}), "column 'sex' has no category 'X'"),
        (pd.DataFrame({"born": ["soon"]}), "column 'born': takes a date from 1950-01-01"),
        (pd.DataFrame([[1, 2]], columns=["age", "age"]), "column 'age' stands twice"),
        ([{"age": 3}], "given is no mapping .* must be a pandas, Arrow or polars table, got"),
        ("age=3", "given is no mapping .* must be a pandas, Arrow or polars table, got"),
    ],
)
def test_rows_that_cannot_be_read_are_refused_in_one_line(
    release: Release, given: object, fault: str
) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        release.sample(given=given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_rows_that_no_record_can_be_are_named_by_their_number() -> None:
    constraint = {"impossible": {"age": {"below": 10}, "job": ["b"]}}
    schema = Schema.from_dict({**SCHEMA.to_dict(), "constraints": [constraint]})
    frame = pd.DataFrame({name: ["5", "50"] for name in SCHEMA.names})
    release = MST().fit(frame, schema, PrivacyBudget(1.0, 1e-6), seed=0)
    given = pd.DataFrame({"age": [50, 5, 50, 7], "job": ["b", "b", None, "b"]})
    with pytest.raises(InputError, match=r"what is given in rows 2, 4; give less"):
        release.sample(given=given)


def test_partial_rows_leave_no_number_and_no_balance_to_give(release: Release) -> None:
    for more in ({"n": 3}, {"balance": "sex"}):
        with pytest.raises(InputError, match="completed once each; give no n and no balance"):
            release.sample(given=partial(), **more)


@pytest.mark.parametrize(
    "wanted",
    [np.array([3, 41]), pd.Series([3, 41]), pd.Index([3, 41]), {3, 41}, np.array(["3", "41"])],
)
def test_arrays_and_sets_are_lists_of_values(release: Release, wanted: object) -> None:
    rows = release.sample(50, seed=0, given={"age": wanted})  # type: ignore[dict-item]
    assert rows["age"].isin([3, 41]).all()
    with pytest.raises(InputError, match="an empty list leaves no record"):
        release.sample(50, seed=0, given={"age": np.array([])})
