"""Noise that composed curves need, beside closed forms and what other engines ask for.

Prints the factors of an MST-like plan, sampled Gaussians, noisy votes, one Gaussian, ten pure
events and joint releases, each beside a number computed in the same run by other means. Seconds
are those of a cold calibration: nothing is taken from a cache. Published numbers are labelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter

import mpmath
from dp_accounting import PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting import dp_event as their_events
from dp_accounting.rdp import RdpAccountant
from scipy import optimize

from dp_synth.accounting import Event, Gaussian, Selection, compose
from dp_synth.accounting.budget import zcdp_rho
from dp_synth.accounting.calibration import noise_factor, scaled
from dp_synth.accounting.events import NoisyVote, Pure, SampledGaussian
from dp_synth.accounting.pld import ENGINES

Events = list[tuple[Event, int]]

# 15 attributes at rho 1: noise of the one-way answers, of the selections, of the two-way answers.
MST: Events = [
    (Gaussian(4.743, 1.0), 15),
    (Selection(0.4364), 14),
    (Gaussian(4.583, 1.0), 14),
]
# The best single fixed t an adversary can choose: below it no accounting of this plan can go.
MST_FLOORS = {(1, 1e-9): 36.64, (1, 1e-5): 24.96, (0.1, 1e-5): 205.6, (10, 1e-9): 4.319}
RATE = 256 / 39_000
PUBLISHED_RDP = {1000: 1.185, 10_000: 2.766}  # opacus, at (1, 1e-5)
TEACHERS, QUERIES = 100, 100


def timed(work: Callable[[], float]) -> tuple[float, float]:
    """Return what ``work`` gives and the seconds that it takes with no curve in memory."""
    for engine in ENGINES.values():
        engine.cache_clear()  # type: ignore[attr-defined]
    start = perf_counter()
    return work(), perf_counter() - start


def print_mst() -> None:
    print("MST-like plan: factor of all noise beside optimal zCDP and the fixed-t floor")
    print("epsilon  delta   zcdp      ours      floor     ours/zcdp  epsilon used  seconds")
    rho = compose(MST).rho
    assert rho is not None
    for (epsilon, delta), floor in MST_FLOORS.items():
        theirs = math.sqrt(rho / zcdp_rho(epsilon, delta))
        ours, seconds = timed(lambda e=epsilon, d=delta: noise_factor(MST, e, d))  # type: ignore[misc]
        used = compose(scaled(MST, ours)).epsilon(delta) / epsilon
        print(
            f"{epsilon:<8g} {delta:<7g} {theirs:<9.4f} {ours:<9.4f} {floor / 4.743:<9.4f} "
            f"{ours / theirs:<10.4f} {used:<13.4%} {seconds:.2f}"
        )


def rdp_multiplier(steps: int, epsilon: float, delta: float) -> float:
    """Return the noise multiplier that dp-accounting's RdpAccountant asks for."""

    def excess(noise_multiplier: float) -> float:
        step = PoissonSampledDpEvent(RATE, their_events.GaussianDpEvent(noise_multiplier))
        accountant = RdpAccountant()
        accountant.compose(SelfComposedDpEvent(step, steps))
        return float(accountant.get_epsilon(delta)) - epsilon

    return float(optimize.brentq(excess, 0.5, 10.0, xtol=1e-4))


def print_sampled() -> None:
    print("\nsampled Gaussian, rate 256/39000, (1, 1e-5): noise multiplier")
    print("steps   published RDP (opacus)  RDP (dp-accounting, this run)  ours    ratio   seconds")
    for steps, published in PUBLISHED_RDP.items():
        theirs = rdp_multiplier(steps, 1.0, 1e-5)
        plan: Events = [(SampledGaussian(theirs, RATE, steps), 1)]
        factor, seconds = timed(lambda p=plan: noise_factor(p, 1.0, 1e-5))  # type: ignore[misc]
        print(
            f"{steps:<7} {published:<23} {theirs:<30.4f} {theirs * factor:<7.4f} "
            f"{factor:<7.4f} {seconds:.2f}"
        )


def moments_inverse_scale(epsilon: float, delta: float) -> float:
    """Return the 1/scale of Laplace votes by the data-independent moments bound of PATE-GAN.

    A vote of inverse scale g has moments 2 g**2 l (l + 1) (Papernot et al. 2017); the least over
    l <= 100 of (queries * moment + log(1 / delta)) / l is epsilon.
    """

    def excess(inverse: float) -> float:
        bounds = [
            (QUERIES * 2 * inverse**2 * order * (order + 1) + math.log(1 / delta)) / order
            for order in range(1, 101)
        ]
        return min(bounds) - epsilon

    return float(optimize.brentq(excess, 1e-6, 1.0, xtol=1e-9))


def print_votes() -> None:
    print(f"\n{QUERIES} votes of {TEACHERS} teachers, (1, 1e-5)")
    moments = moments_inverse_scale(1.0, 1e-5)
    laplace: Events = [(NoisyVote("laplace", 1 / moments, TEACHERS), QUERIES)]
    gaussian: Events = [(NoisyVote("gaussian", 50.0, TEACHERS), QUERIES)]
    factor, seconds = timed(lambda: noise_factor(laplace, 1.0, 1e-5))
    print(
        f"laplace, inverse scale: moments bound {moments:.5f}, ours {moments / factor:.5f} "
        f"({1 / factor:.2f} times), {seconds:.2f} s"
    )
    factor, seconds = timed(lambda: noise_factor(gaussian, 1.0, 1e-5))
    both: Events = [(Gaussian(math.sqrt(0.5), 1.0), QUERIES)]  # both counts move by one
    histogram = noise_factor(both, 1.0, 1e-5)
    print(
        f"gaussian, stddev: analytic on both counts {histogram:.3f}, ours {50 * factor:.3f}, "
        f"{seconds:.2f} s"
    )


def exact_gaussian_multiplier(epsilon: float, delta: float) -> float:
    """Return the noise multiplier of Balle & Wang 2018, Thm 8, in 50 digits."""
    with mpmath.workdps(50):
        low, high = mpmath.mpf(10) ** -3, mpmath.mpf(10) ** 6
        while high - low > high * mpmath.mpf(10) ** -20:
            middle = mpmath.sqrt(low * high)
            half, far = 1 / (2 * middle), epsilon * middle
            loss = mpmath.ncdf(half - far) - mpmath.exp(epsilon) * mpmath.ncdf(-half - far)
            low, high = (middle, high) if loss > delta else (low, middle)
        return float(high)


def print_closed_forms() -> None:
    print("\none Gaussian: noise multiplier, ours / 50 digits - 1 (never below 0)")
    for epsilon, delta in [(0.1, 1e-5), (1, 1e-9), (10, 1e-9)]:
        ours, seconds = timed(
            lambda e=epsilon, d=delta: noise_factor([(Gaussian(1.0, 1.0), 1)], e, d)  # type: ignore[misc]
        )
        exact = exact_gaussian_multiplier(epsilon, delta)
        print(f"({epsilon:g}, {delta:g}): {exact:.8f}, {ours / exact - 1:+.1e}, {seconds:.2f} s")
    pure: Events = [(Pure(math.log(3)), 10)]
    print(
        f"ten times log(3)-DP at delta 0: {compose(pure).epsilon(0.0):.6f}, "
        f"exactly {10 * math.log(3):.6f}"
    )


def print_joint() -> None:
    print(
        "\nk equal Gaussian releases within (1, 1e-5): noise, one curve / budgets of (1/k, 1e-5/k)"
    )
    one = Gaussian(1.0, 1.0)
    for count in (2, 3, 5, 10):
        joint = noise_factor([(one, count)], 1.0, 1e-5)
        split = noise_factor([(one, 1)], 1.0 / count, 1e-5 / count)
        print(f"k = {count:<3} {joint / split:.3f}")


if __name__ == "__main__":
    print_mst()
    print_sampled()
    print_votes()
    print_closed_forms()
    print_joint()
