import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import ATTACKS, AttackerView, split_pool
from dp_synth.audit import Roc
from dp_synth.datasets import load
from dp_synth.errors import InputError, SchemaError


@pytest.fixture(scope="module")
def game():
    data = load("adult")
    rng = np.random.default_rng(0)
    pool = split_pool(
        data.train.head(4000), data.schema, data.reference, members=500, isolated=100, rng=rng
    )
    return data, pool


@pytest.fixture(params=ATTACKS)
def attack(request):
    return ATTACKS[request.param]()


def roc_of(attack, synthetic, game):
    data, pool = game
    view = AttackerView(synthetic, data.schema, data.reference)
    return Roc(attack.scores(pool.members, view), attack.scores(pool.non_members, view))


def test_an_attack_is_listed_under_its_name(attack):
    assert isinstance(attack, ATTACKS[attack.name])


def test_scores_are_one_finite_number_a_target_and_repeat(attack, game):
    data, pool = game
    view = AttackerView(pool.non_members, data.schema, data.reference)
    before = pool.members.copy()
    scores = attack.scores(pool.members, view)
    assert scores.shape == (500,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(attack.scores(pool.members, view), scores)
    pd.testing.assert_frame_equal(pool.members, before)


def test_a_score_depends_on_its_own_target_only(attack, game):
    data, pool = game
    view = AttackerView(pool.non_members, data.schema, data.reference)
    scores = attack.scores(pool.members, view)
    np.testing.assert_array_equal(attack.scores(pool.members[100:110], view), scores[100:110])


def test_a_copy_of_the_members_is_found_out(attack, game):
    assert roc_of(attack, game[1].members, game).auc().low > 0.6


def test_fresh_records_give_nothing_away(attack, game):
    data, _ = game
    # Under the null an area of 500 against 500 has a standard deviation of at most 0.0183.
    assert abs(roc_of(attack, data.holdout.head(500), game).auc().value - 0.5) < 6 * 0.0183


def test_no_target_and_no_synthetic_record_are_no_obstacle(attack, game):
    data, pool = game
    view = AttackerView(pool.members.head(0), data.schema, data.reference)
    assert attack.scores(pool.members.head(0), view).shape == (0,)
    assert np.isfinite(attack.scores(pool.members, view)).all()


def test_a_missing_reference_is_named_where_it_is_needed(attack, game):
    data, pool = game
    view = AttackerView(pool.members, data.schema)
    if attack.needs_reference:
        with pytest.raises(InputError, match=f"{attack.name}.*reference"):
            attack.scores(pool.members, view)
    else:
        assert attack.scores(pool.members, view).shape == (500,)


def test_a_column_that_is_missing_is_named(attack, game):
    data, pool = game
    view = AttackerView(pool.members.drop(columns="education"), data.schema, data.reference)
    with pytest.raises(SchemaError, match="'education'"):
        attack.scores(pool.members, view)
