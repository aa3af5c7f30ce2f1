"""What an attacker may see."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dp_synth.schema import Schema


@dataclass(frozen=True, eq=False)
class AttackerView:
    """All that an attack is given besides its targets: nothing of the private table.

    ``reference`` holds records of the same population that were not fitted; ``algorithm`` is the
    name of the synthesizer, for threat models in which it is known.
    """

    synthetic: pd.DataFrame
    schema: Schema
    reference: pd.DataFrame | None = None
    algorithm: str | None = None
