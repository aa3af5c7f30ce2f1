#!/bin/sh
# polars renames a fixed offset of Arrow: "+02:00" becomes "Etc/GMT-2", its sign turned over.
#
# Versions: polars 1.38.1, pyarrow 23.0.1.
# An Arrow timestamp with the zone "+02:00" (as pandas writes for times with a fixed offset) is read
# from Parquet and from an Arrow table as Datetime(time_zone="Etc/GMT-2"), POSIX's name of two hours
# EAST of Greenwich. The moments are right; code that compares zone names, or takes the sign for an
# offset, is not.
# Seen: Etc/GMT-2, with an offset of 7200 seconds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==1.38.1 pyarrow==23.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import polars as pl
import pyarrow as pa
from pyarrow import parquet

table = pa.table({"t": pa.array([0], pa.timestamp("ms", "+02:00"))})
parquet.write_table(table, "t.parquet")
frame = pl.read_parquet("t.parquet")
print(frame.schema["t"], frame["t"][0].utcoffset())
assert frame.schema["t"].time_zone == "Etc/GMT-2"
assert frame["t"][0].utcoffset().total_seconds() == 7200
PYTHON
