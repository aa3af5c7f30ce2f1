import numpy as np
import pytest
from scipy.stats import binom

from dp_synth.attacks.base import ExcessRisk, excess
from dp_synth.metrics import clopper_pearson


@pytest.mark.parametrize(
    ("attack", "control", "n", "m"),
    [(0.5, 0.5, 50, 70), (0.95, 0.9, 60, 60), (0.02, 0.02, 300, 300), (0.9, 0.3, 100, 40)],
)
def test_the_interval_holds_as_often_as_it_says(attack, control, n, m):
    rng = np.random.default_rng(0)
    truth = (attack - control) / (1 - control)
    pairs = zip(rng.binomial(n, attack, 400), rng.binomial(m, control, 400), strict=True)
    found = [excess(int(x), n, int(y), m) for x, y in pairs]
    missed = sum(not one.low <= truth <= one.high for one in found)
    assert missed <= binom.ppf(1 - 1e-6, 400, 0.06)
    assert missed >= binom.ppf(1e-6, 400, 0.03)  # it is not wider than it must be


def test_the_value_is_what_is_gained_of_what_there_was_to_gain():
    assert excess(90, 100, 50, 100).value == pytest.approx(0.8)
    assert excess(30, 100, 30, 100).value == 0.0
    assert excess(20, 100, 60, 100).value == pytest.approx(-1.0)


@pytest.mark.parametrize("wins", [(0, 0), (100, 100), (100, 0), (0, 100), (100, 50), (50, 100)])
def test_shares_of_0_and_1_still_have_an_interval(wins):
    found = excess(wins[0], 100, wins[1], 100)
    assert found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_without_trials_nothing_is_known():
    assert (excess(0, 0, 5, 10).low, excess(0, 0, 5, 10).high) == (-np.inf, 1.0)
    nothing = ExcessRisk.of([], [], 0.25)
    assert (nothing.attack.low, nothing.attack.high) == (0.0, 1.0)


def test_successes_are_counted():
    risk = ExcessRisk.of([True, True, False, True], np.array([True, False]), 0.25)
    assert (risk.attack.value, risk.control.value, risk.baseline) == (0.75, 0.5, 0.25)
    assert risk.risk.value == pytest.approx(0.5)
    assert (risk.attack.low, risk.attack.high) == clopper_pearson(3, 4)  # exact: it never misses


def test_shares_of_true_and_false_are_counted_as_they_are():
    flags = [True] * 7 + [False] * 13
    shares = ExcessRisk.of(np.array(flags, dtype=float), [0.0, 1.0] * 10, 0.5)
    assert shares == ExcessRisk.of(flags, [False, True] * 10, 0.5)


def test_intervals_of_shares_hold_where_guesses_of_a_record_go_together():
    rng = np.random.default_rng(0)
    runs, records, guesses, misses = 1000, 200, 6, {"attack": 0, "memorisation": 0}
    for _ in range(runs):
        attacked, controls = (
            rng.binomial(guesses, rng.beta(2, 3, records)) / guesses for _ in range(2)
        )
        risk = ExcessRisk.of(attacked, controls, 0.5)
        misses["attack"] += not risk.attack.low <= 0.4 <= risk.attack.high
        misses["memorisation"] += not risk.memorisation.low <= 0 <= risk.memorisation.high
    # 5 % of 1,000 runs, and five standard deviations of 7.
    assert max(misses.values()) < 50 + 5 * 7
    # They are no wider than those of as many records that are true or false.
    plain = ExcessRisk.of(rng.random(records) < 0.4, rng.random(records) < 0.4, 0.5)
    assert risk.attack.high - risk.attack.low < plain.attack.high - plain.attack.low
