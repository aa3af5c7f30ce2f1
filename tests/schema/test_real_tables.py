"""Every real table at hand: it encodes within its domain and comes back to the same codes."""

import os
from pathlib import Path

import numpy as np
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.datasets import names, read_table
from dp_synth.schema import Schema, check, draft
from dp_synth.synthesizers import Independent

TABLES = [name for name in names() if name != "adult"]


@pytest.fixture(params=TABLES, scope="module")
def table(request):
    folder = os.environ.get("DP_SYNTH_DATA")
    if not folder:
        pytest.skip("DP_SYNTH_DATA, the folder of real tables, is not set")
    paths = [Path(folder) / f"{request.param}{ending}" for ending in (".csv", ".csv.gz")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        pytest.skip(f"table {request.param} is not in DP_SYNTH_DATA")
    return read_table(path), Schema.load(path.with_name(f"{request.param}.meta.json"))


def test_a_real_table_matches_its_schema_and_survives_a_round_trip(table):
    frame, schema = table
    assert not [line for line in check(frame, schema) if "cell " in line or "unseen" in line]
    codes = schema.encode(frame)
    assert (codes >= 0).all()
    assert (codes < np.array(schema.domain.sizes)).all()
    typed, decoded = schema.typed(frame), schema.decode(codes, np.random.default_rng(0))
    assert (schema.encode(typed) == codes).all()
    assert (schema.encode(decoded) == codes).all()
    assert list(typed.dtypes) == list(decoded.dtypes)
    for column in schema.columns:
        for mark in column.missing:
            assert (decoded[column.name] == mark).sum() == (frame[column.name] == mark).sum()


def test_a_schema_drafted_from_a_real_table_loads_and_fits_it(table):
    frame, _ = table
    schema = Schema.from_dict(draft(frame, "drafted"))
    assert schema.names == tuple(frame.columns)
    kept = schema.select(column.name for column in schema.columns if column.type != "id")
    assert (kept.encode(frame) < np.array(kept.domain.sizes)).all()
    outside = [line for line in check(frame, kept) if "bounds" in line or "unseen" in line]
    assert outside == []


def test_a_real_table_is_fitted_as_its_schema_file_is_and_gives_rows_of_its_kinds(table):
    frame, schema = table
    release = Independent().fit(frame, schema, PrivacyBudget(1.0, 1e-9), seed=0)
    assert 0.99 <= release.epsilon <= 1.0
    assert not any(release.schema.domain.levels)
    assert sum(schema.domain.levels) == sum(
        entry.count for entry in release.ledger if entry.part == "bins"
    )
    rows, written = (release.sample(50, seed=0, kinds=kinds) for kinds in ("schema", "written"))
    assert list(written.dtypes) == list(schema.typed(frame).dtypes)
    assert list(rows.dtypes) == list(schema.in_kinds(frame).dtypes)
    assert release.schema.typed(rows).equals(written)
    assert (schema.encode(rows) == schema.encode(written)).all()
    outside = [line for line in check(rows, schema) if "bounds" in line or "unseen" in line]
    assert outside == []
