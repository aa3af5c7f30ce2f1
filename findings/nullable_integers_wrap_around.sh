#!/bin/sh
# pandas' nullable integers wrap around when they are made narrower, though floats are checked.
#
# Version: pandas 3.0.1.
# `Series([300.5]).astype("Int64")` is refused ("cannot safely cast"), and `pd.array([300],
# dtype="Int8")` is refused as well (OverflowError or TypeError). Between nullable types nothing is
# checked: `Series([300], dtype="Int64").astype("Int8")` gives 44, without error or warning.
# Whoever gives rows the dtypes of another table must compare with the bounds of the type first.
# Seen: refused, refused, 44.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.0.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
import pandas as pd


def refused(make):
    try:
        make()
    except (OverflowError, TypeError, ValueError):
        return True
    return False


assert refused(lambda: pd.Series([300.5]).astype("Int64"))
assert refused(lambda: pd.array([300], dtype="Int8"))
narrow = pd.Series([300, None], dtype="Int64").astype("Int8")
print(narrow.tolist())
assert narrow[0] == 44
PYTHON
