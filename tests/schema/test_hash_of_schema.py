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


def test_no_order_of_conditions_and_no_sign_of_zero_makes_another_key():
    number = {"name": "n", "type": "real", "upper": 1}
    schemas = [
        Schema.from_dict(
            {
                "name": "t",
                "columns": [*COLUMNS, number | {"lower": lower}],
                "constraints": [{"impossible": conditions}],
            }
        )
        for conditions, lower in (
            ({"a": ["x"], "b": ["y"]}, 0.0),
            ({"b": ["y"], "a": ["x"]}, -0.0),
        )
    ]
    assert schemas[0] == schemas[1]
    assert len(set(schemas)) == 1
