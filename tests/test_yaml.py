"""YAML texts are read with the line of each key; what is no finite tree is refused."""

import pytest

from dp_synth.readers import YamlFault, line_of, parse_yaml


def test_each_key_and_item_has_its_line():
    content, lines = parse_yaml("a:\n  - 1\n  - b: 2\nc: x\n")
    assert content == {"a": [1, {"b": 2}], "c": "x"}
    assert lines == {("a",): 1, ("a", "0"): 2, ("a", "1"): 3, ("a", "1", "b"): 3, ("c",): 4}
    assert [line_of(path, lines) for path in (["a", 1, "b"], ["c", "d"], ["e"])] == [3, 4, None]


def test_a_name_may_be_used_again_beside_itself():
    content, lines = parse_yaml("a: &x [1, 2]\nb: *x\nc: {<<: &y {d: 1}, d: 2}\n")
    assert content == {"a": [1, 2], "b": [1, 2], "c": {"d": 2}}
    assert lines[("b",)] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [*x]", "line 1: a part that has a name must not stand within itself"),
        ("a: 1\nb: &x {c: [{d: *x}]}", "line 2: a part that has a name must not stand within"),
        ("a: &x\n  <<: *x", "line 2: a part that has a name must not stand within itself"),
        ("a:\n  b: 1\n  b: 2", "line 3: the key 'b' stands twice"),
        ("? [a]\n: b", "line 1: a key must be a text"),
        ("a: 1\n--- \nb: 2", "line 2: but found another document"),
        ("a: 2020-13-45", "not a YAML text: month must be in 1..12"),
        ("a: \x00", "not a YAML text: "),
        ("[" * 5_000, "line 1: is nested more than 64 deep"),
        (
            "a0: &a0 [1, 1]\n"
            + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
            "stands for more than 300,000 keys and items",
        ),
    ],
)
def test_what_is_no_finite_tree_is_refused_in_one_line(text, said):
    with pytest.raises(YamlFault) as caught:
        parse_yaml(text)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
