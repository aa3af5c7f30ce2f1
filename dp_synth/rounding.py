"""Bounds in few digits: a lower one is never shown higher than it is, an upper one never lower.

The ceiling of an audit is the largest lower bound that it could give, and is rounded as one.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

ALL_DIGITS = 400  # of the largest number that there is, and some after the point


def at_least(bound: float, decimals: int) -> str:
    """Return a lower bound with so many digits after the point, rounded down.

    >>> at_least(0.8996, 2), at_least(0.29, 2), at_least(-0.001, 2)
    ('0.89', '0.29', '-0.01')
    """
    return _rounded(bound, decimals, ROUND_FLOOR)


def at_most(bound: float, decimals: int) -> str:
    """Return an upper bound with so many digits after the point, rounded up.

    >>> at_most(1.0004, 2), at_most(1.1, 2), at_most(1234.5, 0)
    ('1.01', '1.10', '1,235')
    """
    return _rounded(bound, decimals, ROUND_CEILING)


def _rounded(bound: float, decimals: int, rounding: str) -> str:
    if not math.isfinite(bound):
        return f"{bound:.{decimals}f}"
    # The shortest decimal of a number stands for it: 0.29 is meant, not the nearest binary number.
    meant, step = Decimal(repr(float(bound))), Decimal(1).scaleb(-decimals)
    shown = meant.quantize(step, rounding, Context(prec=ALL_DIGITS))
    return f"{shown or abs(shown):,.{decimals}f}"  # of zeros the one without a sign
