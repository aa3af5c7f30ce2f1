from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks import ATTACKS, AttackerView, split_pool
from dp_synth.audit import Roc
from dp_synth.datasets import load
from dp_synth.errors import InputError, SchemaError
from dp_synth.synthesizers import MST, PrivBayes
from dp_synth.transcript import MarginalAnswer


@pytest.fixture(scope="module")
def game():
    data = load("adult")
    data = replace(data, reference=data.reference.head(1500))
    rng = np.random.default_rng(0)
    pool = split_pool(
        data.train.head(4000), data.schema, data.reference, members=500, isolated=100, rng=rng
    )
    return data, pool


@pytest.fixture(params=ATTACKS)
def attack(request):
    return ATTACKS[request.param]()


def view_of(synthetic, data):
    """A view of a table, of exact counts of its pairs of neighbouring columns, and of a method."""
    codes, domain = data.schema.encode(synthetic), data.schema.domain
    transcript = []
    for axis, clique in enumerate(pairwise(domain)):
        counts = np.zeros(domain.shape(clique))
        np.add.at(counts, tuple(codes[:, [axis, axis + 1]].T), 1)
        transcript.append(MarginalAnswer("pairs", "a pair", clique, counts, 0.1, {}))
    return AttackerView(
        synthetic,
        data.schema,
        data.reference,
        synthesizer=MST(),
        budget=PrivacyBudget(1000, 1e-6),
        transcript=tuple(transcript),
    )


def roc_of(attack, synthetic, game):
    data, pool = game
    view = view_of(synthetic, data)
    return Roc(attack.scores(pool.members, view), attack.scores(pool.non_members, view))


def test_an_attack_is_listed_under_its_name(attack):
    assert isinstance(attack, ATTACKS[attack.name])


def test_scores_are_one_finite_number_a_target_and_repeat(attack, game):
    data, pool = game
    view = view_of(pool.non_members, data)
    before = pool.members.copy()
    scores = attack.scores(pool.members, view)
    assert scores.shape == (500,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(attack.scores(pool.members, view), scores)
    pd.testing.assert_frame_equal(pool.members, before)


def test_a_score_depends_on_its_own_target_only(attack, game):
    data, pool = game
    view = view_of(pool.non_members, data)
    scores = attack.scores(pool.members, view)
    # Products of matrices may round differently by their sizes.
    few = attack.scores(pool.members[100:110], view)
    np.testing.assert_allclose(few, scores[100:110], rtol=1e-9, atol=1e-9)


def test_a_copy_of_the_members_is_found_out(attack, game):
    # A mean over the nearest five sees the copy as one of five.
    least = 0.55 if attack.name == "nearest_records" else 0.6
    assert roc_of(attack, game[1].members, game).auc().low > least


def test_fresh_records_give_nothing_away(attack, game):
    data, _ = game
    # Under the null an area of 500 against 500 has a standard deviation of at most 0.0183.
    assert abs(roc_of(attack, data.holdout.head(500), game).auc().value - 0.5) < 6 * 0.0183


def test_no_target_and_no_synthetic_record_are_no_obstacle(attack, game):
    data, pool = game
    view = view_of(pool.members.head(0), data)
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


PARTS = ("reference", "transcript", "synthesizer", "budget", "algorithm", "records")


def without(view, parts):
    return replace(view, **dict.fromkeys(parts))


def test_an_attack_needs_and_uses_what_it_says_and_no_more(attack, game):
    data, pool = game
    attack = replace(attack, runs=2) if hasattr(attack, "runs") else attack
    known = {"synthesizer": PrivBayes(degree=1), "budget": PrivacyBudget(1, 1e-6), "records": 300}
    known |= {"algorithm": "privbayes"}
    whole = replace(view_of(pool.members.head(200), data), **known)
    said = {*attack.needs(), *attack.uses}
    said |= {"budget", "algorithm"} if "synthesizer" in said else set()
    view = without(whole, [part for part in PARTS if part not in said])

    targets = pool.members.head(50)
    scores = attack.scores(targets, view)
    np.testing.assert_array_equal(attack.scores(targets, whole), scores)
    for part in attack.uses:
        assert not np.allclose(attack.scores(targets, without(view, [part])), scores), part
    for part in attack.needs()[1:]:
        with pytest.raises(InputError, match=f"{attack.name!r} needs a .*{part}"):
            attack.scores(targets, without(view, [part]))


def test_a_missing_transcript_is_named_where_it_is_needed(game):
    data, pool = game
    view = AttackerView(pool.members, data.schema, data.reference)
    with pytest.raises(InputError, match=r"transcript_ratio.*needs a release's transcript"):
        ATTACKS["transcript_ratio"]().scores(pool.members, view)


@pytest.mark.parametrize("missing_in", ["targets", "synthetic"])
def test_a_column_that_is_missing_is_named(attack, game, missing_in):
    data, pool = game
    short = pool.members.drop(columns="education")
    targets, synthetic = pool.members, pool.members
    if missing_in == "targets" or attack.needs_transcript:  # which does without synthetic rows
        targets = short
    else:
        synthetic = short
    view = replace(view_of(pool.members, data), synthetic=synthetic)
    with pytest.raises(SchemaError, match="'education'"):
        attack.scores(targets, view)


def test_an_attack_says_what_it_needs_and_what_it_measures(attack):
    assert attack.needs()[0] == "synthetic"
    assert ("reference" in attack.needs()) == attack.needs_reference
    by_distance = {"closest_record", "nearest_records", "records_within_radius"}
    similar = attack.measures == "similarity, not privacy"
    assert similar == (attack.name in by_distance | {"distance_difference"})
