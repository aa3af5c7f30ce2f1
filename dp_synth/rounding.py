"""Bounds in few digits: a lower one is never shown higher than it is, an upper one never lower.

The ceiling of an audit is the largest lower bound that it could give, and is rounded as one.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

SHORT = 4  # digits of a bound in a sentence
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


def rounded_up(bound: float, digits: int = SHORT) -> str:
    """Return an upper bound in few significant digits, never below it.

    >>> rounded_up(0.99999999), rounded_up(7.7325154879), rounded_up(1e-5 / 3), rounded_up(0.1)
    ('1', '7.733', '3.334e-06', '0.1')
    >>> rounded_up(float("inf"))
    'infinite'
    """
    return _short(bound, digits, ROUND_CEILING)


def rounded_down(bound: float, digits: int = SHORT) -> str:
    """Return a lower bound in few significant digits, never above it.

    >>> rounded_down(0.99999999), rounded_down(3.73043), rounded_down(float("inf"))
    ('0.9999', '3.73', 'infinite')
    """
    return _short(bound, digits, ROUND_FLOOR)


def as_given(number: float) -> str:
    """Return a number in as many digits as tell it from any other.

    >>> as_given(1e-05), as_given(1.0), as_given(1e-5 / 3)
    ('1e-05', '1', '3.3333333333333337e-06')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def percent_at_most(share: float, decimals: int) -> str:
    """Return an upper bound on a share in percent, rounded up.

    >>> percent_at_most(0.50001, 1), percent_at_most(0.5, 1), percent_at_most(0.07, 1)
    ('50.1 %', '50.0 %', '7.0 %')
    """
    in_percent = (
        Decimal(repr(float(share))).scaleb(2).quantize(Decimal(1).scaleb(-decimals), ROUND_CEILING)
    )
    return f"{in_percent} %"


def _short(bound: float, digits: int, rounding: str) -> str:
    if not math.isfinite(bound):
        return "infinite"
    context = Context(prec=digits, rounding=rounding)
    return f"{float(context.create_decimal(repr(float(bound)))):.{digits}g}"


def _rounded(bound: float, decimals: int, rounding: str) -> str:
    if not math.isfinite(bound):
        return f"{bound:.{decimals}f}"
    # The shortest decimal of a number stands for it: 0.29 is meant, not the nearest binary number.
    meant, step = Decimal(repr(float(bound))), Decimal(1).scaleb(-decimals)
    shown = meant.quantize(step, rounding, Context(prec=ALL_DIGITS))
    return f"{shown or abs(shown):,.{decimals}f}"  # of zeros the one without a sign
