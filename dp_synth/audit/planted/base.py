"""What a planted bug is: a small mechanism, what it claims, and which audit must find its fault."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import ndtri

from dp_synth.accounting import Adjacency, Gaussian, PrivacyCurve, compose
from dp_synth.audit.checks import CheckResult
from dp_synth.types import Floats

Scores = Callable[[bool, int, np.random.Generator], Floats]
CaughtBy = Literal["area", "common_noise", "clopper_pearson", "structural"]

DELTA = 1e-5  # at which claims are stated


@dataclass(frozen=True)
class PlantedBug:
    """A mechanism that an attack scores: with a ``fault``, or, to test the auditor, with none.

    ``scores(inside, runs, rng)`` draws as many independent runs at once about the table with the
    target (``inside``) or without it, and returns the score of the best attack on each. ``runs``
    a world are enough for the audit named ``caught_by``. ``claim`` is what its author believes,
    under ``adjacency``; ``twin_of`` says whose code has or had the fault, as it was read in June
    2025 (smartnoise: smartnoise-synth 1.0.8), and what stands in a tracker, as repository#number.
    """

    name: str
    fault: str
    twin_of: str
    claim: PrivacyCurve
    scores: Scores
    runs: int
    caught_by: CaughtBy = "area"
    adjacency: Adjacency = "add_remove"

    @property
    def is_correct(self) -> bool:
        """Whether there is nothing to be found."""
        return not self.fault

    @cached_property
    def claimed_area(self) -> PrivacyCurve:
        """The claim, or one Gaussian that permits the same area where it is of something else.

        Nothing but its area is tested, and a noise factor takes a Gaussian no time.
        """
        if self.claim.is_gaussian:
            return self.claim
        distance = math.sqrt(2) * float(ndtri(self.claim.largest_auc()))
        return compose([(Gaussian(1 / distance, 1.0), 1)])


@dataclass(frozen=True)
class StructuralBug:
    """A fault that no attack is needed for: ``examine(faulty, rng)`` checks it, or its absence."""

    name: str
    fault: str
    twin_of: str
    examine: Callable[[bool, np.random.Generator], CheckResult]
    caught_by: CaughtBy = "structural"
