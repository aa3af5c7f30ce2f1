"""Domains: names, sizes and orders that fit together."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.domain import Domain, Support

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
    with pytest.raises(KeyError, match=r"no attribute 'wage'; .* there are: age, sex, job"):
        DOMAIN.size("wage")


def test_groups_keep_their_order_only_where_they_are_runs_of_ordered_codes() -> None:
    runs = np.array([*np.repeat(np.arange(12), 7), 12], dtype=np.int32)
    shuffled = np.array([*range(1, 84), 0, 84], dtype=np.int32)
    for group, ordered in ((runs, 12), (shuffled, 0)):
        coarse = DOMAIN.coarsened({"age": group})
        assert coarse == Domain(DOMAIN.attributes, (int(group.max()) + 1, 2, 9), (ordered, 0, 0))


def test_a_group_can_occur_where_one_of_its_codes_can() -> None:
    mask = np.array([[True, False], [False, False], [False, True]])
    domain = Domain(("a", "b"), (3, 2), supports=(Support.of(("a", "b"), mask),))
    coarse = domain.coarsened({"a": np.array([0, 0, 1], dtype=np.int32)})
    assert coarse.supports[0].mask((2, 2)).tolist() == [[True, False], [False, True]]
    assert len(set(domain.alike("a").tolist())) == 3
    assert domain.alike("b").tolist() == [1, 0]
    assert Domain(("a",), (3,)).alike("a").tolist() == [0, 0, 0]


def test_an_order_is_none_unless_it_is_given() -> None:
    assert Domain(("a", "b"), (2, 3)).ordered == (0, 0)


@pytest.mark.parametrize(
    ("attributes", "sizes", "ordered", "message"),
    [
        (("a", "b"), (2,), (), "2 attributes but 1 sizes"),
        (("a", "b"), (2, 2), (1,), "1 orders"),
        (("a", "a"), (2, 2), (), "must be distinct"),
        (("a", "b"), (2, 0), (), "'b' must have at least one code, got 0"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    attributes: tuple[str, ...], sizes: tuple[int, ...], ordered: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Domain(attributes, sizes, ordered)
