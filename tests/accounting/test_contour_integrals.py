"""Moments, transforms and their bounds: each step of a contour's proof against more digits."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import fft, special

from dp_synth.accounting import compose
from dp_synth.accounting.contour_integrals import ContourSum, contours
from dp_synth.accounting.discretization import ROUGH, UNIT
from dp_synth.accounting.dominating_gaussian import ROUNDING
from dp_synth.accounting.events import (
    Gaussian,
    Pure,
    SampledGaussian,
    ThresholdedGaussian,
    TruncatedGaussian,
)
from dp_synth.accounting.privacy_profile import CONTOUR
from dp_synth.accounting.subsampled_moments import Step, Tilted, log_transforms, rectangles, tilted
from dp_synth.errors import UnsupportedEvent

Floats = NDArray[np.float64]
Logs = tuple[NDArray[np.complex128], Floats, Floats]
PI = np.longdouble("3.14159265358979323846264338328")

STEPS = [
    (Step(((1.0, 0.25),), 0.02, removed=True), 12.0),
    (Step(((1.0, 1.0),), 0.001, removed=True), 5.0),
    (Step(((1.0, 2.0),), 1e-4, removed=True), 2.0),
    (Step(((1.0, 0.7),), 0.1, removed=False), 8.0),
    (Step(((0.9, 0.5), (0.1, 1.0)), 0.05, removed=True), 3.0),
]


def _moment(step: Step, z: complex) -> complex:
    """E exp(z * loss) in long double, by the trapezoidal rule on many times as many outcomes."""
    power = z + 1 if step.removed else -z
    total = np.clongdouble(0)
    for chance, moved in step.moved:
        mean = np.longdouble(moved)
        fine = 64 + 2 * int(abs(z.imag) * moved)
        last = 14 + max(0.0, power.real) * moved
        y = np.arange(-14 * fine, int(last * fine)).astype(np.longdouble) / fine
        ratio = np.log1p(np.longdouble(step.rate) * np.expm1(mean * y - mean * mean / 2))
        terms = np.exp(np.clongdouble(power) * ratio - y * y / 2)
        total += chance * terms.sum() / fine
    return complex(total / np.sqrt(2 * PI))


@pytest.mark.parametrize(("step", "tilt"), STEPS)
def test_moments_and_transforms_are_within_their_stated_errors(step: Step, tilt: float) -> None:
    law = tilted(step, tilt)
    highest = min(3 / math.sqrt(law.variance), 400.0)
    law = tilted(step, tilt, highest)
    true = _moment(step, complex(tilt, 0)).real
    assert abs(law.log_moment - math.log(true)) <= law.log_error < 1e-12
    w = highest * np.arange(9) / 8
    found = log_transforms(law, w)
    careful = log_transforms(law, w, careful=True)
    for place in (1, 4, 7):
        value = _moment(step, complex(tilt, float(w[place]))) / true
        for logs, _, errors in (found, careful):
            assert abs(np.exp(logs[place]) - value) <= errors[place] < 1e-11
        assert careful[2][place] <= found[2][place]


@pytest.mark.parametrize(("step", "tilt"), STEPS)
def test_rectangles_hold_no_more_than_the_law_and_bound_its_transform(
    step: Step, tilt: float
) -> None:
    law = tilted(step, tilt)
    deviation = math.sqrt(law.variance)
    found = rectangles(step, tilt, law.log_moment)
    assert 0.8 < float(found.masses.sum()) <= 1.0 or len(step.moved) > 1
    w = np.linspace(0.0, min(20 / deviation, 800.0), 401)
    logs = log_transforms(tilted(step, tilt, float(w[-1])), w)[0].real
    bounds = np.array([found.log_modulus(frequency) for frequency in w.tolist()])
    assert np.all(np.diff(bounds) <= 0)
    assert np.all(logs <= bounds + 1e-12)


def test_both_ends_hold_the_exact_delta_where_one_is_known() -> None:
    """Gaussians beside steps of a tiny rate: nearly one Gaussian, and never less than it."""
    alone = compose([(Gaussian(2.0, 1.0), 9)])
    sequence = ((Gaussian(2.0, 1.0), 9), (SampledGaussian(50.0, 1e-6, 10), 1))
    epsilons = np.linspace(0.0, 8.0, 30)
    low, high = contours(sequence).intervals(epsilons)
    exact = np.array([alone.delta(epsilon) for epsilon in epsilons.tolist()])
    assert np.all(exact <= high)
    assert np.all(low <= exact * (1 + 1e-9))
    assert np.all(high <= low * (1 + 1e-8))


def test_one_engine_suffices_where_a_contour_tells_all() -> None:
    events = [(Gaussian(4.0, 1.0), 3), (ThresholdedGaussian(5.0, 1.0, 1e-12), 1)]
    events += [(SampledGaussian(1.1, 0.01, 500), 1)]
    assert compose(events).engine(1e-9) == CONTOUR
    cut = TruncatedGaussian(1.1, 0.01, 500, 40, 2000)
    assert compose([(cut, 1)]).engine(1e-9) == CONTOUR
    uncut = TruncatedGaussian(1.1, 0.01, 500, 2000, 2000)
    sampled = compose([(cut.sampled, 1)]).epsilon(1e-9)
    assert compose([(uncut, 1)]).epsilon(1e-9) == pytest.approx(sampled, rel=1e-8)
    assert compose([(cut, 1)]).epsilon(1e-9) > sampled


def test_a_contour_knows_no_other_events() -> None:
    for sequence in (
        ((Pure(0.1), 3),),
        ((Gaussian(2.0, 1.0), 3),),
        ((SampledGaussian(1, 0.1, 1), 1),),
    ):
        with pytest.raises(UnsupportedEvent):
            contours(sequence)


FUNCTIONS: list[
    tuple[Callable[..., NDArray[np.float64]], Callable[..., mpmath.mpf], float, float]
] = [
    (np.exp, mpmath.exp, -700.0, 700.0),
    (np.expm1, mpmath.expm1, -30.0, 30.0),
    (np.log, mpmath.log, 1e-300, 50.0),
    (np.log1p, mpmath.log1p, -0.999, 50.0),
    (np.sin, mpmath.sin, -1000.0, 1000.0),
    (np.cos, mpmath.cos, -1000.0, 1000.0),
    (special.ndtr, mpmath.ncdf, -30.0, 5.0),
    (special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), 0.0, 25.0),
    (special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), -60.0, 5.0),
]


@pytest.mark.parametrize(("function", "exact", "low", "high"), FUNCTIONS)
def test_elementary_functions_are_far_within_what_they_may_be_wrong_by(
    function: Callable[..., NDArray[np.float64]],
    exact: Callable[..., mpmath.mpf],
    low: float,
    high: float,
) -> None:
    allowed = (
        ROUGH if function in (np.exp, np.expm1, np.log, np.log1p, np.sin, np.cos) else ROUNDING
    )
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(low, high, 600), rng.uniform(max(low, -1), 1, 200)])
    points = points[points > 0] if function is np.log else points
    with mpmath.workdps(40):
        true = [exact(mpmath.mpf(x)) for x in points.tolist()]
        found = function(points).tolist()
        wrong = [abs(a / t - 1) for a, t in zip(found, true, strict=True) if abs(t) > 1e-3]
    size = np.maximum(points**2, 1) if function in (special.ndtr, special.erfcx) else 1.0
    assert float(max(wrong)) <= float(np.max(size)) * allowed / 2


@pytest.mark.parametrize("bins", [2**9, 2**14, 2**17])
def test_weights_of_transforms_are_exact_enough_for_the_bound(bins: int) -> None:
    """A unit vector's transform is products of weights alone, one in each pass."""
    passes = math.ceil(math.log2(bins) / 2)
    for place in (1, 3, bins // 3):
        unit = np.zeros(bins)
        unit[place] = 1.0
        turns = (np.arange(bins // 2 + 1) * place) % bins
        angle = 2 * PI * turns / bins
        error = np.abs(fft.rfft(unit) - (np.cos(angle) - 1j * np.sin(angle)))
        assert float(error.max()) <= passes * (math.sqrt(5) + 8) * UNIT / 2


def test_ends_that_lie_apart_are_sought_again_with_more_digits() -> None:
    found = contours(((SampledGaussian(2.464, 0.002, 101), 1),))
    low, high = found.epsilons(1e-11)
    rough = [one.epsilons(math.log(1e-11)) for one in found.sums]
    assert max(high for _, high in rough) - max(low for low, _ in rough) > 5e-6 * high
    assert high - low < 1e-6 * high


@pytest.mark.parametrize("wrong", [1e-8, -1e-8])
def test_what_a_transform_may_be_wrong_by_is_in_both_ends(
    wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, log_delta = [(Step(((1.0, 1.0),), 0.01, removed=True), 500)], math.log(1e-5)
    low, high = ContourSum(0.0, steps).epsilons(log_delta)
    assert high - low < 1e-9 * high

    def perturbed(law: Tilted, w: Floats, *, careful: bool = False) -> Logs:
        logs, sizes, errors = log_transforms(law, w, careful=careful)
        return logs + wrong, sizes, errors + abs(wrong) * (1 + 1e-6)

    monkeypatch.setattr("dp_synth.accounting.contour_integrals.log_transforms", perturbed)
    least, most = ContourSum(0.0, steps).epsilons(log_delta)
    assert least <= low <= high <= most
    assert 1e-8 * high < most - least < 1e-4 * high
