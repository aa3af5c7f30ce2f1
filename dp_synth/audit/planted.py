"""Faults of public implementations, planted in small mechanisms, and the audit that finds each.

``PLANTED`` names them, with correct mechanisms (``P0 ...``) that must pass; one audit:

>>> import numpy as np
>>> finding = audit_plant(PLANTED["P7 empty cells without noise"], np.random.default_rng(0))
>>> finding.passed
False

A mechanism of one's own is audited likewise, as a `Plant` with no fault: its claim, and a function
that draws runs and scores them. The runs of a plant are those at which its fault is found in at
least 80 % of audits at level 5 %; noise too small by sqrt(2) at epsilon 1 needs 1,500 a world, or
100 with common noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from dp_synth.audit.area import area_test
from dp_synth.audit.bounds import Worlds, clopper_pearson_bound
from dp_synth.audit.planted_base import DELTA, Oversight, Plant
from dp_synth.audit.planted_data import DATA_PLANTS
from dp_synth.audit.planted_noise import NOISE_PLANTS
from dp_synth.audit.planted_oversights import OVERSIGHTS
from dp_synth.audit.planted_teachers import TEACHER_PLANTS
from dp_synth.audit.structural import Finding
from dp_synth.rounding import at_least, at_most

PLANTED: Mapping[str, Plant | Oversight] = MappingProxyType(
    {plant.name: plant for plant in (*NOISE_PLANTS, *DATA_PLANTS, *TEACHER_PLANTS, *OVERSIGHTS)}
)


def audit_plant(
    plant: Plant | Oversight, rng: np.random.Generator, *, level: float = 0.05
) -> Finding:
    """Return what the audit that a plant is meant for finds: it passes where nothing is found.

    ``level`` is the chance that a correct mechanism fails.
    """
    if isinstance(plant, Oversight):
        return plant.examine(True, rng)
    worlds = draw_worlds(plant, rng)
    if plant.caught_by == "clopper_pearson":
        proven = clopper_pearson_bound(worlds, DELTA, level=level, rng=rng)
        claimed = plant.claim.epsilon(DELTA)
        sentence = (
            f"epsilon is {at_least(proven.epsilon, 3)} or more, claimed are {at_most(claimed, 3)}"
        )
        return Finding(plant.caught_by, proven.epsilon <= claimed, sentence)
    common = plant.caught_by == "common_noise"
    found = area_test(worlds, plant.claimed_area, DELTA, level=level, common_noise=common, rng=rng)
    permitted = at_most(found.permitted, 4)
    sentence = f"area {found.area:.4f}, permitted {permitted}, p = {found.p_value:.3g}"
    return Finding(plant.caught_by, found.passed, sentence)


def draw_worlds(plant: Plant, rng: np.random.Generator) -> Worlds:
    """Return scores of a plant's runs; those of both worlds share their noise where it says so."""
    first, second = rng.integers(2**63, size=2)
    if plant.caught_by == "common_noise":
        second = first
    inside, outside = (
        plant.scores(present, plant.runs, np.random.default_rng(seed))
        for present, seed in ((True, first), (False, second))
    )
    return Worlds.of(inside, outside)
