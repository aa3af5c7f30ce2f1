"""Which joint tables to count when several marginals are asked for at once.

A small marginal is a sum over a larger table, and that table may cost less to count than all the
marginals that it contains. Going over the records is what costs; the larger they are, the larger
the tables that pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Axes = tuple[int, ...]  # positions of the attributes of a clique

LEAST_LINES = 20_000  # below, the search costs more than it saves
MOST_CELLS = 2**17  # of a shared table: what stays in a core's cache
MOST_OPEN = 32  # tables that a clique may join: the search grows with it

# Nanoseconds on a common core, good to a factor of two, which is all that the choice needs.
PER_LINE, PER_LINE_AND_AXIS, PER_CELL = 1.0, 0.5, 1.0


@dataclass(frozen=True)
class Cover:
    """A table to count, and the positions of the cliques that are summed from it."""

    axes: Axes
    members: tuple[int, ...]


@dataclass
class _Draft:
    axes: set[int]
    cells: int
    members: list[int]


def cover(cliques: Sequence[Axes], sizes: Sequence[int], lines: int) -> list[Cover]:
    """Return tables from which each clique can be summed, at little cost for so many lines.

    Greedy, the largest cliques first: each joins the table that it makes least more expensive,
    or opens its own.

    >>> cover([(0, 1), (1, 2), (0, 2)], sizes=(5, 5, 5), lines=1_000_000)
    [Cover(axes=(0, 1, 2), members=(0, 1, 2))]
    """
    if lines < LEAST_LINES:
        return [Cover(clique, (position,)) for position, clique in enumerate(cliques)]
    cells = [prod(sizes[axis] for axis in clique) for clique in cliques]
    drafts: list[_Draft] = []
    for position in sorted(range(len(cliques)), key=lambda i: -cells[i]):
        clique = cliques[position]
        alone = lines * (PER_LINE + PER_LINE_AND_AXIS * len(clique)) + PER_CELL * cells[position]
        _join(drafts, _Draft(set(clique), cells[position], [position]), alone, sizes, lines)
    return [_finished(draft, cliques, sizes) for draft in drafts]


def _join(
    drafts: list[_Draft], wanted: _Draft, alone: float, sizes: Sequence[int], lines: int
) -> None:
    """Add one clique to the draft that takes it for less than ``alone``, else as a new one."""
    least, best, best_cells = alone, None, 0
    for draft in drafts[-MOST_OPEN:]:
        if PER_CELL * draft.cells >= least:
            continue
        new = wanted.axes - draft.axes
        cells = draft.cells * prod(sizes[axis] for axis in new)
        if cells > MOST_CELLS and new:
            continue
        members = len(draft.members)
        visits = PER_CELL * (cells * (members + 1) - draft.cells * members)
        cost = visits + PER_LINE_AND_AXIS * lines * len(new)
        if cost < least:
            least, best, best_cells = cost, draft, cells
    if best is None:
        drafts.append(wanted)
    else:
        best.axes |= wanted.axes
        best.cells = best_cells
        best.members += wanted.members


def _finished(draft: _Draft, cliques: Sequence[Axes], sizes: Sequence[int]) -> Cover:
    if len(draft.members) == 1:
        return Cover(cliques[draft.members[0]], tuple(draft.members))
    # The longest axis last: sums then go over long contiguous runs.
    ordered = sorted(draft.axes, key=lambda axis: (sizes[axis], axis))
    return Cover(tuple(ordered), tuple(draft.members))
