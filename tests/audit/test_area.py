import math

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from dp_synth.accounting import Gaussian, Selection, compose
from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.accounting.events import Approximate
from dp_synth.audit import Worlds, area_test, noise_factor
from dp_synth.errors import UnsupportedEvent

DELTA = 1e-5
AUDITS = 300
MOST_ALARMS = binom.isf(1e-7, AUDITS, 0.06)  # the interval of DeLong is asymptotic


def claim_of(mu):
    return compose([(Gaussian(1 / mu, 1.0), 1)])


def worlds_of(mu, runs, rng, *, common=False):
    noise = rng.normal(size=runs)
    return Worlds.of(mu + noise, noise if common else rng.normal(size=runs))


def alarms(mu, claimed, *, runs, level=0.05, common=False, audits=AUDITS):
    rng, claim = np.random.default_rng(11), claim_of(claimed)
    tests = (
        area_test(
            worlds_of(mu, runs, rng, common=common),
            claim,
            DELTA,
            level=level,
            common_noise=common,
            rng=rng,
        )
        for _ in range(audits)
    )
    return sum(not test.passed for test in tests)


@pytest.mark.parametrize(
    ("mu", "runs"), [(0.05, 250), (0.27, 1000), (0.99, 250), (0.27, 60), (2.0, 250), (5.0, 250)]
)
def test_a_correct_mechanism_alarms_no_more_often_than_the_level(mu, runs):
    assert alarms(mu, mu, runs=runs) <= MOST_ALARMS


@pytest.mark.parametrize(
    ("epsilon", "factor", "runs", "least"),
    [(1, math.sqrt(2), 1500, 0.7), (1, 2, 500, 0.8), (1, 4, 250, 0.9), (4, math.sqrt(2), 500, 0.8)],
)
def test_noise_that_is_too_small_is_caught(epsilon, factor, runs, least):
    mu = {1: 0.2681, 4: 0.9249}[epsilon]
    assert gaussian_epsilon(mu, DELTA) == pytest.approx(epsilon, rel=2e-3)
    assert alarms(mu * factor, mu, runs=runs) >= least * AUDITS


def test_common_noise_tells_with_a_hundred_runs_what_independent_runs_do_not():
    mu, audits = 0.2681, 30
    assert alarms(mu, mu, runs=100, common=True, audits=audits) <= binom.isf(1e-7, audits, 0.05)
    assert alarms(mu * math.sqrt(2), mu, runs=100, common=True, audits=audits) >= 0.9 * audits
    assert alarms(mu * math.sqrt(2), mu, runs=100, audits=audits) < audits / 2


def test_runs_with_common_noise_would_break_the_test_of_independent_ones():
    # Shared noise makes areas vary less: against a claim just below, DeLong never alarms.
    rng = np.random.default_rng(0)
    found = [
        area_test(worlds_of(0.3, 250, rng, common=True), claim_of(0.27), DELTA, rng=rng).passed
        for _ in range(50)
    ]
    assert all(found)


@pytest.mark.parametrize(("mu", "runs"), [(0.27, 300), (3.0, 300), (0.27, 50)])
@pytest.mark.parametrize("common", [False, True])
def test_a_claim_passes_just_when_its_permitted_area_is_above_the_limit(mu, runs, common):
    rng = np.random.default_rng(2)
    for claimed in (0.5 * mu, 0.8 * mu, mu):
        worlds = worlds_of(mu, runs, rng, common=common)
        test = area_test(worlds, claim_of(claimed), DELTA, common_noise=common, rng=rng)
        assert test.passed == (test.low < test.permitted)
        assert test.passed == (test.noise_factor > 1)
        assert test.passed == (test.epsilon_if_curve < gaussian_epsilon(claimed, DELTA))


def test_the_method_depends_on_the_claim_and_the_runs_alone():
    rng = np.random.default_rng(0)
    claims, sizes = (claim_of(0.9), claim_of(1.1)), (249, 250)
    found = {
        (place, runs): area_test(worlds_of(3.0, runs, rng), claim, DELTA, rng=rng).method
        for place, claim in enumerate(claims)
        for runs in sizes
    }
    assert [key for key, method in found.items() if method == "delong"] == [(0, 250)]
    assert set(found.values()) == {"delong", "pairs"}


@pytest.mark.parametrize("runs", [60, 400])
def test_monotone_transformations_change_nothing(runs):
    worlds = worlds_of(0.5, runs, np.random.default_rng(0))
    moved = Worlds.of(np.exp(3 * worlds.inside), np.exp(3 * worlds.outside))
    first, second = (
        area_test(w, claim_of(0.5), DELTA, rng=np.random.default_rng(1)) for w in (worlds, moved)
    )
    assert first == second


@pytest.mark.parametrize("runs", [60, 400])
def test_ties_count_half(runs):
    rng = np.random.default_rng(4)
    worlds = Worlds.of(rng.random(runs) < 0.5, rng.random(runs) < 0.5)
    test = area_test(worlds, claim_of(0.5), DELTA, rng=rng)
    assert test.passed
    assert abs(test.area - 0.5) < 5 / math.sqrt(runs)


def test_scores_that_are_never_wrong_are_a_violation_of_any_finite_claim():
    worlds = Worlds.of(np.arange(300) + 1e6, np.arange(300))
    test = area_test(worlds, claim_of(0.5), DELTA, rng=np.random.default_rng(0))
    assert not test.passed
    assert test.area == 1
    assert test.low == pytest.approx(0.05 ** (1 / 300))
    assert test.p_value == pytest.approx(ndtr(0.5 / math.sqrt(2)) ** 300)
    assert "VIOLATED" in str(test)


def test_the_noise_factor_of_gaussians_is_the_ratio_of_their_mus():
    for mu, seen in ((0.3, 0.3), (0.3, 0.6), (2.0, 0.5), (0.1, 0.4)):
        area = float(ndtr(seen / math.sqrt(2)))
        assert noise_factor(claim_of(mu), area) == pytest.approx(mu / seen, rel=2e-3)
    assert noise_factor(claim_of(0.3), 0.5) == noise_factor(claim_of(0.3), 0.3) == 64
    assert noise_factor(claim_of(0.001), 0.9) == 1 / 64


def test_a_claim_that_names_no_noise_has_no_factor_and_can_still_be_refuted():
    claim = compose([(Approximate(1.0, 1e-6), 1)])
    rng = np.random.default_rng(0)
    assert noise_factor(claim, 0.6) is None
    assert noise_factor(claim, 0.4) is None
    test = area_test(worlds_of(4.0, 300, rng), claim, DELTA, rng=rng)
    assert not test.passed
    assert test.noise_factor is None
    assert test.epsilon_if_curve is None
    # What (epsilon, delta) permits, in any direction (condition 1).
    limit = 1 - (1 - 1e-6) ** 2 / (1 + math.e)
    assert test.permitted == pytest.approx(limit, abs=5e-3)
    assert test.permitted >= limit - 1e-9


def test_common_noise_is_for_claims_of_gaussian_dp():
    rng = np.random.default_rng(0)
    worlds, claim = worlds_of(1.0, 50, rng), compose([(Selection(1.0), 1)])
    with pytest.raises(UnsupportedEvent, match="claims of Gaussian DP"):
        area_test(worlds, claim, DELTA, common_noise=True, rng=rng)
