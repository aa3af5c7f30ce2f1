"""What a fit takes in: files as well as frames, and only what it has room for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.counting import PrivateRecords, kept_of_units, read_records, records
from dp_synth.datasets import read_table, write_table
from dp_synth.errors import InputError, SchemaError
from dp_synth.schema import Schema
from dp_synth.synthesizers import (
    AIM,
    MST,
    SYNTHESIZERS,
    CliqueTree,
    Independent,
    PrivBayes,
    fitting,
)

BUDGET = PrivacyBudget(1.0, 1e-6)
FOLDER = os.environ.get("DP_SYNTH_DATA")
SCHEMA = Schema.from_dict(
    {
        "name": "visits",
        "columns": [
            {"name": "ward", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 90},
            {"name": "cost", "type": "real", "lower": 0, "upper": 5000, "missing": [""]},
        ],
    }
)


def visits(count: int = 3000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 91, count)
    cost = np.round(rng.exponential(30.0, count) * (1 + age), 2).astype(str)
    return pd.DataFrame(
        {
            "patient": rng.integers(0, count // 3, count).astype(str),
            "ward": np.array(["a", "b", "c"])[np.minimum(age // 30, 2)],
            "age": age.astype(str),
            "cost": np.where(rng.random(count) < 0.1, "", cost),
        }
    )


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as larger than memory."""
    pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")
    monkeypatch.setattr(records, "LARGEST_IN_MEMORY", 0)


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("unit", [None, "patient"])
def test_a_file_that_goes_by_as_a_stream_gives_the_release_that_its_frame_gives(
    ending: str, unit: str | None, tmp_path: Path
) -> None:
    frame = visits()
    write_table(frame, tmp_path / f"t.{ending}")
    budget = PrivacyBudget(1.0, 1e-6, unit=unit, max_rows=2 if unit else 1)
    one, other = (
        CliqueTree().fit(data, SCHEMA, budget, seed=3).sample(200, seed=4)
        for data in (frame, tmp_path / f"t.{ending}")
    )
    assert one.equals(other)


@pytest.mark.usefixtures("streamed")
@pytest.mark.skipif(FOLDER is None, reason="DP_SYNTH_DATA, the folder of real tables, is not set")
@pytest.mark.parametrize("name", ["adult_raw.csv", "cervical_cancer.csv.gz", "nist_ma2019.csv.gz"])
def test_a_real_file_gives_the_release_that_its_frame_gives(name: str) -> None:
    path = Path(str(FOLDER)) / name
    schema = Schema.load(path.with_name(f"{name.split('.')[0]}.meta.json"))
    one, other = (
        MST().fit(data, schema, BUDGET, seed=0).sample(200, seed=0)
        for data in (read_table(path), path)
    )
    assert one.equals(other)


def test_a_small_file_is_read_into_memory_without_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    write_table(visits(300), tmp_path / "t.parquet")
    release = Independent().fit(tmp_path / "t.parquet", SCHEMA, BUDGET, seed=0)
    assert release.sample(20, seed=0).equals(
        Independent().fit(visits(300), SCHEMA, BUDGET, seed=0).sample(20, seed=0)
    )
    monkeypatch.setattr(records, "LARGEST_IN_MEMORY", 0)
    accountant = Accountant(BUDGET)
    write_table(visits(300), tmp_path / "t.csv")
    whole = Independent().fit(tmp_path / "t.csv", SCHEMA, BUDGET, seed=0)
    assert whole.sample(20, seed=0).equals(release.sample(20, seed=0))
    monkeypatch.setenv("DP_SYNTH_MEMORY", "10B")  # no room for it as a whole either
    with pytest.raises(InputError, match=r"pip install '\.\[bigdata\]'"):
        Independent().fit(tmp_path / "t.csv", SCHEMA, accountant)
    assert accountant.ledger.entries == ()


def test_records_that_were_read_before_are_fitted_as_often_as_asked(tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")
    write_table(visits(), tmp_path / "t.csv")
    with read_records(tmp_path / "t.csv", SCHEMA) as read:
        samples = [
            MST().fit(data, SCHEMA, BUDGET, seed=0).sample(50, seed=0)
            for data in (read, read, visits())
        ]
    assert samples[0].equals(samples[1])
    assert samples[0].equals(samples[2])


def test_records_read_otherwise_than_a_fit_needs_them_are_refused() -> None:
    read = PrivateRecords.of(visits(30), SCHEMA)
    accountant = Accountant(PrivacyBudget(1.0, 1e-6, unit="patient"))
    with pytest.raises(SchemaError, match="read without their units; give unit='patient'"):
        Independent().fit(read, SCHEMA, accountant)
    with pytest.raises(SchemaError, match="read by another schema than 'visits'"):
        Independent().fit(read, SCHEMA.select(["ward"]), accountant)
    assert accountant.ledger.entries == ()


@pytest.mark.usefixtures("streamed")
def test_a_file_without_the_units_column_is_refused(tmp_path: Path) -> None:
    write_table(visits(30).drop(columns="patient"), tmp_path / "t.csv")
    accountant = Accountant(PrivacyBudget(1.0, 1e-6, unit="patient"))
    with pytest.raises(SchemaError, match=r"t\.csv: lacks column 'patient', which names the unit"):
        Independent().fit(tmp_path / "t.csv", SCHEMA, accountant)
    assert accountant.ledger.entries == ()


def test_of_each_unit_so_many_records_are_kept_and_no_more() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        units, most = rng.integers(0, 9, rng.integers(0, 60)), int(rng.integers(1, 8))
        kept = kept_of_units(units, most, rng)
        before, after = np.bincount(units, minlength=9), np.bincount(units[kept], minlength=9)
        assert np.array_equal(after, np.minimum(before, most))


def wide_schema(columns: int, size: int, constraints: list[object] | None = None) -> Schema:
    return Schema.from_dict(
        {
            "name": "wide",
            "constraints": constraints or [],
            "columns": [{"name": f"c{i}", "type": "ordinal", "size": size} for i in range(columns)],
        }
    )


@pytest.mark.parametrize("name", sorted(SYNTHESIZERS))
def test_more_cells_than_fit_are_refused_from_the_schema_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "MAX_CELLS", 1000)
    schema = wide_schema(6, 200)
    accountant = Accountant(BUDGET)
    said = r"have 1,200 cells together, at most 1,000 .*'c3', 'c4', 'c5', fewer bins"
    with pytest.raises(SchemaError, match=said):
        SYNTHESIZERS[name]().fit("no such file.csv", schema, accountant)
    assert accountant.ledger.entries == ()


@pytest.mark.parametrize("name", sorted(SYNTHESIZERS))
def test_constraints_that_forbid_every_record_are_refused_before_it_is_read(name: str) -> None:
    never: list[object] = [
        {"impossible": {"c0": ["0"], "c1": ["0", "1"]}},
        {"impossible": {"c0": ["1"], "c2": ["0", "1"]}},
    ]
    schema = wide_schema(3, 2, never)
    accountant = Accountant(BUDGET)
    with pytest.raises(SchemaError, match="contradict each other"):
        SYNTHESIZERS[name]().fit("no such file.csv", schema, accountant)
    with pytest.raises(SchemaError, match="contradict each other"):
        SYNTHESIZERS[name]().release_only("no such file.csv", schema, BUDGET)
    assert accountant.ledger.entries == ()


def test_constraints_that_join_too_many_columns_are_refused() -> None:
    chain: list[object] = [
        {"impossible": {f"c{i}": ["0"], f"c{j}": ["0"]}} for j in range(5) for i in range(j)
    ]
    with pytest.raises(SchemaError, match=r"the constraints join 'c0', 'c1'.*102,400,000 cells"):
        Independent().check(wide_schema(5, 40, chain))
    Independent().check(wide_schema(5, 4, chain))


@pytest.mark.parametrize("synthesizer", [CliqueTree(max_cells=30), AIM(max_cells=30)])
def test_a_structure_without_room_for_its_columns_is_refused(
    synthesizer: CliqueTree | AIM,
) -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match="tables of 40 cells in all, at most 30 are allowed"):
        synthesizer.fit("no such file.csv", wide_schema(4, 10), accountant)
    assert accountant.ledger.entries == ()


def test_what_a_fit_has_room_for_passes_its_check() -> None:
    for kind in (Independent, MST, CliqueTree, AIM, PrivBayes):
        kind().check(SCHEMA)
        kind().check(wide_schema(60, 20))
