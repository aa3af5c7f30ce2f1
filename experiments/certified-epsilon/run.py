"""Certified intervals of 200 event lists against references of more digits: never below the truth.

Lists: the settings in which a plain transform was once too small; repeated randomized responses,
alone (exact binomials in 60 digits) and beside Gaussians (exact mixtures in 40 digits); sampled
Gaussians, alone and beside Gaussians: one and two steps by their integrals in 40 digits, more by an
integral over frequencies in long double (80 bits on x86) at two tilts, whose agreement is printed.

    python -m experiments certified-epsilon [--every N [--first K]] [--kind KIND ...] [--rows]

Prints by kind of list how far at most the upper end of epsilon lies above the reference, and the
lower one below it, at deltas from 1e-5 to 1e-12 and from 1e-13 to 1e-15, how often an end was on
the wrong side, and how much of a budget of (1, 1e-15) calibrated plans use. ``--rows`` prints each
list.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from time import process_time
from typing import ClassVar

import mpmath
import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Event, Gaussian, PrivacyBudget, SampledGaussians, calibrate, compose
from dp_synth.accounting.events import Pure, SampledGaussian
from dp_synth.accounting.plan import Gaussians, Plan

DELTAS = tuple(10.0**-power for power in range(5, 16))
ONE = np.longdouble(1)
PI = np.longdouble("3.14159265358979323846264338328")
LISTS = {"responses": 40, "responses beside Gaussians": 32, "one or two steps": 16}
LISTS |= {"sampled": 74, "sampled beside Gaussians": 30}
BAD = (
    SampledGaussian(0.8, 0.001, 100_000),
    SampledGaussian(0.6, 0.01, 1000),
    SampledGaussian(5.51, 0.0089, 580_774),
    SampledGaussian(0.467, 1.02e-4, 327_736),
    SampledGaussian(4.5, 0.026, 1500),
    SampledGaussian(0.855, 0.001, 100_000),
)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)  # to 1e-15, all terms positive
OWN = 1e-13  # relative error of an exact reference in double precision
APART = 10.0  # errors of an integral over how far two lines of integration differ

Real = NDArray[np.longdouble]
Events = list[tuple[Event, int]]
Reference = Callable[[float], tuple[float, float]]  # delta and its derivative at an epsilon


@dataclass(frozen=True)
class Case:
    """Events, and what their delta is."""

    kind: str
    events: Events
    reference: Reference


def binomial(epsilon: float, count: int, mu: float, digits: int = 60) -> Reference:
    """Return the delta of repeated randomized response beside one Gaussian, and its derivative."""

    def delta(at: float) -> tuple[float, float]:
        with mpmath.workdps(digits):
            e, level, total, slope = mpmath.mpf(epsilon), mpmath.mpf(at), mpmath.mpf(0), 0
            high = 1 / (1 + mpmath.exp(-e))
            chance = high**count
            for truths in range(count, -1, -1):
                left = level - (2 * truths - count) * e
                if mu:
                    m = mpmath.mpf(mu)
                    far = mpmath.exp(left) * mpmath.ncdf(-left / m - m / 2)
                    total += chance * (mpmath.ncdf(m / 2 - left / m) - far)
                    slope -= chance * far
                elif left < 0:
                    total -= chance * mpmath.expm1(left)
                    slope -= chance * mpmath.exp(left)
                chance *= (1 - high) / high * truths / (count - truths + 1)
            return float(total), float(slope)

    return delta


def few_steps(multiplier: float, rate: float, steps: int) -> Reference:
    """Return the delta of one or two sampled steps, a record removed, by their integrals."""

    def one(epsilon: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
        q, mu = mpmath.mpf(rate), 1 / mpmath.mpf(multiplier)
        gain = mpmath.exp(epsilon) - 1 + q
        if gain <= 0:
            return -mpmath.expm1(epsilon), -mpmath.exp(epsilon)
        y = mpmath.log(gain / q) / mu + mu / 2
        far = mpmath.ncdf(-y)
        return q * mpmath.ncdf(mu - y) - gain * far, -mpmath.exp(epsilon) * far

    def delta(at: float) -> tuple[float, float]:
        with mpmath.workdps(40):
            if steps == 1:
                return tuple(float(part) for part in one(mpmath.mpf(at)))  # type: ignore[return-value]
            q, mu = mpmath.mpf(rate), 1 / mpmath.mpf(multiplier)
            turn = mpmath.log((mpmath.exp(at) / (1 - q) - 1 + q) / q) / mu + mu / 2
            near = [turn + sign * mpmath.mpf(2) ** -k for k in range(10) for sign in (-1, 1)]
            last = 12 + 2 / multiplier
            ends = [mpmath.mpf(e) for e in np.linspace(-11, last, 24)] + [turn]
            ends = sorted(e for e in ends + near if -11 <= e <= last)
            total = slope = mpmath.mpf(0)
            for a, b in pairwise(ends):
                for node, weight in zip(NODES, WEIGHTS, strict=True):
                    y = (a + b) / 2 + (b - a) / 2 * mpmath.mpf(float(node))
                    ratio = mpmath.log1p(q * mpmath.expm1(mu * y - mu * mu / 2))
                    density = mpmath.npdf(y) * mpmath.exp(ratio) * (b - a) / 2 * float(weight)
                    value, fall = one(at - ratio)
                    total, slope = total + density * value, slope + density * fall
            return float(total), float(slope)

    return delta


@dataclass(frozen=True)
class Integral:
    """Delta of sampled Gaussians beside one Gaussian, by frequencies in long double."""

    mu: float
    sampled: tuple[tuple[float, float, int], ...]  # multiplier, rate, steps
    apart: ClassVar[float] = 0.0  # by which two lines of integration differed at most
    last: ClassVar[float] = 0.0  # the same of the last delta

    def log_moment(self, z: NDArray[np.clongdouble], removed: bool) -> NDArray[np.clongdouble]:
        """Return log E exp(z * loss) of the sum; the trapezoidal rule over outcomes."""
        real = z.real.dtype.type
        total = z * (z + 1) * (real(self.mu) ** 2 / 2)
        for multiplier, rate, steps in self.sampled:
            mean, q = 1 / real(multiplier), real(rate)
            power = z + 1 if removed else -z
            reach = max(0.0, float(power.real.max())) * float(mean)
            fine = max(28, 2 * int(float(np.abs(z.imag).max()) * float(mean) / 6))
            y = np.arange(-13 * fine, int((reach + 13) * fine)).astype(real) / fine
            ratio = np.log1p(q * np.expm1(mean * y - mean * mean / 2))
            base = np.maximum(power.real.max() * ratio, 0) - y * y / 2
            y, ratio = y[base > base.max() - 55], ratio[base > base.max() - 55]
            chances = np.exp(-y * y / 2) / (fine * np.sqrt(2 * real(PI)))
            less = np.expm1(np.outer(power, ratio)) @ chances  # the moment, less one
            a, b = less.real, less.imag
            total = total + steps * (
                np.log1p(2 * a + a * a + b * b) / 2 + 1j * np.arctan2(b, 1 + a)
            )
        return np.asarray(total)

    def delta(self, epsilon: float, removed: bool, share: float) -> tuple[float, float]:
        """Return delta and its derivative, on the line through ``share`` of the saddle point."""
        tilt = share * self._saddle(epsilon, removed)
        value = float(self.log_moment(np.array([tilt + 0j], dtype=np.clongdouble), removed)[0].real)
        spacing = 2 * math.pi / (2 * epsilon + (120 + max(0.0, tilt * epsilon - value)) / tilt)
        total = slope = np.longdouble(0)
        size, start = 0.0, 0
        while True:
            w = spacing * np.arange(start, start + 64).astype(np.longdouble)
            z = tilt + 1j * w
            terms = np.exp(self.log_moment(z, removed) - z * np.longdouble(epsilon) - value)
            terms *= np.exp(np.longdouble(tilt * epsilon)) / (z + 1)
            if not start:
                terms[0] /= 2
            total, slope = total + (terms / z).real.sum(), slope - terms.real.sum()
            size = max(size, float(np.abs(terms / z).max()))
            if float(np.abs(terms / z).max()) < 1e-22 * size:
                break
            start += 64
            if start > 6000:
                raise ArithmeticError("the integral hardly converges")
        factor = np.longdouble(spacing) / PI * np.exp(np.longdouble(value - tilt * epsilon))
        return float(total * factor), float(slope * factor)

    def _saddle(self, epsilon: float, removed: bool) -> float:
        return self._lowest(epsilon, removed)[0]

    def _lowest(self, epsilon: float, removed: bool) -> tuple[float, float]:
        """Return a tilt near the saddle point, and the logarithm of the integrand there."""
        least = min(multiplier for multiplier, _, _ in self.sampled)
        tilts = np.exp(np.linspace(-7, 9, 65)) / math.sqrt(max(epsilon, 1e-3))
        best = (1.0, math.inf)
        for tilt in tilts[tilts < 300 * least].tolist():
            with np.errstate(over="ignore", invalid="ignore"):
                value = float(self.log_moment(np.array([tilt + 0j]), removed)[0].real)
            height = value - tilt * epsilon - math.log(tilt) - math.log1p(tilt)
            if height < best[1]:
                best = (tilt, height)
            elif height > best[1] + 100:
                break
        return best

    def reference(self, epsilon: float) -> tuple[float, float]:
        """Return the larger delta of both directions, and its derivative.

        A second line, of other images, says how exact it is; ArithmeticError where it is not.
        """
        apart = math.inf
        for share in (0.6, 0.45, 0.3, 0.2, 0.13, 0.09, 0.06):
            with suppress(ArithmeticError):
                first = self.delta(epsilon, True, share)
                apart = abs(self.delta(epsilon, True, 0.8 * share)[0] / first[0] - 1)
            if apart < 1e-7:
                break
        else:
            raise ArithmeticError(f"two lines of integration differ by {apart:.0e}")
        Integral.apart, Integral.last = max(apart, Integral.apart), apart
        if self._lowest(epsilon, False)[1] < math.log(first[0]) - 1:
            return first
        return max(first, self.delta(epsilon, False, share))


def cases() -> Iterator[Case]:
    """Yield the lists, random ones of a fixed seed."""
    rng = np.random.default_rng(20)
    for event in BAD:
        whole = Integral(0.0, ((event.noise_multiplier, event.rate, event.steps),))
        yield Case("once too small", [(event, 1)], whole.reference)
    yield Case("once too small", [(Pure(0.01), 1000)], binomial(0.01, 1000, 0.0))
    mixed = Integral(0.5, ((4.5, 0.026, 1500),))
    yield Case(
        "once too small",
        [(SampledGaussian(4.5, 0.026, 1500), 1), (Gaussian(2.0, 1.0), 1)],
        mixed.reference,
    )
    for kind, count in LISTS.items():
        for _ in range(count):
            yield _random(kind, rng)


def _random(kind: str, rng: np.random.Generator) -> Case:
    multiplier, rate = (
        round(float(x), 3) for x in (rng.uniform(0.5, 5), 10 ** rng.uniform(-3, -1))
    )
    other = round(float(rng.uniform(1.0, 20.0)), 3)
    times = int(rng.integers(1, 30))
    mu = math.sqrt(times) / other
    if kind.startswith("responses"):
        epsilon, count = round(float(10 ** rng.uniform(-2, 0)), 4), int(10 ** rng.uniform(0, 2.3))
        if kind == "responses":
            return Case(kind, [(Pure(epsilon), count)], binomial(epsilon, count, 0.0))
        events = [(Pure(epsilon), count), (Gaussian(other, 1.0), times)]
        return Case(kind, events, binomial(epsilon, count, mu, 40))
    if kind == "one or two steps":
        steps = int(rng.integers(1, 3))
        event = SampledGaussian(multiplier, rate, steps)
        return Case(kind, [(event, 1)], few_steps(multiplier, rate, steps))
    steps = int(10 ** rng.uniform(1.5, 5))
    event = SampledGaussian(multiplier, rate, steps)
    if kind == "sampled":
        return Case(kind, [(event, 1)], Integral(0.0, ((multiplier, rate, steps),)).reference)
    whole = Integral(mu, ((multiplier, rate, steps),))
    return Case(kind, [(Gaussian(other, 1.0), times), (event, 1)], whole.reference)


@dataclass(frozen=True)
class Excess:
    """How far the ends of an interval lie from the reference, relative to epsilon."""

    delta: float
    above: float
    below: float
    own: float

    @property
    def is_wrong(self) -> bool:
        """Whether an end is on the wrong side by more than the reference's own error."""
        return min(self.above, self.below) < -self.own


def measured(case: Case, deltas: tuple[float, ...] = DELTAS) -> list[Excess]:
    """Return the excess at each delta; none where epsilon is 0 or the list's whole loss."""
    curve = compose(case.events)
    most = sum(e.epsilon * n if isinstance(e, Pure) else math.inf for e, n in case.events)
    found = []
    for delta in deltas:
        low, high = curve.epsilon_bounds(delta)
        if not 0 < high < most * (1 - 1e-12):
            continue
        Integral.last = 0.0
        true, slope = case.reference(high)
        scale = -slope / true * high  # of log(delta) to log(epsilon)
        above = math.log(delta / true) / scale
        own = OWN + APART * Integral.last / scale
        found.append(Excess(delta, above, 1 - low / high - above, own))
    return found


def used(plan: Plan) -> float:
    """Return how much of a budget of (1, 1e-15) a calibrated plan uses."""
    ready = calibrate({"plan": (plan, 1.0)}, PrivacyBudget(1.0, 1e-15))["plan"]
    return compose(ready.events()).epsilon_bounds(1e-15)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="of the 200 lists, one in N")
    parser.add_argument("--first", type=int, default=0, help="of these, to do all in parts")
    parser.add_argument("--kind", nargs="*", help="of lists, such as 'sampled'")
    parser.add_argument("--rows", action="store_true", help="print every list")
    options = parser.parse_args()
    tables: dict[str, list[Excess]] = {}
    wrong = 0
    start = process_time()
    for case in islice(cases(), options.first, None, options.every):
        if options.kind and case.kind not in options.kind:
            continue
        try:
            found = measured(case)
        except ArithmeticError as error:
            print(f"no reference: {case.events}: {error}")
            continue
        tables.setdefault(case.kind, []).extend(found)
        wrong += sum(each.is_wrong for each in found)
        if options.rows and found:
            worst = max(found, key=lambda each: each.above)
            below = max(each.below for each in found)
            print(f"{case.events} {worst.above:+.1e} at {worst.delta:g}, {below:+.1e}", flush=True)
    print("kind: largest excess of the upper end, of the lower one, to delta 1e-12 | to 1e-15")
    for kind, rows in tables.items():
        line = f"{kind:28s}"
        for some in ([r for r in rows if r.delta > 9e-13], [r for r in rows if r.delta < 9e-13]):
            above = max((r.above for r in some), default=math.nan)
            below = max((r.below for r in some), default=math.nan)
            line += f" | {above:.1e} {below:.1e}"
        print(line)
    ends = sum(len(rows) for rows in tables.values())
    print(
        f"{ends} intervals, {wrong} with an end on the wrong side; {process_time() - start:.0f} s"
    )
    print(f"references by integrals: two lines differ by at most {Integral.apart:.1e}")
    plans = {
        "1,500 sampled steps": Plan({"steps": SampledGaussians(1500, 0.026)}),
        "Gaussians and sampled steps": Plan(
            {"ones": Gaussians(15, 0.2), "steps": SampledGaussians(1500, 0.01, 0.8)}
        ),
    }
    for name, plan in plans.items():
        print(f"a budget of (1, 1e-15): {name} use {used(plan):.6%} at least")


if __name__ == "__main__":
    main()
