import numpy as np
import pytest
from scipy.stats import binom

from dp_synth.attacks.scores import Scores
from dp_synth.audit import Roc
from dp_synth.errors import InputError


def made(runs=20, targets=30, *, gain=0.0, shared=0.0, seed=0):
    """Normal scores, ``gain`` higher for members, with a shift of size ``shared`` in each run."""
    rng = np.random.default_rng(seed)
    member = rng.random((runs, targets)) < 0.5
    # A run's own shift moves members and non-members apart: it is no help, on average.
    score = rng.normal(size=(runs, targets)) + gain * member
    score += shared * rng.normal(size=(runs, 1)) * np.where(member, 1, -1)
    return Scores.of_runs(score, member)


def test_area_and_rate_are_those_of_a_roc_over_all_entries():
    scores = made(gain=1.0)
    roc = Roc(scores.of_members, scores.of_non_members)
    assert scores.auc().value == pytest.approx(roc.auc().value)
    for fpr in (0.05, 0.2):
        assert scores.tpr_at_fpr(fpr).value == pytest.approx(roc.tpr_at_fpr(fpr).value, abs=0.01)


def test_a_grid_of_thresholds_hardly_moves_the_interval(monkeypatch):
    scores = made(gain=1.0)
    exact = scores.auc(), scores.tpr_at_fpr(0.1)
    monkeypatch.setattr("dp_synth.attacks.scores.THRESHOLDS", 100)
    on_grid = scores.auc(), scores.tpr_at_fpr(0.1)
    for one, other in zip(exact, on_grid, strict=True):
        assert other.value == one.value
        assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=0.01)


def test_intervals_hold_when_targets_of_a_run_are_dependent():
    found = [made(shared=1.0, seed=seed) for seed in range(30)]
    areas = [scores.auc() for scores in found]
    missed = sum(not area.low <= 0.5 <= area.high for area in areas)
    assert missed <= binom.ppf(1 - 1e-6, 30, 0.07)
    # Taken as independent entries the same scores would miss the truth most of the time.
    rocs = [Roc(s.of_members, s.of_non_members).auc() for s in found]
    misled = sum(not roc.low <= 0.5 <= roc.high for roc in rocs)
    assert misled > binom.ppf(1 - 1e-6, 30, 0.07)


def test_a_perfect_score_has_no_interval_of_width_zero():
    scores = made(gain=100.0)
    assert (scores.auc().value, scores.auc().high) == (1.0, 1.0)
    assert scores.auc().low == pytest.approx(0.025 ** (1 / 20))  # 20 pairs, all won
    assert scores.tpr_at_fpr(0.1).low == pytest.approx(0.025 ** (1 / 20))


def test_ties_count_half():
    scores = made()
    tied = Scores(np.zeros(len(scores.run)), scores.member, scores.run, scores.target)
    assert tied.auc().value == 0.5
    assert tied.tpr_at_fpr(0.3).value == pytest.approx(0.3)


def test_parts_share_no_run_and_miss_none():
    scores = made(runs=20)
    parts = scores.split(3, seed=1)
    runs = [set(part.run) for part in parts]
    assert [len(r) for r in runs] == [7, 7, 6]
    assert len(set.union(*runs)) == 20
    assert sum(len(part.score) for part in parts) == len(scores.score)
    assert runs != [set(part.run) for part in scores.split(3, seed=2)]
    with pytest.raises(InputError, match="at least as many runs"):
        scores.split(21)


def test_one_entry_a_run_is_drawn_for_exact_bounds():
    scores = made(runs=20)
    one = scores.one_a_run(seed=3)
    assert sorted(one.run) == list(range(20))
    assert len(set(one.target)) > 5


def test_scores_of_a_household_are_means_and_its_members_go_together():
    score = np.array([[1.0, 3.0, 5.0], [2.0, 4.0, 9.0]])
    member = np.array([[True, True, False], [False, False, True]])
    sets = Scores.of_runs(score, member).of_groups([7, 7, 8])
    assert sets.score.tolist() == [2.0, 5.0, 3.0, 9.0]
    assert sets.member.tolist() == [True, False, False, True]
    assert sets.target.tolist() == [7, 8, 7, 8]
    with pytest.raises(InputError, match="together"):
        Scores.of_runs(score, member).of_groups([7, 8, 8])


@pytest.mark.parametrize("fails_with_member", [True, False])
def test_a_failure_says_what_it_said_in_training(fails_with_member):
    member = np.tile([[True], [False]], (10, 1))
    score = np.where(member == fails_with_member, np.nan, 0.0)
    training, test = Scores.of_runs(score, member).split(2, seed=0)
    with pytest.raises(InputError, match="with_failures"):
        test.auc()
    assert test.with_failures(training).auc().value == 1.0


def test_arrays_of_any_origin_are_taken_and_misfits_are_refused():
    entries = [1.0, 2.0], [False, True], [0, 1], [0, 0]
    assert Scores(*entries).auc().value == 1.0
    with pytest.raises(InputError, match="'member'"):
        Scores([1.0, 2.0], [True], [0, 1], [0, 0])
    with pytest.raises(InputError, match="of members and of non-members"):
        Scores([1.0], [True], [0], [0]).auc()
    with pytest.raises(InputError, match="fpr"):
        Scores(*entries).tpr_at_fpr(1.0)
