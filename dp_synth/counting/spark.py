"""Records of a Spark DataFrame: Spark counts them, by the statements that a database is asked."""

from __future__ import annotations

import secrets
import sys
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.database import DatabaseRecords, check_of_table
from dp_synth.counting.kept_tables import KeptTables
from dp_synth.counting.sql import Kind, counting_statement, translated
from dp_synth.counting.sums import OneLine
from dp_synth.errors import SchemaError
from dp_synth.schema import Schema

_KINDS: dict[str, Kind] = {
    "bigint": "whole",
    "double": "double",
    "boolean": "truth",
    "string": "text",
    "date": "day",
    "timestamp_ntz": "moment",
}


def is_spark(data: object) -> bool:
    """Tell whether ``data`` is a DataFrame of Spark; who has none has not imported pyspark."""
    spark = sys.modules.get("pyspark.sql")
    return spark is not None and isinstance(data, spark.DataFrame)


class SparkTable:
    """A DataFrame of Spark under a temporary name of its own, which ends with the fit.

    Spark has no snapshot: it computes a frame anew for each statement, from what its source then
    holds, unless the frame is cached.
    """

    dialect = "spark"

    def __init__(self, frame: Any) -> None:
        translated("SELECT 1", self.dialect)  # what it needs beside
        self.name = f"dp_synth_{secrets.token_hex(8)}"
        self.statements, self.kept = 0, KeptTables()
        self._session, self._types = frame.sparkSession, dict(frame.dtypes)
        frame.createTempView(self.name)

    def kind(self, name: str) -> Kind:
        """Return what Spark holds in a column; SchemaError where nothing here counts it."""
        if name not in self._types:
            raise SchemaError(f"the Spark DataFrame lacks column {name!r}, which the schema names")
        if self._types[name] not in _KINDS:
            raise SchemaError(
                f"column {name!r}: is of a type of Spark that is not counted there; cast it to "
                f"one of {', '.join(_KINDS)}"
            )
        return _KINDS[self._types[name]]

    @cached_property
    def records(self) -> int:
        """The number of records, private, counted once."""
        return int(self.counts(counting_statement(self.name, {}, [()], dialect=self.dialect))[0, 0])

    def counts(self, statement: str, *, as_written: bool = False) -> NDArray[np.int64]:
        """Return the rows of a statement that gives whole numbers, which Spark always rewrites."""
        with OneLine("Spark"):
            found = self._session.sql(statement)
            width, rows = len(found.columns), [tuple(row) for row in found.collect()]
        self.statements += 1
        return np.array(rows, dtype=np.int64).reshape(-1, width)

    def close(self) -> None:
        """Take the temporary name away."""
        self._session.catalog.dropTempView(self.name)


def read_spark(frame: Any, schema: Schema, unit: str | None = None) -> DatabaseRecords:
    """Return the records of a Spark DataFrame for a fit; none is read yet, errors as `SparkTable`.

    SchemaError for open columns and for units of several records.
    """
    schema = schema.without_keys
    check_of_table(schema, unit)
    return DatabaseRecords.of_table(schema, SparkTable(frame))
