"""The least mu whose Gaussian curve is nowhere below another: found for all, right and tight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import erfc, exp, mp, mpf, sqrt

from dp_synth.accounting.dominating_gaussian import dominating_mu
from dp_synth.accounting.events import Pure, Selection
from dp_synth.accounting.filters import cost


def _complement(mu: float, epsilon: float) -> mpf:
    """1 - delta of a Gaussian, by Balle & Wang 2018, Thm 8."""
    m, e = mpf(mu), mpf(epsilon)
    near, far = e / m - m / 2, e / m + m / 2
    return (erfc(-near / sqrt(2)) + exp(e) * erfc(far / sqrt(2))) / 2


def _complement_of_event(event: Pure | Selection, epsilon: float) -> mpf:
    e, whole = mpf(epsilon), mpf(event.epsilon)
    if isinstance(event, Pure):
        return (exp(-whole) + exp(e - whole)) / (1 + exp(-whole))
    return 1 - (1 - exp((e - whole) / 2)) ** 2 / (1 - exp(-whole))


@pytest.mark.parametrize("epsilon", [8.0, 26.0, 30.0, 60.0, 300.0, 2000.0])
@pytest.mark.parametrize("kind", [Pure, Selection])
def test_large_losses_have_a_dominating_gaussian_that_is_hardly_too_large(
    epsilon: float, kind: type[Pure | Selection]
) -> None:
    event = kind(epsilon)
    mu = math.sqrt(cost(event, "gdp"))
    points = [epsilon * f for f in np.linspace(0, 1, 41).tolist()]
    with mp.workdps(2000):
        left = [_complement_of_event(event, e) for e in points]
    with mp.workdps(40):  # sums of positive terms
        assert all(_complement(mu, e) <= c for e, c in zip(points, left, strict=True))
        assert any(_complement(0.998 * mu, e) > c for e, c in zip(points, left, strict=True))


def test_a_loss_beyond_all_numbers_costs_what_no_filter_has() -> None:
    assert cost(Pure(1e9), "gdp") == math.inf


def test_a_gaussian_curve_is_dominated_by_itself() -> None:
    epsilons = np.linspace(0.0, 30.0, 20_001)
    with mp.workdps(40):
        coarse = epsilons[::100]
        deltas = np.interp(epsilons, coarse, [float(1 - _complement(1.5, e)) for e in coarse])
    assert 1.5 <= dominating_mu(epsilons, deltas) < 1.51
