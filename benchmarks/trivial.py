"""Cells that cost next to nothing, for scripts that measure what is around a cell."""

from __future__ import annotations

import json
import time

from dp_synth.benchmark import Cell, Measured, Outcome

BUDGET = (1.0, 1e-9, "add_remove")


def cells(number: int, seconds: float = 0.0) -> list[Cell]:
    """Return cells that sleep for so long and give a value of their own each."""
    options = json.dumps({"seconds": seconds})
    return [
        Cell("adult", "0" * 64, "utility", "mst", "{}", *BUDGET, seed, options)  # type: ignore[arg-type]
        for seed in range(number)
    ]


def work(cell: Cell) -> Outcome:
    """Return the value of a cell after its sleep."""
    time.sleep(json.loads(cell.options)["seconds"])
    value = 1 / (cell.seed + 3)
    return Outcome((Measured("tv2", value, value / 2, value * 2),), 0.25, budget="ledger")
