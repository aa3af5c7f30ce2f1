#!/bin/sh
# scipy's kstest refuses the parameters of the normal law when the law is given by its name.
#
# Version: scipy 1.18.1 (Python 3.12 or newer: set PYTHON where python3 is older).
# `kstest(x, "norm", args=(0, 2))`, the form of its documentation, raises a TypeError that speaks of
# `ndtr`. The same with `norm.cdf` in place of the name works, "norm" without args works, and so do
# other laws by name with args. A test of the scale of Gaussian noise gives the function instead.
# Seen: TypeError; for the other three the same kind of result as in 1.17.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.5.5 scipy==1.18.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from scipy.stats import kstest, norm

x = np.random.default_rng(0).normal(0, 2, 100)
assert 0 < kstest(x, norm.cdf, args=(0, 2)).pvalue < 1
assert 0 < kstest(x, "norm").pvalue < 1
assert 0 < kstest(x, "laplace", args=(0, 2)).pvalue < 1
try:
    kstest(x, "norm", args=(0, 2))
except TypeError as error:
    print(error)
    assert "ndtr" in str(error)
else:
    raise AssertionError("the normal law takes its parameters now")
PYTHON
