"""A bound in few digits still is one."""

import math

import numpy as np
import pytest

from dp_synth.formatting import at_least, at_most


@pytest.mark.parametrize(
    ("bound", "decimals", "least", "most"),
    [
        (0.8996, 2, "0.89", "0.90"),
        (1.0004, 2, "1.00", "1.01"),
        (0.29, 2, "0.29", "0.29"),  # whose nearest binary number is smaller
        (1.1, 2, "1.10", "1.10"),  # and this one's larger
        (5.0, 0, "5", "5"),
        (1e-12, 3, "0.000", "0.001"),
        (-0.0001, 3, "-0.001", "0.000"),
        (12345.678, 1, "12,345.6", "12,345.7"),
        (1e22, 1, "10,000,000,000,000,000,000,000.0", "10,000,000,000,000,000,000,000.0"),
        (math.inf, 2, "inf", "inf"),
    ],
)
def test_a_lower_bound_is_rounded_down_and_an_upper_one_up(bound, decimals, least, most):
    assert (at_least(bound, decimals), at_most(bound, decimals)) == (least, most)


def test_no_bound_is_shown_on_the_wrong_side():
    for bound in np.random.default_rng(0).lognormal(0, 3, 500).tolist():
        low, high = (float(show(bound, 3).replace(",", "")) for show in (at_least, at_most))
        assert low <= bound <= high <= low + 1.001e-3
