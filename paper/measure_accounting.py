"""Measures what the noise of a guarantee is by each accounting; some minutes of one core.

Writes ``paper/records/accounting.jsonl``: a line a number, with the plan, the target and the
command. Nothing here looks at data, so that there are no seeds: whoever runs it again finds the
same numbers, but for the last digits of a bisection.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import optimize, stats
from scipy.special import ndtr

import dp_synth as dps
from benchmarks.calibration import (  # type: ignore[import-not-found]
    MST,
    QUERIES,
    RATE,
    TEACHERS,
    moments_inverse_scale,
    rdp_multiplier,
)
from dp_synth.accounting import Event, Gaussian, Selection, compose
from dp_synth.accounting.budget import zcdp_rho
from dp_synth.accounting.calibration import noise_factor
from dp_synth.accounting.events import NoisyVote, SampledGaussian
from dp_synth.files import written_whole

ROOT = Path(__file__).parents[1]

RECORDS = Path(__file__).with_name("records") / "accounting.jsonl"
COMMAND = "python -m paper.measure_accounting"
EPSILONS = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
DELTAS = (1e-5, 1e-9)
STEPS = (1000, 2000, 5000, 10_000)
SHARES = (2, 3, 5, 10)
STRATEGIES = 81  # values of t that are tried before the best is refined

Record = dict[str, object]
Events = list[tuple[Event, int]]


def main() -> None:
    """Measure everything and write the records."""
    RECORDS.parent.mkdir(exist_ok=True)
    lines = []
    for measure in (marginals, sampled, votes, joint):
        for record in measure():
            beside = {"version": dps.__version__, "command": COMMAND}
            lines.append(json.dumps(record | beside))
            print(lines[-1], file=sys.stderr)
    with written_whole(RECORDS) as passing:
        passing.write_text("".join(line + "\n" for line in lines))


def marginals() -> Iterator[Record]:
    """Yield the factor of all noise of MST's plan by each accounting, and its floor."""
    rho = compose(MST).rho
    assert rho is not None
    for delta in DELTAS:
        for epsilon in EPSILONS:
            basic = (math.sqrt(math.log(1 / delta) + epsilon) - math.sqrt(math.log(1 / delta))) ** 2
            for method, value in (
                ("zcdp_basic", math.sqrt(rho / basic)),
                ("zcdp", math.sqrt(rho / zcdp_rho(epsilon, delta))),
                ("here", noise_factor(MST, epsilon, delta)),
                ("floor", floor(MST, epsilon, delta)),
            ):
                yield record("mst", method, epsilon, delta, value)


def record(plan: str, method: str, epsilon: float, delta: float, value: float) -> Record:
    """Return a line: what one accounting asks for at one target."""
    return {"plan": plan, "method": method, "epsilon": epsilon, "delta": delta, "value": value}


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
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = rdp_multiplier(steps, 1.0, 1e-5)
        plan: Events = [(SampledGaussian(theirs, RATE, steps), 1)]
        ours = theirs * noise_factor(plan, 1.0, 1e-5)
        for method, value in (("rdp", theirs), ("here", ours)):
            found = record("sampled", method, 1.0, 1e-5, value)
            yield found | {"steps": steps, "rate": RATE}


def votes() -> Iterator[Record]:
    """Yield the noise of votes of teachers at (1, 1e-5)."""
    beside = {"teachers": TEACHERS, "queries": QUERIES}
    moments = moments_inverse_scale(1.0, 1e-5)
    laplace: Events = [(NoisyVote("laplace", 1 / moments, TEACHERS), QUERIES)]
    ours = moments / noise_factor(laplace, 1.0, 1e-5)
    yield record("laplace_votes", "moments", 1.0, 1e-5, moments) | beside
    yield record("laplace_votes", "here", 1.0, 1e-5, ours) | beside
    both: Events = [(Gaussian(math.sqrt(0.5), 1.0), QUERIES)]  # both counts move by one
    gaussian: Events = [(NoisyVote("gaussian", 50.0, TEACHERS), QUERIES)]
    yield (
        record("gaussian_votes", "both_counts", 1.0, 1e-5, noise_factor(both, 1.0, 1e-5)) | beside
    )
    ours = 50 * noise_factor(gaussian, 1.0, 1e-5)
    yield record("gaussian_votes", "here", 1.0, 1e-5, ours) | beside


def joint() -> Iterator[Record]:
    """Yield the noise of equal Gaussian releases under one budget, over that of split budgets."""
    one = Gaussian(1.0, 1.0)
    for count in SHARES:
        together = noise_factor([(one, count)], 1.0, 1e-5)
        split = noise_factor([(one, 1)], 1.0 / count, 1e-5 / count)
        yield record("joint", "here", 1.0, 1e-5, together / split) | {"releases": count}


if __name__ == "__main__":
    main()
