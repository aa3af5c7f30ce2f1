"""One number of the text: its value, how sure it is, and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dp_synth.formatting import at_least, at_most
from dp_synth.records import Spread, t_interval

CONFIDENCE = 95  # per cent, of every interval over seeds
DIGITS = 10  # significant ones that are stored, so that another machine stores the same


Bound = Literal["", "lower", "upper"]


@dataclass(frozen=True)
class Number:
    """A value with what the text may say of it.

    ``record`` is a file of the repository and ``how`` says which of its lines are used, and what
    is done with them. ``decimals`` of None means a power of ten. ``more_than`` marks a limit that
    was not reached. A lower ``bound`` is shown rounded down, an upper one up.
    """

    value: float
    decimals: int | None
    record: str
    how: str
    low: float | None = None
    high: float | None = None
    seeds: int | None = None
    more_than: bool = False
    bound: Bound = ""

    @classmethod
    def over_seeds(cls, values: Sequence[float], decimals: int, record: str, how: str) -> Number:
        """Return the mean of one value a seed with its t-interval; none where there is one seed."""
        spread, how = Spread.of(values), f"{how}; mean over seeds"
        low, high = t_interval(values) or (None, None)
        return cls(spread.mean, decimals, record, how, low, high, spread.seeds)

    @property
    def half(self) -> float | None:
        """Half the width of the interval over seeds."""
        is_spread = self.seeds is not None and self.low is not None and self.high is not None
        return (self.high - self.low) / 2 if is_spread else None  # type: ignore[operator]

    @property
    def tolerance(self) -> float:
        """How far from the value a rerun may be.

        Over seeds: sqrt(2) times the half width, within which the mean of as many other seeds is
        with the same confidence. Else half a unit of the last digit that is shown.
        """
        if self.half is not None:
            return math.sqrt(2) * self.half
        return 0.0 if self.decimals is None else 0.5 * 10.0**-self.decimals

    def text(self, form: str = "") -> str:
        """Return what stands in the text: the value, ``pm`` with its spread, ``ci`` its interval.

        >>> Number(0.0380, 4, "", "", 0.0375, 0.0385, 5).text("pm")
        '0.0380 ± 0.0005'
        >>> Number(3907400.0, 0, "", "").text()
        '3,907,400'
        >>> Number(0.8996, 2, "", "", bound="lower").text()
        '0.89'
        """
        if self.decimals is None:
            return f"$10^{{{round(math.log10(self.value))}}}$"
        shown = ("more than " if self.more_than else "") + self._value(self.decimals)
        if form == "pm" and self.half is not None:
            return f"{shown} ± {self.half:.{self.decimals}f}"
        if form == "ci" and self.low is not None and self.high is not None:
            return f"{shown} [{self.low:.{self.decimals}f}, {self.high:.{self.decimals}f}]"
        if form not in ("", "pm", "ci"):
            raise ValueError(f"form must be '', 'pm' or 'ci', got {form!r}")
        return shown

    def _value(self, decimals: int) -> str:
        if not self.bound:
            return f"{self.value:,.{decimals}f}"
        return {"lower": at_least, "upper": at_most}[self.bound](self.value, decimals)

    def stored(self) -> dict[str, object]:
        """Return the entry of ``numbers.json``."""
        return {
            "value": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "seeds": self.seeds,
            "tolerance": _rounded(self.tolerance),
            "text": self.text("pm"),
            "record": self.record,
            "how": self.how,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
