"""Exact counts of records over cells of a domain, in memory or from files that are larger."""

from dp_synth.counting.cache import CachedCounts
from dp_synth.counting.duckdb import column_names, read_counts, read_records
from dp_synth.counting.marginals import LARGEST_DENSE, CodeCounts, Counts, dense_shape
from dp_synth.counting.masks import HolderFolder, Masks
from dp_synth.counting.records import Data, PrivateRecords, is_larger_than_memory, kept_of_units

# Names of version 0.1, which this version still takes.
Records = PrivateRecords
RememberedCounts = CachedCounts

__all__ = [
    "LARGEST_DENSE",
    "CachedCounts",
    "CodeCounts",
    "Counts",
    "Data",
    "HolderFolder",
    "Masks",
    "PrivateRecords",
    "Records",
    "RememberedCounts",
    "column_names",
    "dense_shape",
    "is_larger_than_memory",
    "kept_of_units",
    "read_counts",
    "read_records",
]
