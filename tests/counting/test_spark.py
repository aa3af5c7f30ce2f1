"""Counts and releases of a Spark DataFrame: those of the same records in memory."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from test_database import KINDS, OTHERS, SCHEMA, everything

from dp_synth import PrivacyBudget
from dp_synth.counting import PrivateRecords
from dp_synth.counting.spark import read_spark
from dp_synth.errors import InputError, SchemaError
from dp_synth.frames import as_frame
from dp_synth.synthesizers import SYNTHESIZERS

pytest.importorskip("pyspark")
pytest.importorskip("sqlglot")

BUDGET = PrivacyBudget(1, 1e-6)


@pytest.fixture(scope="module")
def session():
    from pyspark.sql import SparkSession

    known = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1"}
    builder = SparkSession.builder.master("local[1]")
    for name, value in known.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    yield spark
    spark.stop()


def spark_frame(session, table: pa.Table):
    types = {
        pa.string(): "string",
        pa.float64(): "double",
        pa.bool_(): "boolean",
        pa.int64(): "bigint",
        pa.date32(): "date",
        pa.timestamp("us"): "timestamp_ntz",
    }
    told = ", ".join(f"`{field.name}` {types[field.type]}" for field in table.schema)
    return session.createDataFrame([tuple(row.values()) for row in table.to_pylist()], told)


@pytest.mark.parametrize("kinds", [KINDS, OTHERS])
def test_spark_counts_every_odd_cell(kinds, session):
    table = everything(kinds)
    held = PrivateRecords.of(table, SCHEMA).counts
    small = [a for a in held.domain if held.domain.size(a) < 200]
    cliques = [(), *((a,) for a in held.domain), *combinations(small[:4], 2)]
    with read_spark(spark_frame(session, table), SCHEMA) as stored:
        found = stored.counts.marginals(cliques)
        assert stored.table.statements == 1
        for clique, mine, other in zip(cliques, found, held.marginals(cliques), strict=True):
            assert np.array_equal(mine, other), clique


def test_a_release_of_a_spark_frame_is_that_of_memory_and_its_name_goes(session):
    schema = SCHEMA.select(["sex", "code", "paid", "born"])
    table = everything(KINDS).select(list(schema.names))
    recipe = SYNTHESIZERS["mst"]()
    ours = recipe.fit(spark_frame(session, table), schema, BUDGET, seed=3)
    theirs = recipe.fit(as_frame(table), schema, BUDGET, seed=3)
    assert list(map(repr, ours.transcript)) == list(map(repr, theirs.transcript))
    assert session.catalog.listTables() == []


def test_what_is_not_counted_in_spark_is_refused(session):
    frame = spark_frame(session, everything(KINDS))
    with pytest.raises(InputError, match="reads records, which stay on their cluster"):
        SYNTHESIZERS["dpctgan"]().fit(frame, SCHEMA, BUDGET)
    with pytest.raises(SchemaError, match="lacks column 'age'"):
        read_spark(frame.drop("age"), SCHEMA)
    with pytest.raises(SchemaError, match="'wage': is of a type of Spark"):
        read_spark(frame.withColumn("wage", frame["wage"].cast("float")), SCHEMA)
    with pytest.raises(SchemaError, match="one record a unit"):
        read_spark(frame, SCHEMA, unit="sex")
    assert session.catalog.listTables() == []
