"""Benchmarks: a grid of cells, run in parallel, stored one file a cell, gathered as records."""

from dp_synth.benchmark.cell import Cell, Measured, Outcome, Record, records
from dp_synth.benchmark.grid import Grid
from dp_synth.benchmark.live import LiveCell, combined, compare, failures
from dp_synth.benchmark.record_file import read_record_file, write_record_file
from dp_synth.benchmark.runner import Tally, run, status
from dp_synth.benchmark.sources import plan
from dp_synth.benchmark.store import Store, gather, open_store, read_records, write_manifest
from dp_synth.benchmark.tasks import run_cell

__all__ = [
    "Cell",
    "Grid",
    "LiveCell",
    "Measured",
    "Outcome",
    "Record",
    "Store",
    "Tally",
    "combined",
    "compare",
    "failures",
    "gather",
    "open_store",
    "plan",
    "read_record_file",
    "read_records",
    "records",
    "run",
    "run_cell",
    "status",
    "write_manifest",
    "write_record_file",
]
