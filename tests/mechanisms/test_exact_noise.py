"""Integer noise follows its law, and no bits that it may be fed lead it astray."""

import inspect
import os

import mpmath
import numpy as np
import pytest
from numpy.random import default_rng
from scipy.stats import chisquare

from dp_synth.mechanisms import noise
from dp_synth.mechanisms.noise import (
    LazyUniform,
    discrete_gaussian,
    discrete_laplace,
    rounded_gaussian,
)

SAMPLERS = {
    "rounded gaussian": rounded_gaussian,
    "discrete gaussian": discrete_gaussian,
    "discrete laplace": discrete_laplace,
}
INVERTED = ["rounded gaussian", "discrete laplace"]  # one uniform number decides all


class Script:
    """Hands out the given 64-bit words in order, and no more than there are."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def __call__(self, count: int) -> bytes:
        taken, self.words = self.words[: count // 8], self.words[count // 8 :]
        assert 8 * len(taken) == count, "more bits were drawn than the comparison needs"
        return b"".join(word.to_bytes(8, "little") for word in taken)


def odds(law, scale, k):
    """The chance of ``k`` up to a factor that does not depend on it, straight from the text."""
    if law == "rounded gaussian":
        return mpmath.ncdf((abs(k) + 0.5) / scale) - mpmath.ncdf((abs(k) - 0.5) / scale)
    if law == "discrete gaussian":
        return mpmath.exp(-(mpmath.mpf(k) ** 2) / (2 * mpmath.mpf(scale) ** 2))
    return mpmath.exp(-abs(k) / mpmath.mpf(scale))


def probabilities(law, scale, furthest):
    """Exact chances of the magnitudes 0, 1, ... ``furthest``, as long as the rest is nothing."""
    with mpmath.workprec(100):
        both = [odds(law, scale, k) * (1 if k == 0 else 2) for k in range(furthest + 1)]
        total = mpmath.fsum(both)
        return np.array([float(chance / total) for chance in both])


def reach(law, scale):
    """A magnitude beyond which a million draws see nothing, at 0.9 of the scale or at all of it."""
    return int((45 if law == "discrete laplace" else 10) * scale) + 3


def fit_of_law(draws, law, scale):
    """The chi-square p-value of the draws under ``law``, signs apart, rare values together."""
    furthest = reach(law, scale)
    chances = probabilities(law, scale, furthest)
    signed = np.concatenate([chances[:0:-1] / 2, chances[:1], chances[1:] / 2])
    seen = np.bincount(draws + furthest, minlength=2 * furthest + 1)
    common = signed * len(draws) > 50
    seen = np.append(seen[common], seen[~common].sum())
    expected = np.append(signed[common], signed[~common].sum()) * len(draws)
    if expected[-1] < 5:
        seen[-2], expected[-2] = seen[-2:].sum(), expected[-2:].sum()
        seen, expected = seen[:-1], expected[:-1]
    return chisquare(seen, expected * len(draws) / expected.sum()).pvalue


@pytest.mark.parametrize("law", SAMPLERS)
@pytest.mark.parametrize("scale", [0.6, 2.0, 30.0])
def test_draws_follow_the_exact_probabilities(law, scale):
    draws = SAMPLERS[law](scale, (200_000,), default_rng(5).bytes)
    assert fit_of_law(draws, law, scale) > 1e-6
    assert fit_of_law(draws, law, 0.9 * scale) < 1e-6  # the test can fail


@pytest.mark.parametrize("other", ["rounded gaussian", "discrete gaussian"])
def test_rounded_and_discrete_gaussian_are_told_apart(other):
    law = next(name for name in SAMPLERS if name != other)
    draws = SAMPLERS[law](1.0, (400_000,), default_rng(6).bytes)
    assert fit_of_law(draws, law, 1.0) > 1e-6
    assert fit_of_law(draws, other, 1.0) < 1e-6


@pytest.mark.parametrize("law", SAMPLERS)
@pytest.mark.parametrize("scale", [0.5, 3.0, 120.0])
def test_mean_and_variance_are_those_of_the_law(law, scale):
    draws = SAMPLERS[law](scale, (300_000,), default_rng(7).bytes).astype(np.float64)
    magnitudes = np.arange(reach(law, scale) + 1)
    chances = probabilities(law, scale, len(magnitudes) - 1)
    second, fourth = (float(chances @ magnitudes.astype(float) ** p) for p in (2, 4))
    assert abs(draws.mean()) < 6 * np.sqrt(second / len(draws))
    error = np.sqrt((fourth - second**2) / len(draws))
    assert abs((draws**2).mean() - second) < 6 * error


def test_rounding_adds_a_twelfth_to_the_variance():
    chances = probabilities("rounded gaussian", 5.0, 200)
    variance = chances @ np.arange(201.0) ** 2
    assert variance == pytest.approx(25 + 1 / 12, abs=1e-9)
    draws = rounded_gaussian(5.0, (300_000,), default_rng(8).bytes)
    assert abs(draws.var() - variance) < 6 * variance * np.sqrt(2 / len(draws))


@pytest.mark.parametrize("law", SAMPLERS)
def test_both_signs_are_equally_likely_at_every_magnitude(law):
    draws = SAMPLERS[law](2.0, (200_000,), default_rng(9).bytes)
    for magnitude in range(1, 7):
        positive, negative = (draws == magnitude).sum(), (draws == -magnitude).sum()
        assert positive + negative > 100
        assert abs(positive - negative) < 6 * np.sqrt(positive + negative)


@pytest.mark.parametrize("law", SAMPLERS)
@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1e7, 2.0**32])
def test_very_narrow_and_very_wide_noise_work_alike(law, scale):
    draws = SAMPLERS[law](scale, (40, 50), default_rng(10).bytes)
    assert draws.shape == (40, 50)
    assert draws.dtype == np.int64
    if scale < 1:
        assert not draws.any()
    else:
        spread = scale * (np.sqrt(2) if law == "discrete laplace" else 1)
        assert draws.std() == pytest.approx(spread, rel=0.25)  # 2,000 draws: 6 sigma is 0.21
        assert len(np.unique(np.abs(draws) % 10)) == 10  # no holes: the last digit varies


@pytest.mark.parametrize("law", SAMPLERS)
def test_shapes_are_kept_and_blocks_join_without_a_seam(law):
    sampler = SAMPLERS[law]
    assert sampler(2.0, (), default_rng(0).bytes).shape == ()
    assert sampler(2.0, (0, 3), default_rng(0).bytes).shape == (0, 3)
    large = sampler(1e6, (noise._BLOCK + 100,), default_rng(0).bytes)
    assert np.count_nonzero(large) > len(large) - 10
    assert len(np.unique(large)) > 0.9 * len(large)


@pytest.mark.parametrize("law", SAMPLERS)
def test_bits_decide_everything_and_come_from_the_operating_system_by_default(law):
    sampler = SAMPLERS[law]
    again = [sampler(9.0, (100,), default_rng(3).bytes).tolist() for _ in range(2)]
    assert again[0] == again[1]
    assert sampler(9.0, (100,)).tolist() != sampler(9.0, (100,)).tolist()
    assert inspect.signature(sampler).parameters["bits"].default is os.urandom


@pytest.mark.parametrize("law", SAMPLERS)
@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 2.0**33])
def test_a_scale_that_no_noise_has_is_refused(law, scale):
    with pytest.raises(ValueError, match=r"must lie in \(0, 2\^32\]"):
        SAMPLERS[law](scale, (2,))


def tail(law, scale, magnitude):
    """The chance of ``magnitude`` or more to either side, by another route than the sampler's."""
    if law == "rounded gaussian":
        return 2 * mpmath.ncdf(-(magnitude - mpmath.mpf(1) / 2) / mpmath.mpf(scale))
    q = mpmath.exp(-1 / mpmath.mpf(scale))
    return 2 * q**magnitude / (1 + q)


def slow_inversion(law, scale, digits, length):
    """The magnitude that belongs to a number known to hundreds of digits, by bisection."""
    with mpmath.workprec(length + 200):
        number = (digits + mpmath.mpf(1) / 2) / mpmath.mpf(2) ** length
        low, high = 0, 1
        while number < tail(law, scale, high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if number < tail(law, scale, middle) else (low, middle)
        return low


def numbers_near(law, scale, magnitude):
    """Digits (63, then four words) that leave a threshold at the first, ... fourth part."""
    with mpmath.workprec(1000):
        exact = int(tail(law, scale, magnitude) * mpmath.mpf(2) ** (63 + 4 * 64))
    for words_in_common in range(4):
        dropped = 64 * (4 - words_in_common)
        for step in (-1, 0, 1):
            digits = (exact >> dropped) + step
            if 0 <= digits < 1 << (63 + 64 * words_in_common):
                yield (digits << dropped) + (1 << dropped >> 1)


@pytest.mark.parametrize("law", INVERTED)
@pytest.mark.parametrize(
    ("scale", "magnitudes"),
    [
        (0.03, [1]),  # thresholds far below the last of the first digits
        (0.3, [1, 2]),
        (2.0, [1, 2, 3, 9, 18, 19, 40]),
        (30.0, [1, 15, 88, 271, 400]),
        (5000.0, [1, 2500, 20_000, 46_000]),
        (1e7, [1, 12_345_678, 93_000_000]),
    ],
)
def test_bits_beside_a_threshold_are_decided_as_a_slow_inversion_decides(law, scale, magnitudes):
    cases, doubtful = 0, 0
    for magnitude in magnitudes:
        for digits in numbers_near(law, scale, magnitude):
            words = [digits >> 64 * i & (1 << 64) - 1 for i in range(3, -1, -1)]
            expected = slow_inversion(law, scale, digits, 63 + 256)
            for negative in (0, 1):
                script = Script((digits >> 256) << 1 | negative, *words)
                drawn = SAMPLERS[law](scale, (), script)
                assert drawn == (-expected if negative else expected)
                cases += 1
                doubtful += len(script.words) < 4
    assert cases >= 16 * len(magnitudes)
    assert doubtful >= cases / 3  # further digits were needed, and drawn


def chance_of_acceptance(stddev, proposal):
    """The first 128 digits of the chance with which the rejection sampler keeps a proposal."""
    with mpmath.workprec(600):
        distance = abs(int(proposal)) - mpmath.mpf(stddev) ** 2 / (int(stddev) + 1)
        return int(mpmath.exp(-((distance / mpmath.mpf(stddev)) ** 2) / 2) * 2**128)


@pytest.mark.parametrize("stddev", [0.4, 1.0, 2.5, 40.0, 5000.0])
def test_the_acceptance_of_the_discrete_gaussian_is_exact_beside_its_thresholds(stddev):
    rng, accepted = default_rng(12), 0
    for _ in range(12):
        proposals = [int(word) for word in rng.integers(0, 2**64, 9, dtype=np.uint64)]
        drawn = discrete_laplace(int(stddev) + 1.0, (9,), Script(*proposals))
        coins, further, kept = [], [], []
        for proposal in drawn:
            digits = chance_of_acceptance(stddev, proposal)
            first = max((digits >> 64) + int(rng.integers(-1, 2)), 0)
            second = max((digits & 2**64 - 1) + int(rng.choice([-1, 1])), 0)
            coins.append(first)
            if first == digits >> 64:
                further.append(second)
            if first << 64 | second < digits:
                kept.append(int(proposal))
        if not kept:  # the sampler would go on to fresh proposals
            continue
        script = Script(*proposals, *coins, *further)
        assert discrete_gaussian(stddev, (), script) == kept[0]
        assert not script.words
        accepted += len(kept)
    assert 20 < accepted < 88  # of 108


@pytest.mark.parametrize("scale", [1e-300, 1e-3])
def test_narrow_noise_stays_zero_on_a_long_run_of_zero_bits(scale):
    for law in INVERTED:
        assert SAMPLERS[law](scale, (), Script(0, 0, 0, 1 << 63)) == 0
    outlier, zeros, coins = [200], [2**64 - 2] * 8, [0] * 9
    script = Script(*outlier, *zeros, *coins, 0, 0, 1)
    assert discrete_gaussian(scale, (), script) == 0  # the outlier was rejected at the third word
    assert not script.words


@pytest.mark.parametrize("t", [1, 2, 3, 1000, 2**20 + 1, 2**40 - 1, 2**53 + 1, 2**63 - 1])
def test_the_error_of_floating_point_quantiles_is_far_below_its_bound(t):
    rng = default_rng(13)
    ts = np.unique(np.r_[t, rng.integers(max(t // 2, 1), t + 1, 40)]).astype(np.uint64)
    floats = ts.astype(np.float64) * 2.0**-63
    bound = mpmath.mpf(noise._QUANTILE_ERROR) / 60
    normal = noise._gaussian_law(1.0).quantile(floats)
    laplace = noise._laplace_law(3.0).quantile(floats)
    with mpmath.workprec(150):
        shift = mpmath.log(2 / (1 + mpmath.exp(-mpmath.mpf(1) / 3)))
        for number, z, y in zip(ts, normal, laplace, strict=True):
            u = mpmath.mpf(int(number)) / 2**63
            assert abs(shift - mpmath.log(u) - mpmath.mpf(float(y))) < bound
            assert 2 * mpmath.ncdf(-(mpmath.mpf(float(z)) + bound)) < u
            assert u < 2 * mpmath.ncdf(-(mpmath.mpf(float(z)) - bound))


@pytest.mark.parametrize("scale", [0.3, 2.0, 5000.0])
def test_thresholds_are_as_precise_as_they_say(scale):
    spread = int(scale) + 1
    for magnitude in (1, 2, int(3 * scale) + 1, int(30 * scale) + 1):
        for precision in (103, 167, 359):
            with mpmath.workprec(1500):
                distance = magnitude - mpmath.mpf(scale) ** 2 / spread
                truths = {
                    noise._gaussian_tail: tail("rounded gaussian", scale, magnitude),
                    noise._laplace_tail: tail("discrete laplace", scale, magnitude),
                    noise._acceptance: mpmath.exp(-(distance**2) / (2 * mpmath.mpf(scale) ** 2)),
                }
                for threshold, truth in truths.items():
                    error = (
                        threshold(scale, magnitude, precision) - truth * mpmath.mpf(2) ** precision
                    )
                    assert abs(error) < 1.5


def test_a_lazy_number_draws_no_more_digits_than_the_comparison_needs():
    def third(precision):
        return (1 << precision) // 3

    below = LazyUniform(0, 2, Script())
    assert below.is_below(third)
    assert below.length == 2
    above = LazyUniform(2, 2, Script())
    assert not above.is_below(third)
    undecided = LazyUniform(1, 2, Script(0x5555_5555_5555_5555, 0x5555_5555_5555_5556))
    assert not undecided.is_below(third)
    assert undecided.length == 130
