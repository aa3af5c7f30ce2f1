"""Commands killed at random moments, as kill -9 does, and what must hold after each of them.

What was charged is never less than what was answered, a ledger verifies, each output is whole or
not there, no process and nothing private outlives the command and the next one, and the same
command, given again, ends well.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import yaml

from dp_synth.accounting import Ledger, read_ledger
from dp_synth.checkpoint import Checkpoint, Kept, fingerprint
from dp_synth.cli import main
from dp_synth.datasets import read_table
from dp_synth.domain import Domain
from dp_synth.release import Release
from dp_synth.report.card import DataCard, places
from dp_synth.schema import Schema
from dp_synth.synthesizers import SYNTHESIZERS

PATIENCE = 120.0  # seconds until a wait is given up; nothing is timed
ROWS = 3_000  # that are written
MEASURED_HERE = ["wall_seconds", "peak_mb", "seconds", "processor", "torch", "kernels"]
FIT = (
    "synthesize --data t.csv --schema t.meta.json --epsilon 1 --delta 1e-6 "
    f"--rows {ROWS} --out out.csv --release r.npz --card c.json --synthesizer "
)
TRAINING = (
    "dpgan --ledger planned.jsonl --checkpoint k.npz --set steps=400 --set fakes=64 "
    "--set critic_width=16 --set generator_width=16 --set components=256"
)
GRID = {
    "name": "killed",
    "dataset": ["t.csv"],
    "delta": 1e-6,
    "seeds": 3,
    "synthesizers": ["independent", {"name": "mine/codes", "command": [sys.executable, "peer.py"]}],
    "utility": {"epsilons": [1], "metrics": ["tv1"]},
}
PEER = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
time.sleep(0.3)
(folder / "rows.codes.csv").write_text((folder / "codes.csv").read_text())
declared = {"epsilon": request["epsilon"], "delta": request["delta"]}
(folder / "answer.json").write_text(json.dumps({"format": 1, "declared": declared}))
"""


@dataclass(frozen=True)
class Killed:
    """What one kill came to: whether outputs stood there, and all that must not be."""

    outputs: int
    refused: bool  # given again: its plan was charged, and no checkpoint stood to go on from
    left_beside: int  # names of passing files beside the outputs
    faults: tuple[str, ...]


def kill_fit(seed: int, folder: Path) -> Killed:
    """Kill a fit of marginals that writes rows, a release, a card and a ledger."""
    return _kill(seed, folder, (FIT + "mst --ledger l.jsonl").split(), _check_fit)


def kill_training(seed: int, folder: Path) -> Killed:
    """Kill a training that keeps a checkpoint."""
    SYNTHESIZERS["dpgan"]().plan(Domain(("a",), (2,)))  # has torch loaded, once for all
    return _kill(seed, folder, (FIT + TRAINING).split(), _check_fit)


def kill_benchmark(seed: int, folder: Path) -> Killed:
    """Kill a run of a grid, one of whose synthesizers is a program that is given the table."""
    command = ["benchmark", "run", "g.yaml", "--store", "store", "--jobs", "2"]
    return _kill(seed, folder, command, _check_store)


Check = Callable[[], list[str]]
_whole_charges: dict[tuple[str, ...], int] = {}  # of its ledger then
_seconds: dict[tuple[str, ...], float] = {}  # that an undisturbed run of a command takes


def _kill(seed: int, folder: Path, command: Sequence[str], check: Check) -> Killed:
    rng = np.random.default_rng(seed)
    longest = _seconds.get(tuple(command))
    if longest is None:
        with _place(folder / "whole"):
            started = time.monotonic()
            faults = _again(command, check)
            longest = _seconds[tuple(command)] = time.monotonic() - started
            _whole_charges[tuple(command)] = _charged()
        if faults:
            return Killed(0, False, 0, ("undisturbed", *faults))
    for attempt in range(100):
        with _place(folder / f"killed-{attempt}"):
            pid = _start(command)
            started_at = time.monotonic()
            moment = rng.uniform(0, longest)
            while time.monotonic() - started_at < moment and _is_running(pid):
                time.sleep(0.002)
            if not _is_running(pid):  # faster than the undisturbed one: this is no kill
                os.waitpid(pid, 0)
                continue
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            faults = [f"{left} processes left" for left in [_processes_left()] if left]
            faults += check()
            outputs = sum(Path(name).exists() for name in ("out.csv", "r.npz", "c.json", "store"))
            refused = Path("planned.jsonl").exists() and not Path("k.npz").exists()
            if refused and not outputs and _charged() == _whole_charges.get(tuple(command)):
                faults.append("all was charged and nothing kept")
            again = _again(command, check, refused=refused)
            faults += [f"given again: {fault}" for fault in again]
            beside = len(list(Path().glob(".*.part")))
            return Killed(outputs, refused, beside, tuple(faults))
    raise RuntimeError("never fast enough to kill the command")


def _again(command: Sequence[str], check: Check, *, refused: bool = False) -> list[str]:
    """Run the command to its end, or until it is refused, and return what is wrong then."""
    code = os.waitstatus_to_exitcode(os.waitpid(_start(command), 0)[1])
    faults = []
    if code != (3 if refused else 0):
        faults.append(f"exit code {code}: {Path('said').read_text()[-300:]}")
    faults += [f"{left} processes left" for left in [_processes_left()] if left]
    private = [path for path in Path("temporary").rglob("*") if path.is_file() and _size(path)]
    faults += [f"left in the temporary folder: {path}" for path in private]
    expected = ("store",) if "benchmark" in command else ("out.csv", "r.npz", "c.json")
    missing = [name for name in expected if not (refused or Path(name).exists())]
    faults += [f"{name} is not there" for name in missing]
    return faults + check()


def _start(command: Sequence[str]) -> int:
    """Run a command of the toolkit in a process of its own, which has all modules already."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        tempfile.tempdir = os.environ["TMPDIR"] = str(Path("temporary").absolute())
        said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        code = main(command)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@contextmanager
def _place(folder: Path) -> Iterator[None]:
    """Work in a new folder that has a table, its schema, a grid and an open ledger."""
    before = Path.cwd()
    (folder / "temporary").mkdir(parents=True)
    os.chdir(folder)
    try:
        rng = np.random.default_rng(0)
        cells = {name: rng.choice(list("abcd"), 400) for name in "uvwxy"}
        pd.DataFrame(cells).to_csv("t.csv", index=False)
        columns = [{"name": n, "type": "categorical", "categories": list("abcd")} for n in cells]
        Schema.from_dict({"name": "t", "columns": columns}).save("t.meta.json")
        Path("peer.py").write_text(PEER)
        Path("g.yaml").write_text(yaml.safe_dump(GRID))
        with open(os.devnull, "w") as nothing:
            said, sys.stdout = sys.stdout, nothing
            code = main(["ledger", "new", "l.jsonl", "--epsilon", "8", "--delta", "1e-6"])
            sys.stdout = said
        assert code == 0
        yield
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def _check_fit() -> list[str]:
    """Return what is wrong with a fit's files, which may be there or not."""
    faults = []
    try:
        planned = Path("planned.jsonl")
        ledger = read_ledger(planned if planned.exists() else "l.jsonl")
    except Exception as error:
        return [f"the ledger: {error}"]
    if ledger.epsilon > ledger.budget.epsilon:
        faults.append(f"spent epsilon {ledger.epsilon}")
    for path, read in READERS.items():
        if Path(path).exists():
            try:
                read(Path(path))
            except Exception as error:
                faults.append(f"{path} is not whole: {error}")
    if Path("r.npz").exists() and not faults:
        faults += _not_charged(ledger, Release.load("r.npz").ledger)
    elif Path("out.csv").exists() and not ledger.charges:
        faults.append("rows were written and nothing was charged")
    if Path("k.npz").exists():
        kept = Kept.read(Checkpoint("k.npz"))
        assert kept is not None
        entries, digest = kept.ledger
        if len(ledger.entries) < entries or fingerprint(ledger, entries) != digest:
            faults.append("the checkpoint holds answers that the ledger does not")
    return faults


def _charged() -> int:
    """Return how much the ledger of a training lists as charged; 0 where there is none."""
    planned = Path("planned.jsonl")
    return sum(e.count for e in read_ledger(planned).charges) if planned.exists() else 0


def _not_charged(ledger: Ledger, answered: Ledger) -> list[str]:
    """Return how many answers of a release the ledger does not list as charged."""
    charged, wanted = Counter[str](), Counter[str]()
    for one, counts in ((ledger, charged), (answered, wanted)):
        for entry in one.charges:
            counts[f"{entry.part} {entry.event!r} {entry.why}"] += entry.count
    missing = (wanted - charged).total()
    return [f"{missing} answers were not charged"] if missing else []


def _check_store() -> list[str]:
    """Return what is wrong with a store whose run may have been stopped."""
    from dp_synth.benchmark import Grid, outcomes, plan, read_records, store_at

    if not Path("store").exists():
        return []
    cells, store = plan(Grid.load("g.yaml")), store_at("store")
    found = list(outcomes(store, cells))
    failed = [outcome.error for _, outcome in found if outcome is not None and outcome.error]
    faults = [f"a cell failed: {error}" for error in failed]
    if all(outcome is not None for _, outcome in found) and store.records.exists():
        records = read_records(store).drop(columns=MEASURED_HERE, errors="ignore")
        text = records.drop(columns=["code", "dataset_digest"], errors="ignore").to_csv()
        if _records.setdefault("text", text) != text:
            faults.append("other records than those of an undisturbed run")
    return faults


_records: dict[str, str] = {}
READERS: dict[str, Callable[[Path], object]] = {
    "out.csv": lambda path: _whole(read_table(path)),
    "r.npz": Release.load,
    "c.json": lambda path: DataCard.load(path),
    str(places(Path("c.json"))[1]): lambda path: path.read_text().rindex("</html>"),
}


def _whole(table: pd.DataFrame) -> None:
    if table.shape != (ROWS, 5) or table.isin(list("abcd")).sum().sum() != ROWS * 5:
        raise ValueError(f"it has the shape {table.shape}")


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _is_running(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _processes_left() -> int:
    """Return how many processes that were started here do not end by themselves."""
    here, end = str(Path("temporary").absolute()), time.monotonic() + PATIENCE
    left = 1
    while left and time.monotonic() < end:
        left = 0
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid():
                    left += process.environ().get("TMPDIR", "").startswith(here)
        time.sleep(0.05 * bool(left))
    return left


def summary(found: Sequence[Killed]) -> tuple[str, bool]:
    """Return what the kills of one kind came to, in words, and whether nothing was lost."""
    faulty = [f"seed {seed}: {one}" for seed, own in enumerate(found) for one in own.faults]
    return (
        f"{len(found)} kills, {sum(one.outputs > 0 for one in found)} of them after a first output "
        f"stood, {sum(one.refused for one in found)} charged and without a checkpoint; "
        f"{sum(bool(one.faults) for one in found)} left a fault, "
        f"{sum(one.left_beside for one in found)} passing files beside"
    ) + "".join(f"\n  {one}" for one in faulty), not faulty


KINDS = {"synthesize": kill_fit, "training": kill_training, "benchmark": kill_benchmark}
