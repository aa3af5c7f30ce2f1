import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import isolation, make_canary, rank_vulnerable, vulnerability
from dp_synth.errors import InputError
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [
            {"name": "id", "type": "id"},
            {"name": "a", "type": "categorical", "categories": ["u", "v", "w"]},
            {"name": "b", "type": "ordinal", "size": 3},
            {"name": "x", "type": "integer", "lower": 0, "upper": 9, "missing": ["?"]},
        ],
    }
)


def table(n, seed):
    rng = np.random.default_rng(seed)
    drawn = {"a": rng.choice(["u", "v"], n), "b": rng.integers(0, 3, n), "x": rng.integers(0, 5, n)}
    return pd.DataFrame({"id": np.arange(n), **drawn})


ODD = pd.DataFrame({"id": [99], "a": ["w"], "b": [1], "x": [9]})
FRAME = pd.concat([table(40, 0), ODD], ignore_index=True)


@pytest.mark.parametrize("method", ["isolation", "rarity", "leverage"])
def test_the_odd_one_out_comes_first(method):
    ranks = rank_vulnerable(FRAME, SCHEMA, method)
    assert ranks[0] == 40
    assert sorted(ranks) == list(range(41))
    values = vulnerability(FRAME, SCHEMA, method)
    assert (np.diff(values[ranks]) <= 0).all()


def test_isolation_leaves_the_record_itself_out():
    values = vulnerability(FRAME, SCHEMA, "isolation")
    for place in (0, 7, 40):
        others = FRAME.drop(index=place)
        expected = isolation(FRAME.iloc[[place]], SCHEMA, others)
        assert values[place] == pytest.approx(expected[0], abs=1e-5)


def test_rarity_and_leverage_count_records_like_it():
    rarity, leverage = (vulnerability(FRAME, SCHEMA, m) for m in ("rarity", "leverage"))
    for place, row in FRAME.iterrows():
        single = {name: (FRAME[name] == row[name]) for name in "abx"}
        assert rarity[place] == pytest.approx(-sum(np.log(s.mean()) for s in single.values()))
        pairs = [(single[p] & single[q]).sum() for p, q in ("ab", "ax", "bx")]
        assert leverage[place] == pytest.approx(np.mean([1 / count for count in pairs]))


@pytest.mark.parametrize("method", ["isolation", "rarity", "leverage"])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_small_tables_are_ranked_too(method, rows):
    assert sorted(rank_vulnerable(FRAME.head(rows), SCHEMA, method)) == list(range(rows))


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="isolation, rarity, leverage, got 'beauty'"):
        rank_vulnerable(FRAME, SCHEMA, "beauty")


def test_a_canary_has_the_last_values_or_the_rarest_of_a_reference():
    (canary,) = make_canary(SCHEMA).to_dict("records")
    assert canary == {"a": "w", "b": "2", "x": "?"}
    reference = pd.DataFrame({"id": range(4), "a": list("wwuv"), "b": [0, 0, 1, 2], "x": range(4)})
    (canary,) = make_canary(SCHEMA, reference.assign(x="?")).to_dict("records")
    assert canary == {"a": "v", "b": "2", "x": 9}


def test_a_canary_keeps_the_constraints():
    fields = SCHEMA.to_dict()
    never = [{"a": ["w"], "b": ["2"]}, {"b": ["1"], "x": {"from": 5}}]
    schema = Schema.from_dict({**fields, "constraints": [{"impossible": rule} for rule in never]})
    (canary,) = make_canary(schema).to_dict("records")
    assert (canary["a"], canary["b"]) == ("w", "1")
    assert canary["x"] == "?"
