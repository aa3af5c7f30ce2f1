"""Estimates: a number with its interval, what that is made of, and both in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dp_synth.errors import InputError
from dp_synth.formatting import at_least, at_most, one_line

LEVEL = 0.95
NOTHING = 1e-6  # of the other parts, below which a part of an interval is a rounding
MOST_DECIMALS = 12
LARGEST_POWER = 700.0  # of e, beyond which a number is infinite
LARGEST_PLAIN = 1e15  # beyond it numbers are written with an exponent

SOURCES = {
    "noise": "the noise that protects the records",
    "sampling": "the records being a sample",
    "drawing": "rows that were drawn to compute it",
    "misfit": "what the model may leave out",
}
"""What each part of an interval comes from, in words."""


@dataclass(frozen=True, repr=False)
class Estimate:
    """A number with its interval, and the standard errors that the interval is made of.

    ``noise``, ``sampling``, ``drawing`` and ``misfit`` add up in squares; they are of the logarithm
    where ``scale`` is "log". ``not_covered`` says what the interval knows nothing of, and is empty
    where it covers all. Where ``is_corrected`` a noisy sum over the records corrects the model, and
    ``misfit`` is the curvature of that correction, which widens the interval by all of itself.

    >>> print(Estimate("share sex=F", "share", 0.331, 0.327, 0.335, 0.001, 0.0018, 0.0, 0.0))
    0.3310 [0.3270, 0.3350]
    """

    question: str
    name: str
    value: float
    low: float
    high: float
    noise: float
    sampling: float
    drawing: float
    misfit: float
    scale: str = "linear"
    not_covered: str = ""
    level: float = LEVEL
    is_corrected: bool = False

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {getattr(self, name):.2g}" for name in SOURCES)
        return f"<Estimate: {self.asked}: {self} at {_percent(self.level)}; {parts}>"

    def __str__(self) -> str:
        return shown(self.value, self.low, self.high)

    @property
    def asked(self) -> str:
        """The question in one line, and of a regression the term."""
        named = f": {self.name}" if self.question.startswith(("linear ", "logistic ")) else ""
        return one_line(f"{self.question}{named}")

    @property
    def stderr(self) -> float:
        """The standard error of all parts together; of the logarithm where the scale is "log"."""
        return math.hypot(self.noise, self.sampling, self.drawing, self.misfit)

    @property
    def sentence(self) -> str:
        """The estimate in words: what makes its interval wide, and what it does not promise.

        "Not certified" stands where a part is judged and not known, and where it does not cover
        all.
        """
        value, low, high = written(self.value, self.low, self.high)
        confident = f"with {_percent(self.level)} confidence"
        said = f"{self.asked}: {value}, between {low} and {high} {confident}"
        left = "correction" if self.is_corrected else "model"
        sources = {**SOURCES, "misfit": f"what the {left} may leave out"}
        if self.stderr:
            largest = max(sources, key=lambda name: getattr(self, name))
            said += f"; most of that width is due to {sources[largest]}"
        reasons = []
        if self.misfit > NOTHING * math.hypot(self.noise, self.sampling, self.drawing):
            reasons.append(f"how much the {left} leaves out is judged, not known")
        if self.not_covered:
            reasons.append(f"not covered: {one_line(self.not_covered)}")
        return f"{said}. Not certified: {'; '.join(reasons)}." if reasons else f"{said}."


def within(
    low: float, high: float, value: float, possible: tuple[float, float]
) -> tuple[float, float]:
    """Return the ends of an interval no further than is possible, and about its value.

    >>> within(-0.1, 0.3, 0.1, (0, 1)), within(-0.3, 0.1, -0.1, (0, 1))
    ((0, 0.3), (-0.1, 0.1))
    """
    least, largest = possible
    return max(low, min(least, value)), min(high, max(largest, value))


def times_exp(value: float, power: float) -> float:
    """Return ``value * exp(power)`` of a positive value; infinite where it is too large.

    >>> times_exp(2.0, 0.0), times_exp(2.0, 1e4), times_exp(2.0, -1e4)
    (2.0, inf, 0.0)
    """
    return value * math.exp(power) if power < LARGEST_POWER else math.inf


def check_level(level: float) -> float:
    """Return the level of an interval; InputError unless it lies between 0 and 1."""
    given: object = level
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < 1:
        raise InputError(f"a level lies between 0 and 1, got {given!r}")
    return float(given)


def written(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Return a value and its interval in as many digits as the interval tells, ends outwards.

    >>> written(27412.3, 27203.9, 27620.7), written(0.33, 0.326, 0.334), written(1, 1, 1)
    (('27,412', '27,203', '27,621'), ('0.3300', '0.3260', '0.3340'), ('1', '1', '1'))
    """
    ends = [end for end in (low, high) if math.isfinite(end)]
    width = max(ends, default=value) - min([*ends, value])
    sizes = [abs(one) for one in (value, *ends)]
    if not math.isfinite(value) or max(sizes) >= LARGEST_PLAIN or not width > 0:
        return f"{value:.6g}", f"{low:.6g}", f"{high:.6g}"
    decimals = min(max(0, 1 - math.floor(math.log10(width / 4))), MOST_DECIMALS)
    middle = round(value, decimals) + 0.0  # no zero with a sign
    return f"{middle:,.{decimals}f}", at_least(low, decimals), at_most(high, decimals)


def shown(value: float, low: float, high: float) -> str:
    """Return a value with its interval in brackets."""
    value_text, *ends = written(value, low, high)
    return f"{value_text} [{', '.join(ends)}]"


def _percent(level: float) -> str:
    return f"{100 * level:.6g} %"
