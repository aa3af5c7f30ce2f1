"""Benchmarks: a grid of cells, run in parallel, stored one file a cell, gathered as records.

What runs and stores cells is loaded at once, what plans and measures them when it is first used:
a worker's process then pays for what its cells need alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from dp_synth.benchmark.cell import Cell, Measured, Outcome, Record, records
from dp_synth.benchmark.crew import Crew, Ended, local_crew
from dp_synth.benchmark.forecast import Forecast, forecast
from dp_synth.benchmark.live import LiveCell, combined, compare, failures
from dp_synth.benchmark.manifest import RunSummary, summarise, write_manifest
from dp_synth.benchmark.record_file import read_record_file, write_record_file
from dp_synth.benchmark.runner import Tally, run, status, unfinished
from dp_synth.benchmark.store import (
    Store,
    gather,
    open_store,
    outcomes,
    read_records,
    store_at,
)
from dp_synth.benchmark.worker import Limits

if TYPE_CHECKING:
    from dp_synth.benchmark.grid import Grid
    from dp_synth.benchmark.grid_run import default_store, run_grid
    from dp_synth.benchmark.sources import plan
    from dp_synth.benchmark.tasks import run_cell

_HOMES = {
    "Grid": "grid",
    "default_store": "grid_run",
    "plan": "sources",
    "run_cell": "tasks",
    "run_grid": "grid_run",
}

__all__ = [
    "Cell",
    "Crew",
    "Ended",
    "Forecast",
    "Grid",
    "Limits",
    "LiveCell",
    "Measured",
    "Outcome",
    "Record",
    "RunSummary",
    "Store",
    "Tally",
    "combined",
    "compare",
    "default_store",
    "failures",
    "forecast",
    "gather",
    "local_crew",
    "open_store",
    "outcomes",
    "plan",
    "read_record_file",
    "read_records",
    "records",
    "run",
    "run_cell",
    "run_grid",
    "status",
    "store_at",
    "summarise",
    "unfinished",
    "write_manifest",
    "write_record_file",
]


def __getattr__(name: str) -> object:
    """Return a public name, loaded now (PEP 562); AttributeError for any other."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
