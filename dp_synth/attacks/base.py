"""The contract of membership attacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError


@dataclass(frozen=True)
class Attack(ABC):
    """Scores target records by how likely they were fitted; subclasses hold settings only."""

    name: ClassVar[str]
    needs_reference: ClassVar[bool] = False

    def scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        """Return one finite number per target; higher means "member".

        InputError when the attack needs reference records and ``view`` has none.
        """
        if self.needs_reference:
            self._reference(view)
        return self._scores(targets, view)

    @abstractmethod
    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]: ...

    def _reference(self, view: AttackerView) -> pd.DataFrame:
        if view.reference is None:
            raise InputError(f"attack {self.name!r} needs a reference table: none was given")
        return view.reference
