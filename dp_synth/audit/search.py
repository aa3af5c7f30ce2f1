"""The search for tables on which a synthesizer tells the most, before they are used in an audit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dp_synth.accounting import Adjacency, PrivacyBudget
from dp_synth.audit.auditor import check_design, watch
from dp_synth.audit.neighbours import NeighbouringTables, contrast, worst_case
from dp_synth.audit.stages import total_scores
from dp_synth.errors import InputError
from dp_synth.metrics.auc import mann_whitney_area
from dp_synth.synthesizers.base import Synthesizer


def candidates(adjacency: Adjacency = "add_remove") -> list[NeighbouringTables]:
    """Return the designs that a search tries unless it is given others."""
    return [
        *(worst_case(adjacency, columns=columns) for columns in (1, 2, 3, 5)),
        *(contrast(adjacency, columns=columns) for columns in (3, 4, 6)),
        contrast(adjacency, columns=4, records=1000),
    ]


def search_design(
    synthesizer: Synthesizer,
    budget: PrivacyBudget,
    *,
    designs: Sequence[NeighbouringTables] | None = None,
    runs: int = 100,
    seed: int | None = None,
) -> NeighbouringTables:
    """Return the design with the largest area of likelihood ratios in so many runs a world.

    These runs choose and prove nothing: audit the design with a seed of its own. InputError as
    in `audit`, and for fewer than two runs.
    """
    tried = list(candidates(budget.adjacency) if designs is None else designs)
    if not tried or runs < 2:
        raise InputError(f"a search needs a design and two runs, got {len(tried)} and {runs}")
    for design in tried:
        check_design(synthesizer, budget, design)
    streams = np.random.SeedSequence(seed).spawn(len(tried))
    areas = [
        _area(synthesizer, budget, design, runs, stream)
        for design, stream in zip(tried, streams, strict=True)
    ]
    return tried[int(np.argmax(areas))]


def _area(
    synthesizer: Synthesizer,
    budget: PrivacyBudget,
    design: NeighbouringTables,
    runs: int,
    stream: np.random.SeedSequence,
) -> float:
    inside, outside = watch(synthesizer, design, budget, runs=runs, seed=stream)
    with_target, without = np.array(total_scores(inside)), -np.array(total_scores(outside))
    return mann_whitney_area(with_target, without)
