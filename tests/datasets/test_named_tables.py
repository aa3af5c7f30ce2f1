"""The bundled table and the tables known by name."""

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dp_synth.datasets
from dp_synth.datasets import load, names
from dp_synth.errors import DatasetUnavailable, InputError
from dp_synth.schema import Schema, check, draft

BUNDLED = Path(dp_synth.datasets.__file__).parent / "adult.csv.gz"


@pytest.fixture(scope="module")
def adult():
    return load("adult")


def test_adult_comes_in_three_fixed_parts_that_share_no_record(adult):
    parts = [adult.train, adult.holdout, adult.reference]
    assert [len(part) for part in parts] == [19_536, 6_512, 6_513]
    assert all(list(part.index) == list(range(len(part))) for part in parts)
    whole = adult.schema.typed(dp_synth.datasets.read_table(BUNDLED))
    order = np.random.default_rng(0).permutation(len(whole))
    shuffled = whole.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), shuffled)
    pd.testing.assert_frame_equal(load("adult").train, adult.train)


def test_adult_matches_its_public_schema(adult):
    assert check(adult.train, adult.schema) == []
    assert adult.schema.label == "income"
    assert adult.schema.positive == ">50K"
    assert "10.24432/C5XW20" in adult.citation
    assert adult.licence == "CC BY 4.0"


def test_bounds_of_adult_are_not_the_extremes_of_the_file(adult):
    whole = pd.concat([adult.train, adult.holdout, adult.reference])
    for name in ("fnlwgt", "capital-loss"):
        column = adult.schema.column(name)
        assert column.upper > whole[name].max()
    assert adult.schema.column("fnlwgt").lower < whole["fnlwgt"].min()


def test_no_gain_and_no_loss_have_cells_of_their_own(adult):
    codes = adult.schema.encode(adult.train)
    for name in ("capital-gain", "capital-loss"):
        own = codes[:, adult.schema.names.index(name)]
        assert ((own == 0) == (adult.train[name] == 0)).all()


def test_adult_survives_a_round_trip_and_a_draft(adult):
    codes = adult.schema.encode(adult.holdout)
    decoded = adult.schema.decode(codes, np.random.default_rng(0))
    assert (adult.schema.encode(decoded) == codes).all()
    assert list(decoded.dtypes) == list(adult.train.dtypes)
    drafted = Schema.from_dict(draft(adult.holdout, "drafted"))
    assert (drafted.encode(adult.holdout) < np.array(drafted.domain.sizes)).all()


def test_a_tampered_copy_of_adult_is_refused(tmp_path):
    text = gzip.decompress(BUNDLED.read_bytes())
    copy = tmp_path / "adult.csv.gz"
    copy.write_bytes(BUNDLED.read_bytes())
    assert load("adult", copy).sha256 == load("adult").sha256
    copy.write_bytes(gzip.compress(text.replace(b">50K", b"<=50K", 1), mtime=0))
    with pytest.raises(InputError, match="its SHA-256 must be"):
        load("adult", copy)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(DatasetUnavailable, match=r"'adlut'; did you mean 'adult'"):
        load("adlut")


@pytest.mark.parametrize("name", [name for name in names() if name != "adult"])
def test_a_table_that_is_not_there_says_where_to_get_it(name, monkeypatch, tmp_path):
    monkeypatch.delenv("DP_SYNTH_DATA", raising=False)
    with pytest.raises(DatasetUnavailable) as caught:
        load(name)
    for word in (name, "DP_SYNTH_DATA is not set", "get it from", f"{name}.csv.gz"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("DP_SYNTH_DATA", str(tmp_path))
    with pytest.raises(DatasetUnavailable, match=f"not at {tmp_path}/{name}.csv"):
        load(name)


def test_a_named_table_is_read_from_a_path_with_its_schema_beside_it(tmp_path, monkeypatch):
    (tmp_path / "small.csv").write_text("x,y\n" + "3,a\n" * 10)
    (tmp_path / "small.meta.json").write_text(
        '{"name": "small", "columns": [{"name": "x", "type": "integer", "lower": 0, "upper": 9},'
        '{"name": "y", "type": "categorical", "categories": ["a", "b"]}]}'
    )
    data = load("spambase", tmp_path / "small.csv")
    assert (len(data.train), len(data.holdout), len(data.reference)) == (6, 2, 2)
    assert data.train["x"].tolist() == [3] * 6
    monkeypatch.setenv("DP_SYNTH_DATA", str(tmp_path))
    (tmp_path / "small.csv").rename(tmp_path / "nltcs.csv")
    (tmp_path / "small.meta.json").rename(tmp_path / "nltcs.meta.json")
    assert load("nltcs").train.equals(data.train)


def test_the_real_named_tables_load_from_their_folder():
    folder = os.environ.get("DP_SYNTH_DATA")
    if not folder:
        pytest.skip("DP_SYNTH_DATA, the folder of real tables, is not set")
    for name in ("pums_1k", "german_credit"):
        if (Path(folder) / f"{name}.csv.gz").exists():
            data = load(name)
            assert len(data.train) == 600
            assert check(data.train, data.schema) == []
