import numpy as np
import pytest

from dp_synth.attacks.scores import Scores, lira, rmia
from dp_synth.errors import InputError

RUNS, TARGETS = 60, 50


def made(gain, *, ease=5.0, seed=0):
    """Scores that rise by ``gain`` with membership, over how easy each target is anyway."""
    rng = np.random.default_rng(seed)
    member = rng.random((RUNS, TARGETS)) < 0.5
    easy = ease * rng.normal(size=TARGETS)
    score = easy + rng.normal(size=member.shape) + gain * member
    scores = Scores.of_runs(score, member)
    return scores.among(range(30, 60)), scores.among(range(30))


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_calibration_removes_what_makes_a_target_easy(mode):
    test, training = made(1.5)
    assert test.auc().value < 0.65
    # Shifted unit normals at distance 1.5 have area Phi(1.5 / sqrt 2) = 0.856.
    assert 0.8 < lira(test, training, mode).auc().value < 0.9


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_calibration_finds_nothing_where_nothing_is(mode):
    test, training = made(0.0)
    # About 750 against 750 entries, independent given the training runs: see `Roc`.
    assert abs(lira(test, training, mode).auc().value - 0.5) < 6 * (1501 / 12 / 750**2) ** 0.5


def test_offline_scores_are_standard_errors_above_runs_without_the_target():
    test, training = made(0.0)
    out = [training.score[(training.target == t) & ~training.member] for t in range(TARGETS)]
    spread = np.array([values.var(ddof=1) for values in out])
    deviation = np.sqrt((spread + spread.mean()) / 2)
    mean = np.array([values.mean() for values in out])
    expected = (test.score - mean[test.target]) / deviation[test.target]
    np.testing.assert_allclose(lira(test, training).score, expected)


def test_scores_that_never_vary_stay_finite():
    test, training = made(0.0)
    flat = [Scores(np.ones(len(s.run)), s.member, s.run, s.target) for s in (test, training)]
    for mode in ("offline", "online"):
        assert not lira(*flat, mode).score.any()


def test_a_run_that_failed_stays_undecided():
    test, training = made(1.0)
    score = np.where(test.run == 30, np.nan, test.score)
    holed = lira(Scores(score, test.member, test.run, test.target), training)
    np.testing.assert_array_equal(np.isnan(holed.score), test.run == 30)


def test_pairwise_ratios_find_members_and_lie_between_0_and_1():
    test, training = made(2.0)
    rng = np.random.default_rng(1)
    easy = 5 * rng.normal(size=40)
    bystanders = [easy + rng.normal(size=(30, 40)) for _ in range(2)]
    found = rmia(test, bystanders[0], training, training_bystanders=bystanders[1])
    assert found.auc().value > 0.8
    assert 0 <= found.score.min() <= found.score.max() <= 1
    stricter = rmia(test, bystanders[0], training, training_bystanders=bystanders[1], gamma=2)
    assert (stricter.score <= found.score).all()
    test, training = made(0.0)
    nothing = rmia(test, bystanders[0], training, training_bystanders=bystanders[1])
    assert abs(nothing.auc().value - 0.5) < 6 * (1501 / 12 / 750**2) ** 0.5


def test_the_ratio_is_that_of_the_paper():
    member = np.array([[True, False]])
    training = Scores.of_runs(np.log([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 2), bool))
    test = Scores.of_runs(np.log([[4.0, 3.0]]), member, [2])
    bystanders, before = np.log([[1.0, 3.0, 9.0]]), np.log([[1.0, 1.0, 5.0], [1.0, 3.0, 1.0]])
    # Ratios: targets 4 / 2 and 3 / 3, bystanders 1 / 1, 3 / 2, 9 / 3.
    found = rmia(test, bystanders, training, training_bystanders=before, gamma=1.1)
    np.testing.assert_allclose(found.score, [2 / 3, 0])


def test_runs_that_calibrate_may_not_be_scored():
    test, training = made(1.0)
    for call in (
        lambda: lira(training, training),
        lambda: rmia(test, np.zeros((30, 2)), test, training_bystanders=np.zeros((30, 2))),
    ):
        with pytest.raises(InputError, match="split them by run"):
            call()


def test_too_few_runs_and_misshapen_bystanders_are_refused():
    test, training = made(1.0)
    with pytest.raises(InputError, match="left out in 2 training runs"):
        lira(test, training.among([0, 1]))
    with pytest.raises(InputError, match="a row for each run"):
        rmia(test, np.zeros((3, 2)), training, training_bystanders=np.zeros((30, 2)))
    with pytest.raises(InputError, match="gamma"):
        rmia(test, np.zeros((30, 2)), training, training_bystanders=np.zeros((30, 2)), gamma=0)
