"""Faults of public implementations, planted in small mechanisms, and the audit that finds each.

``PLANTED`` names them, with correct mechanisms (``P0 ...``) that must pass; one audit:

>>> import numpy as np
>>> finding = audit_planted(PLANTED["P7 empty cells without noise"], np.random.default_rng(0))
>>> finding.passed
False

A mechanism of one's own is audited likewise, as a `PlantedBug` with no fault: its claim, and a
function that draws runs and scores them. The runs of a bug are those at which its fault is found
in at least 80 % of audits at level 5 %; noise too small by sqrt(2) at epsilon 1 needs 1,500 a
world, or 100 with common noise. Faults that a replay finds are in `planted.replayed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from dp_synth.audit.bounds import Worlds, clopper_pearson_bound
from dp_synth.audit.checks import CheckResult
from dp_synth.audit.planted.attacked import DATA_BUGS, DELTA, NOISE_BUGS, TEACHER_BUGS, PlantedBug
from dp_synth.audit.planted.examined import LOGIC_BUGS, StructuralBug
from dp_synth.audit.roc import area_test
from dp_synth.formatting import at_least, at_most

PLANTED: Mapping[str, PlantedBug | StructuralBug] = MappingProxyType(
    {bug.name: bug for bug in (*NOISE_BUGS, *DATA_BUGS, *TEACHER_BUGS, *LOGIC_BUGS)}
)


def audit_planted(
    bug: PlantedBug | StructuralBug, rng: np.random.Generator, *, level: float = 0.05
) -> CheckResult:
    """Return what the audit that a bug is meant for finds: it passes where nothing is found.

    ``level`` is the chance that a correct mechanism fails.
    """
    if isinstance(bug, StructuralBug):
        return bug.examine(True, rng)
    worlds = draw_worlds(bug, rng)
    if bug.caught_by == "clopper_pearson":
        proven = clopper_pearson_bound(worlds, DELTA, level=level, rng=rng)
        claimed = bug.claim.epsilon(DELTA)
        sentence = (
            f"epsilon is {at_least(proven.epsilon, 3)} or more, claimed are {at_most(claimed, 3)}"
        )
        return CheckResult(bug.caught_by, proven.epsilon <= claimed, sentence)
    common = bug.caught_by == "common_noise"
    found = area_test(worlds, bug.claimed_area, DELTA, level=level, common_noise=common, rng=rng)
    permitted = at_most(found.permitted, 4)
    sentence = f"area {found.area:.4f}, permitted {permitted}, p = {found.p_value:.3g}"
    return CheckResult(bug.caught_by, found.passed, sentence)


def draw_worlds(bug: PlantedBug, rng: np.random.Generator) -> Worlds:
    """Return scores of a bug's runs; those of both worlds share their noise where it says so."""
    first, second = rng.integers(2**63, size=2)
    if bug.caught_by == "common_noise":
        second = first
    inside, outside = (
        bug.scores(present, bug.runs, np.random.default_rng(seed))
        for present, seed in ((True, first), (False, second))
    )
    return Worlds.of(inside, outside)
