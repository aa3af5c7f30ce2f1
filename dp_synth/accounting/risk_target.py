"""Risk target: a bound on the success of every attack, which a budget can be stated in.

Each is a point of the trade-off curve f: of all attacks on one unit that wrongly accuse a share
``fpr``, none finds more than 1 - f(fpr). The advantage, true less false positives, is at most the
delta at epsilon 0, and of attacks that are right about a fresh record with chance ``baseline``
none is right about a fitted one with more than 1 - f(baseline) (Kulynych et al. 2025,
arXiv:2507.06969; targets of calibration: Kulynych et al. 2024, arXiv:2407.02191).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from scipy.special import ndtri

from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.formatting import as_given
from dp_synth.settings import check_settings

if TYPE_CHECKING:
    from dp_synth.accounting.privacy_profile import PrivacyCurve

BESIDES = {"advantage": "", "tpr": "fpr", "reidentification": "baseline"}
"""Kinds of risk, and beside each what it is at; advantage is at the worst of all."""

TOLD = 1 - 1e-12  # an advantage from which on no Gaussian is near
ROUNDING = 1e-13  # relative, of one point of a trade-off curve
NEAR = 0.1  # of mu: how far from the likely threshold of an attack a search begins
SEARCHED = 1e-5  # relative, to which the threshold is found: the bound is flat around it


@dataclass(frozen=True)
class RiskTarget:
    """The largest success that any attack on one unit may have; one of three.

    ``advantage``: its share of right accusations less that of wrong ones, at most. ``tpr``: the
    share of right ones at a share ``fpr`` of wrong ones. ``reidentification``: its chance to be
    right about a fitted record, by singling out, attribute inference or reconstruction, if it is
    right with chance ``baseline`` about one that was not fitted. InputError for what every
    release keeps, or none that says anything does.

    >>> RiskTarget(advantage=0.1)
    RiskTarget(advantage=0.1)
    >>> str(RiskTarget(tpr=0.2, fpr=0.1)), round(RiskTarget(tpr=0.2, fpr=0.1).mu, 4)
    ('tpr 0.2 at fpr 0.1', 0.4399)
    """

    advantage: float | None = None
    tpr: float | None = None
    fpr: float | None = None
    reidentification: float | None = None
    baseline: float | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        given = list(self.to_fields())
        if given not in ([one for one in pair if one] for pair in BESIDES.items()):
            _refuse(f"got {', '.join(given) or 'nothing'}")
        if not (0 < self.most < 1):
            raise InputError(
                f"{self.kind} must lie above 0, which no noise reaches, and below 1, which needs "
                f"none, got {self.most}"
            )
        if self.kind != "advantage" and not 0 < self.at < self.most:
            raise InputError(
                f"{self.kind} must be above {BESIDES[self.kind]}, which a guess reaches that looks "
                f"at nothing, so that no noise brings it below, and {BESIDES[self.kind]} above 0; "
                f"got {self}"
            )

    @classmethod
    def parse(cls, text: str) -> RiskTarget:
        """Return the target that ``text`` writes as name=number, by comma; InputError for others.

        >>> RiskTarget.parse("reidentification=.2,baseline=.05")
        RiskTarget(reidentification=0.2, baseline=0.05)
        """
        found: dict[str, float] = {}
        for part in text.split(","):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or name in found:
                _refuse(f"got {text!r}")
            try:
                found[name] = float(value)
            except ValueError:
                raise InputError(f"{name} of a risk must be a number, got {value!r}") from None
        return cls.from_fields(found)

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> RiskTarget:
        """Return what ``to_fields`` wrote; InputError for anything else."""
        known = list(cls.__dataclass_fields__)
        for name in fields:
            if name not in known:
                raise InputError(unknown("risk", name, known))
        return cls(**fields)  # type: ignore[arg-type]

    def to_fields(self) -> dict[str, float]:
        """Return what was given, by name."""
        return {name: value for name, value in self.__dict__.items() if value is not None}

    def __repr__(self) -> str:
        return f"RiskTarget({', '.join(f'{k}={v!r}' for k, v in self.to_fields().items())})"

    def __str__(self) -> str:
        return self.said(as_given(self.most))

    def said(self, number: str) -> str:
        """Return another value of this risk in words.

        >>> RiskTarget(tpr=0.2, fpr=0.1).said("0.15")
        'tpr 0.15 at fpr 0.1'
        """
        beside = BESIDES[self.kind]
        return f"{self.kind} {number}" + (f" at {beside} {as_given(self.at)}" if beside else "")

    @property
    def kind(self) -> str:
        """What is bounded: "advantage", "tpr" or "reidentification"."""
        return next(name for name in BESIDES if getattr(self, name) is not None)

    @property
    def most(self) -> float:
        """The bound."""
        value = getattr(self, self.kind)
        return float(value)

    @property
    def at(self) -> float:
        """The share of wrong accusations, or the baseline, at which it is; 0 of an advantage."""
        return float(self.fpr or self.baseline or 0.0)

    @property
    def mu(self) -> float:
        """Distance of the means of the one Gaussian that has just this risk."""
        return self.gaussian(self.most)

    def gaussian(self, value: float) -> float:
        """Return the mu of the one Gaussian that has another value of this risk."""
        if self.kind == "advantage":
            return 2 * float(ndtri((1 + value) / 2))
        return float(ndtri(value) - ndtri(self.at))

    def until(self, most: float) -> RiskTarget:
        """Return the same kind of target at another value."""
        return replace(self, **{self.kind: most})

    def largest(self, curve: PrivacyCurve) -> float:
        """Return the largest success that a privacy curve allows any attack, rounded up.

        >>> from dp_synth.accounting import Gaussian, compose
        >>> curve = compose([(Gaussian(noise_multiplier=4.0, sensitivity=1.0), 1)])
        >>> round(RiskTarget(advantage=0.1).largest(curve), 6)
        0.099476
        """
        return largest_advantage(curve) if self.kind == "advantage" else largest_tpr(curve, self.at)


def largest_advantage(curve: PrivacyCurve) -> float:
    """Return the largest true less false positive rate of any attack: the delta at epsilon 0."""
    return min(1.0, curve.delta(0.0) * (1 + ROUNDING))


def largest_tpr(curve: PrivacyCurve, fpr: float) -> float:
    """Return the largest true-positive rate at one false-positive rate in (0, 1), rounded up.

    The least of delta(e) + exp(e) * fpr over all e, those below 0 by symmetry of the two
    directions (Kairouz, Oh & Viswanath 2015, Thm 2.1). Each e gives a bound; the sum is convex in
    exp(e), so that its least value is found from near the threshold of a Gaussian's best attack.
    """
    from scipy import optimize

    advantage = largest_advantage(curve)
    if advantage >= TOLD:
        return float(curve.tpr(np.array([fpr]))[0])
    if not advantage:
        return fpr

    def bound(epsilon: float) -> float:
        gain = math.exp(epsilon)
        if epsilon >= 0:
            return curve.delta(epsilon) + gain * fpr
        return 1 - gain + gain * (curve.delta(-epsilon) + fpr)

    mu = 2 * float(ndtri((1 + advantage) / 2))
    likely = -mu * float(ndtri(fpr)) - mu * mu / 2
    begin = (likely - NEAR * mu, likely + NEAR * mu)
    try:
        found = optimize.minimize_scalar(bound, begin, method="brent", tol=SEARCHED)
        least = float(found.fun)
    except OverflowError:  # thresholds beyond what numbers can hold
        least = 1.0
    return min(1.0, fpr + advantage, least * (1 + ROUNDING))


def _refuse(got: str) -> NoReturn:
    raise InputError(
        "a risk is advantage, or tpr and fpr, or reidentification and baseline, such as "
        f"advantage=0.1 or tpr=0.2,fpr=0.1; {got}"
    )
