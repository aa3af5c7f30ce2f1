import numpy as np
import pytest
from scipy.stats import binom

from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.audit import Worlds, bounds, ceiling, clopper_pearson_bound, gaussian_bound
from dp_synth.errors import InputError

DELTA = 1e-5
AUDITS = 200
MOST_ALARMS = binom.isf(1e-7, AUDITS, 0.05)
BOUNDS = (clopper_pearson_bound, gaussian_bound)


def gaussian_worlds(mu, runs, rng):
    return Worlds.of(rng.normal(mu, 1, runs), rng.normal(0, 1, runs))


def alarms(bound, mu, claimed, *, runs):
    """Count audits whose bound is above what Gaussian DP of ``claimed`` is."""
    rng, epsilon = np.random.default_rng(3), gaussian_epsilon(claimed, DELTA) if claimed else 0.0
    found = (bound(gaussian_worlds(mu, runs, rng), DELTA, rng=rng).epsilon for _ in range(AUDITS))
    return sum(one > epsilon for one in found)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("mu", [0.0, 0.27, 1.0, 3.0])
def test_a_bound_exceeds_the_truth_no_more_often_than_its_level(bound, mu):
    assert alarms(bound, mu, mu, runs=200) <= MOST_ALARMS


@pytest.mark.parametrize(("bound", "mu", "claimed"), [(BOUNDS[0], 1.0, 0.2), (BOUNDS[1], 2.0, 1.0)])
def test_a_bound_catches_noise_that_is_much_too_small(bound, mu, claimed):
    assert alarms(bound, mu, claimed, runs=1000) >= 0.8 * AUDITS


def test_clopper_pearson_is_tight_for_randomised_response_and_no_more():
    rng, truth, runs = np.random.default_rng(5), 2.0, 1000
    share = 1 / (1 + np.exp(-truth))
    found = []
    for _ in range(AUDITS):
        worlds = Worlds.of(rng.random(runs) < share, rng.random(runs) >= share)
        found.append(clopper_pearson_bound(worlds, 0.0, rng=rng).epsilon)
    assert sum(one > truth for one in found) <= MOST_ALARMS
    assert np.mean(found) > 0.8 * truth
    assert sum(one > 0.8 * truth for one in found) > MOST_ALARMS  # a false claim is caught


def test_error_rates_without_their_limits_would_be_caught(monkeypatch):
    monkeypatch.setattr(
        bounds, "clopper_pearson", lambda count, runs, tail: (0.0, (count + 0.5) / (runs + 1))
    )
    assert alarms(clopper_pearson_bound, 0.27, 0.27, runs=60) > MOST_ALARMS


def test_the_ceilings_are_those_of_published_audits():
    # synth-audit and pategan-audit: alpha 0.1 there is 0.05 here, their tails being half as large.
    assert ceiling(1000) == pytest.approx(5.60, abs=0.005)
    assert ceiling(400) == pytest.approx(4.6815, abs=5e-5)
    assert ceiling(1000, 0.1) == pytest.approx(5.81, abs=0.005)
    assert ceiling(5) == 0


def test_scores_that_never_err_reach_the_ceiling_and_nothing_goes_beyond():
    worlds = Worlds.of(np.arange(300) + 1e6, np.arange(300))
    bound = clopper_pearson_bound(worlds, 0.0, rng=np.random.default_rng(0))
    assert bound.epsilon == pytest.approx(bound.ceiling)
    assert bound.ceiling == pytest.approx(ceiling(200))
    assert "at most" in str(bound)
    gaussian = gaussian_bound(worlds, DELTA, rng=np.random.default_rng(0))
    assert gaussian.epsilon == pytest.approx(gaussian.ceiling)


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_delta_is_taken_off_and_monotone_transformations_change_nothing(bound):
    worlds = gaussian_worlds(2.0, 400, np.random.default_rng(0))
    moved = Worlds.of(np.exp(worlds.inside / 2), np.exp(worlds.outside / 2))
    first, second = (bound(w, DELTA, rng=np.random.default_rng(1)) for w in (worlds, moved))
    assert first == second
    assert first.epsilon > 0
    larger = bound(worlds, 0.3, rng=np.random.default_rng(1))
    assert larger.epsilon < first.epsilon


@pytest.mark.parametrize("bound", BOUNDS)
def test_scores_that_are_lower_inside_prove_nothing(bound):
    worlds = gaussian_worlds(-1.0, 400, np.random.default_rng(0))
    assert bound(worlds, DELTA, rng=np.random.default_rng(1)).epsilon < 0.2


@pytest.mark.parametrize(
    ("inside", "outside", "message"),
    [
        ([1.0, np.nan], [0.0, 0.0], "got NaN"),
        ([1.0, 1.0], [1.0, 1.0], "all scores are tied"),
        ([1.0, 2.0], [1.0], r"as many runs, got \(2,\) and \(1,\)"),
        ([[1.0, 2.0]], [[1.0, 2.0]], "one score a run"),
        ([1.0], [2.0], "two runs a world or more, got 1"),
    ],
)
def test_scores_that_say_nothing_are_refused_in_one_line(inside, outside, message):
    with pytest.raises(InputError, match=message) as refused:
        Worlds.of(inside, outside)
    assert "\n" not in str(refused.value)


def test_runs_that_choose_and_runs_that_prove_are_disjoint():
    worlds = Worlds.of(np.arange(90), np.arange(100, 190))
    choose, prove = worlds.split(np.random.default_rng(0))
    assert (len(choose), len(prove)) == (30, 60)
    assert sorted([*choose.inside, *prove.inside]) == list(range(90))
    assert sorted([*choose.outside, *prove.outside]) == list(range(100, 190))
