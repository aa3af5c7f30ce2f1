"""A schema can be a key, whatever stands in it."""

from dp_synth.schema import Schema

COLUMNS = [
    {"name": "a", "type": "categorical", "categories": ["x", "y"]},
    {"name": "b", "type": "categorical", "categories": ["x", "y"]},
]
CONSTRAINTS = [{"impossible": {"a": ["x"], "b": ["y"]}}]


def test_schemas_that_say_the_same_are_one_key_and_others_are_not():
    first, again = (
        Schema.from_dict({"name": "t", "columns": COLUMNS, "constraints": CONSTRAINTS})
        for _ in range(2)
    )
    other = Schema.from_dict({"name": "t", "columns": COLUMNS})
    assert {first: 1, again: 2, other: 3} == {first: 2, other: 3}
