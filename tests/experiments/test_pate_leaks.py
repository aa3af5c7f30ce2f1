"""The leaks that are planted in votes of teachers still reach what they are planted in."""

from __future__ import annotations

import pytest
from experiments.what_leaks_buy import pate_leaks


@pytest.mark.parametrize("leak", pate_leaks.LEAKS)
def test_votes_with_a_planted_leak_are_as_many_as_are_asked(leak: str) -> None:
    wins = [pate_leaks._wins(pate_leaks.LEAKS[leak], world, run=0) for world in (0, 1)]
    assert all(0 <= won <= pate_leaks.TOY_VOTES for won in wins)


def test_a_leak_that_asks_again_gives_the_planted_record_away() -> None:
    votes = pate_leaks.UnchargedVotes
    apart = [pate_leaks._wins(votes, 1, run) - pate_leaks._wins(votes, 0, run) for run in range(8)]
    assert sum(apart) > 0
