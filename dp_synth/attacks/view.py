"""What an attacker may see."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dp_synth.accounting import PrivacyBudget
from dp_synth.errors import InputError
from dp_synth.frames import hold_frames
from dp_synth.schema import Schema
from dp_synth.synthesizers import SYNTHESIZERS
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.transcript import Answer


@dataclass(frozen=True, eq=False)
class AttackerView:
    """All that an attack is given besides its targets: nothing of the private table.

    ``reference`` holds records of the same population that were not fitted. The rest is for
    threat models in which it is known: ``algorithm``, the name of the synthesizer, or the
    ``synthesizer`` itself with the ``budget`` of its fit; ``records``, how many were fitted;
    ``transcript``, the noisy answers of a release, whose own ``schema`` must then stand here.
    InputError for a synthesizer without a budget, or one that is not called ``algorithm``.
    """

    synthetic: pd.DataFrame
    schema: Schema
    reference: pd.DataFrame | None = None
    algorithm: str | None = None
    synthesizer: Synthesizer | None = None
    budget: PrivacyBudget | None = None
    transcript: tuple[Answer, ...] | None = None
    records: int | None = None

    def __repr__(self) -> str:
        rows = f"{len(self.synthetic):,} synthetic records of {len(self.schema.names)} columns"
        known = [
            "" if self.reference is None else f"{len(self.reference):,} records for reference",
            "" if self.algorithm is None else f"algorithm {self.algorithm!r}",
            "" if self.synthesizer is None else f"{self.synthesizer} with {self.budget}",
            "" if self.transcript is None else f"a transcript of {len(self.transcript)} answers",
            "" if self.records is None else f"{self.records:,} were fitted",
        ]
        return f"<AttackerView: {'; '.join([rows, *filter(None, known)])}>"

    @property
    def is_directed(self) -> bool:
        """Whether the synthesizer measures the first attribute of a clique given the others."""
        method = self.synthesizer or SYNTHESIZERS.get(self.algorithm or "")
        return method is not None and method.measures == "conditionals"

    def __post_init__(self) -> None:
        hold_frames(self, "synthetic", "reference")
        if self.synthesizer is not None:
            if self.budget is None:
                raise InputError("an attacker who knows the synthesizer must know the budget too")
            if self.algorithm is None:
                object.__setattr__(self, "algorithm", self.synthesizer.name)
            elif self.algorithm != self.synthesizer.name:
                raise InputError(
                    f"algorithm must be the synthesizer's name {self.synthesizer.name!r}, "
                    f"got {self.algorithm!r}"
                )
        if self.records is not None and self.records < 0:
            raise InputError(f"records must be 0 or more, got {self.records}")
