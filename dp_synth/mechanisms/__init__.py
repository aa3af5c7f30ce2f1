"""The door: private values in, noisy values out, each charged before anything is read."""

from dp_synth.mechanisms.gaussian import measure
from dp_synth.mechanisms.selection import Distances, select
from dp_synth.mechanisms.sensitivity import l1_distance_sensitivity, marginal_sensitivity

__all__ = ["Distances", "l1_distance_sensitivity", "marginal_sensitivity", "measure", "select"]
