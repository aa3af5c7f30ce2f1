"""Faults that are put into the package for an audit to find, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np

from dp_synth import PrivacyBudget, Synthesizer
from dp_synth.audit import NeighbouringTables, Worlds, total_scores
from dp_synth.audit.auditor import watch
from dp_synth.mechanisms import gaussian
from dp_synth.mechanisms.noise import Bits, rounded_gaussian


@contextmanager
def noise_of(factor: float) -> Iterator[None]:
    """Within, counts get ``factor`` times the noise that is charged."""

    def other(stddev: float, shape: tuple[int, ...], bits: Bits) -> np.ndarray:
        return rounded_gaussian(factor * stddev, shape, bits)

    with mock.patch.object(gaussian, "rounded_gaussian", other):
        yield


def worlds_of(
    recipe: Synthesizer,
    design: NeighbouringTables,
    budget: PrivacyBudget,
    runs: int,
    seed: np.random.SeedSequence,
) -> Worlds:
    """Return the likelihood ratios of all that releases about both tables say, with and without."""
    inside, outside = watch(recipe, design, budget, runs=runs, seed=seed)
    return Worlds.of(total_scores(inside), [-score for score in total_scores(outside)])
