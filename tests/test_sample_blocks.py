"""Rows in blocks: the same rows as all at once, at memory that does not grow with their number."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth import sampling
from dp_synth.accounting import PrivacyBudget
from dp_synth.datasets import read_table, write_table
from dp_synth.errors import InputError
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST

MONEY = {"prefix": "$", "thousands": ",", "decimal": "."}
COLUMNS = [
    {"name": "age", "type": "integer", "lower": 0, "upper": 90, "missing": ["NA", ""]},
    {"name": "size", "type": "real", "lower": -1, "upper": 1, "missing": ["?"]},
    {"name": "odd", "type": "real", "lower": 0.5, "upper": 9.5, "decimals": 0, "bins": 18},
    {"name": "cents", "type": "real", "lower": 0, "upper": 1e6, "decimals": 2},
    {"name": "pay", "type": "real", "lower": 0, "upper": 9e4, "decimals": 2, "format": MONEY},
    {"name": "job", "type": "categorical", "categories": ["a,b", 'c"', "é"], "missing": ["-"]},
    {"name": "born", "type": "datetime", "lower": "1930-01-01", "upper": "2020-12-31"},
    {"name": "seen", "type": "datetime", "lower": "2020-01-01T00:00:00+02:00",
     "upper": "2021-01-01T00:00:00+02:00", "missing": ["never"]},
    {"name": "alive", "type": "categorical", "categories": ["true", "false"], "missing": ["?"]},
    {"name": "grade", "type": "ordinal", "categories": ["low", "high"]},
]  # fmt: skip
SCHEMA = Schema.from_dict({"name": "t", "columns": COLUMNS})
GIVEN = {
    "none": {},
    "values": {"given": {"age": (20, 60), "job": ["é", "-"], "born": ["1950-03-01", "1960-01-02"]}},
    "balance": {"balance": "job"},
    "both": {"given": {"odd": (1, 7), "seen": ["never"]}, "balance": "grade"},
    "rows": {"given": pd.DataFrame({"age": ["3", "", "NA", "77"], "odd": ["2.5", "", "3", ""]})},
}


@pytest.fixture(scope="module")
def release() -> Release:
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, size, 500) for size in SCHEMA.domain.sizes])
    rows = SCHEMA.decode(codes, rng)
    return MST().fit(rows, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0)


@pytest.mark.parametrize("kinds", ["schema", "written", "dtypes"])
@pytest.mark.parametrize("asked", GIVEN.values(), ids=GIVEN)
def test_blocks_are_the_rows_of_sample_cell_by_cell_whatever_their_size(
    release: Release, asked: dict[str, object], kinds: str
) -> None:
    how = {"age": "float32", "grade": "str"} if kinds == "dtypes" else kinds
    n = None if isinstance(asked.get("given"), pd.DataFrame) else 501
    whole = release.sample(n, seed=3, kinds=how, **asked)
    for block in (167, 10_000):
        frames = list(release.sample_blocks(n, seed=3, block=block, kinds=how, **asked))
        assert [len(frame) for frame in frames[:-1]] == [block] * (len(frames) - 1)
        assert 0 < len(frames[-1]) <= block
        pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), whole)


def test_sample_gives_what_is_decoded_of_all_codes_at_once(release: Release) -> None:
    rng = np.random.default_rng(5)
    expected = release.schema.decode(release.model.sample(400, rng), rng)
    pd.testing.assert_frame_equal(release.sample(400, seed=5, kinds="written"), expected)
    kinds = release.schema.in_kinds(expected)
    pd.testing.assert_frame_equal(release.sample(400, seed=5), kinds)


def test_no_rows_are_one_empty_frame_of_the_same_kinds(release: Release) -> None:
    (frame,) = release.sample_blocks(0, seed=0)
    assert len(frame) == 0
    assert frame.dtypes.equals(release.sample(1, seed=0).dtypes)


@pytest.mark.parametrize("asked", [{}, {"balance": "job"}], ids=["all", "balanced"])
def test_more_rows_than_are_drawn_at_once_begin_alike_and_do_not_depend_on_the_block(
    release: Release, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "DRAWN", 102)
    rows = pd.concat(release.sample_blocks(1_003, seed=1, block=64, **asked), ignore_index=True)
    others = pd.concat(release.sample_blocks(1_003, seed=1, block=40, **asked), ignore_index=True)
    pd.testing.assert_frame_equal(rows, others)
    once = 100 if asked else 102  # as many for each of four values
    first = release.sample(once, seed=1, **asked)
    pd.testing.assert_frame_equal(rows.head(once), first)
    assert not rows.iloc[once : 2 * once].reset_index(drop=True).equals(first)
    if asked:
        counts = rows["job"].value_counts(dropna=False)
        assert len(counts) == 4
        assert counts.max() - counts.min() <= 1


def test_each_part_that_is_drawn_has_the_counts_that_are_expected(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "DRAWN", 1_000)
    rows = pd.concat(release.sample_blocks(10_000, seed=2), ignore_index=True)
    share = release.model.marginal(("grade",)) / release.model.total
    counts = rows["grade"].value_counts(sort=False).to_numpy()
    # Ten stratified parts are each within one or two cells' rounding of what is expected.
    assert np.abs(counts - 10_000 * share).max() <= 10 * SCHEMA.domain.size("job") * 4


def test_a_hundred_million_rows_are_drawn_only_as_they_are_asked_for(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    kind = type(release.model)
    draw = kind.sample
    monkeypatch.setattr(sampling, "DRAWN", 5_000)
    monkeypatch.setattr(kind, "sample", lambda self, n, rng: drawn.append(n) or draw(self, n, rng))
    rows = release.sample_blocks(10**8, seed=1, block=2_000)
    assert [len(frame) for frame in islice(rows, 4)] == [2_000, 2_000, 1_000, 2_000]
    assert drawn == [5_000, 5_000]


def test_wide_tables_are_drawn_in_smaller_parts(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MOST_CODES", 40 * len(COLUMNS))
    assert [len(frame) for frame in release.sample_blocks(100, seed=0)] == [40, 40, 20]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"block": 0}, "a block must be 1 or more"),
        ({"block": 2.5}, "a block must be a whole number"),
        ({"n": -1}, "the number of records must be 0 or more"),
        ({"seed": "x"}, "the seed must be a whole number"),
        ({"balance": "wage"}, "no column 'wage'"),
        ({"given": {"job": "z"}}, "no category 'z'"),
        ({"given": {"age": (9, 3)}}, "must rise"),
        ({"given": pd.DataFrame({"age": ["3"]}), "n": 3}, "completed once each"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_the_first_block(
    release: Release, options: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        release.sample_blocks(**options)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_rows_are_written_in_blocks_as_all_at_once(
    release: Release, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, many = tmp_path / f"once.{ending}", tmp_path / f"many.{ending}"
    kinds = "schema" if ending == "parquet" else "written"
    write_table(release.sample(700, seed=4, kinds=kinds), once)
    monkeypatch.setattr("dp_synth.release.BLOCK", 64)
    release.write_rows(many, 700, seed=4)
    if ending == "parquet":
        pd.testing.assert_frame_equal(pd.read_parquet(many), pd.read_parquet(once))
    else:
        assert many.read_bytes() == once.read_bytes()
    pd.testing.assert_frame_equal(read_table(many), read_table(once))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({many.name, once.name})


def test_whole_and_other_numbers_of_a_column_are_written_alike_in_every_block(
    release: Release,
) -> None:
    blocks = list(release.sample_blocks(60, seed=0, block=1, kinds="written"))
    assert {str(frame["odd"].dtype) for frame in blocks} == {"float64"}
    cells = pd.concat(blocks)["odd"]
    assert (cells == cells.round()).any()
    assert (cells != cells.round()).any()


def test_blocks_of_one_seed_share_no_rows_by_chance(release: Release) -> None:
    """A stream that began again with each block would repeat its numbers."""
    frames = list(release.sample_blocks(400, seed=0, block=100))
    for before, after in pairwise(frames):
        assert not set(before["cents"]) & set(after["cents"])
