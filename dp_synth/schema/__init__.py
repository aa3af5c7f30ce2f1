"""Public knowledge of a table's columns: tables to codes and back."""

from dp_synth.schema.check import Misfits, check, remarks
from dp_synth.schema.columns import DiscreteColumn, IdColumn
from dp_synth.schema.constraints import Column
from dp_synth.schema.draft import draft, notes_of, record_like
from dp_synth.schema.kinds import Kinds
from dp_synth.schema.numeric import DatetimeColumn, NumericColumn
from dp_synth.schema.schema import Schema

__all__ = [
    "Column",
    "DatetimeColumn",
    "DiscreteColumn",
    "IdColumn",
    "Kinds",
    "Misfits",
    "NumericColumn",
    "Schema",
    "check",
    "draft",
    "notes_of",
    "record_like",
    "remarks",
]
