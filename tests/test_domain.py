"""Domains: names, sizes and orders that fit together."""

from __future__ import annotations

import pytest

from dp_synth.domain import Domain

DOMAIN = Domain(("age", "sex", "job"), (85, 2, 9), (84, 0, 0))


def test_a_domain_is_its_attributes_in_order() -> None:
    assert list(DOMAIN) == ["age", "sex", "job"]
    assert len(DOMAIN) == 3
    assert "sex" in DOMAIN
    assert "wage" not in DOMAIN
    assert DOMAIN.axis("job") == 2
    assert DOMAIN.size("job") == 9


def test_shapes_follow_the_order_of_the_clique() -> None:
    assert DOMAIN.shape(("job", "age")) == (9, 85)
    assert DOMAIN.cells(("job", "age")) == 765
    assert DOMAIN.shape(()) == ()
    assert DOMAIN.cells(()) == 1


def test_cells_are_counted_without_overflow() -> None:
    many = Domain(tuple(f"a{i}" for i in range(40)), (1000,) * 40)
    assert many.cells(many) == 10**120


def test_an_unknown_attribute_is_named_beside_the_known_ones() -> None:
    with pytest.raises(KeyError, match="no attribute 'wage'; there are age, sex, job"):
        DOMAIN.size("wage")


def test_resized_attributes_lose_their_order_and_the_others_keep_it() -> None:
    assert DOMAIN.resized({"sex": 1}) == Domain(("age", "sex", "job"), (85, 1, 9), (84, 0, 0))
    assert DOMAIN.resized({"age": 4}) == Domain(("age", "sex", "job"), (4, 2, 9), (0, 0, 0))


def test_an_order_is_none_unless_it_is_given() -> None:
    assert Domain(("a", "b"), (2, 3)).ordered == (0, 0)


@pytest.mark.parametrize(
    ("attributes", "sizes", "ordered", "message"),
    [
        (("a", "b"), (2,), (), "2 attributes but 1 sizes"),
        (("a", "b"), (2, 2), (1,), "and 1 orders"),
        (("a", "a"), (2, 2), (), "must be distinct"),
        (("a", "b"), (2, 0), (), "'b' must have at least one code, got 0"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    attributes: tuple[str, ...], sizes: tuple[int, ...], ordered: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Domain(attributes, sizes, ordered)
