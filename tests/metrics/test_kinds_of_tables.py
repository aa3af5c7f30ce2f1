"""Metrics and attacks say the same of rows in any kind: text of a file, values, Parquet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import ATTACKS, AttackerView
from dp_synth.datasets import read_table, write_table
from dp_synth.metrics import METRICS
from dp_synth.metrics.comparison import Compared, RealTables
from dp_synth.report.internal import record_keys
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "label": "works",
        "positive": "true",
        "columns": [
            {"name": "age", "type": "integer", "lower": 15, "upper": 95, "missing": ["-8", "-9"]},
            {"name": "pay", "type": "real", "lower": 0, "upper": 500, "missing": ["", "none"]},
            {"name": "born", "type": "datetime", "lower": "1925-01-01", "upper": "2010-01-01"},
            {"name": "old", "type": "categorical", "categories": ["false", "true"]},
            {
                "name": "ward",
                "type": "categorical",
                "categories": ["a", "b", "c"],
                "missing": ["?", "refused"],
            },
            {"name": "works", "type": "categorical", "categories": ["true", "false"]},
        ],
    }
)


def people(seed: int, count: int = 400) -> pd.DataFrame:
    """Tables as text; ``old`` and ``works`` follow from the age, ``born`` nearly."""
    rng = np.random.default_rng(seed)
    age = rng.integers(15, 96, count)
    born = np.datetime64("2010-01-01") - age * np.timedelta64(300, "D")
    return pd.DataFrame(
        {
            "age": np.where(
                rng.random(count) < 0.2, rng.choice(["-8", "-9"], count), age.astype(str)
            ),
            "pay": np.where(
                rng.random(count) < 0.2,
                rng.choice(["", "none"], count),
                np.round(rng.random(count) * age, 2).astype(str),
            ),
            "born": born.astype(str),
            "old": np.where(age > 60, "true", "false"),
            "ward": rng.choice(["a", "b", "c", "?", "refused"], count),
            "works": np.where(
                rng.random(count) < 0.2, "false", np.where(age < 60, "true", "false")
            ),
        }
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    rows = people(2)
    path = tmp_path_factory.mktemp("kinds") / "t.parquet"
    write_table(SCHEMA.in_kinds(rows), path)
    return {
        "text": rows,
        "values": SCHEMA.in_kinds(rows),
        "parquet": read_table(path),
        "arrow": pd.read_parquet(path, dtype_backend="pyarrow"),
    }


@pytest.fixture(scope="module")
def compared(tables: dict[str, pd.DataFrame]) -> dict[str, Compared]:
    """Each kind beside the same real tables, of which all that is learned is learned once."""
    real = RealTables(people(0), people(1), SCHEMA)
    return {kind: Compared(real, rows) for kind, rows in tables.items()}


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_the_same_of_rows_in_any_kind(
    metric: str, compared: dict[str, Compared]
) -> None:
    expected = METRICS[metric](compared["text"])
    for kind in ("values", "parquet", "arrow"):
        assert METRICS[metric](compared[kind]) == expected, kind


@pytest.mark.parametrize("attack", ["closest_record", "density_ratio", "classifier"])
def test_an_attack_is_the_same_of_rows_in_any_kind(
    attack: str, tables: dict[str, pd.DataFrame]
) -> None:
    one_mark = {"age": "-8", "pay": "", "ward": "?"}
    text = SCHEMA.in_kinds(SCHEMA.in_kinds(tables["text"]), "written")
    for name, mark in one_mark.items():
        assert set(text[name]) & set(SCHEMA.column(name).missing) == {mark}
    targets, reference = people(3, 50), people(4)
    scores = [
        ATTACKS[attack]().scores(targets, AttackerView(rows, SCHEMA, reference))
        for rows in (text, tables["values"], tables["parquet"])
    ]
    assert np.array_equal(scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2])


def test_copies_of_records_are_found_in_rows_of_any_kind(tables: dict[str, pd.DataFrame]) -> None:
    keys = record_keys(list(tables.values()), SCHEMA)
    for other in keys[1:]:
        assert (other == keys[0]).all()
