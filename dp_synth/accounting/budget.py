"""Privacy budget: a target (epsilon, delta), and what it comes to in closed form.

Conversions to and from one Gaussian mechanism, zero-concentrated DP, and one selection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from dp_synth.accounting.risk_target import RiskTarget
from dp_synth.errors import InputError
from dp_synth.formatting import as_given, rounded_up
from dp_synth.settings import check_settings
from dp_synth.types import Floats

if TYPE_CHECKING:
    from dp_synth.accounting.privacy_profile import PrivacyCurve

Adjacency = Literal["add_remove", "replace_one"]
ADJACENCIES: tuple[str, ...] = get_args(Adjacency)
FilterKind = Literal["zcdp", "gdp", "pure"]  # what a privacy filter counts in
FILTER_KINDS: tuple[str, ...] = ("zcdp", "gdp")  # to choose from; at delta 0 it is pure
CHANGES: dict[str, str] = {"add_remove": "added or removed", "replace_one": "replaced"}
REPORTED = 1e-9  # the delta at which the epsilon of a risk is told
AGREE = 1e-6  # relative, to which an epsilon is that of its risk, on any machine


@dataclass(frozen=True)
class PrivacyBudget:
    """A target (epsilon, delta), the adjacency under which it must hold, and the unit.

    An infinite ``epsilon`` says that no guarantee is wanted. It pays for what has none to give,
    and for that alone: what could keep a finite budget is not calibrated to an infinite one.

    ``add_remove``: neighbouring tables differ by one unit more or less, so the number of units
    is private. ``replace_one``: they differ in the values of one unit, so it is public. A unit
    is one record, or all records that agree in the column ``unit``, of which ``max_rows`` at
    most are used: the rest are dropped at random before anything is measured, and every
    sensitivity is ``max_rows`` times as large.

    With a ``risk`` the budget is that, see `from_risk`: ``epsilon`` tells what one Gaussian
    mechanism of this risk has at ``delta``, and binds nothing.

    >>> PrivacyBudget(epsilon=1, delta=1e-9)
    PrivacyBudget(epsilon=1, delta=1e-09, adjacency='add_remove', unit=None, max_rows=1)
    """

    epsilon: float
    delta: float
    adjacency: Adjacency = "add_remove"
    unit: str | None = None
    max_rows: int = 1
    risk: RiskTarget | None = None

    @classmethod
    def from_risk(
        cls,
        *,
        advantage: float | None = None,
        tpr: float | None = None,
        fpr: float | None = None,
        reidentification: float | None = None,
        baseline: float | None = None,
        delta: float | None = None,
    ) -> PrivacyBudget:
        """Return the budget of the least noise by which every attack on one unit stays below.

        The risk is an ``advantage``, or a ``tpr`` at an ``fpr``, or a ``reidentification`` at a
        ``baseline`` (`RiskTarget`), and is certified by the curve of all that is released, with
        no epsilon on the way. ``delta``, 1e-9 unless it is given, is that at which an epsilon is
        told; open columns share it for their thresholds, and adaptive accountants set a part of
        it apart. `of_risk` takes an adjacency and a unit as well. InputError for a risk that no
        noise reaches.

        >>> budget = PrivacyBudget.from_risk(advantage=0.1)
        >>> budget.said, round(budget.epsilon, 3)
        ('advantage 0.1', 1.403)
        """
        return cls.of_risk(RiskTarget(advantage, tpr, fpr, reidentification, baseline), delta)

    @classmethod
    def of_risk(
        cls,
        risk: RiskTarget,
        delta: float | None = None,
        adjacency: Adjacency = "add_remove",
        unit: str | None = None,
        max_rows: int = 1,
    ) -> PrivacyBudget:
        """Return what `from_risk` does, of a target that is one already."""
        at = REPORTED if delta is None else delta
        return cls(_reported(risk, at), at, adjacency, unit, max_rows, risk)

    def __repr__(self) -> str:
        named = [f"{k}={v!r}" for k, v in self.__dict__.items() if k != "risk" or v is not None]
        return f"PrivacyBudget({', '.join(named)})"

    @property
    def target(self) -> float:
        """What all that is released may come to: an epsilon, or the value of a risk."""
        return self.epsilon if self.risk is None else self.risk.most

    @property
    def kind(self) -> str:
        """What the target is: "epsilon", or the kind of a risk."""
        return "epsilon" if self.risk is None else self.risk.kind

    @property
    def said(self) -> str:
        """The target in words."""
        if self.risk is not None:
            return str(self.risk)
        return f"epsilon {as_given(self.epsilon)} at delta {as_given(self.delta)}"

    def called(self, number: str) -> str:
        """Return another target of this kind in words.

        >>> PrivacyBudget(1, 1e-9).called("0.5"), PrivacyBudget.from_risk(advantage=0.1).called("1")
        ('epsilon 0.5', 'advantage 1')
        """
        return f"epsilon {number}" if self.risk is None else self.risk.said(number)

    def came_to(self, cost: float) -> str:
        """Return what something comes to in terms of the target, for a refusal."""
        number = rounded_up(cost, 6)
        return f"epsilon={number}" if self.risk is None else self.risk.said(number)

    @property
    def allowed(self) -> str:
        """The target as a refusal has it."""
        if self.risk is not None:
            return str(self.risk)
        return f"{as_given(self.epsilon)} at delta={as_given(self.delta)}"

    def cost(self, curve: PrivacyCurve) -> float:
        """Return what a curve comes to, in terms of the target, rounded up."""
        return curve.epsilon(self.delta) if self.risk is None else self.risk.largest(curve)

    def until(self, target: float) -> PrivacyBudget:
        """Return the budget of this kind with another target.

        >>> PrivacyBudget(3.0, 1e-9).until(1.0).said
        'epsilon 1 at delta 1e-09'
        """
        if self.risk is None:
            return replace(self, epsilon=target)
        risk = self.risk.until(target)
        return replace(self, risk=risk, epsilon=_reported(risk, self.delta))

    @property
    def protects(self) -> str:
        """Whose presence the promise is about, in words."""
        return "one record" if self.unit is None else f"all records of one {self.unit}"

    @property
    def neighbours(self) -> str:
        """By what neighbouring tables differ, in words.

        >>> PrivacyBudget(1, 1e-9).neighbours
        'one record added or removed'
        >>> PrivacyBudget(1, 1e-9, "replace_one", "patient", 3).neighbours
        'all records of one patient, at most 3 of them used, replaced'
        """
        used = f", at most {self.max_rows} of them used," if self.max_rows > 1 else ""
        return f"{self.protects}{used} {CHANGES[self.adjacency]}"

    @property
    def records_are_public(self) -> bool:
        """Whether neighbouring tables have equally many records, so that their number is public.

        Not where a unit may hold several: it may be replaced by one that holds fewer.
        """
        return self.adjacency == "replace_one" and self.unit is None

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.epsilon > 0:
            raise ValueError(
                "epsilon must be a finite number above 0, or inf where no guarantee is wanted, "
                f"got {self.epsilon}"
            )
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta must lie in [0, 1), got {self.delta}")
        if self.delta == 0:
            object.__setattr__(self, "delta", 0.0)  # not the negative 0 that numbers have as well
        if self.max_rows < 1:
            raise ValueError(f"max_rows must be a whole number above 0, got {self.max_rows}")
        if self.unit is None and self.max_rows != 1:
            raise ValueError("max_rows above 1 needs the column that names the unit; give unit")
        if self.risk is not None:
            epsilon = _reported(self.risk, self.delta)
            if not math.isclose(self.epsilon, epsilon, rel_tol=AGREE):
                raise ValueError(
                    f"epsilon {as_given(self.epsilon)} is not that of {self.risk}: give one of "
                    "them alone, as PrivacyBudget(epsilon, delta) or PrivacyBudget.from_risk"
                )


def _reported(risk: RiskTarget, delta: float) -> float:
    """Return the epsilon at ``delta`` of one Gaussian mechanism that has just this risk."""
    if not 0 < delta < 1:
        raise InputError(f"delta beside a risk must lie in (0, 1), got {delta}")
    epsilon = gaussian_epsilon(risk.mu, delta)
    if not epsilon or math.isinf(epsilon):
        raise InputError(
            f"{risk} is {'below' if not epsilon else 'beyond'} what delta {as_given(delta)} can "
            f"tell; give a {'larger' if not epsilon else 'smaller'} risk"
        )
    return epsilon


FAR = 1e3  # standard deviations, beyond which all is 0
ROUNDING = 2.0**-48  # bounds the relative rounding error of one special function, and to spare


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the delta of one Gaussian mechanism (Balle & Wang 2018, Thm 8), rounded up.

    With scaled tails, so that nothing cancels where both of the theorem's terms are small.

    >>> round(gaussian_delta(mu=1.0, epsilon=1.0), 6)
    0.126937
    """
    if mu == 0:
        return 0.0
    near, far = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    density = math.exp(-near * near / 2) / 2
    if density == 0:  # below the smallest number there is
        return 0.0 if near > 0 else 1.0
    loss = float(erfcx(far / math.sqrt(2)))
    if near <= 0:
        return min(1.0, float(ndtr(-near)) - density * loss + ROUNDING * (1 + far))
    gain = float(erfcx(near / math.sqrt(2)))
    return density * (1 + ROUNDING * (1 + near * far)) * (gain - loss + ROUNDING * gain)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon of one Gaussian mechanism at ``delta``, rounded up.

    Infinite at delta 0, unless ``mu`` is 0 as well.
    """
    from scipy import optimize

    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    if not delta:
        return math.inf
    high = zcdp_epsilon(mu**2 / 2, delta)
    if math.isinf(high) or gaussian_delta(mu, high) > delta:  # beyond what doubles can tell
        return math.inf
    root = float(
        optimize.brentq(lambda e: gaussian_delta(mu, e) - delta, 0.0, high, xtol=1e-14, rtol=1e-14)
    )
    step = 1e-14
    while gaussian_delta(mu, root) > delta:
        root, step = math.nextafter(root * (1 + step), math.inf), 2 * step
    return root


def gaussian_deltas(mu: float, epsilons: Floats, *, up: bool) -> Floats:
    """Return the privacy curve of one Gaussian mechanism at epsilons of either sign.

    Rounded up, or down (Balle & Wang 2018, Thm 8, as in `gaussian_delta`).
    """
    size = np.abs(epsilons)
    near, far = np.minimum(size / mu - mu / 2, FAR), size / mu + mu / 2
    density = np.exp(-near * near / 2) / 2
    tail = density * erfcx(np.maximum(near, 0.0) / math.sqrt(2))
    gain = np.where(near > 0, tail, ndtr(-near))
    error = ROUNDING * (2 + np.maximum(near, 0.0) * np.minimum(far, FAR)) * gain
    positive = gain - density * erfcx(far / math.sqrt(2)) + (error if up else -error)
    mirror = np.exp(np.minimum(epsilons, 0.0))
    return np.asarray(np.where(epsilons >= 0, positive, 1 - mirror + mirror * positive))


def gaussian_bounds(mu: float, epsilons: Floats) -> tuple[Floats, Floats]:
    """Return lower bounds on a Gaussian's deltas, and upper ones on log(1 - delta)."""
    near, far = epsilons / mu - mu / 2, epsilons / mu + mu / 2
    rough = ROUNDING * (1 + np.abs(near)) * (1 + far)
    with np.errstate(under="ignore", over="ignore"):
        density = np.exp(-near * near / 2) / 2
        loss = erfcx(far / math.sqrt(2))
        small = density * (erfcx(np.maximum(near, 0.0) / math.sqrt(2)) * (1 - rough) - loss)
        large = ndtr(-near) - density * loss - rough
        least = np.where(near > 0, small * (1 - rough), large)
        logs = np.logaddexp(log_ndtr(near), log_ndtr(-far) + epsilons)
        return least, logs + rough * (1 + np.abs(logs)) + ROUNDING * (1 + epsilons)


@lru_cache(maxsize=4096)  # a fit asks for the same ones when it is checked and when it reserves
def zcdp_delta(rho: float, epsilon: float) -> float:
    """Return the optimal delta at which ``rho``-zCDP implies (epsilon, delta)-DP.

    Canonne, Kamath & Steinke 2020, Prop. 12 (arXiv:2004.00010v5): the minimum over orders
    ``alpha`` > 1. Any order gives an upper bound, so the search need not be exact.
    """
    from scipy import optimize

    def log_delta(log_excess: float) -> float:
        excess = math.exp(log_excess)  # alpha - 1
        alpha = 1 + excess
        return excess * (alpha * rho - epsilon) - math.log(alpha) + excess * math.log1p(-1 / alpha)

    found = optimize.minimize_scalar(log_delta, bounds=(-15.0, 15.0), method="bounded")
    return min(1.0, math.exp(min(float(found.fun), 0.0)))


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Return the epsilon at which ``rho``-zCDP implies (epsilon, delta)-DP, rounded up."""
    if zcdp_delta(rho, 0.0) <= delta:
        return 0.0
    high = rho + 2 * math.sqrt(rho * math.log(1 / delta))  # Bun & Steinke 2016, Prop. 1.3
    return bisect(lambda epsilon: zcdp_delta(rho, epsilon) <= delta, high, 0.0)


def zcdp_rho(epsilon: float, delta: float) -> float:
    """Return the zCDP cost whose optimal conversion meets the target, rounded down."""
    high = epsilon + math.log(1 / delta)
    while zcdp_delta(high, epsilon) < delta:
        high *= 2
    low = bisect(lambda rho: zcdp_delta(rho, epsilon) <= delta, 0.0, high)
    if not low:  # the orders that are tried tell nothing of so small an epsilon
        inverse = math.log(1 / delta)
        low = (epsilon / (math.sqrt(inverse + epsilon) + math.sqrt(inverse))) ** 2
    return low * (1 - 1e-6)  # clear of the search tolerance of the conversion back to epsilon


def bisect(
    holds: Callable[[float], bool], inside: float, outside: float, relative: float = 1e-9
) -> float:
    """Return a point where ``holds`` is true, next to where it is not: the safe side of a search.

    It is true at ``inside``, and not known at ``outside``; either may be the larger. They come as
    near as ``relative`` to the larger of them.

    >>> low = bisect(lambda x: x * x <= 2, 0.0, 2.0)
    >>> high = bisect(lambda x: x * x >= 2, 2.0, 0.0)
    >>> low <= 2**0.5 <= high <= low * (1 + 1e-8)
    True
    """
    while abs(outside - inside) > relative * max(inside, outside):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def selection_delta(range_: float, epsilon: Floats) -> Floats:
    """Return the privacy curve of one selection whose loss has range ``range_``.

    The supremum over the worst-case pairs of a bounded-range mechanism, whose two losses are t
    and t - range_: attained at t = (epsilon + range_) / 2 (Dong, Durfee & Rogers 2020). At
    negative epsilon by symmetry of the two directions.
    """
    size = np.minimum(np.abs(epsilon), range_)
    positive = np.expm1((size - range_) / 2) ** 2 / -math.expm1(-range_)
    gain = np.exp(np.minimum(epsilon, 0.0))
    return np.where(epsilon >= 0, positive, 1 - gain + gain * positive)
