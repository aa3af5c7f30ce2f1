"""Calibrated noise against independently measured values."""

from __future__ import annotations

import pytest
from random_plans import mst_plan

from dp_synth.accounting import Gaussians, Plan, PrivacyBudget, calibrate


def _mst_noise(epsilon: float, delta: float) -> float:
    plan = calibrate({"mst": (mst_plan(), 1.0)}, PrivacyBudget(epsilon, delta))["mst"]
    noise = plan.gaussians("ones").noise_multiplier
    assert noise is not None
    return noise


# Noise of the one-way marginals of MST on fifteen attributes, thirds of the zCDP cost each, by
# an independent implementation: each selection as the supremum of its two-point pairs.
@pytest.mark.parametrize(
    ("epsilon", "delta", "noise"),
    [
        (1, 1e-5, 26.19),
        (1, 1e-9, 38.25),
        (0.1, 1e-5, 216.4),
        (0.1, 1e-9, 350.4),
        (3, 1e-9, 13.51),
        (10, 1e-5, 3.487),
    ],
)
def test_mst_needs_the_noise_of_an_independent_implementation(
    epsilon: float, delta: float, noise: float
) -> None:
    assert _mst_noise(epsilon, delta) == pytest.approx(noise, rel=1e-3)


def test_mst_needs_at_least_three_percent_less_noise_than_by_zcdp() -> None:
    assert _mst_noise(1, 1e-5) < 0.97 * 27.14  # optimal zCDP conversion


@pytest.mark.parametrize(("delta", "floor"), [(1e-5, 24.94), (1e-9, 36.58)])
def test_mst_noise_is_never_below_what_one_fixed_adversary_proves_necessary(
    delta: float, floor: float
) -> None:
    assert _mst_noise(1, delta) > floor


def test_where_losses_are_composed_badly_zcdp_bounds_the_noise() -> None:
    assert 4.495 <= _mst_noise(10, 1e-9) <= 4.50


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
