"""Noise that composed curves need, beside closed forms, a floor and what other engines ask for.

    python -m benchmarks.calibration [--keep]

Prints the factor of all noise of an MST-like plan, noise multipliers of sampled Gaussians, noise of
votes and of joint releases, each beside numbers computed in the same run by other means, and
closed forms in fifty digits. Nothing here looks at data, so that there are no seeds: whoever runs
it again finds the same numbers, but for the last digits of a bisection. ``--keep`` takes more
targets, and writes a line a number to ``paper/records/accounting.jsonl``; some minutes of one core.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from itertools import groupby, product

import mpmath
import numpy as np
from scipy import optimize, stats
from scipy.special import ndtr

from benchmarks.measured import ROOT, Record, keep
from dp_synth import __version__
from dp_synth.accounting import Event, Gaussian, Selection, compose
from dp_synth.accounting.budget import zcdp_rho
from dp_synth.accounting.calibration import noise_factor
from dp_synth.accounting.events import NoisyVote, Pure, SampledGaussian
from paper.documents import markdown

Events = list[tuple[Event, int]]

LINES = ROOT / "paper" / "records" / "accounting.jsonl"
COMMAND = "python -m benchmarks.calibration --keep"
# 15 attributes at rho 1: noise of the one-way answers, of the selections, of the two-way answers.
MST: Events = [
    (Gaussian(4.743, 1.0), 15),
    (Selection(0.4364), 14),
    (Gaussian(4.583, 1.0), 14),
]
TARGETS = ((1.0, 1e-9), (1.0, 1e-5), (0.1, 1e-5), (10.0, 1e-9))
MORE_TARGETS = tuple(product((0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0), (1e-5, 1e-9)))
RATE = 256 / 39_000
STEPS = (1000, 2000, 5000, 10_000)
TEACHERS, QUERIES = 100, 100
SHARES = (2, 3, 5, 10)
STRATEGIES = 81  # values of t that are tried before the best is refined


def record(plan: str, method: str, target: tuple[float, float], value: float) -> Record:
    """Return a line: what one accounting asks for at one target."""
    epsilon, delta = target
    return {"plan": plan, "method": method, "epsilon": epsilon, "delta": delta, "value": value}


def marginals(targets: Sequence[tuple[float, float]]) -> Iterator[Record]:
    """Yield the factor of all noise of MST's plan by each accounting, and its floor."""
    rho = compose(MST).rho
    for epsilon, delta in targets:
        log = math.log(1 / delta)
        basic = (math.sqrt(log + epsilon) - math.sqrt(log)) ** 2
        for method, value in (
            ("zcdp_basic", math.sqrt(rho / basic)),
            ("zcdp", math.sqrt(rho / zcdp_rho(epsilon, delta))),
            ("here", noise_factor(MST, epsilon, delta)),
            ("floor", floor(MST, epsilon, delta)),
        ):
            yield record("mst", method, (epsilon, delta), value)


def floor(events: Events, epsilon: float, delta: float) -> float:
    """Return a factor of noise below which no accounting of these events can be right.

    That at which an adversary who plays one fixed t in every selection already reaches ``delta``:
    the losses of the selections are then t and t - E, binomial in number, and exact.
    """
    rate = math.sqrt(sum(n / e.noise_multiplier**2 for e, n in events if isinstance(e, Gaussian)))
    ((range_, count),) = [(e.epsilon, n) for e, n in events if isinstance(e, Selection)]

    def excess(log_factor: float) -> float:
        factor = math.exp(log_factor)
        return worst_fixed(rate / factor, range_ / factor, count, epsilon) - delta

    return math.exp(optimize.brentq(excess, -3.0, 7.0, xtol=1e-9))


def worst_fixed(mu: float, range_: float, count: int, epsilon: float) -> float:
    """Return the largest delta over strategies that play one t in all ``count`` selections."""

    def gained(share: float) -> float:
        t = share * range_
        high = math.exp(t) * math.expm1(range_ - t) / math.expm1(range_)  # chance of the loss t
        often = np.arange(count + 1)
        chances = stats.binom.pmf(often, count, min(1.0, high))
        losses = often * t + (count - often) * (t - range_)
        left = epsilon - losses
        # Balle & Wang 2018, Thm 8, at what is left of epsilon after the selections.
        answers = ndtr(mu / 2 - left / mu) - np.exp(left) * ndtr(-mu / 2 - left / mu)
        return float(chances @ answers)

    tried = np.linspace(0, 1, STRATEGIES)
    best = float(max(tried, key=gained))
    step = 1 / (STRATEGIES - 1)
    found = optimize.minimize_scalar(
        lambda share: -gained(share), bounds=(max(0, best - step), min(1, best + step))
    )
    return max(gained(best), -float(found.fun))


def sampled() -> Iterator[Record]:
    """Yield noise multipliers of Poisson-sampled Gaussian steps at (1, 1e-5)."""
    for steps in STEPS:
        theirs = renyi_multiplier(1.0, 1e-5, rate=RATE, steps=steps)
        ours = theirs * noise_factor([(SampledGaussian(theirs, RATE, steps), 1)], 1.0, 1e-5)
        for method, value in (("rdp", theirs), ("here", ours)):
            found = record("sampled", method, (1.0, 1e-5), value)
            yield found | {"steps": steps, "rate": RATE}


def renyi_multiplier(epsilon: float, delta: float, *, rate: float, steps: int) -> float:
    """Return the noise multiplier that dp-accounting's RdpAccountant asks for."""
    from dp_accounting import PoissonSampledDpEvent, SelfComposedDpEvent
    from dp_accounting.dp_event import GaussianDpEvent
    from dp_accounting.rdp import RdpAccountant

    def excess(log_multiplier: float) -> float:
        step = GaussianDpEvent(math.exp(log_multiplier))
        sampled = step if rate == 1 else PoissonSampledDpEvent(rate, step)
        accountant = RdpAccountant()
        accountant.compose(SelfComposedDpEvent(sampled, steps))
        return float(accountant.get_epsilon(delta)) - epsilon

    return math.exp(optimize.brentq(excess, math.log(0.6), math.log(3000.0), xtol=1e-5))


def votes() -> Iterator[Record]:
    """Yield the noise of votes of teachers at (1, 1e-5)."""
    moments = moments_inverse_scale(1.0, 1e-5)
    laplace = [(NoisyVote("laplace", 1 / moments, TEACHERS), QUERIES)]
    gaussian = [(NoisyVote("gaussian", 50.0, TEACHERS), QUERIES)]
    both = [(Gaussian(math.sqrt(0.5), 1.0), QUERIES)]  # both counts move by one
    for plan, method, value in (
        ("laplace_votes", "moments", moments),
        ("laplace_votes", "here", moments / noise_factor(laplace, 1.0, 1e-5)),
        ("gaussian_votes", "both_counts", noise_factor(both, 1.0, 1e-5)),
        ("gaussian_votes", "here", 50 * noise_factor(gaussian, 1.0, 1e-5)),
    ):
        found = record(plan, method, (1.0, 1e-5), value)
        yield found | {"teachers": TEACHERS, "queries": QUERIES}


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


def joint() -> Iterator[Record]:
    """Yield the noise of equal Gaussian releases under one budget, over that of split budgets."""
    one = Gaussian(1.0, 1.0)
    for count in SHARES:
        together = noise_factor([(one, count)], 1.0, 1e-5)
        split = noise_factor([(one, 1)], 1.0 / count, 1e-5 / count)
        yield record("joint", "here", (1.0, 1e-5), together / split) | {"releases": count}


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
    """Print one Gaussian and ten pure events beside what they are known to cost."""
    print("\none Gaussian: noise multiplier, ours / 50 digits - 1 (never below 0)")
    for epsilon, delta in [(0.1, 1e-5), (1, 1e-9), (10, 1e-9)]:
        ours = noise_factor([(Gaussian(1.0, 1.0), 1)], epsilon, delta)
        exact = exact_gaussian_multiplier(epsilon, delta)
        print(f"({epsilon:g}, {delta:g}): {exact:.8f}, {ours / exact - 1:+.1e}")
    print(
        f"ten times log(3)-DP at delta 0: {compose([(Pure(math.log(3)), 10)]).epsilon(0.0):.6f}, "
        f"exactly {10 * math.log(3):.6f}"
    )


def table(plan: str, lines: Sequence[Record]) -> str:
    """Return a row a target, or number of steps or releases: what each accounting asks for."""
    known = ("plan", "method", "value", "rate", "delta", "epsilon")
    keys = [{k: v for k, v in line.items() if k not in known} for line in lines]
    targets = [f"({line['epsilon']:g}, {line['delta']:g})" for line in lines]
    methods, rows = dict.fromkeys(line["method"] for line in lines), dict[str, list[str]]()
    for key, target, line in zip(keys, targets, lines, strict=True):
        said = ", ".join([target, *(f"{v} {k}" for k, v in key.items())])
        rows.setdefault(said, []).append(f"{line['value']:.4g}")
        if plan == "mst" and line["method"] == "here":  # of the one-way answers
            rows[said][-1] += f" (stddev {4.743 * line['value']:.2f})"
    return markdown([plan, *methods], [[said, *cells] for said, cells in rows.items()])


def main() -> None:
    """Print a table a plan, and closed forms; keep the lines if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="the lines of more targets")
    given = parser.parse_args()
    targets = MORE_TARGETS if given.keep else TARGETS
    lines = [*marginals(targets), *sampled(), *votes(), *joint()]
    for plan, some in groupby(lines, key=lambda line: line["plan"]):
        print(f"{table(plan, list(some))}\n", flush=True)
    print_closed_forms()
    if given.keep:
        keep(LINES, lines, version=__version__, command=COMMAND)


if __name__ == "__main__":
    main()
