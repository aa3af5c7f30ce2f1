"""Every real table at hand, with its schema file as it is: fitted, and rows of its kinds drawn.

By ``Independent`` in tests/schema/test_real_tables.py, with all of its records.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.datasets import read_table
from dp_synth.schema import Schema, check
from dp_synth.synthesizers import MST, CliqueTree, Synthesizer

MOST_ROWS = 1500  # so that the widest tables take seconds
FOLDER = os.environ.get("DP_SYNTH_DATA")
FILES = sorted(Path(FOLDER).glob("*.meta.json")) if FOLDER else []

pytestmark = pytest.mark.skipif(
    not FILES, reason="DP_SYNTH_DATA, the folder of real tables, is not set"
)


@pytest.fixture(
    scope="module", params=FILES or [Path("none")], ids=lambda path: path.name.split(".")[0]
)
def table(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, Schema]:
    stem = request.param.name.removesuffix(".meta.json")
    found = [request.param.with_name(f"{stem}{end}") for end in (".csv", ".csv.gz", ".parquet")]
    path = next(path for path in found if path.exists())
    return read_table(path).head(MOST_ROWS), Schema.load(request.param)


@pytest.mark.parametrize("kind", [MST, CliqueTree])
def test_a_real_table_is_fitted_as_it_is_and_its_rows_are_accepted(
    table: tuple[pd.DataFrame, Schema], kind: type[Synthesizer]
) -> None:
    frame, schema = table
    release = kind().fit(frame, schema, PrivacyBudget(1.0, 1e-9), seed=0)
    assert 0.99 <= release.epsilon <= 1.0
    rows = release.sample(300, seed=0)
    assert list(rows.columns) == list(schema.names)
    assert release.schema.in_kinds(rows).equals(rows)
    assert not [line for line in check(rows, schema) if "bounds" in line or "unseen" in line]
