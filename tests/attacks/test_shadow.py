import numpy as np
import pytest
from made_people import SCHEMA, fresh, people

from dp_synth.attacks.membership_game import MembershipGame, Played
from dp_synth.attacks.shadow import GroundhogFeatures, TargetedCounts, Together, shadow_scores
from dp_synth.errors import InputError
from dp_synth.metrics import Binning

REFERENCE, OTHERS, STAND_INS = people(300, 0), people(30, 1), people(50, 2)
TARGET = people(1, 3).assign(income=990.0, age="90", job="0")
COUNTS = TargetedCounts.of(TARGET, SCHEMA, REFERENCE)


def shuffled(members, seed):
    return members.sample(frac=1.0, random_state=seed % 2**32)


def played(generate, features, runs):
    game = MembershipGame(generate, TARGET, fixed=OTHERS, stand_ins=STAND_INS)
    return game.play(features, runs, seed=0)


def test_a_count_is_of_the_records_that_equal_the_target_on_the_columns():
    table = people(200, 4)
    codes = COUNTS.binning.codes(table)
    equal = codes == COUNTS.binning.codes(TARGET)
    places = [[j for j in range(6) if int(q) >> j & 1] for q in COUNTS.queries]
    expected = [equal[:, chosen].all(axis=1).mean() for chosen in places]
    np.testing.assert_allclose(COUNTS(table), expected)
    assert sorted(map(len, places)) == [1] * 6 + [2] * 15 + [3] * 20


@pytest.mark.parametrize(
    ("kind", "length"), [("naive", 18), ("histogram", None), ("correlations", 15)]
)
def test_summaries_of_tables_have_one_length_and_are_finite(kind, length):
    features = GroundhogFeatures(COUNTS.binning, kind)
    length = sum(COUNTS.binning.sizes) if length is None else length
    for table in (people(50, 5), people(0, 5), people(1, 5)):
        found = features(table)
        assert found.shape == (length,)
        assert np.isfinite(found).all()


def test_summaries_are_moments_shares_and_correlations():
    table = people(100, 6)
    codes = COUNTS.binning.codes(table)
    naive = GroundhogFeatures(COUNTS.binning, "naive")(table)
    np.testing.assert_allclose(naive, np.r_[codes.mean(0), np.median(codes, 0), codes.var(0)])
    pairs = GroundhogFeatures(COUNTS.binning, "correlations")(table)
    np.testing.assert_allclose(pairs, np.corrcoef(codes.T)[np.triu_indices(6, 1)])
    shares = GroundhogFeatures(COUNTS.binning, "histogram")(table)
    assert shares[: COUNTS.binning.sizes[0]].sum() == pytest.approx(1)


@pytest.mark.parametrize("classifier", ["forest", "logistic"])
def test_a_copied_target_is_found_and_a_stranger_to_it_finds_nothing(classifier):
    leaky = shadow_scores(played(shuffled, COUNTS, 60), range(30), classifier=classifier)
    assert leaky.auc().value > 0.9
    blind = shadow_scores(played(fresh, COUNTS, 60), range(30), classifier=classifier)
    inside, outside = len(blind.of_members), len(blind.of_non_members)
    deviation = ((inside + outside + 1) / 12 / inside / outside) ** 0.5
    assert abs(blind.auc().value - 0.5) < 6 * deviation


def test_features_stand_side_by_side():
    parts = (COUNTS, GroundhogFeatures(COUNTS.binning, "naive"))
    table = people(20, 7)
    np.testing.assert_array_equal(
        Together(parts)(table), np.concatenate([part(table) for part in parts])
    )
    other = GroundhogFeatures(Binning.from_frame(SCHEMA, OTHERS), "naive")
    with pytest.raises(InputError, match="share one binning"):
        Together((COUNTS, other))


def test_training_runs_are_not_scored_and_failed_runs_stay_undecided():
    runs = played(fresh, COUNTS, 20)
    seen = (None, *runs.seen[1:19], None)
    holed = Played(runs.member, seen, runs.failures, runs.seconds, runs.seeds)
    scores = shadow_scores(holed, range(12))
    assert scores.run.tolist() == list(range(12, 20))
    assert np.isnan(scores.score).tolist() == [False] * 7 + [True]


def test_training_runs_of_one_world_and_targets_apart_are_refused():
    runs = played(fresh, COUNTS, 12)
    of_one_world = np.flatnonzero(runs.member[:, 0])
    with pytest.raises(InputError, match="with the target and without"):
        shadow_scores(runs, of_one_world)
    many = MembershipGame(fresh, OTHERS).play(COUNTS, 6, seed=0)
    with pytest.raises(InputError, match="one target"):
        shadow_scores(many, range(3))
    with pytest.raises(InputError, match="one target at a time"):
        TargetedCounts.of(OTHERS, SCHEMA, REFERENCE)
