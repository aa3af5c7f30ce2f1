import numpy as np
import pandas as pd
import pytest
from made_people import SCHEMA, people
from scipy.optimize import lsq_linear

from dp_synth.attacks import reconstruction
from dp_synth.attacks.article_29 import Secret
from dp_synth.attacks.reconstruction import linear_reconstruction, reconstruct
from dp_synth.errors import InputError
from dp_synth.schema import Schema

MEMBERS, CONTROLS = people(200, 0), people(200, 1)
# A secret that no other column tells anything about: a fair coin.
FITTED = MEMBERS.assign(ill=np.random.default_rng(2).integers(0, 2, 200))
OTHERS = CONTROLS.assign(ill=np.random.default_rng(3).integers(0, 2, 200))


def test_a_copy_gives_every_bit_away_and_says_nothing_of_others():
    found = linear_reconstruction(FITTED, OTHERS, Secret("ill", SCHEMA, FITTED))
    assert found.attack.value > 0.95
    assert abs(found.control.value - 0.5) < 5 * (0.25 / 200) ** 0.5


@pytest.mark.filterwarnings("error")
def test_records_whose_cells_no_synthetic_one_shares_are_guessed_by_the_prior():
    columns = [{"name": name, "type": "ordinal", "size": 9} for name in ("a", "b")]
    columns.append({"name": "ill", "type": "ordinal", "size": 2})
    schema = Schema.from_dict({"name": "t", "columns": columns})
    synthetic = pd.DataFrame({"a": [1, 2], "b": [1, 2], "ill": [1, 0]})
    known = pd.DataFrame({"a": [5, 6, 7], "b": [5, 6, 7], "ill": [0, 1, 0]})
    found = reconstruct(known, Secret("ill", schema, synthetic), value=1)
    assert found.tolist() == [0.5, 0.5, 0.5]


def test_fresh_records_give_nothing_away():
    synthetic = people(200, 4).assign(ill=np.random.default_rng(5).integers(0, 2, 200))
    found = linear_reconstruction(FITTED, OTHERS, Secret("ill", SCHEMA, synthetic))
    assert abs(found.attack.value - 0.5) < 5 * (0.25 / 200) ** 0.5


def test_a_table_that_keeps_pairs_alone_still_tells_bits():
    # Shuffling within groups of equal town and secret keeps that pair and breaks all others.
    rng = np.random.default_rng(6)
    few = FITTED.assign(town=np.arange(200) % 8)
    shuffled = few.copy()
    for column in ("job", "age", "income", "grade"):
        values = np.empty(200, dtype=object)
        for _, rows in few.groupby(["town", "ill"]).indices.items():
            values[rows] = few[column].to_numpy(dtype=object)[rng.permutation(rows)]
        shuffled[column] = values
    secret = Secret("ill", SCHEMA, shuffled.astype({"income": float}))
    found = linear_reconstruction(few, OTHERS, secret, degree=2)
    assert found.attack.value > 0.5 + 5 * (0.25 / 200) ** 0.5


def test_the_bits_are_the_bounded_least_squares_ones(monkeypatch):
    rng = np.random.default_rng(0)
    from scipy.sparse import csr_array

    queries = csr_array((rng.random((60, 12)) < 0.3).astype(float))
    answers, weights = rng.random(60) * 3, rng.random(60) + 0.5
    monkeypatch.setattr(reconstruction, "ITERATIONS", 5000)
    bits = reconstruction._solve(queries, answers, weights, prior=0.4)
    root = np.sqrt(weights)[:, None]
    ridge = np.sqrt(reconstruction.PRIOR_WEIGHT) * np.eye(12)
    expected = lsq_linear(
        np.concatenate([queries.toarray() * root, ridge]),
        np.concatenate([answers * root[:, 0], np.full(12, 0.4 * ridge[0, 0])]),
        bounds=(0, 1),
        tol=1e-12,
    ).x
    np.testing.assert_allclose(bits, expected, atol=1e-4)


def test_likelihoods_lie_between_0_and_1_and_follow_the_records():
    secret = Secret("ill", SCHEMA, FITTED)
    found = reconstruct(FITTED, secret)
    assert (found.min() >= 0, found.max() <= 1) == (True, True)
    backwards = reconstruct(FITTED.iloc[::-1], secret)[::-1]
    np.testing.assert_allclose(found, backwards, atol=1e-9)
    other = reconstruct(FITTED, secret, value=0)
    np.testing.assert_allclose(found, 1 - other, atol=1e-9)


def test_empty_tables_are_no_obstacle():
    secret = Secret("ill", SCHEMA, FITTED)
    assert reconstruct(FITTED.head(0), secret).shape == (0,)
    nothing = Secret("ill", SCHEMA, FITTED.head(0))
    assert reconstruct(FITTED, nothing).tolist() == [0.5] * 200


def test_values_and_degrees_that_are_none_are_refused():
    secret = Secret("ill", SCHEMA, FITTED)
    with pytest.raises(InputError, match="value"):
        reconstruct(FITTED, secret, value=2)
    with pytest.raises(InputError, match="degree"):
        reconstruct(FITTED, secret, degree=4)


def test_a_table_of_two_columns_is_enough():
    schema = SCHEMA.select(["town", "ill"])
    frame = pd.DataFrame({"town": [0, 1, 2, 3] * 5, "ill": [0, 1, 0, 1] * 5})
    assert (reconstruct(frame, Secret("ill", schema, frame)) > 0.5).tolist() == [
        bool(bit) for bit in frame["ill"]
    ]
