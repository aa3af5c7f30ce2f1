"""Singling out, linkability and inference: the three criteria of the Article 29 opinion."""

import numpy as np
import pandas as pd
import pytest
from made_people import SCHEMA, people

from dp_synth.attacks import neighbours
from dp_synth.attacks.article_29 import (
    GUESSES,
    MULTIVARIATE,
    UNIVARIATE,
    Guessing,
    Predicates,
    Secret,
    attribute_inference,
    chance_of_link,
    guess_bayes,
    guessed,
    linkability,
    linked,
    random_predicates,
    singling_out,
)
from dp_synth.attacks.distance import MISSING, Points, nearest
from dp_synth.errors import InputError
from dp_synth.schema import Schema

MEMBERS, CONTROLS, FRESH = people(300, 0), people(300, 1), people(300, 2)
SECRET = Secret("ill", SCHEMA, MEMBERS)
ATTACKS = {
    "univariate": lambda synthetic: singling_out(
        MEMBERS, CONTROLS, synthetic, SCHEMA, guessing=UNIVARIATE
    ),
    "multivariate": lambda synthetic: singling_out(
        MEMBERS, CONTROLS, synthetic, SCHEMA, guessing=Guessing(predicates=500)
    ),
    "linkability": lambda synthetic: linkability(MEMBERS, CONTROLS, synthetic, SCHEMA),
    "nearest": lambda synthetic: attribute_inference(
        MEMBERS, CONTROLS, Secret("ill", SCHEMA, synthetic)
    ),
    "predictor": lambda synthetic: attribute_inference(
        MEMBERS, CONTROLS, Secret("ill", SCHEMA, synthetic), method="predictor"
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_copy_of_the_members_is_found_out(name):
    assert ATTACKS[name](MEMBERS).risk.low > 0.15


@pytest.mark.parametrize("name", ATTACKS)
def test_fresh_records_give_nothing_away(name):
    found = ATTACKS[name](FRESH)
    # Predicates of one table share records: a fifth of 500 is a safe number of independent ones.
    trials = 100 if name == "multivariate" else len(MEMBERS)
    spread = 2 * 0.25 / trials
    assert abs(found.attack.value - found.control.value) < 5 * spread**0.5


def slow_count(predicates, place, points):
    holds = np.ones(len(points.values), dtype=bool)
    for column, low, high in zip(
        predicates.columns[place], predicates.low[place], predicates.high[place], strict=True
    ):
        holds &= (points.values[:, column] >= low) & (points.values[:, column] <= high)
    return holds.sum()


@pytest.mark.parametrize("guessing", [UNIVARIATE, Guessing(3, 200), Guessing(2, 150)])
def test_guessed_predicates_hold_for_one_synthetic_record_each(guessing):
    points = Points.of(FRESH, SCHEMA)
    found = guessed(points, guessing, np.random.default_rng(0))
    assert 20 < len(found) <= guessing.predicates
    assert (found.counts(points) == 1).all()
    assert [slow_count(found, i, points) for i in range(20)] == [1] * 20
    assert len(found.distinct()) == len(found)


def test_columns_take_turns_so_that_none_crowds_out_the_others():
    frame = FRESH.assign(grade=[4, *[0] * 299], town=[7, *[0] * 299])
    found = guessed(Points.of(frame, SCHEMA), Guessing(1, 12), np.random.default_rng(0))
    # Of 300 incomes every one is rare; of grades and towns one each.
    assert set(found.columns[:, 0]) >= {1, 3, 4}


def test_a_missing_number_is_a_value_of_its_own_and_below_no_bound():
    frame = FRESH.assign(age=["", *["30"] * 299])
    points = Points.of(frame, SCHEMA)
    assert points.values[0, 2] == MISSING
    wide = Predicates(np.array([[2]]), np.array([[-1e299]]), np.array([[np.inf]]))
    assert wide.counts(points).tolist() == [299]
    only = Predicates(np.array([[2]]), np.array([[MISSING]]), np.array([[MISSING]]))
    assert only.counts(points).tolist() == [1]


def test_random_predicates_know_public_facts_alone():
    rng = np.random.default_rng
    one = random_predicates(Points.of(FRESH, SCHEMA), MULTIVARIATE, rng(0))
    other = random_predicates(Points.of(FRESH.head(0), SCHEMA), MULTIVARIATE, rng(0))
    np.testing.assert_array_equal(one.low, other.low)
    assert len(one) == 2000


def test_tables_of_different_size_are_cut_to_one():
    risk = singling_out(MEMBERS, CONTROLS.head(100), FRESH, SCHEMA, guessing=Guessing(3, 500))
    assert abs(risk.attack.value - risk.control.value) < 5 * (0.5 / 100) ** 0.5
    swapped = singling_out(MEMBERS.head(100), CONTROLS, FRESH, SCHEMA, guessing=Guessing(3, 500))
    assert abs(swapped.attack.value - risk.control.value) < 5 * (0.5 / 100) ** 0.5


def test_no_synthetic_record_is_no_obstacle():
    assert singling_out(MEMBERS, CONTROLS, FRESH.head(0), SCHEMA).attack.high == 1.0
    assert linkability(MEMBERS, CONTROLS, FRESH.head(0), SCHEMA).attack.value == 0.0
    with pytest.raises(InputError, match="must have records"):
        attribute_inference(MEMBERS, CONTROLS, Secret("ill", SCHEMA, FRESH.head(0)))


def test_a_guess_of_nothing_is_refused():
    with pytest.raises(InputError, match="1 or more"):
        Guessing(columns=0)


@pytest.fixture(params=[neighbours.FEW_PAIRS, -1], ids=["all pairs", "runs"])
def each_way(request, monkeypatch):
    monkeypatch.setattr(neighbours, "FEW_PAIRS", request.param)


def test_the_nearest_records_are_those_of_a_slow_search(each_way):
    few, many = Points.of(MEMBERS.head(20), SCHEMA), Points.of(FRESH, SCHEMA)
    found = nearest(few, many, 3, np.random.default_rng(0))
    for row, chosen in enumerate(found):
        distance = np.zeros(len(FRESH))
        for place, span in ((0, 0), (1, 0), (2, 72), (3, 1000), (4, 4), (5, 0)):
            mine, theirs = few.values[row, place], many.values[:, place]
            if not span:
                distance += mine != theirs
                continue
            apart = np.where((mine == MISSING) == (theirs == MISSING), 0.0, 1.0)
            both = (mine != MISSING) & (theirs != MISSING)
            distance += np.where(both, np.abs(mine - theirs) / span, apart)
        np.testing.assert_allclose(distance[chosen], np.sort(distance)[:3], atol=1e-5)


def test_equal_records_are_found_in_an_order_of_chance(each_way):
    same = Points.of(pd.concat([MEMBERS.head(1)] * 50), SCHEMA)
    found = nearest(same, same, 1, np.random.default_rng(0))
    assert len(np.unique(found)) > 10


def test_halves_of_a_copied_record_meet_where_it_is_unlike_others():
    halves = (("income", "town"), ("age", "job", "grade"))
    unlike = pd.DataFrame(
        {
            "job": [str(i) for i in range(5)],
            "town": range(5),
            "age": ["20", "30", "40", "50", "60"],
            "income": [0.0, 200.0, 400.0, 600.0, 800.0],
            "grade": range(5),
            "ill": [0] * 5,
        }
    )
    assert linked(unlike, unlike, SCHEMA, halves, rng=np.random.default_rng(0)).all()
    assert chance_of_link(5, 2) == pytest.approx(0.7)
    assert (chance_of_link(3, 5), chance_of_link(0, 1)) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("halves", "message"),
    [((["age"], ["age"]), "share none"), ((["age"], []), "share none"), ((["x"], ["age"]), "'x'")],
)
def test_halves_that_are_none_are_refused(halves, message):
    with pytest.raises(InputError, match=message):
        linkability(MEMBERS, CONTROLS, FRESH, SCHEMA, halves=halves)


def test_pairs_find_what_a_column_says_about_the_secret():
    rng = np.random.default_rng(0)
    frame = MEMBERS.assign(town=rng.integers(0, 2, 300))
    frame["ill"] = np.where(rng.random(300) < 0.9, frame["town"], 1 - frame["town"])
    found = guess_bayes(frame, Secret("ill", SCHEMA, frame))
    assert np.mean(found == frame["town"]) > 0.95


@pytest.mark.parametrize("method", GUESSES)
def test_a_secret_number_is_guessed_to_a_tenth(method):
    secret = Secret("income", SCHEMA, MEMBERS)
    assert secret.size == 10
    found = attribute_inference(MEMBERS, CONTROLS, secret, method=method)
    assert found.baseline == pytest.approx(0.1, abs=0.03)
    assert found.attack.value > found.control.value


def test_a_secret_that_is_none_is_refused():
    with pytest.raises(InputError, match="'x' is no attribute"):
        Secret("x", SCHEMA, MEMBERS)
    with pytest.raises(InputError, match="another one"):
        Secret("ill", SCHEMA.select(["ill"]), MEMBERS)
    with pytest.raises(InputError, match="method"):
        attribute_inference(MEMBERS, CONTROLS, SECRET, method="magic")


def test_one_known_column_and_one_value_are_enough():
    schema = Schema.select(SCHEMA, ["town", "ill"])
    constant = Secret("ill", schema, MEMBERS.assign(ill=1))
    for method in GUESSES:
        assert attribute_inference(MEMBERS, CONTROLS, constant, method=method).attack.high <= 1
