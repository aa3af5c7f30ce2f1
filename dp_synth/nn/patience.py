"""When a training has come as far as it will, by what is public about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LEAST_GAIN = 0.01  # of the best misfit so far: less is none


@dataclass
class Patience:
    """Counts blocks of steps without a gain; ``blocks`` says after how many it ends, 0 for never.

    >>> patience = Patience(blocks=2)
    >>> [patience.is_over(lambda: misfit) for misfit in (0.5, 0.4, 0.4, 0.41)]
    [False, False, False, True]
    """

    blocks: int
    best: float = math.inf
    since: int = 0

    def is_over(self, misfit: Callable[[], float]) -> bool:
        """Whether no block of the last few was better; ``misfit`` is asked only where it counts."""
        if not self.blocks:
            return False
        found = misfit()
        self.since = 0 if found < self.best * (1 - LEAST_GAIN) else self.since + 1
        self.best = min(self.best, found)
        return self.since >= self.blocks
