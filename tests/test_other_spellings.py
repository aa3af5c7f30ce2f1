"""Tables written in other ways than their schemas: equal codes, or the data holder is told."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from other_spellings import WAYS, outcome, tables

from dp_synth.schema import Schema

FOLDER = os.environ.get("DP_SYNTH_DATA")
MATCHED = ("booleans", "32-bit floats", "1 as 1.0", "bytes")
RECORDS = 500  # of each table


@cache
def beginnings(folder: str | None) -> list[tuple[str, pd.DataFrame, Schema]]:
    """The first records of each table of the folder; None is the bundled one."""
    assert folder == os.environ.get("DP_SYNTH_DATA")
    return [
        (name, frame.head(RECORDS).reset_index(drop=True), schema)
        for name, frame, schema in tables()
    ]


def assert_nothing_is_lost(way: str, folder: Path) -> int:
    changed = 0
    for name, few, schema in beginnings(os.environ.get("DP_SYNTH_DATA")):
        found = outcome(WAYS[way](few, schema, folder))
        assert found.lost == (), name
        assert found.same + found.told == found.changed, name
        assert way not in MATCHED or found.told == 0, name
        changed += found.changed
    return changed


@pytest.mark.parametrize("way", WAYS)
def test_no_column_of_the_bundled_table_is_lost_without_a_word(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DP_SYNTH_DATA", raising=False)
    assert assert_nothing_is_lost(way, tmp_path) > 0


@pytest.mark.skipif(FOLDER is None, reason="DP_SYNTH_DATA, the folder of real tables, is not set")
@pytest.mark.parametrize("way", WAYS)
def test_no_column_of_a_real_table_is_lost_without_a_word(way: str, tmp_path: Path) -> None:
    assert assert_nothing_is_lost(way, tmp_path) > 0
