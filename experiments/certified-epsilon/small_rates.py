"""Sampled Gaussians over multiplier, rate and steps: our bounds, dp-accounting's, and an oracle.

The oracle shares nothing with either: no lattice of losses and no convolution. It computes the
moments E[exp(z * loss)] of one step by quadrature at complex z, and delta as a contour integral of
their power. It bounds nothing; its own error is below 1e-8, relatively, by the agreement of two
contours that ``--check`` prints.

    python -m experiments.certified_epsilon.small_rates [--every N] [--theirs] [--check]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from experiments.certified_epsilon.run import few_steps
from numpy.typing import NDArray
from scipy import optimize

from dp_synth.accounting import compose
from dp_synth.accounting.events import SampledGaussian

Complex = NDArray[np.complex128]

MULTIPLIERS = (0.5, 0.6, 0.7, 0.85, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0)
RATES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1)
STEPS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000)
DELTA = 1e-6  # the target, or a tenth of delta at epsilon 0 where that is less
SMALLEST = 1e-15  # what the contour leaves out, relatively
FINE = 32  # outcomes in a standard deviation
OUTCOMES = np.arange(-11, 45, 1 / FINE)
MOST_COUNTED = 30.0  # outcome: a moment that needs larger ones is not to be had


@dataclass(frozen=True)
class Moments:
    """Moments of one step's loss: of a record removed, or added."""

    noise_multiplier: float
    rate: float
    removed: bool
    last: float = 45.0  # outcome

    def up_to_what_counts(self, tilt: float) -> Moments:
        """Return the same with outcomes only that matter at a real tilt."""
        y = OUTCOMES
        mu = 1 / self.noise_multiplier
        ratio = np.log1p(self.rate * np.expm1(mu * y - mu * mu / 2))
        powers = ((tilt + 1 if self.removed else -tilt) * ratio) - y * y / 2
        return replace(self, last=float(y[powers > powers.max() - 60][-1]))

    def line(self) -> tuple[Complex, Complex]:
        """Return outcomes on a line beside the real one, and the log ratios of densities there.

        They lie where the oscillation of exp(i * w * loss) is a decay. The ratio has no zero in
        between, so that moments are the same.
        """
        mu = 1 / self.noise_multiplier
        lift = min(2.0 / mu, 1.0)
        y = OUTCOMES[self.last >= OUTCOMES] + 1j * (lift if self.removed else -lift)
        return y, np.log1p(self.rate * np.expm1(mu * y - mu * mu / 2))

    def slope(self) -> float:
        """Return how far a contour may bend to the right so that large losses still decay."""
        _, ratio = self.line()
        gains = ratio.real > 0
        bends = np.abs(ratio.imag[gains]) / ratio.real[gains]
        return 0.5 * float(np.min(bends, initial=2.0))

    def log(self, z: Complex) -> Complex:
        """Return the logarithms of E[exp(z * loss)], by the trapezoidal rule."""
        y, ratio = self.line()
        power, base = (z, 1.0) if self.removed else (-z, 0.0)
        found = np.empty(len(z), dtype=complex)
        for start in range(0, len(z), 500):
            part = power[start : start + 500, None]
            with np.errstate(over="ignore", invalid="ignore"):  # steeper than any contour is
                terms = np.exp((part + base) * ratio - y * y / 2)
                found[start : start + 500] = terms.sum(axis=1) / (FINE * math.sqrt(2 * math.pi))
        return np.log(found)

    def log_real(self, t: float) -> float:
        """Return the logarithm of the moment at a real number."""
        return float(self.log(np.array([t + 0j])).real[0])


@dataclass(frozen=True)
class Contour:
    """Delta of many steps at epsilons near one, as an integral along a hyperbola.

    Upwards it bends to the right, where exp(-z * epsilon) decays.
    """

    moments: Moments
    steps: int
    tilt: float
    z: Complex
    weights: Complex

    @classmethod
    def near(cls, moments: Moments, steps: int, epsilon: float, share: float = 0.5) -> Contour:
        """Return the contour through ``share`` of the saddle point, or where terms are tame."""

        def height(log_t: float) -> float:
            t = math.exp(log_t)
            value = steps * moments.log_real(t) - t * epsilon
            return value if math.isfinite(value) else 1e300

        scale = 1 / max(epsilon, 1e-6)
        grid = np.log(scale) + np.linspace(-4, 6, 41)
        best = float(grid[int(np.argmin([height(g) for g in grid]))])
        tilt = share * math.exp(best)
        while (counted := moments.up_to_what_counts(tilt)).last > MOST_COUNTED:
            tilt *= 0.7  # what is left out of a moment would count there
        spacing = 2 * math.pi / (45 / tilt + 2 * epsilon)
        moments = counted
        slope, bend = min(moments.slope(), 1.0), 2 * tilt
        blocks, start, top = [], 0.5, -math.inf
        while True:
            w = spacing * (start + np.arange(1000))
            root = np.sqrt(w * w + bend * bend)
            z = tilt + slope * (root - bend) + 1j * w
            logs = (
                steps * moments.log(z)
                - np.log(z)
                - np.log(z + 1)
                + np.log(1 - 1j * slope * w / root)
            )
            blocks.append((z, logs))
            heights = logs.real - z.real * epsilon
            top = max(top, float(heights.max()))
            if float(heights[-100:].max()) < top + math.log(SMALLEST) or len(blocks) > 60:
                break
            start += 1000
        z = np.concatenate([z for z, _ in blocks])
        logs = np.concatenate([logs for _, logs in blocks])
        return cls(moments, steps, tilt, z, logs + math.log(spacing / math.pi))

    def delta(self, epsilon: float) -> float:
        """Return delta; the midpoint rule, whose images lie ``width`` away."""
        with np.errstate(over="ignore", invalid="ignore"):  # far from where it was made for
            return float(np.exp(self.weights - self.z * epsilon).real.sum())


def oracle_delta(multiplier: float, rate: float, steps: int) -> Callable[[float], float]:
    """Return delta as a function of epsilon, of both directions the larger."""
    if steps == 1:
        one = few_steps(multiplier, rate, 1)
        return lambda epsilon: one(epsilon)[0]
    made: dict[tuple[bool, int], Contour] = {}

    def delta(epsilon: float) -> float:
        found = []
        largest = -steps * math.log1p(-rate)  # loss where a record is added; rarely near it
        for removed in (True, False) if epsilon < largest / 2 else (True,):
            bucket = round(3 * math.log(max(epsilon, 1e-9)))
            if (removed, bucket) not in made:
                moments = Moments(multiplier, rate, removed)
                made[removed, bucket] = Contour.near(moments, steps, math.exp(bucket / 3))
            found.append(made[removed, bucket].delta(epsilon))
        return min(1.0, max(value for value in found if math.isfinite(value)))

    return delta


def oracle_epsilon(delta: Callable[[float], float], target: float, guess: float) -> float:
    """Return the epsilon at which delta is ``target``, found near a guess."""
    low, high = guess * 0.98, guess * 1.001
    while delta(low) < target:
        low *= 0.95
    while delta(high) > target:
        high *= 1.02
    return float(
        optimize.brentq(lambda e: math.log(max(delta(e), 1e-300) / target), low, high, xtol=1e-12)
    )


def their_epsilon(multiplier: float, rate: float, steps: int, target: float) -> float:
    """Return dp-accounting's epsilon, by its accountant as it comes."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant()
    accountant.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(multiplier)), steps)
    return float(accountant.get_epsilon(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="of the 1,000 settings, one in N")
    parser.add_argument("--theirs", action="store_true", help="dp-accounting too: slow")
    parser.add_argument("--check", action="store_true", help="the oracle on a second contour")
    options = parser.parse_args()
    settings = [(m, q, t) for m in MULTIPLIERS for q in RATES for t in STEPS]
    print("multiplier rate steps delta | epsilon: oracle ours-1 theirs-1 | delta at half: ours-1 s")
    worst = [0.0, 0.0, math.inf]
    for multiplier, rate, steps in settings[:: options.every]:
        curve = compose([(SampledGaussian(multiplier, rate, steps), 1)])
        start = perf_counter()
        target = min(DELTA, curve.delta(0.0) / 10)
        ours = curve.epsilon(target)
        seconds = perf_counter() - start
        delta = oracle_delta(multiplier, rate, steps)
        true = oracle_epsilon(delta, target, ours)
        half = true / 2
        excess = (ours / true - 1, curve.delta(half) / delta(half) - 1)
        theirs = their_epsilon(multiplier, rate, steps, target) / true - 1 if options.theirs else 0
        line = f"{multiplier:<5g} {rate:<7g} {steps:<7d} {target:<9.3g} | {true:<12.8g}"
        line += f" {excess[0]:+.2e} {theirs:+.2e} | {excess[1]:+.2e} {seconds:.2f}"
        if options.check and steps > 1:
            moments = Moments(multiplier, rate, removed=True)
            again = Contour.near(moments, steps, true, share=0.35).delta(true)
            line += f" {again / target - 1:+.1e}"
        print(line, flush=True)
        least = min(worst[2], *excess)
        worst = [max(worst[0], excess[0]), max(worst[1], excess[1]), least]
    print(f"largest excess: epsilon {worst[0]:.2e}, delta {worst[1]:.2e}; least {worst[2]:.2e}")


if __name__ == "__main__":
    main()
