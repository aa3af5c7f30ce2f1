"""Some of the lists of experiments/certified-epsilon: never below the truth, hardly above it."""

from __future__ import annotations

import pytest
from experiments.certified_epsilon.run import Case, cases, measured

EVERY = list(cases())
CHOSEN = [4, 7, 20, 50, 70, 85, 110, 120, 144, 150, 190]


def test_there_are_two_hundred_lists() -> None:
    assert len(EVERY) == 200


@pytest.mark.parametrize("case", [EVERY[place] for place in CHOSEN], ids=map(str, CHOSEN))
def test_an_interval_holds_the_reference_and_its_upper_end_is_tight(case: Case) -> None:
    found = measured(case, (1e-6, 1e-12))
    assert not any(each.is_wrong for each in found)
    assert all(each.above <= 1e-6 for each in found)


def test_a_smaller_bound_would_be_told() -> None:
    case = EVERY[4]
    for each in measured(case, (1e-9,)):
        assert -each.own <= each.above < 1e-9
        assert each.own < 1e-9
