"""Hidden columns are guessed together, and what is memorised is told from what is learned."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from made_people import SCHEMA, people

from dp_synth.attacks import BeliefPropagation, HiddenColumns, belief_reconstruction
from dp_synth.attacks.belief_propagation import BELIEFS, dependence_tree, log_ratios, propagate
from dp_synth.attacks.registry import attacked_tables
from dp_synth.errors import InputError
from dp_synth.schema import Schema

MEMBERS, CONTROLS = people(300, 1), people(300, 2)
HIDDEN = ("ill", "town", "income")


def test_messages_on_a_tree_give_the_marginals_of_all_combinations():
    rng = np.random.default_rng(0)
    sizes, edges = (2, 3, 4, 2), [(0, 1), (2, 1)]  # the last column stands alone
    logs = [np.log(rng.dirichlet(np.ones(size), 5)) for size in sizes]
    pairs = [rng.normal(size=(5, sizes[a], sizes[b])) for a, b in edges]
    joint = np.zeros((5, *sizes))
    for values in product(*(range(size) for size in sizes)):
        total = sum(one[:, value] for one, value in zip(logs, values, strict=True))
        for (a, b), table in zip(edges, pairs, strict=True):
            total = total + table[:, values[a], values[b]]
        joint[(slice(None), *values)] = np.exp(total)
    joint /= joint.sum(axis=(1, 2, 3, 4), keepdims=True)
    for place, found in enumerate(propagate(logs, edges, pairs)):
        others = tuple(axis + 1 for axis in range(4) if axis != place)
        np.testing.assert_allclose(np.exp(found), joint.sum(axis=others), rtol=1e-10)


def test_the_tree_joins_what_depends_most_and_leaves_wide_columns_alone():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 3, 2000)
    near = np.where(rng.random(2000) < 0.9, first, rng.integers(0, 3, 2000))
    far = np.where(rng.random(2000) < 0.7, near, rng.integers(0, 3, 2000))
    values = np.stack([far, first, near, rng.integers(0, 51, 2000)], axis=1)
    assert set(dependence_tree(values, (3, 3, 3, 51))) == {(1, 2), (0, 2)}


def test_log_ratios_are_of_counts_against_independence():
    pairs = np.array([[[0, 0], [0, 0], [1, 1], [1, 0]]])
    settings = BeliefPropagation(smoothing=0.5)
    expected = np.log((np.array([[2, 0], [1, 1]]) + 0.5) / (np.array([[1.5, 0.5]] * 2) + 0.5))
    np.testing.assert_allclose(log_ratios(pairs, (2, 2), settings)[0], expected)


def test_pairs_correct_what_forests_cannot_see():
    # Two hidden bits are equal; what is known says much of one and nothing of the other.
    rng = np.random.default_rng(2)
    schema = Schema.from_dict(
        {
            "name": "t",
            "columns": [
                {"name": name, "type": "categorical", "size": 2} for name in ("known", "a", "b")
            ],
        }
    )

    def table(records):
        known = rng.integers(0, 2, records)
        a = np.where(rng.random(records) < 0.9, known, 1 - known)
        return pd.DataFrame({"known": known, "a": a, "b": a})

    hidden = HiddenColumns(("a", "b"), schema, table(2000))
    beliefs = BeliefPropagation().beliefs(table(200), hidden)
    # Both name the same value, with as much belief.
    np.testing.assert_array_equal(beliefs[0].argmax(axis=1), beliefs[1].argmax(axis=1))
    alone = BeliefPropagation(smoothing=1e12).beliefs(table(200), hidden)
    assert np.exp(beliefs[0]).max(axis=1).mean() > np.exp(alone[0]).max(axis=1).mean()


def test_copies_are_memorised_and_fresh_records_are_not():
    copied = belief_reconstruction(MEMBERS, CONTROLS, HiddenColumns(HIDDEN, SCHEMA, MEMBERS))
    assert copied.memorisation.low > 0.3
    assert copied.attack.value > copied.control.value > 0.25
    fresh = belief_reconstruction(MEMBERS, CONTROLS, HiddenColumns(HIDDEN, SCHEMA, people(1000, 3)))
    # A share of three guesses has a standard deviation of 0.5 at most: 0.041 of a difference.
    assert abs(fresh.memorisation.value) < 5 * 0.041


def test_a_guess_depends_on_its_own_target_only():
    hidden = HiddenColumns(HIDDEN, SCHEMA, people(400, 5))
    attack = BeliefPropagation(seed=3)
    whole = attack.guess(MEMBERS, hidden)
    assert whole.shape == (300, 3)
    few = attack.beliefs(MEMBERS[:20], hidden)
    for one, other in zip(few, attack.beliefs(MEMBERS, hidden), strict=True):
        # Among neighbours at equal distance chance decides, for each target anew.
        assert np.mean(np.abs(one - other[:20]) < 1.0) > 0.9
    assert attack.guess(MEMBERS.head(0), hidden).shape == (0, 3)


def test_one_hidden_column_one_value_and_few_rows_are_enough():
    constant = people(5, 6).assign(ill=1)
    for columns in (("ill",), ("ill", "town")):
        hidden = HiddenColumns(columns, SCHEMA, constant)
        assert (BeliefPropagation().guess(MEMBERS, hidden)[:, 0] == 1).all()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ((), "one or more"),
        (("ill", "ill"), "each named once"),
        (("x",), "'x' is no attribute"),
        (tuple(SCHEMA.names), "one other must be known"),
    ],
)
def test_columns_that_cannot_be_hidden_are_refused(columns, said):
    with pytest.raises(InputError, match=said):
        HiddenColumns(columns, SCHEMA, MEMBERS)


def test_without_synthetic_rows_nothing_is_guessed():
    with pytest.raises(InputError, match="must have records"):
        BeliefPropagation().guess(MEMBERS, HiddenColumns(HIDDEN, SCHEMA, MEMBERS.head(0)))


def test_the_guess_of_reports_hides_the_secret_and_half_of_the_others():
    tables = attacked_tables(MEMBERS, CONTROLS, MEMBERS, SCHEMA)
    assert BELIEFS.run(tables).memorisation.low > 0.2
    alone = SCHEMA.select(["ill"])
    assert BELIEFS.run(attacked_tables(MEMBERS, CONTROLS, MEMBERS, alone)) is None
