"""The door: private values in, noisy values out, each charged before anything is read."""

from dp_synth.mechanisms.gaussian import count_records, measure
from dp_synth.mechanisms.histograms import measure_histogram
from dp_synth.mechanisms.scores import measure_distances
from dp_synth.mechanisms.selection import Dependences, Distances, select
from dp_synth.mechanisms.sensitivity import (
    dependence_sensitivity,
    l1_distance_sensitivity,
    marginal_sensitivity,
)

__all__ = [
    "Dependences",
    "Distances",
    "count_records",
    "dependence_sensitivity",
    "l1_distance_sensitivity",
    "marginal_sensitivity",
    "measure",
    "measure_distances",
    "measure_histogram",
    "select",
]
