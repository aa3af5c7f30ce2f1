"""Every step of the proofs in ``docs/explanation/proofs``, on random instances in fractions.

Chances, and e to the power of losses, ranges and epsilons, are rational throughout, so that each
inequality is checked without rounding: `gain` stands for e^epsilon, `u` for e^t, `reach` for e^E.
A pair of laws is a list of (chance under the one table, chance under the other).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from mpmath import exp, expm1, fdot, mpf, workdps

from dp_synth.accounting import selection_block
from dp_synth.accounting.budget import gaussian_delta
from dp_synth.accounting.discretization import of_curve

Pair = list[tuple[Fraction, Fraction]]
Curve = Callable[[Fraction], Fraction]
ONE = Fraction(1)
GAINS = [Fraction(n, 12) for n in (1, 4, 9, 11, 12, 13, 16, 23, 36, 80)]
SEEDS = range(12)


def between(rng: random.Random, low: Fraction, high: Fraction) -> Fraction:
    """Return a number between two, often one of them."""
    return low + (high - low) * Fraction(min(12, max(0, rng.randint(-3, 15))), 12)


def law(rng: random.Random, size: int, least: int = 1) -> list[Fraction]:
    """Return chances of that many outcomes."""
    parts = [rng.randint(least, 9) for _ in range(size - 1)] + [rng.randint(1, 9)]
    return [Fraction(part, sum(parts)) for part in parts]


def selection(rng: random.Random, u: Fraction, reach: Fraction, size: int = 3) -> Pair:
    """Return a pair whose ratios lie in [u / reach, u]."""
    there = law(rng, size)
    ratios = [between(rng, u / reach, u) for _ in there]
    mean = sum((r * q for r, q in zip(ratios, there, strict=True)), Fraction(0))
    if mean != 1:
        end = u if mean < 1 else u / reach
        moved = (1 - mean) / (end - mean) if end != mean else Fraction(0)
        ratios = [r + moved * (end - r) for r in ratios]
    pair = [(r * q, q) for r, q in zip(ratios, there, strict=True)]
    assert sum(p for p, _ in pair) == sum(q for _, q in pair) == 1
    return pair


def anything(rng: random.Random, size: int = 3) -> Pair:
    """Return a pair of any laws, also with outcomes that one of them cannot have."""
    return list(zip(law(rng, size, 0), law(rng, size, 0), strict=True))


def swapped(pair: Pair) -> Pair:
    return [(q, p) for p, q in pair]


def delta(pair: Pair, gain: Fraction) -> Fraction:
    """Return the largest P(S) - gain * Q(S) over all events."""
    return sum((max(Fraction(0), p - gain * q) for p, q in pair), Fraction(0))


def largest_curve(pairs: list[Pair]) -> Curve:
    """Return the curve that holds for all these pairs, in both directions."""
    both = pairs + [swapped(pair) for pair in pairs]
    return lambda gain: max(delta(pair, gain) for pair in both)


def high(u: Fraction, reach: Fraction) -> Fraction:
    return (reach - u) / (reach - 1)


def bracket(curve: Curve, u: Fraction, reach: Fraction, gain: Fraction) -> Fraction:
    chance = high(u, reach)
    return chance * curve(gain / u) + (1 - chance) * curve(gain / u * reach)


def two_outcomes(u: Fraction, reach: Fraction) -> Pair:
    chance = high(u, reach)
    return [(chance, chance / u), (1 - chance, (1 - chance) * reach / u)]


def a_range(rng: random.Random) -> tuple[Fraction, Fraction]:
    """Return e^t and e^E, with t between 0 and E."""
    reach = 1 + Fraction(rng.randint(1, 30), 10)
    return between(rng, ONE, reach), reach


@pytest.mark.parametrize("seed", SEEDS)
def test_the_pair_on_two_outcomes_has_the_ends_as_its_ratios_and_is_the_worst(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        u, reach = a_range(rng)
        worst = two_outcomes(u, reach)
        assert sum(p for p, _ in worst) == sum(q for _, q in worst) == 1
        assert all(p in (u * q, u / reach * q) for p, q in worst)
        lines = [(Fraction(rng.randint(-9, 9)), Fraction(rng.randint(-9, 9))) for _ in range(4)]

        def expected(pair: Pair, lines: list[tuple[Fraction, Fraction]] = lines) -> Fraction:
            return sum((max(a * p + b * q for a, b in lines) for p, q in pair), Fraction(0))

        pair = selection(rng, u, reach)
        assert expected(pair) <= expected(worst)  # of any convex function of p / q
        assert all(delta(pair, gain) <= delta(worst, gain) for gain in GAINS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_perspective_of_a_curve_is_convex(seed: int) -> None:
    rng = random.Random(seed)
    curve = largest_curve([anything(rng), anything(rng)])
    for gain in GAINS:
        x, y, w = Fraction(rng.randint(1, 40), 9), Fraction(rng.randint(1, 40), 9), law(rng, 2)[0]
        z = w * x + (1 - w) * y
        assert z * curve(gain / z) <= w * x * curve(gain / x) + (1 - w) * y * curve(gain / y)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_selection_with_what_follows_stays_below_the_bracket(seed: int) -> None:
    rng = random.Random(seed)
    u, reach = a_range(rng)
    first = selection(rng, u, reach)
    later = [anything(rng) for _ in first]
    curve = largest_curve(later)
    both = [(p * a, q * b) for (p, q), pair in zip(first, later, strict=True) for a, b in pair]
    for gain in GAINS:
        in_between = sum((p * curve(gain * q / p) for p, q in first if p), Fraction(0))
        assert delta(both, gain) <= in_between <= bracket(curve, u, reach, gain)


@dataclass
class Run:
    """Selections one after another, each chosen by the outcomes before; then anything."""

    outcomes: Pair
    strategies: list[set[Fraction]]  # of each step, the e^t that are played
    later: list[Pair]


def play(rng: random.Random, reaches: list[Fraction]) -> Run:
    outcomes: Pair = [(ONE, ONE)]
    strategies = []
    for reach in reaches:
        choices = [between(rng, ONE, reach) for _ in outcomes]
        strategies.append(set(choices))
        outcomes = [
            (p * a, q * b)
            for (p, q), u in zip(outcomes, choices, strict=True)
            for a, b in selection(rng, u, reach, size=2)
        ]
    later = [anything(rng, 2) for _ in range(3)]
    chosen = [(p, q, rng.choice(later)) for p, q in outcomes]
    return Run([(p * a, q * b) for p, q, pair in chosen for a, b in pair], strategies, later)


def recursion(curve: Curve, reaches: list[Fraction], strategies: list[set[Fraction]]) -> Curve:
    """Return the curve of the block, the largest bracket over the strategies of each step."""
    for reach, choices in zip(reversed(reaches), reversed(strategies), strict=True):

        def before(
            gain: Fraction,
            curve: Curve = curve,
            reach: Fraction = reach,
            choices: set[Fraction] = choices,
        ) -> Fraction:
            return max(bracket(curve, u, reach, gain) for u in choices)

        curve = before
    return curve


@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_selections_and_what_comes_after_stay_below_the_recursion(seed: int) -> None:
    rng = random.Random(seed)
    reaches = [a_range(rng)[1] for _ in range(3)]
    run = play(rng, reaches)
    curve = recursion(largest_curve(run.later), reaches, run.strategies)
    there = [{reach / u for u in us} for reach, us in zip(reaches, run.strategies, strict=True)]
    back = recursion(largest_curve(run.later), reaches, there)
    for gain in GAINS[::3]:
        assert delta(run.outcomes, gain) <= curve(gain)
        assert delta(swapped(run.outcomes), gain) <= back(gain)  # t becomes E - t


@pytest.mark.parametrize("seed", SEEDS)
def test_a_curve_of_both_directions_is_known_below_zero_and_stays_so(seed: int) -> None:
    rng = random.Random(seed)
    reach = a_range(rng)[1]
    choices = {between(rng, ONE, reach) for _ in range(3)}
    curve = largest_curve([anything(rng), anything(rng)])
    for one in (curve, recursion(curve, [reach], [choices | {reach / u for u in choices}])):
        for gain in GAINS:
            assert one(1 / gain) == 1 - 1 / gain + one(gain) / gain


@pytest.mark.parametrize("seed", SEEDS)
def test_ratios_no_further_apart_than_a_range_lie_in_an_interval_about_one(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        pair = list(zip(law(rng, 4), law(rng, 4), strict=True))
        reach = max(p * b / (q * a) for p, q in pair for a, b in pair)
        u = max(p / q for p, q in pair)
        assert 1 <= u <= reach
        assert all(u / reach * q <= p <= u * q for p, q in pair)


@dataclass
class Lattice:
    """The recursion on multiples of h alone, where e^h is ``step``, as in `selection_block`."""

    step: Fraction
    steps: int  # of a range
    values: list[Fraction]  # at 0, h, 2 h, ...

    def at(self, place: int) -> Fraction:
        if place < 0:
            below = self.step**place
            return 1 - below + below * self.values[-place]
        return self.values[min(place, len(self.values) - 1)]

    def one_more(self) -> Lattice:
        width = self.steps + 1
        chances = [high(self.step**j, self.step**width) for j in range(width + 1)]
        values = [
            max(
                chance * self.at(k - j) + (1 - chance) * self.at(k - j + width)
                for j, chance in enumerate(chances)
            )
            for k in range(len(self.values))
        ]
        return Lattice(self.step, self.steps, values)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_recursion_on_a_lattice_is_nowhere_below(seed: int) -> None:
    rng = random.Random(seed)
    step, steps = 1 + Fraction(1, rng.randint(2, 8)), 3
    reach = step**steps
    run = play(rng, [reach] * 3)
    curve = largest_curve(run.later)
    lattice = Lattice(step, steps, [curve(step**k) for k in range(9)])
    for _ in range(3):
        lattice = lattice.one_more()
    exact = recursion(curve, [reach] * 3, run.strategies)
    for k in range(-4, 9):
        assert delta(run.outcomes, step**k) <= lattice.at(k)
        assert k % 4 or exact(step**k) <= lattice.at(k)


@pytest.mark.parametrize("after", [False, True])
def test_the_block_curve_is_this_recursion_but_for_rounding(
    after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_block, "LATTICE", 4)
    later = largest_curve([anything(random.Random(5))]) if after else largest_curve([[(ONE, ONE)]])

    def in_floats(epsilons: selection_block.Floats) -> selection_block.Floats:
        return np.array([float(later(Fraction(math.exp(e)))) for e in epsilons])

    epsilons, found = selection_block.block_curve(0.7, 3, in_floats if after else None, 1.5)
    step = Fraction(math.exp(epsilons[1]))
    lattice = Lattice(step, 4, [later(step**k) for k in range(len(epsilons))])
    for _ in range(3):
        lattice = lattice.one_more()
    assert found == pytest.approx([float(value) for value in lattice.values], rel=1e-12)


@pytest.mark.parametrize(("range_", "count", "mu"), [(0.5, 3, 0.0), (0.3, 6, 0.8), (2.0, 2, 3.0)])
def test_the_dots_of_a_block_are_what_the_certificate_asks_for(
    range_: float, count: int, mu: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_block, "LATTICE", 6)

    def after(epsilons: selection_block.Floats) -> selection_block.Floats:
        return np.array([gaussian_delta(mu, e) for e in epsilons])

    last = count * range_ + 4 * mu
    epsilons, values = selection_block.block_curve(range_, count, after if mu else None, last)
    dots = of_curve(values, epsilons[1])
    step, infinite = mpf(epsilons[1]), mpf(dots.infinite)
    with workdps(40):
        lattice = range(dots.first, dots.first + len(dots.chances))
        assert lattice[0] == -lattice[-1] == 1 - len(values)
        assert infinite >= values[-1]
        chances = [mpf(p) for p in dots.chances]
        assert infinite + sum(chances) >= 1
        gains = [-expm1(-k * step) for k in range(len(lattice))]
        for place, k in enumerate(lattice):
            mirrored = 1 - exp(k * step) + exp(k * step) * mpf(values[-k]) if k < 0 else values[k]
            found = infinite + fdot(zip(chances[place:], gains, strict=False))
            assert mirrored <= found <= mirrored * (1 + mpf(10) ** -9) + mpf(10) ** -12


def losses_of(pair: Pair) -> tuple[list[tuple[Fraction, Fraction]], Fraction]:
    """Return (ratio, chance) of all finite losses, the largest first, and that of an infinite."""
    finite = sorted(((p / q, p) for p, q in pair if p and q), reverse=True)
    return finite, sum((p for p, q in pair if not q), Fraction(0))


def composed(pair: Pair, curve: Curve, gain: Fraction) -> Fraction:
    """Return what the losses of a pair and a curve of the other events come to."""
    finite, infinite = losses_of(pair)
    return infinite + sum((p * curve(gain / ratio) for ratio, p in finite), Fraction(0))


def coarser(rng: random.Random, pair: Pair) -> Pair:
    """Return what is computed from an outcome, with coins of its own."""
    kernel = [law(rng, 3, 0) for _ in pair]
    rows = list(zip(pair, kernel, strict=True))
    return [
        (
            sum((p * k[j] for (p, _), k in rows), Fraction(0)),
            sum((q * k[j] for (_, q), k in rows), Fraction(0)),
        )
        for j in range(3)
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_test_that_takes_the_largest_losses_first_attains_the_curve(seed: int) -> None:
    rng = random.Random(seed)
    pair = anything(rng, 5)
    finite, infinite = losses_of(pair)
    for share in range(13):
        left = level = Fraction(share, 12)
        power = infinite
        for ratio, p in finite:
            used = min(left, p / ratio)
            left, power = left - used, power + ratio * used
        corners = [ratio for ratio, _ in finite] + [Fraction(0)]
        assert power == min(delta(pair, gain) + gain * level for gain in corners)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mechanism_chosen_by_what_came_before_costs_at_most_the_sum_of_losses(seed: int) -> None:
    rng = random.Random(seed)
    first, dominating = anything(rng, 4), anything(rng, 4)
    second = [coarser(rng, dominating) for _ in first]
    both = [(p * a, q * b) for (p, q), pair in zip(first, second, strict=True) for a, b in pair]
    product = [(p * a, q * b) for p, q in first for a, b in dominating]
    for gain in GAINS:
        bound = composed(dominating, lambda other: delta(first, other), gain)
        assert delta(both, gain) <= bound == delta(product, gain)


def shared(pair: Pair, step: Fraction) -> Pair:
    """Share each loss between the powers of ``step`` beside it, keeping both chances."""
    dots: Pair = [(p, q) for p, q in pair if not (p and q)]
    for p, q in pair:
        if p and q:
            below = math.floor(math.log(p / q) / math.log(step))
            low, top = step**below, step ** (below + 1)
            upper = (p / low - q) / (1 / low - 1 / top)
            dots += [(p - upper, (p - upper) / low), (upper, upper / top)]
    return dots


@pytest.mark.parametrize("seed", SEEDS)
def test_sharing_losses_between_dots_only_raises_what_is_composed(seed: int) -> None:
    rng = random.Random(seed)
    pair, other = anything(rng, 4), anything(rng, 4)
    dots = shared(pair, Fraction(5, 4))
    assert [sum(x) for x in zip(*dots, strict=True)] == [1, 1]
    for gain in GAINS:
        assert delta(pair, gain) <= delta(dots, gain)
        for one in (other, swapped(other)):
            curve = largest_curve([one])
            assert composed(pair, curve, gain) <= composed(dots, curve, gain)


@pytest.mark.parametrize("seed", SEEDS)
def test_connecting_the_dots_of_a_curve_is_nowhere_below_it(seed: int) -> None:
    rng = random.Random(seed)
    curve = largest_curve([anything(rng, 4), anything(rng, 4)])
    gains = [Fraction(3, 2) ** k for k in range(-5, 6)]
    corners = [(Fraction(0), ONE), *((gain, curve(gain)) for gain in gains)]
    slopes = [(b - a) / (y - x) for (x, a), (y, b) in pairwise(corners)] + [Fraction(0)]
    bends = [after - before for before, after in pairwise(slopes)]
    assert all(bend >= 0 for bend in bends)
    dots = [(gain * bend, bend) for gain, bend in zip(gains, bends, strict=True)]
    dots.append((curve(gains[-1]), Fraction(0)))  # what is left becomes an infinite loss
    assert all(delta(dots, gain) == curve(gain) for gain in gains)
    assert all(curve(gain) <= delta(dots, gain) for gain in GAINS)


def nearly_alike(rng: random.Random, d: Fraction) -> Pair:
    """Return a pair that is (0, d)-DP: half of them with chance d tell all, and else nothing."""
    if rng.random() < 0.5:
        return [(d, Fraction(0)), (Fraction(0), d), (1 - d, 1 - d)]
    common, one, other = law(rng, 3, 0), law(rng, 3, 0), law(rng, 3, 0)
    return [
        ((1 - d) * c + d * p, (1 - d) * c + d * q)
        for c, p, q in zip(common, one, other, strict=True)
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_keeps_zero_and_d_adds_d_and_leaves_the_rest_whatever_the_order(seed: int) -> None:
    rng = random.Random(seed)
    d, e = Fraction(rng.randint(0, 10), 10), Fraction(rng.randint(0, 10), 10)
    others = [anything(rng) for _ in range(3)]
    curve = largest_curve(others)
    first = nearly_alike(rng, d)
    then = [(p * a, q * b, rng.choice(others)) for p, q in first for a, b in nearly_alike(rng, e)]
    before = [(p * a, q * b) for p, q, pair in then for a, b in pair]
    after = [(p * a, q * b) for p, q in others[0] for a, b in nearly_alike(rng, d)]
    told = 1 - (1 - d) * (1 - e)
    for gain in GAINS:
        if gain >= 1:
            assert delta(first, gain) <= d
        assert delta(after, gain) <= d + (1 - d) * delta(others[0], gain)
        assert delta(before, gain) <= told + (1 - told) * curve(gain)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_one_unit_alone_holds_tells_no_more_than_the_larger_chance(seed: int) -> None:
    rng = random.Random(seed)
    u, v = law(rng, 2)[0], law(rng, 2)[0]
    alone = [(u * p, Fraction(0)) for p in law(rng, 3)] + [
        (Fraction(0), v * q) for q in law(rng, 3)
    ]
    pair = [(1 - u, 1 - v), *alone]
    assert delta(pair, ONE) == max(u, v)
    assert all(delta(pair, gain) <= max(u, v) for gain in GAINS if gain >= 1)


def rounded(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_whole_number_plus_rounded_noise_is_the_rounded_sum_and_tells_no_more(seed: int) -> None:
    rng = random.Random(seed)
    noise = [(Fraction(rng.randint(-40, 40), 8), chance) for chance in law(rng, 12)]
    here, there = rng.randint(-2, 2), rng.randint(-2, 2)
    for x, _ in noise:
        assert rounded(here + x) == here + rounded(x)
        assert rounded(x) - Fraction(1, 2) <= x < rounded(x) + Fraction(1, 2)

    def released(of: Callable[[int, Fraction], Fraction | int]) -> Pair:
        pair: dict[Fraction | int, list[Fraction]] = {}
        for x, chance in noise:
            for place, count in enumerate((here, there)):
                pair.setdefault(of(count, x), [Fraction(0)] * 2)[place] += chance
        return [(p, q) for p, q in pair.values()]

    whole = released(lambda count, x: count + rounded(x))
    real = released(lambda count, x: count + x)
    assert all(delta(whole, gain) <= delta(real, gain) for gain in GAINS)
