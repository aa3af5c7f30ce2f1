"""Exact counts of records over cells of a domain, in memory or from files that are larger."""

from dp_synth.counting.base import LARGEST_DENSE, Counts, dense_shape
from dp_synth.counting.codes import CodeCounts
from dp_synth.counting.duckdb import column_names, read_counts, read_records
from dp_synth.counting.records import Data, Records, is_larger_than_memory, kept_of_units
from dp_synth.counting.remembered import RememberedCounts

__all__ = [
    "LARGEST_DENSE",
    "CodeCounts",
    "Counts",
    "Data",
    "Records",
    "RememberedCounts",
    "column_names",
    "dense_shape",
    "is_larger_than_memory",
    "kept_of_units",
    "read_counts",
    "read_records",
]
