import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from dp_synth.attacks import isolation, split_pool
from dp_synth.errors import InputError
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [
            {"name": "id", "type": "id"},
            {"name": "x", "type": "real", "lower": 0, "upper": 1},
        ],
    }
)
RNG = np.random.default_rng(0)
REFERENCE = pd.DataFrame({"id": range(-50, 0), "x": RNG.random(50) / 2})
FRAME = pd.DataFrame({"id": range(100), "x": RNG.random(100)}, index=range(500, 600))


def pool_of(seed=0, members=20, isolated=10):
    rng = np.random.default_rng(seed)
    return split_pool(FRAME, SCHEMA, REFERENCE, members=members, isolated=isolated, rng=rng)


def test_members_and_non_members_are_disjoint_records_of_the_frame():
    pool = pool_of()
    ids = [*pool.members["id"], *pool.non_members["id"]]
    assert (len(pool.members), len(pool.non_members)) == (20, 20)
    assert len(set(ids)) == 40
    assert set(ids) <= set(FRAME["id"])
    assert pool.members["x"].tolist() == FRAME.set_index("id")["x"][pool.members["id"]].tolist()


def test_the_most_isolated_records_are_in_the_pool_and_flagged():
    pool = pool_of()
    order = np.argsort(-isolation(FRAME, SCHEMA, REFERENCE))
    flagged = [
        *pool.members["id"][pool.member_isolated],
        *pool.non_members["id"][pool.non_member_isolated],
    ]
    assert set(flagged) == set(FRAME["id"].to_numpy()[order[:10]])


def test_membership_is_a_fair_coin_for_isolated_records_and_others():
    isolated = sum(pool_of(seed).member_isolated.sum() for seed in range(100))
    # Less spread out than 1,000 coins, as the halves have equal size.
    low, high = binom.ppf([1e-7, 1 - 1e-7], 1000, 0.5)
    assert low < isolated < high
    always = FRAME["id"].to_numpy()[np.argmax(isolation(FRAME, SCHEMA, REFERENCE))]
    times = sum(always in set(pool_of(seed).members["id"]) for seed in range(100))
    low, high = binom.ppf([1e-7, 1 - 1e-7], 100, 0.5)
    assert low < times < high


def test_the_same_generator_state_gives_the_same_pool():
    assert pool_of(3).members.equals(pool_of(3).members)
    assert not pool_of(3).members.equals(pool_of(4).members)


def test_a_pool_of_the_whole_table_and_one_without_isolated_records_exist():
    whole = pool_of(members=50, isolated=100)
    assert whole.member_isolated.all()
    assert whole.non_member_isolated.all()
    assert not pool_of(isolated=0).member_isolated.any()


@pytest.mark.parametrize(("members", "isolated"), [(0, 0), (10, 21), (10, -1)])
def test_a_pool_that_cannot_be_is_refused(members, isolated):
    with pytest.raises(InputError, match="between 0 and 2 x members"):
        pool_of(members=members, isolated=isolated)


def test_a_short_table_is_refused_without_its_length():
    with pytest.raises(InputError, match="at least 102 records") as raised:
        pool_of(members=51)
    assert "100" not in str(raised.value)
