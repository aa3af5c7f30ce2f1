"""Noise multipliers of Poisson-sampled Gaussians beside other accountants.

Reference: rate 256/39000, by privacy-loss distributions, and by Renyi DP as in opacus 1.6.
"""

from __future__ import annotations

import pytest

from dp_synth.accounting import compose
from dp_synth.accounting.events import SampledGaussian

RATE = 256 / 39_000
# epsilon, delta, steps, multiplier by loss distributions, by opacus' Renyi accountant
FOUND = [
    (1.0, 1e-5, 2000, 1.3246, 1.4128),
    (3.0, 1e-5, 5000, 0.9335, 0.9783),
    (10.0, 1e-5, 1000, 0.4945, 0.5203),
    (1.0, 1e-9, 2000, 1.8135, 1.8962),
    (0.1, 1e-5, 1000, 6.470, None),  # Renyi orders up to 63 cannot certify it
]
LAST_DIGITS = 2e-3


@pytest.mark.parametrize(("epsilon", "delta", "steps", "multiplier", "renyi"), FOUND)
def test_sampled_steps_need_the_noise_that_loss_distributions_find(
    epsilon: float, delta: float, steps: int, multiplier: float, renyi: float | None
) -> None:
    def spent(noise: float) -> float:
        return compose([(SampledGaussian(noise, RATE, steps), 1)]).epsilon(delta)

    slack = max(LAST_DIGITS, 1e-3 * multiplier)
    assert spent(multiplier + slack) <= epsilon <= spent(multiplier - slack)
    if renyi is not None:
        assert spent(renyi) < 0.98 * epsilon


def test_an_independent_renyi_accountant_is_never_below() -> None:
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    for noise, steps in ((1.1, 1000), (2.0, 500)):
        theirs = RdpAccountant()
        theirs.compose(PoissonSampledDpEvent(RATE, GaussianDpEvent(noise)), steps)
        ours = compose([(SampledGaussian(noise, RATE, steps), 1)])
        assert 0.8 * theirs.get_epsilon(1e-5) < ours.epsilon(1e-5) < theirs.get_epsilon(1e-5)


def test_opacus_spends_as_much_for_the_same_steps() -> None:
    accountants = pytest.importorskip("opacus.accountants", reason="opacus is in the extra 'deep'")
    theirs = accountants.PRVAccountant()
    theirs.history = [(1.1, RATE, 1000)]
    ours = compose([(SampledGaussian(1.1, RATE, 1000), 1)]).epsilon(1e-5)
    assert ours == pytest.approx(theirs.get_epsilon(1e-5, eps_error=0.001), rel=5e-3)
