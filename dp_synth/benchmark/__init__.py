"""Benchmarks: a grid of cells, run in parallel, stored one file a cell, gathered as records.

Names are loaded when they are first used; they stand in ``__init__.pyi``. A worker's process then
pays for what its cells need alone.
"""

from lazy_loader import attach_stub

from dp_synth.records import Record, read_record_file, write_record_file

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
__all__ += ["Record", "read_record_file", "write_record_file"]
