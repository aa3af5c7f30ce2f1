"""An independent library draws and converts as we do."""

from __future__ import annotations

import numpy as np
import opendp.prelude as opendp
import pytest
from scipy import stats

from dp_synth.accounting.budget import zcdp_delta, zcdp_epsilon
from dp_synth.mechanisms.noise import discrete_gaussian, discrete_laplace

DRAWS = 4000
SCALE = 3.0


@pytest.fixture(autouse=True, scope="module")
def _allowed() -> None:
    opendp.enable_features("contrib")


def theirs(kind: str) -> np.ndarray:
    vector = opendp.vector_domain(opendp.atom_domain(T=int))
    if kind == "gaussian":
        draw = opendp.m.make_gaussian(vector, opendp.l2_distance(T=float), scale=SCALE)
    else:
        draw = opendp.m.make_laplace(vector, opendp.l1_distance(T=int), scale=SCALE)
    return np.array(draw([0] * DRAWS))


def chance_of_one_law(one: np.ndarray, other: np.ndarray) -> float:
    """The p-value of a chi-square test that two samples have one law; tails are joined."""
    one, other = (np.clip(sample, -8, 8) for sample in (one, other))
    counts = [np.bincount(sample + 8, minlength=17) for sample in (one, other)]
    return float(stats.chi2_contingency(counts).pvalue)


@pytest.mark.parametrize(
    ("kind", "ours"), [("gaussian", discrete_gaussian), ("laplace", discrete_laplace)]
)
def test_discrete_noise_has_the_law_of_an_independent_library(kind, ours) -> None:
    bits = np.random.default_rng(0).bytes
    oracle = theirs(kind)
    assert chance_of_one_law(ours(SCALE, (DRAWS,), bits), oracle) > 1e-6
    assert chance_of_one_law(ours(1.3 * SCALE, (DRAWS,), bits), oracle) < 1e-6


@pytest.mark.parametrize("rho", [0.001, 1 / 18, 2.0])
def test_zcdp_converts_as_an_independent_library_does(rho: float) -> None:
    scale = (1 / (2 * rho)) ** 0.5
    integers = opendp.atom_domain(T=int)
    mechanism = opendp.m.make_gaussian(integers, opendp.absolute_distance(T=float), scale=scale)
    profile = opendp.c.make_zCDP_to_approxDP(mechanism).map(1.0)
    for delta in (1e-9, 1e-5):
        assert zcdp_epsilon(rho, delta) == pytest.approx(profile.epsilon(delta), rel=1e-6)
    for epsilon in (0.5, 1.0, 3.0):
        assert zcdp_delta(rho, epsilon) == pytest.approx(profile.delta(epsilon), rel=1e-6)
