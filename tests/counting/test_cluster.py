"""Fits to a Dask DataFrame: the release of the same records in memory, and no row on the way."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from dp_synth import Accountant, PrivacyBudget, Schema
from dp_synth.counting import PrivateRecords
from dp_synth.counting.cluster import ClusterAdder
from dp_synth.errors import InputError, SchemaError
from dp_synth.synthesizers import SYNTHESIZERS

dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "bounds_from": "made for this test",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", "M"], "missing": ["", "NA"]},
            {"name": "job", "type": "categorical", "categories": ["a", "b", "1", "1.0", "true"]},
            {"name": "paid", "type": "categorical", "categories": ["true", "false"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 90, "missing": ["-1"]},
            {
                "name": "wage",
                "type": "real",
                "lower": 0,
                "upper": 10,
                "bins": 5,
                "missing": ["nan"],
            },
            {
                "name": "born",
                "type": "datetime",
                "lower": "1990-01-01",
                "upper": "2020-12-31",
                "bins": 12,
            },
        ],
    }
)
BUDGET = PrivacyBudget(1, 1e-6)
MST = SYNTHESIZERS["mst"]


def people(records: int = 90) -> pd.DataFrame:
    """Return records whose columns have the dtypes that Dask would rather write otherwise."""
    rng = np.random.default_rng(5)
    jobs = rng.choice(np.array(["a", "b", "1", "1.0", "true", None], dtype=object), records)
    wages = rng.random(records) * 10
    wages[::7] = np.nan
    return pd.DataFrame(
        {
            "sex": pd.Categorical(rng.choice(["F", "M", "NA"], records)),
            "job": pd.Series(jobs, dtype=object),
            "paid": rng.choice([True, False], records),
            "age": rng.integers(-1, 91, records),
            "wage": wages,
            "born": pd.Timestamp("1990-01-01")
            + pd.to_timedelta(rng.integers(0, 9999, records), "D"),
            "note": ["not in the schema"] * records,
        }
    )


@pytest.mark.parametrize("texts", [True, False])
def test_dtypes_of_dask_have_the_codes_of_pandas(texts):
    frame = people()
    theirs = PrivateRecords.of(frame, SCHEMA).counts
    with dask.config.set({"dataframe.convert-string": texts, "scheduler": "synchronous"}):
        spread = dd.from_pandas(frame, npartitions=3)
        assert pd.api.types.is_object_dtype(spread.dtypes["job"]) != texts
        for given in (spread, spread.assign(job=spread["job"].astype("category"))):
            cliques = [(), *((name,) for name in theirs.domain), ("sex", "job"), ("paid", "born")]
            ours = ClusterAdder(given, SCHEMA).sums(cliques, {})
            for clique, one, two in zip(cliques, ours, theirs.marginals(cliques), strict=True):
                assert np.array_equal(one, two), clique


@pytest.mark.parametrize("name", ["independent", "mst"])
def test_a_release_of_partitions_is_that_of_memory_and_sums_alone_reach_the_client(name):
    frame, received = people(), []

    def scheduled(graph, keys, **settings):
        found = dask.get(graph, keys, **settings)
        received.append(found)
        return found

    spread = dd.from_pandas(frame, npartitions=3)
    assert spread.npartitions == 3
    with dask.config.set(scheduler=scheduled):
        ours = SYNTHESIZERS[name]().fit(spread, SCHEMA, BUDGET, seed=3)
    theirs = SYNTHESIZERS[name]().fit(frame, SCHEMA, BUDGET, seed=3)
    assert ours.sample(60, seed=1).astype(str).equals(theirs.sample(60, seed=1).astype(str))
    assert list(map(repr, ours.transcript)) == list(map(repr, theirs.transcript))
    assert received
    known = {len(frame)}
    for answer in received:
        (tables,) = answer
        for table in tables:
            assert type(table) in (np.ndarray, np.float64)
            assert {float(table.sum())} == known  # of all partitions, and not of one


def test_partitions_are_counted_in_other_processes():
    frame = people(30)
    spread = dd.from_pandas(frame, npartitions=3).map_partitions(_with_process, os.getpid())
    with dask.config.set(scheduler="processes", num_workers=1):
        (ages,) = ClusterAdder(spread, SCHEMA).sums([("age",)], {})
    assert np.array_equal(ages, PrivateRecords.of(frame, SCHEMA).counts.marginal(("age",)))


def _with_process(frame: pd.DataFrame, client: int) -> pd.DataFrame:
    if len(frame) > 2 and os.getpid() == client:  # Dask tries with two made-up rows
        raise AssertionError("rows are in the client's process")
    return frame


def test_what_reads_records_and_a_column_that_is_not_there_are_refused():
    spread = dd.from_pandas(people(), npartitions=3)
    with pytest.raises(InputError, match="reads records, which stay on their cluster"):
        SYNTHESIZERS["dpctgan"]().fit(spread, SCHEMA, BUDGET)
    with pytest.raises(SchemaError, match="lacks column 'age'"):
        MST().fit(spread.drop(columns="age"), SCHEMA, BUDGET)
    with pytest.raises(SchemaError, match="one record a unit"):
        MST().fit(spread, SCHEMA, PrivacyBudget(1, 1e-6, unit="job", max_rows=2))


def test_a_fault_of_the_cluster_repeats_no_cell_and_what_was_charged_stays_charged():
    spread = dd.from_pandas(people(), npartitions=3)
    broken = spread.map_partitions(_failing, meta=spread._meta)
    accountant = Accountant(BUDGET)
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(InputError, match=r"did not count \(KeyError\).*stays charged") as raised,
    ):
        MST().fit(broken, SCHEMA, accountant, seed=3)
    assert "secret" not in str(raised.value)
    assert accountant.ledger.charges


def _failing(frame: pd.DataFrame) -> pd.DataFrame:
    raise KeyError("a secret cell")
