"""New keys: all of the pattern, distinct, evenly drawn, and never a look at the old ones."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

import dp_synth as dps
from dp_synth.audit.replayer import made_table
from dp_synth.errors import InputError, SchemaError
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
    drawn = np.array([[int(key) for key in pattern.draw(3, seed)] for seed in range(20_000)])
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
