"""New keys: all of the pattern, distinct, evenly drawn, and never a look at the old ones."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

import dp_synth as dps
from dp_synth.audit.replayer import made_table
from dp_synth.datasets import read_table
from dp_synth.errors import InputError, ReleaseError, SchemaError
from dp_synth.schema.draft import draft
from dp_synth.schema.keys import UUID, KeyPattern, proposed_pattern

PATTERNS = {
    "P-[0-9]{6}": r"P-[0-9]{6}",
    "integer": r"[1-9][0-9]{11}",
    "uuid": UUID,
    r"\d{3}\.[A-F0-9]{5}": r"\d{3}\.[A-F0-9]{5}",
    "[A-Z]{40}": r"[A-Z]{40}",
}
BUDGET = dps.PrivacyBudget(1.0, 1e-6)


@pytest.mark.parametrize("text", PATTERNS)
def test_keys_are_distinct_and_of_their_pattern(text):
    pattern = KeyPattern.of(text)
    keys = pattern.draw(20_000, seed=3)
    assert len(set(keys)) == 20_000
    assert all(re.fullmatch(PATTERNS[text], key) for key in keys)
    assert pattern.draw(20_000, seed=3) == keys != pattern.draw(20_000, seed=4)
    assert pattern.draw(5, 3) + pattern.draw(19_995, 3, 5) == keys  # whatever the blocks are


@pytest.mark.parametrize("text", ["[0-9]{2}[A-C]", "[ab]{9}", "X", "[0-6]"])
def test_all_keys_of_a_pattern_are_drawn_before_any_comes_twice(text):
    pattern = KeyPattern.of(text)
    assert len(set(pattern.draw(pattern.size, seed=0))) == pattern.size == pattern.ordered


def test_every_key_is_as_likely_as_any_other_at_every_place():
    pattern = KeyPattern.of("[0-9]{2}")
    drawn = np.array([[int(key) for key in pattern.draw(3, seed)] for seed in range(8_000)])
    for place in range(3):
        seen = np.bincount(drawn[:, place], minlength=100)
        assert chisquare(seen).pvalue > 1e-7
    second = (drawn[:, 1] - drawn[:, 0]) % 100  # given the first
    assert chisquare(np.bincount(second, minlength=100)[1:]).pvalue > 1e-7


def test_coincidences_with_old_keys_are_as_many_as_is_said():
    """The number of coincidences has this mean, and a variance below it."""
    pattern, old = KeyPattern.of("[0-9]{4}"), {f"{number:04d}" for number in range(500)}
    met = [len(old.intersection(pattern.draw(200, seed))) for seed in range(400)]
    expected = pattern.coincidences(200, 500)
    assert expected == 10.0
    assert abs(np.mean(met) - expected) <= 5.5 * np.sqrt(expected / 400)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a*", r".*got 'a\*', which is not understood from '\*' on"),
        ("[^a]", "a class must list its signs"),
        ("[z-a]", "a range of a class must rise"),
        ("[aa]", "a class must list distinct signs"),
        ("", "must be of 1 to 64 signs, got 0"),
        ("[0-9]{99}", "must be of 1 to 64 signs, got 99"),
    ],
)
def test_a_pattern_that_is_none_is_refused_in_a_line(text, said):
    with pytest.raises(SchemaError, match=f"column 'key': field 'pattern': {said}"):
        dps.Schema.from_dict(
            {"name": "t", "columns": [{"name": "key", "type": "id", "pattern": text}]}
        )


def keyed(records=60):
    frame, schema = made_table(records)
    fields = schema.to_dict()
    fields["columns"].insert(1, {"name": "key", "type": "id", "pattern": "P-[0-9]{6}"})
    return frame, dps.Schema.from_dict(fields)


def test_a_fit_never_reads_keys_and_its_rows_have_new_ones(tmp_path):
    frame, schema = keyed()
    plain = dps.Independent().fit(frame, schema.without_keys, BUDGET, seed=0)
    unlike = frame.assign(key=[f"P-{number:06d}" for number in range(len(frame))])
    rows = []
    for table in (frame, unlike):  # without the column at all, too
        release = dps.Independent().fit(table, schema, BUDGET, seed=0)
        assert "key" not in release.model.domain
        release.save(tmp_path / f"{len(rows)}.npz")
        rows.append(dps.Release.load(tmp_path / f"{len(rows)}.npz").sample(50, seed=1))
    pd.testing.assert_frame_equal(*rows)
    assert list(rows[0].columns) == list(schema.names)
    assert rows[0]["key"].is_unique
    pd.testing.assert_frame_equal(rows[0].drop(columns="key"), plain.sample(50, seed=1))


def test_blocks_given_rows_and_kinds_have_keys(tmp_path):
    frame, schema = keyed()
    release = dps.Independent().fit(frame, schema, BUDGET, seed=0)
    whole = release.sample(50, seed=1)
    blocks = pd.concat(release.sample_blocks(50, seed=1, block=7), ignore_index=True)
    pd.testing.assert_frame_equal(whole, blocks)
    partial = pd.DataFrame({"key": ["P-000001", "P-000002"], "a": ["x", "y"]})
    completed = release.sample(given=partial, seed=2)
    assert completed["a"].tolist() == ["x", "y"]
    assert not set(completed["key"]) & {"P-000001", "P-000002"}
    assert release.sample(3, seed=1, given={"a": "x"})["key"].is_unique
    assert str(release.sample(3, kinds={"key": "category"})["key"].dtype) == "category"
    release.write_rows(tmp_path / "rows.parquet", 9, seed=1)
    release.write_rows(tmp_path / "rows.csv", 9, seed=1)
    written = pd.read_parquet(tmp_path / "rows.parquet")["key"].tolist()
    assert written == pd.read_csv(tmp_path / "rows.csv")["key"].tolist()
    assert len(set(written)) == 9
    with pytest.raises(InputError, match="column 'key' holds new keys, of which nothing"):
        release.sample(3, given={"key": "P-000001"})
    with pytest.raises(InputError, match="has 1,000,000 keys, fewer than the 1,000,001 rows"):
        release.sample(1_000_001)


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "xlsx", "sav", "dta", "xpt"])
def test_files_of_every_format_have_the_keys(ending, tmp_path):
    for needed in {"xlsx": ["openpyxl"], "feather": []}.get(ending, ["pyreadstat"]):
        pytest.importorskip(needed)
    frame, schema = keyed()
    fields = schema.to_dict()
    fields["columns"].append({"name": "number", "type": "id", "pattern": "integer"})
    release = dps.Independent().fit(frame, dps.Schema.from_dict(fields), BUDGET, seed=0)
    release.write_rows(tmp_path / f"rows.{ending}", 9, seed=1)
    rows, expected = read_table(tmp_path / f"rows.{ending}"), release.sample(9, seed=1)
    assert list(rows.columns) == list(release.row_schema.names)
    for name in ("key", "number"):
        assert rows[name].astype(str).tolist() == expected[name].astype(str).tolist()


def test_several_tables_have_keys_of_their_own_or_are_refused_before_the_first():
    frame, schema = keyed()
    release = dps.Independent().fit(frame, schema, BUDGET, seed=0)
    first, second = release.sample_many(2, 40, seed=1)
    assert first["key"].is_unique
    assert second["key"].is_unique
    assert first["key"].tolist() != second["key"].tolist()
    with pytest.raises(InputError, match="has 1,000,000 keys, fewer than the 1,000,001 rows"):
        release.sample_many(2, 1_000_001)
    with pytest.raises(InputError, match="partial rows are completed once each; give no n"):
        release.sample(5, given=frame.head(3))
    with pytest.raises(InputError, match="column 'key' holds new keys, a row each: no balance"):
        release.sample(5, balance="key")


@pytest.mark.parametrize("kind", ["int32", "float32", "bool", "datetime64[ns]", "enum"])
def test_a_kind_that_cannot_hold_each_key_is_refused_when_it_is_declared(kind):
    """Whole numbers of 12 digits would wrap, round or become others."""
    frame, schema = made_table(20)
    fields = schema.to_dict()
    fields["columns"].append({"name": "key", "type": "id", "pattern": "integer"})
    release = dps.Independent().fit(frame, dps.Schema.from_dict(fields), BUDGET, seed=0)
    plain = release.sample(5, seed=1)["key"].tolist()
    with pytest.raises(InputError, match="column 'key' cannot be of kind"):
        release.with_output(dtypes={"key": kind})
    for other in ("int64", "Int64", "float64", "str", "int64[pyarrow]", "category"):
        rows = release.with_output(dtypes={"key": other}).sample(5, seed=1)
        assert [int(key) for key in rows["key"]] == plain
        assert str(rows["key"].dtype) == other


@pytest.mark.parametrize("backend", ["pandas", "pandas_nullable", "pandas_pyarrow", "polars"])
def test_rows_of_every_library_have_the_same_keys(backend):
    if backend == "polars":
        pytest.importorskip("polars")
    frame, schema = keyed()
    release = dps.Independent().fit(frame, schema, BUDGET, seed=0)
    rows = release.with_output(backend).sample(9, seed=1)
    assert list(rows["key"]) == release.sample(9, seed=1)["key"].tolist()
    assert list(rows.columns) == list(release.row_schema.names) == list(schema.names)
    assert "new keys key" in repr(release)


@pytest.mark.parametrize(
    "keys",
    [
        [5],
        [[0, 5]],
        [[0, {"name": "key", "type": "id"}]],
        [[9, {"name": "key", "type": "id", "pattern": "uuid"}]],
        [[0, {"name": "a", "type": "id", "pattern": "uuid"}]],
        [[0, {"name": "key", "type": "id", "pattern": "uuid"}]] * 2,
    ],
)
def test_a_release_file_of_keys_that_no_rows_can_have_is_refused(keys, tmp_path):
    frame, schema = keyed()
    dps.Independent().fit(frame, schema, BUDGET, seed=0).save(tmp_path / "r.npz")
    arrays = dict(np.load(tmp_path / "r.npz"))
    header = json.loads(str(arrays.pop("header")))
    np.savez(tmp_path / "r.npz", header=np.array(json.dumps({**header, "keys": keys})), **arrays)
    with pytest.raises(ReleaseError, match="cannot be read as a release"):
        dps.Release.load(tmp_path / "r.npz")


def test_an_evaluation_tells_new_keys_from_old_ones():
    frame, schema = keyed(400)
    frame = frame.assign(key=[f"P-{number:06d}" for number in range(400)])
    fitted, fresh = frame[:200], frame[200:]
    rows = dps.Independent().fit(fitted, schema, BUDGET, seed=0).sample(100, seed=1)
    said = {
        name: dps.metrics.evaluate(fitted, fresh, table, schema)["remarks"]["column 'key'"]
        for name, table in {
            "new": rows,
            "old": rows.assign(key=fitted["key"].to_numpy()[:100]),
            "twice": rows.assign(key="P-X"),
            "none": rows.drop(columns="key"),
        }.items()
    }
    assert said["new"] == "new keys: 0 of 100 are keys of fitted records, 0.02 by chance"
    assert "100 of 100 are keys of fitted records, 0.02 by chance; too many" in said["old"]
    assert "99 stand there again; 100 are not of the pattern P-[0-9]{6}" in said["twice"]
    assert said["none"] == "new keys, which the rows have not"


def test_as_many_coincidences_as_chance_has_are_told_as_chance():
    pattern = KeyPattern.of("[0-9]{4}")
    old = [f"{number:04d}" for number in range(500)]
    for seed in range(50):
        assert "too many" not in pattern.compared(pattern.draw(200, seed), old)
    assert "too many" in pattern.compared([*pattern.draw(170, 0), *old[:30]], old)


def test_identifiers_without_a_pattern_are_refused_and_told_of_one():
    frame, schema = made_table(20)
    fields = schema.to_dict()
    fields["columns"].append({"name": "key", "type": "id"})
    with pytest.raises(SchemaError, match="or give it a pattern of new keys in the schema"):
        dps.Independent().fit(frame, dps.Schema.from_dict(fields), BUDGET)


def test_a_draft_proposes_a_pattern_that_a_person_has_to_confirm():
    keys = [f"AB-{number:05d}" for number in range(0, 60_000, 300)]
    found = draft(pd.DataFrame({"code": keys, "x": ["a", "b"] * 100}), "t")
    column = dps.Schema.from_dict(found).column("code")
    assert column.type == "id"
    assert column.pattern is None
    assert "confirm and give pattern: AB-[0-9]{5}" in column.note
    assert proposed_pattern(["a1", "b22"]) is None
    assert proposed_pattern(["a-1", "b.2"]) is None
    assert KeyPattern.of(proposed_pattern(["x.1", "y.2"])).size == 260


def test_schemas_are_equal_whatever_was_asked_of_them():
    _, schema = keyed()
    plain = schema.without_keys
    assert plain.without_keys == plain
    again = dps.Schema.from_dict(plain.to_dict())
    assert again.without_keys == plain
    assert again == plain
