"""Public knowledge of a table's columns: tables to codes and back."""

from dp_synth.schema.check import check
from dp_synth.schema.columns import DiscreteColumn, IdColumn
from dp_synth.schema.draft import draft
from dp_synth.schema.model import Column, Schema
from dp_synth.schema.numeric import DatetimeColumn, NumericColumn

__all__ = [
    "Column",
    "DatetimeColumn",
    "DiscreteColumn",
    "IdColumn",
    "NumericColumn",
    "Schema",
    "check",
    "draft",
]
