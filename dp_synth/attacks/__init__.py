"""Membership attacks: scores for target records, from what a threat model lets them see."""

from dp_synth.attacks.base import Attack
from dp_synth.attacks.density import DensityRatio
from dp_synth.attacks.distance import ClosestRecord, isolation
from dp_synth.attacks.game import Pool, split_pool
from dp_synth.attacks.view import AttackerView

ATTACKS: dict[str, type[Attack]] = {attack.name: attack for attack in (ClosestRecord, DensityRatio)}

__all__ = [
    "ATTACKS",
    "Attack",
    "AttackerView",
    "ClosestRecord",
    "DensityRatio",
    "Pool",
    "isolation",
    "split_pool",
]
