"""A choice has exactly the odds that it was given."""

import mpmath
import numpy as np
import pytest
from numpy.random import default_rng
from scipy.stats import chisquare

from dp_synth.mechanisms import noise as module
from dp_synth.mechanisms.noise import exact_choice

NEVER = -np.inf


class Script:
    """Hands out the given 64-bit words, one a call, and no more than there are."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def __call__(self, count: int) -> bytes:
        assert self.words, "more bits were drawn than the choice needs"
        return self.words.pop(0).to_bytes(count, "little")


def shares(log_odds):
    """The exact running shares, to 500 bits."""
    with mpmath.workprec(500):
        odds = [mpmath.exp(mpmath.mpf(float(value))) for value in log_odds]
        return [mpmath.fsum(odds[: i + 1]) / mpmath.fsum(odds) for i in range(len(odds))]


@pytest.mark.parametrize(
    "log_odds",
    [
        [0.0, 0.0, 0.0],
        [-1.0, 0.5, 0.0, 2.0, 2.0],
        [1e6, 1e6 + 1, 1e6 - 2],
        [-700.0, -701.0, -702.5],
        [0.0, NEVER, 1.0, NEVER],
    ],
)
def test_choices_have_the_exact_probabilities(log_odds):
    log_odds, bits = np.array(log_odds), default_rng(3).bytes
    counts = np.bincount([exact_choice(log_odds, bits) for _ in range(8000)], minlength=5)
    odds = np.exp(log_odds - log_odds.max())
    expected = 8000 * odds / odds.sum()
    possible = expected > 0
    assert counts[: len(odds)][possible].sum() == 8000
    assert chisquare(counts[: len(odds)][possible], expected[possible]).pvalue > 1e-6
    tilted = odds * np.linspace(1, 1.5, len(odds))
    wrong = 8000 * tilted / tilted.sum()
    assert chisquare(counts[: len(odds)][possible], wrong[possible]).pvalue < 1e-6


def test_ten_thousand_candidates_are_chosen_by_their_odds():
    rng = default_rng(4)
    log_odds = rng.normal(0, 2, 10_000)
    draws = [exact_choice(log_odds, rng.bytes) for _ in range(3000)]
    odds = np.exp(log_odds)
    group = np.argsort(np.argsort(odds)) // 1000  # ten groups, from the worst to the best
    expected = 3000 * np.bincount(group, odds) / odds.sum()
    seen = np.bincount(group[draws], minlength=10)
    assert (
        chisquare(np.r_[seen[:5].sum(), seen[5:]], np.r_[expected[:5].sum(), expected[5:]])[1]
        > 1e-6
    )
    assert chisquare(seen, np.full(10, 300))[1] < 1e-6


def test_what_is_impossible_or_hopeless_is_not_chosen():
    bits = default_rng(5).bytes
    assert exact_choice(np.array([NEVER, NEVER, 5.0, NEVER]), bits) == 2
    assert exact_choice(np.array([-1e308, 1e308]), bits) == 1
    assert {exact_choice(np.array([0.0, NEVER, -800.0, 0.0]), bits) for _ in range(200)} == {0, 3}


def test_the_first_and_the_last_bits_reach_every_candidate_however_unlikely():
    log_odds = np.array([-60.0, 0.0, -60.0])
    assert exact_choice(log_odds, Script(0, 0)) == 0
    assert exact_choice(log_odds, Script(2**64 - 1, 2**64 - 1)) == 2
    assert exact_choice(log_odds, Script(0, 2**63)) == 1  # 2^-65 is above exp(-60) / (1 + ...)


def numbers_near(share):
    """192 digits that leave those of the share at the first or the second word."""
    with mpmath.workprec(500):
        exact = int(share * 2**192)
    for dropped in (128, 64):
        for step in (-1, 0, 1):
            number = (((exact >> dropped) + step) << dropped) + (1 << dropped >> 1)
            if 0 <= number < 2**192:
                yield number


@pytest.mark.parametrize("seed", range(12))
def test_bits_beside_a_boundary_are_decided_as_exact_shares_decide(seed):
    rng = default_rng(seed)
    log_odds = rng.normal(0, [0.1, 3.0, 12.0][seed % 3], 6)
    log_odds[4] = log_odds[3]  # a tie
    exact, extended = shares(log_odds), 0
    for number in (number for share in exact[:-1] for number in numbers_near(share)):
        script = Script(*(number >> shift & 2**64 - 1 for shift in (128, 64, 0)))
        with mpmath.workprec(500):
            u = (number + mpmath.mpf(1) / 2) / mpmath.mpf(2) ** 192
            right = next(i for i, share in enumerate(exact) if u < share)
        assert exact_choice(log_odds, script) == right
        extended += len(script.words) < 2
    assert extended >= 10


def test_floating_point_shares_err_far_less_than_is_allowed_for():
    rng = default_rng(6)
    for size, width in [(3, 1.0), (200, 5.0), (2000, 100.0)]:
        log_odds = rng.normal(0, width, size)
        sums = np.cumsum(np.exp(log_odds - log_odds.max()))
        with mpmath.workprec(200):
            greatest = mpmath.mpf(float(log_odds.max()))
            odds = [mpmath.exp(mpmath.mpf(float(value)) - greatest) for value in log_odds]
            total, running, worst = mpmath.fsum(odds), mpmath.mpf(0), mpmath.mpf(0)
            for value, own in zip(odds, sums, strict=True):
                running += value
                worst = max(worst, abs(running / total - mpmath.mpf(float(own / sums[-1]))))
        assert worst < (2 * size + 8) * module._UNIT / 32


@pytest.mark.parametrize("log_odds", [[], [NEVER], [NEVER, NEVER], [0.0, np.nan], [np.inf, 0.0]])
def test_odds_that_leave_no_choice_are_refused(log_odds):
    with pytest.raises(ValueError, match="log odds must be"):
        exact_choice(np.array(log_odds))


def test_a_table_of_odds_is_refused():
    with pytest.raises(ValueError, match="one row"):
        exact_choice(np.zeros((2, 2)))
