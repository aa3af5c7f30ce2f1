"""The door: private values in, noisy values out, each charged before anything is read."""

from dp_synth.mechanisms.exponential import select
from dp_synth.mechanisms.gaussian import (
    count_records,
    measure,
    measure_distances,
    measure_histogram,
    measure_parities,
)
from dp_synth.mechanisms.table import (
    Dependences,
    Distances,
    PrivateTable,
    dependence_sensitivity,
    l1_distance_sensitivity,
    marginal_sensitivity,
    parity_sensitivity,
)

__all__ = [
    "Dependences",
    "Distances",
    "PrivateTable",
    "count_records",
    "dependence_sensitivity",
    "l1_distance_sensitivity",
    "marginal_sensitivity",
    "measure",
    "measure_distances",
    "measure_histogram",
    "measure_parities",
    "parity_sensitivity",
    "select",
]
