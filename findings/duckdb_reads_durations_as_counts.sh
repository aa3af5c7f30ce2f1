#!/bin/sh
# DuckDB reads a Parquet column of durations as plain counts, whatever their unit.
#
# pyarrow 26.0.1 writes duration[s], [ms] and [us] as 64-bit integers and keeps type and unit
# in the file's Arrow schema alone; DuckDB 2.0.0 does not read that schema. One and a half hours is
# then 5400, 5400000, ... of type BIGINT in one reader and 1:30:00 in the other: a table that is
# read by both, the small file here and the large one there, changes by a factor of up to 10^6
# without an error. Timestamps and times, whose units Parquet itself knows, agree.
#
# Exits with 1 when this is no longer so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'pyarrow==26.0.1' 'duckdb==2.0.0'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import datetime as dt

import duckdb
import pyarrow as pa
from pyarrow import parquet

long = dt.timedelta(hours=1, minutes=30)
units = ("s", "ms", "us")
columns = {unit: pa.array([long], pa.duration(unit)) for unit in units}
columns["at"] = pa.array([dt.datetime(2020, 1, 1, 12)], pa.timestamp("ms"))
parquet.write_table(pa.table(columns), "t.parquet")
arrow = parquet.read_table("t.parquet").to_pylist()[0]
relation = duckdb.sql("SELECT * FROM 't.parquet'")
duck = dict(zip(relation.columns, relation.fetchall()[0], strict=True))
print("pyarrow:", arrow)
print("DuckDB: ", duck, list(map(str, relation.types)))
assert all(arrow[unit] == long for unit in units)
assert [duck[unit] for unit in units] == [5400, 5400_000, 5400_000_000]
assert duck["at"] == arrow["at"]
PYTHON
# pyarrow: {'s': datetime.timedelta(seconds=5400), 'ms': ..., 'us': ..., 'at': datetime.datetime(2020, 1, 1, 12, 0)}
# DuckDB:  {'s': 5400, 'ms': 5400000, 'us': 5400000000, 'at': datetime.datetime(2020, 1, 1, 12, 0)} ['BIGINT', 'BIGINT', 'BIGINT', 'TIMESTAMP']
