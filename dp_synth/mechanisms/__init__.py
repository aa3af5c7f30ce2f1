"""The door: private values in, noisy values out, each charged before anything is read."""

from dp_synth.mechanisms.exponential import select
from dp_synth.mechanisms.gaussian import (
    RecordVectors,
    count_records,
    measure,
    measure_distances,
    measure_histogram,
    measure_parities,
    measure_sums,
)
from dp_synth.mechanisms.table import (
    Dependences,
    Distances,
    PrivateTable,
    dependence_sensitivity,
    l1_distance_sensitivity,
    marginal_sensitivity,
    parity_sensitivity,
    sum_sensitivity,
)

__all__ = [
    "Dependences",
    "Distances",
    "PrivateTable",
    "RecordVectors",
    "count_records",
    "dependence_sensitivity",
    "l1_distance_sensitivity",
    "marginal_sensitivity",
    "measure",
    "measure_distances",
    "measure_histogram",
    "measure_parities",
    "measure_sums",
    "parity_sensitivity",
    "select",
    "sum_sensitivity",
]
