#!/bin/sh
# A categorical of whole numbers does not come back from Parquet as one.
#
# Versions: pandas 3.0.1, pyarrow 23.0.1.
# A pandas categorical of texts is written as a dictionary and comes back as a categorical, with its
# order and with categories that no row has. A categorical of integers is written by the same call
# without a warning, but only text dictionaries are restored on reading (the Arrow schema that is
# stored in the file says dictionary<values=int64> all the same): it comes back as int64, and as
# float64 where a cell is missing. Categories that no row has, and the order, are lost.
# Seen: text: category ['high', 'low'] ordered; whole: int64; whole with a gap: float64.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.0.1 pyarrow==23.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import pandas as pd

text = pd.CategoricalDtype(["low", "middle", "high"], ordered=True)
whole = pd.CategoricalDtype([1, 2, 3], ordered=True)
frame = pd.DataFrame(
    {
        "text": pd.Series(["low", "high"], dtype=text),
        "whole": pd.Series([1, 3], dtype=whole),
        "gap": pd.Series([1, None], dtype=whole),
    }
)
frame.to_parquet("t.parquet")
back = pd.read_parquet("t.parquet")
print(back.dtypes)
assert back["text"].dtype == text
assert str(back["whole"].dtype) == "int64"
assert str(back["gap"].dtype) == "float64"
PYTHON
