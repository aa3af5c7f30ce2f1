#!/usr/bin/env bash
# pyreadstat 1.3.7 (pandas 2.3.3, numpy 2.2.6) writes a column of pandas' datetime64[s] into an SPSS file as moments of
# January 1970: a count of seconds is taken for one of nanoseconds. No error, no warning. The same moments as
# datetime64[ns] or datetime64[us] arrive as they are. Seen: 1970-01-01 for 2024-02-29 12:30:00.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyreadstat==1.3.7 pandas==2.3.3 numpy==2.2.6
venv/bin/python - <<'PYTHON'
import warnings

import pandas as pd
import pyreadstat

warnings.simplefilter("error")
print("pyreadstat", pyreadstat.__version__, "pandas", pd.__version__)
moment = pd.Timestamp("2024-02-29 12:30:00")
found = {}
for unit in ("s", "us", "ns"):
    frame = pd.DataFrame({"seen": pd.Series([moment]).astype(f"datetime64[{unit}]")})
    pyreadstat.write_sav(frame, "moments.sav")
    back, _ = pyreadstat.read_sav("moments.sav")
    found[unit] = pd.Timestamp(back["seen"].iloc[0])
    print(f"datetime64[{unit}]: wrote {moment}, read {found[unit]}")
assert found["us"] == found["ns"] == moment, found
assert found["s"].year == 1970, found
PYTHON
