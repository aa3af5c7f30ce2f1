"""Calibrated noise against independently measured values."""

from __future__ import annotations

import pytest
from random_plans import mst_plan

from dp_synth.accounting import Gaussians, Plan, PrivacyBudget, calibrate, compose
from dp_synth.accounting.pld import Sequence, event_by_event


def _mst_noise(epsilon: float, delta: float) -> float:
    plan = calibrate({"mst": (mst_plan(), 1.0)}, PrivacyBudget(epsilon, delta))["mst"]
    noise = plan.gaussians("ones").noise_multiplier
    assert noise is not None
    return noise


# Noise of the one-way marginals of MST on fifteen attributes, thirds of the zCDP cost each, by
# independent implementations: what one fixed adversary proves necessary; selections as one block
# between the two Gaussian parts; each selection as the supremum of its two-point pairs.
NOISE = [
    ((1, 1e-9), 36.58, 36.68, 38.25),
    ((1, 1e-5), 24.94, 24.99, 26.19),
    ((0.1, 1e-9), 334.5, 335.5, 350.4),
    ((0.1, 1e-5), 205.6, 206.2, 216.4),
    ((3, 1e-9), 12.93, 12.96, 13.51),
    ((10, 1e-9), 4.319, 4.328, 4.499),
    ((10, 1e-5), 3.333, 3.338, 3.487),
]


def _mst_events(noise: float) -> Sequence:
    return tuple(mst_plan().at(3 * 15 / (2 * noise**2)).events())


@pytest.mark.parametrize(("target", "floor", "noise", "_apart"), NOISE)
def test_mst_needs_the_noise_of_an_independent_block_and_never_less_than_the_floor(
    target: tuple[float, float], floor: float, noise: float, _apart: float
) -> None:
    epsilon, delta = target
    assert compose(_mst_events(noise * 1.001)).epsilon(delta) <= epsilon
    assert compose(_mst_events(max(noise * 0.999, floor))).epsilon(delta) > epsilon


@pytest.mark.parametrize(("target", "_floor", "_noise", "apart"), NOISE)
def test_selections_one_by_one_need_the_noise_of_an_independent_implementation(
    target: tuple[float, float], _floor: float, _noise: float, apart: float
) -> None:
    epsilon, delta = target
    enough = event_by_event(_mst_events(apart * 1.001))
    too_little = event_by_event(_mst_events(apart * 0.999))
    assert enough.epsilon(delta) <= epsilon
    assert too_little.epsilon(delta) > epsilon


def test_mst_needs_at_least_seven_percent_less_noise_than_by_zcdp() -> None:
    assert 24.94 < _mst_noise(1, 1e-5) <= 0.93 * 27.14  # optimal zCDP conversion


def test_epsilon_of_a_thousand_needs_hardly_any_noise() -> None:
    assert _mst_noise(1000, 1e-5) <= 0.1492


@pytest.mark.parametrize(("k", "ratio"), [(2, 0.718), (3, 0.589), (5, 0.458), (10, 0.325)])
def test_joint_calibration_needs_less_noise_than_split_budgets(k: int, ratio: float) -> None:
    plan = Plan({"answers": Gaussians(4)})
    joint = calibrate({str(i): (plan, 1.0) for i in range(k)}, PrivacyBudget(1, 1e-5))
    split = calibrate({"alone": (plan, 1.0)}, PrivacyBudget(1 / k, 1e-5 / k))["alone"]
    multiplier = split.gaussians("answers").noise_multiplier
    assert multiplier is not None
    for one in joint.values():
        found = one.gaussians("answers").noise_multiplier
        assert found is not None
        assert found / multiplier == pytest.approx(ratio, abs=1e-2)
