"""Benchmarks: a grid of cells, run in parallel, stored one file a cell, gathered as records.

What runs and stores cells is loaded at once, what plans and measures them when it is first used:
a worker's process then pays for what its cells need alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from dp_synth.benchmark.cell import Cell, Limits, Measured, Outcome, records
from dp_synth.benchmark.diff import LiveCell, combined, compare, failures
from dp_synth.benchmark.executor import Completed, Executor, local_executor
from dp_synth.benchmark.provenance import RunSummary, summarise, write_manifest
from dp_synth.benchmark.runner import (
    Forecast,
    Status,
    default_store,
    forecast,
    run,
    run_grid,
    status,
    unfinished,
)
from dp_synth.benchmark.store import (
    Store,
    gather,
    open_store,
    outcomes,
    read_records,
    store_at,
)
from dp_synth.records import Record, read_record_file, write_record_file

if TYPE_CHECKING:
    from dp_synth.benchmark.cell_run import plan, run_cell
    from dp_synth.benchmark.grid import Grid

_HOMES = {"Grid": "grid", "plan": "cell_run", "run_cell": "cell_run"}

# Names of the version before, for one version more.
Crew, Ended, Tally, local_crew = Executor, Completed, Status, local_executor

__all__ = [
    "Cell",
    "Completed",
    "Crew",
    "Ended",
    "Executor",
    "Forecast",
    "Grid",
    "Limits",
    "LiveCell",
    "Measured",
    "Outcome",
    "Record",
    "RunSummary",
    "Status",
    "Store",
    "Tally",
    "combined",
    "compare",
    "default_store",
    "failures",
    "forecast",
    "gather",
    "local_crew",
    "local_executor",
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
