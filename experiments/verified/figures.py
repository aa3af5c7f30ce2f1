"""What `run` measures itself: true values by slow means beside the certified ones.

Each function returns the figure as text and whether it holds. Nothing here is shared with the
code under review but the door through which it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import mpmath as mp
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtr
from scipy.stats import binom, chisquare

from dp_synth.accounting import (
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
    SampledGaussians,
    Selection,
    Selections,
    Votes,
    calibrate,
    compose,
)
from dp_synth.accounting.budget import gaussian_delta, gaussian_epsilon, zcdp_delta
from dp_synth.accounting.events import NoisyVote, Pure, SampledGaussian, ZeroConcentrated
from dp_synth.accounting.fft_composition import LossSum
from dp_synth.accounting.filters import cost
from dp_synth.accounting.pate import vote_delta
from dp_synth.accounting.pld import event_by_event
from dp_synth.accounting.selection_block import block_curve
from dp_synth.audit import Roc, Worlds, area_test, clopper_pearson_bound, gaussian_bound
from dp_synth.domain import Domain
from dp_synth.mechanisms.noise import exact_choice, rounded_gaussian
from dp_synth.mechanisms.partition_selection import chance_alone, least_count
from dp_synth.mechanisms.pate import ABOVE_HALF
from dp_synth.mechanisms.table import Dependences, PrivateTable, dependence_sensitivity

Floats = NDArray[np.float64]
Verdict = tuple[str, bool]

SEED = 20_261_130
CHANCE = 1e-6  # that a figure drawn at random fails though all is right
BINS = 2**20  # of transforms in 80 bits
ROUNDING = 1e-13  # of sums of chances, absolute


def blocks_figure() -> Verdict:
    """Random adversaries who choose each next loss by what came before, outcome by outcome."""
    rng, largest, tried = np.random.default_rng(SEED), 0.0, 0
    for _ in range(40):
        range_, steps = float(10 ** rng.uniform(-2, 1)), int(rng.integers(2, 6))
        chance, loss = np.ones((400, 1)), np.zeros((400, 1))
        for _step in range(steps):
            t = range_ * np.clip(rng.uniform(-0.25, 1.25, chance.shape), 0, 1)
            high = -np.expm1(t - range_) / -np.expm1(-range_)
            chance = np.concatenate([chance * high, chance * (1 - high)], axis=1)
            loss = np.concatenate([loss + t, loss + t - range_], axis=1)
        epsilons, certified = block_curve(range_, steps, None, steps * range_)
        for place in rng.integers(0, len(epsilons), 12).tolist():
            true = (chance * np.maximum(-np.expm1(epsilons[place] - loss), 0)).sum(axis=1).max()
            tried += 400
            if certified[place] > 1e-9:
                largest = max(largest, float((true - ROUNDING) / certified[place]))
    return f"{tried} adversaries: largest true / certified {largest:.6f}", 0.5 < largest <= 1


def _precise_delta(mu: float, epsilon: float | mp.mpf) -> mp.mpf:
    """Return the hockey stick of a Gaussian at any epsilon, negative ones too."""
    m, e = mp.mpf(mu), mp.mpf(epsilon)
    return mp.ncdf(m / 2 - e / m) - mp.exp(e) * mp.ncdf(-m / 2 - e / m)


def gaussian_figure() -> Verdict:
    """One Gaussian against 60 digits, delta and epsilon, down to a delta of 1e-300."""
    rng = np.random.default_rng(SEED)
    least, most = mp.inf, mp.mpf(0)
    with mp.workdps(60):
        for _ in range(1500):
            mu = float(10 ** rng.uniform(-7, 3.3))
            epsilon = float(mu * abs(mu / 2 + rng.uniform(-2, 9)))
            exact = _precise_delta(mu, epsilon)
            if exact > mp.mpf(10) ** -300:
                ratio = mp.mpf(gaussian_delta(mu, epsilon)) / exact
                least, most = min(least, ratio), max(most, ratio)
        below = 0
        for _ in range(500):
            mu, delta = float(10 ** rng.uniform(-4, 2)), float(10 ** rng.uniform(-300, -1))
            below += _precise_delta(mu, gaussian_epsilon(mu, delta)) > delta
    text = f"certified / true delta {float(least - 1):+.1e} to {float(most - 1):+.1e}"
    return f"{text}; epsilon too small {below} of 500", least >= 1 and most < 1.001 and not below


def zcdp_figure() -> Verdict:
    """The conversion of zCDP against the least of its formula over all orders, in 40 digits."""
    rng, worst = np.random.default_rng(SEED), 0.0
    with mp.workdps(40):
        for _ in range(300):
            rho = float(10 ** rng.uniform(-6, 2))
            epsilon = rho + float(rng.uniform(0.1, 8)) * 2 * math.sqrt(rho)

            def logarithm(excess: mp.mpf, rho: float = rho, epsilon: float = epsilon) -> mp.mpf:
                exponent = excess * ((1 + excess) * rho - epsilon) + excess * mp.log(excess)
                return exponent - (1 + excess) * mp.log(1 + excess)

            low, high = mp.mpf("1e-9"), mp.mpf("1e9")
            for _step in range(150):  # the logarithm has one minimum: golden section
                first, second = (low * (high / low) ** share for share in (0.382, 0.618))
                shorter = logarithm(first) < logarithm(second)
                low, high = (low, second) if shorter else (first, high)
            exact = min(mp.exp(logarithm(low)), mp.mpf(1))
            worst = max(worst, abs(float(mp.mpf(zcdp_delta(rho, epsilon)) / exact - 1)))
    return f"300 conversions: largest relative difference {worst:.1e}", worst < 1e-9


def currency_figure() -> Verdict:
    """The Gaussian that a filter charges for a choice or a pure event, against its curve."""
    least, ratios = math.inf, []
    with mp.workdps(40):
        for range_, kind in product((0.01, 0.1, 0.3, 1.0, 2.0, 4.0, 6.0, 8.0), (Pure, Selection)):
            mu = cost(kind(range_), "gdp") ** 0.5
            ratio = mp.inf
            for share in np.linspace(0, 0.995, 80).tolist():
                e, whole = mp.mpf(range_ * share), mp.mpf(range_)
                if kind is Pure:
                    own = (mp.exp(whole) - mp.exp(e)) / (1 + mp.exp(whole))
                else:  # two losses t and t - range: the best t has a closed form
                    t = (e + whole) / 2
                    own = (1 - mp.exp(t - whole)) / (1 - mp.exp(-whole)) * (1 - mp.exp(e - t))
                if own > 0:
                    ratio = min(ratio, _precise_delta(mu, float(e)) / own)
            ratios.append(float(ratio))
            least = min(least, float(ratio))
    return f"least Gaussian / event {least:.9f}, largest {max(ratios):.6f}", least >= 1 - 1e-12


def votes_figure() -> Verdict:
    """Curves of votes against the largest over all splits, in both directions."""
    rng, least, most, tried = np.random.default_rng(SEED), 0.0, 0.0, 0
    for noise in ("gaussian", "gumbel", "laplace"):
        for _ in range(40):
            teachers = 1 + 2 * int(rng.integers(0, 250))
            scale = float(10 ** rng.uniform(-0.3, 2))
            event, epsilons = NoisyVote(noise, scale, teachers), rng.uniform(-1, 4, 20)
            gaps = (2.0 * np.arange(teachers + 1) - teachers) / scale
            first, second = _chances(noise, gaps), _chances(noise, -gaps)
            found = vote_delta(event, epsilons)
            for place, gain in enumerate(np.exp(epsilons)):
                true = max(
                    (np.maximum(a - gain * b, 0) + np.maximum(c - gain * d, 0)).max()
                    for a, b, c, d in (
                        (first[1:], first[:-1], second[1:], second[:-1]),
                        (first[:-1], first[1:], second[:-1], second[1:]),
                    )
                )
                slack = 4e-16 * (1 + gain)
                least = min(least, float(found[place] - true) + slack)
                most = max(most, float(found[place] - true) - slack)
                tried += 1
    text = f"{tried} maxima: certified less true at least {min(least, 0):.0e}, at most {most:.0e}"
    return text, least >= -1e-15 and most < 1e-8


def _chances(noise: str, gaps: Floats) -> Floats:
    """Return the chance that the difference of two draws is below each gap, in scales."""
    if noise == "gaussian":
        return np.asarray(ndtr(gaps / math.sqrt(2)))
    if noise == "gumbel":
        return np.asarray(1 / (1 + np.exp(-gaps)))
    tail = np.exp(-np.abs(gaps)) * (2 + np.abs(gaps)) / 4
    return np.where(gaps >= 0, 1 - tail, tail)


MIXED = (
    [(Gaussian(8.0, 1.0), 20), (Selection(0.1), 10)],
    [(SampledGaussian(1.5, 0.01, 2000), 1), (Gaussian(6.0, 1.0), 3)],
    [(NoisyVote("gaussian", 40.0, 101), 200), (Gaussian(9.0, 1.0), 5)],
    [(ZeroConcentrated(0.01), 3), (Pure(0.05), 10)],
    [(SampledGaussian(4.5, 0.026, 1500), 1)],
    [(Pure(0.02), 300), (Gaussian(10.0, 1.0), 10)],
)


def sums_figure() -> Verdict:
    """Sums of losses by tilted transforms against plain ones of 80 bits on the same lattice.

    These have a floor of their own, read off bins that should be empty: what the certified delta
    may lie below theirs.
    """
    least, most, holds = math.inf, 0.0, True
    for events in MIXED:
        losses = event_by_event(compose(events).events)
        sums = [_wide_sum(each) for each in losses.sums]
        for delta in (1e-5, 1e-9, 1e-12):
            epsilon = losses.epsilon(delta)
            true = max(
                infinite + float((chances * np.maximum(-np.expm1(epsilon - values), 0)).sum())
                for values, chances, infinite in sums
            )
            floor = max(float(np.abs(chances[[0, -1]]).max()) for _, chances, _ in sums) * BINS
            least, most = min(least, delta / true), max(most, delta / true)
            holds &= 1 - 1e-9 - floor / delta <= delta / true <= 1.001
    text = f"{len(MIXED)} plans x 3 deltas: certified / true delta {least:.6f} to {most:.6f}"
    return f"{text}, the floor of 80 bits within it", holds


def _wide_sum(total: LossSum) -> tuple[Floats, NDArray[np.longdouble], float]:
    """Return the losses of a sum, their chances and that of an infinite one, in 80 bits."""
    spectrum, first = np.ones(BINS // 2 + 1, dtype=np.clongdouble), 0
    for dots, count in total.parts:
        wide = np.zeros(BINS, dtype=np.longdouble)
        np.add.at(wide, np.arange(len(dots.chances)) % BINS, dots.chances.astype(np.longdouble))
        spectrum *= fft.rfft(wide) ** count
        first += dots.first * count
    chances = fft.irfft(spectrum, BINS)
    start = round(_mean(total) / total.step) - BINS // 2  # the window about the mean
    values = np.arange(start, start + BINS)
    return values * total.step, chances[(values - first) % BINS], total.infinite


def _mean(total: LossSum) -> float:
    return sum(count * float(dots.losses @ dots.chances) for dots, count in total.parts)


def responses_figure() -> Verdict:
    """A Gaussian beside k randomised responses: exact mixtures of Gaussians in 40 digits."""
    largest, least = 0.0, math.inf
    with mp.workdps(40):
        for epsilon, count, noise in (
            (0.1, 5, 3.0),
            (0.05, 40, 6.0),
            (0.3, 12, 2.0),
            (1.0, 3, 1.5),
        ):
            curve = compose([(Gaussian(noise, 1.0), 1), (Pure(epsilon), count)])
            truth = 1 / (1 + mp.exp(-mp.mpf(epsilon)))
            for delta in (1e-2, 1e-5, 1e-9, 1e-12):
                at = curve.epsilon(delta)
                exact = mp.fsum(
                    mp.binomial(count, k)
                    * truth**k
                    * (1 - truth) ** (count - k)
                    * _precise_delta(1 / noise, mp.mpf(at) - (2 * k - count) * mp.mpf(epsilon))
                    for k in range(count + 1)
                )
                largest = max(largest, float(exact / delta))
                least = min(least, float(exact / delta))
    return f"true / certified delta {least:.6f} to {largest:.6f}", largest <= 1 and least > 0.9


def noise_figure() -> Verdict:
    """Chi-square of rounded Gaussian noise, and the correlation of one draw with the next."""
    rng, lowest, draws = np.random.default_rng(SEED), 1.0, 500_000
    for scale in (0.05, 0.4, 1.0, 3.7, 40.0, 600.0):
        noise = rounded_gaussian(scale, (draws,), rng.bytes)
        edges = np.unique(np.round(scale * np.linspace(-4.5, 4.5, 61))) + 0.5
        chances = np.diff(ndtr(np.concatenate([[-np.inf], edges, [np.inf]]) / scale))
        seen = np.bincount(np.searchsorted(edges, noise), minlength=len(chances))
        common = chances * draws > 10
        seen, chances = seen[common], chances[common]
        if len(seen) > 1:
            expected = chances * seen.sum() / chances.sum()
            lowest = min(lowest, float(chisquare(seen, expected).pvalue))
        together = np.corrcoef(noise[:-1], noise[1:])[0, 1] * math.sqrt(draws)
        lowest = min(lowest, 2 * float(ndtr(-abs(together)))) if noise.any() else lowest
    return f"6 stddevs x {draws:,} draws: least p-value {lowest:.3g}", lowest > CHANCE / 12


def choices_figure() -> Verdict:
    """Chi-square of choices by the exponential mechanism."""
    rng, lowest, draws = np.random.default_rng(SEED), 1.0, 20_000
    for log_odds in (np.zeros(3), rng.normal(0, 2, 40), np.array([-700.0, -701, -702.5, -np.inf])):
        chosen = [exact_choice(log_odds, rng.bytes) for _ in range(draws)]
        odds = np.exp(log_odds - log_odds.max())
        expected = draws * odds / odds.sum()
        seen = np.bincount(chosen, minlength=len(odds)).astype(float)
        rare = expected < 10
        seen, expected = (np.append(one[~rare], one[rare].sum()) for one in (seen, expected))
        kept = expected > 0
        lowest = min(lowest, float(chisquare(seen[kept], expected[kept]).pvalue))
    return f"3 laws x {draws:,} draws: least p-value {lowest:.3g}", lowest > CHANCE / 3


def rounding_figure() -> Verdict:
    """The chance to win by rounded noise against that by the noise it was rounded from."""
    with mp.workdps(50):
        exact, worst = mp.sqrt(mp.mpf(1) / 2), mp.mpf(0)
        for gap, scale in product(range(-21, 22, 2), (0.3, 2.0, 25.0)):
            least = (1 - gap) // 2  # the least rounded noise n with 2 n + gap above 0
            rounded = mp.ncdf(-(least - mp.mpf(1) / 2) / (scale * exact))
            itself = mp.ncdf(gap / (scale * mp.sqrt(2)))
            worst = max(worst, abs(rounded - itself))
        wider = float(mp.mpf(ABOVE_HALF) / exact - 1)
    text = f"66 leads: largest difference {float(worst):.0e}; noise is {wider:.0e} wider than exact"
    return text, worst < mp.mpf(10) ** -45 and 0 <= wider < 1e-14


def thresholds_figure() -> Verdict:
    """The chance that any text of one unit is released, over all ways to spread its records."""
    largest, settings = 0.0, 0
    for rows, stddev, delta in product((1, 2, 4, 8), (0.6, 3.0, 20.0, 90.0), (0.3, 1e-3, 1e-9)):
        threshold = least_count(stddev, delta, rows)
        beyond = [ndtr(-(threshold - 0.5 - count) / stddev) for count in range(rows + 1)]
        worst = max(-np.expm1(sum(np.log1p(-beyond[c]) for c in s)) for s in _spreads(rows, rows))
        largest, settings = max(largest, float(worst / delta)), settings + 1
        if chance_alone(stddev, threshold, rows) < worst * (1 - 1e-9):
            return f"stated chance below the true one at {rows} rows, stddev {stddev:g}", False
    return f"{settings} settings: largest chance / delta {largest:.4f}", largest <= 1


def _spreads(records: int, largest: int) -> Iterator[tuple[int, ...]]:
    if not records:
        yield ()
    for first in range(min(records, largest), 0, -1):
        for others in _spreads(records - first, first):
            yield (first, *others)


def sensitivities_figure() -> Verdict:
    """Every table of 2 x 2 cells with up to 10 records, and each with one record more."""
    from dp_synth.accounting import Accountant

    domain = Domain(("a", "b"), (2, 2))
    payer = Accountant(PrivacyBudget(1.0, 1e-6)).admit("review", Plan({"x": Gaussians(1)}))
    cells = np.array(list(product(range(2), range(2))), dtype=np.int32)
    known: dict[tuple[int, ...], float] = {}
    for counts in product(range(11), repeat=4):
        if sum(counts) <= 10:
            table = PrivateTable(np.repeat(cells, counts, axis=0), domain, payer)
            known[counts] = Dependences(table)._of(("a", "b"))
    moved = [
        abs(known[more] - score)
        for counts, score in known.items()
        for place in range(4)
        if (more := tuple(n + (i == place) for i, n in enumerate(counts))) in known
    ]
    bound = dependence_sensitivity("add_remove")
    text = f"{len(moved)} neighbours: a dependence moves by {max(moved):.4f} of {bound:g}"
    return text, max(moved) <= bound


def calibration_figure() -> Verdict:
    """Plans calibrated to budgets at the edges: what is used of each, and never more."""
    plans = {
        "answers": Plan({"x": Gaussians(20)}),
        "choices": Plan({"x": Gaussians(14), "y": Selections(13)}),
        "steps": Plan({"x": SampledGaussians(1500, 0.026)}),
        "votes": Plan({"x": Gaussians(14), "y": Votes(1000, 1001)}),
    }
    used = []
    for plan, (epsilon, delta) in product(
        plans.values(), ((0.01, 1e-5), (1.0, 1e-9), (1.0, 1e-15), (50.0, 1e-5))
    ):
        ready = calibrate({"plan": (plan, 1.0)}, PrivacyBudget(epsilon, delta))["plan"]
        used.append(compose(ready.events()).epsilon(delta) / epsilon)
    text = f"{len(used)} budgets: used {100 * min(used):.2f} to {100 * max(used):.4f} %"
    return text, max(used) <= 1 and min(used) >= 0.99


def alarms_figure() -> Verdict:
    """Alarms of three audits at a mechanism that keeps its claim to the last bit."""
    rng, audits, mu, delta = np.random.default_rng(SEED), 400, 0.5, 1e-5
    claim = compose([(Gaussian(1 / mu, 1.0), 1)])
    claimed, counts = claim.epsilon(delta), np.zeros(3, dtype=int)
    for _ in range(audits):
        worlds = Worlds.of(mu + rng.normal(size=300), rng.normal(size=300))
        counts += [
            not area_test(worlds, claim, delta, rng=rng).passed,
            clopper_pearson_bound(worlds, delta, rng=rng).epsilon > claimed,
            gaussian_bound(worlds, delta, rng=rng).epsilon > claimed,
        ]
    most = int(binom.isf(CHANCE, audits, 0.055))  # DeLong is asymptotic: half a per cent more
    shares = ", ".join(f"{100 * count / audits:.1f}" for count in counts)
    return f"{audits} audits at 5 %: alarms {shares} % (area, threshold, Gaussian)", max(
        counts
    ) <= most


def delong_figure() -> Verdict:
    """The lower limit of an area at the small levels that an audit of many stages uses."""
    rng, repeats, worst = np.random.default_rng(SEED), 4000, 0.0
    for mu in (0.2, 0.6, 1.0):
        claim = compose([(Gaussian(1 / mu, 1.0), 1)])
        counts = dict.fromkeys((0.05, 0.01, 0.003), 0)
        for _ in range(repeats):
            worlds = Worlds.of(mu + rng.normal(size=250), rng.normal(size=250))
            p_value = area_test(worlds, claim, 1e-5, rng=rng).p_value
            for level in counts:
                counts[level] += p_value <= level
        for level, count in counts.items():
            worst = max(worst, count / repeats / level)
            if count > binom.isf(CHANCE / 9, repeats, 1.2 * level):
                return f"level {level:g} at mu {mu:g}: alarms {count} of {repeats}", False
    return f"{3 * repeats} areas at three levels: alarms / level at most {worst:.2f}", True


def areas_figure() -> Verdict:
    """Misses of the interval of an area, over laws, ties and rare leaks."""
    rng, repeats, worst = np.random.default_rng(SEED), 400, 0
    for gain, n, decimals in product((0.0, 1.0, 2.5), (5, 20, 60, 250), (8, 0)):
        truth = float(ndtr(gain / math.sqrt(2))) if decimals else None
        missed = 0
        for _ in range(repeats):
            roc = Roc(rng.normal(gain, 1, n).round(decimals), rng.normal(size=n).round(decimals))
            area = roc.auc()
            known = truth if truth is not None else _tied_area(gain)
            missed += not area.low <= known <= area.high
        worst = max(worst, missed)
    most = int(binom.isf(CHANCE / 24, repeats, 0.055))
    return f"24 laws x {repeats}: misses at most {100 * worst / repeats:.1f} %", worst <= most


def _tied_area(gain: float) -> float:
    """Return the area of normal scores that were rounded to whole numbers."""
    whole = np.arange(-12, 16)
    theirs = np.diff(ndtr(np.append(whole - 0.5, 15.5)))
    mine = np.diff(ndtr(np.append(whole - 0.5, 15.5) - gain))
    below = np.cumsum(theirs) - theirs / 2
    return float(mine @ below)
