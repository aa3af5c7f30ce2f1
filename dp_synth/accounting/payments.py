"""Payments from a filtered part: answers whose noise is chosen while running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dp_synth.accounting.events import Gaussian, LaplaceCounts, Round, Selection

if TYPE_CHECKING:
    from dp_synth.accounting.plan import Filtered


@dataclass(frozen=True)
class FilteredGaussian:
    """Gaussian answers paid from a filtered part, with noise chosen while running."""

    part: Filtered
    noise_multiplier: float

    @property
    def name(self) -> str:
        """The name of the part that pays."""
        return self.part.name

    def event(self, sensitivity: float = 1.0) -> Gaussian:
        """Return what one answer will be charged as."""
        return Gaussian(self.noise_multiplier, sensitivity)


@dataclass(frozen=True)
class FilteredLaplace:
    """Answers with discrete Laplace noise paid from a filtered part, with noise chosen on the way.

    ``noise_multiplier`` as in `Laplaces`, and ``moved`` and ``replaced``.
    """

    part: Filtered
    noise_multiplier: float
    moved: int = 1
    replaced: bool = False

    @property
    def name(self) -> str:
        """The name of the part that pays."""
        return self.part.name

    def event(self, fineness: int = 1) -> LaplaceCounts:
        """Return what one answer, in multiples of 1 / ``fineness``, will be charged as."""
        return LaplaceCounts(self.noise_multiplier, self.moved * fineness, self.replaced)


@dataclass(frozen=True)
class FilteredSelection:
    """Choices paid from a filtered part, with a range chosen while running.

    With ``answer``, the noise multiplier of a Gaussian answer that comes next, fixed before the
    choice, both are charged as one `Round` when the choice is, and the answer is then free.
    """

    part: Filtered
    epsilon: float
    answer: float | None = None

    @property
    def name(self) -> str:
        """The name of the part that pays."""
        return self.part.name

    def event(self) -> Selection | Round:
        """Return what one choice will be charged as."""
        if self.answer is not None:
            return Round(self.epsilon, self.answer)
        return Selection(self.epsilon)
