"""Work that stands in for a fit: quick, deterministic, and bad in the way that is asked for.

``options`` of a cell names a folder in which each run leaves a mark, and what is to go wrong.
"""

import json
import os
import signal
import tempfile
import time
import uuid
from pathlib import Path

from dp_synth.benchmark.cell import Cell, Outcome, measured


def fake_cell(seed, folder, *, mishap="", synthesizer="mst", epsilon=1.0):
    options = json.dumps({"folder": str(folder), "mishap": mishap})
    return Cell(
        "adult", "0" * 64, "utility", synthesizer, "{}", epsilon, 1e-5, "add_remove", seed, options
    )


def runs_of(folder):
    """Return how often each seed was run."""
    seeds = [int(mark.name.split("-")[0]) for mark in Path(folder).glob("*-*")]
    return {seed: seeds.count(seed) for seed in sorted(set(seeds))}


def work(cell):
    options = json.loads(cell.options)
    folder = Path(options["folder"])
    (folder / f"{cell.seed}-{uuid.uuid4().hex}").touch()
    mishap = options["mishap"]
    if mishap.startswith("leaves"):
        (Path(tempfile.mkdtemp(prefix="left")) / "table.csv").write_text("private")
        if mishap == "leaves_and_hangs":
            time.sleep(600)
        if mishap == "leaves_and_crashes":
            os.kill(os.getpid(), signal.SIGKILL)
    if mishap == "raises" and not (folder / "mended").exists():
        raise ValueError("the first line\nand the second")
    if mishap == "exits":
        raise SystemExit(3)
    if mishap == "dies" or (mishap == "dies once" and runs_of(folder)[cell.seed] == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if mishap == "sleeps":
        time.sleep(60)
    if mishap == "threads":
        return Outcome((measured("threads", float(os.environ["OMP_NUM_THREADS"]), 0, 0),), 0.0)
    return Outcome((measured("tv2", 0.5, 0.4, 0.6), measured("auc", float("nan"), 0, 1)), 0.25)
