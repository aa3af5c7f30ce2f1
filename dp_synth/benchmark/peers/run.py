"""Run of a peer: its folder written, its process watched, its answer read strictly."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import pandas as pd

import dp_synth
from dp_synth.benchmark import subreaper
from dp_synth.benchmark.cell import Limits
from dp_synth.benchmark.executor import LOOK, MEGABYTE, PATIENCE, THREAD_VARIABLES, ProcessTree
from dp_synth.benchmark.peers.environments import environment, foreign_variables
from dp_synth.benchmark.peers.protocol import PeerRequest, read_answer, write_request
from dp_synth.benchmark.peers.registry import DRIVERS, OURS, PeerError, check_name, peer_named
from dp_synth.benchmark.scratch import Scratch
from dp_synth.readers import parse_json

# JAX does not read the variables that other numerical libraries read.
ONE_THREAD = {
    **dict.fromkeys(THREAD_VARIABLES, "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
}
FIRST_LOOK = 0.005  # seconds; each wait for the end is longer than the one before, up to LOOK
KEPT = 8192  # bytes of standard error that are kept, from its end
LONGEST_REASON = 300
SHARE_OF_LOOKING = 0.05  # at most this part of a core watches


@dataclass(frozen=True, eq=False)
class PeerAnswer:
    """Rows of the schema's kinds, what they took, and who vouches for their budget.

    ``seconds`` of the processor, ``wall_seconds`` and ``peak_mb`` are of the whole process, from
    start to end. ``budget`` is "ledger" where ``ledger`` holds the text of one of ours, else the
    peer's own word. ``notes`` say what the peer was given and what is known of it.
    """

    rows: pd.DataFrame
    seconds: float
    wall_seconds: float
    peak_mb: float
    versions: Mapping[str, str]
    budget: Literal["ledger", "peer-declared"]
    notes: tuple[str, ...] = ()
    ledger: str = ""


def run_peer(request: PeerRequest) -> PeerAnswer:
    """Return what the peer answers; PeerError, in one line, for whatever else it does."""
    try:
        command, variables, versions = _launch(request)
        with Scratch() as scratch:
            folder = scratch.path
            write_request(folder, request)
            used = run_limited(
                [*command, str(folder)],
                Limits(request.seconds, request.memory_mb),
                environment=variables,
            )
            rows, told = read_answer(folder, request)
    except PeerError as error:
        raise PeerError(f"{request.name}: {error}") from None
    ours = request.peer == OURS and not request.command and told.ledger is not None
    return PeerAnswer(
        rows,
        used.seconds,
        used.wall_seconds,
        used.peak_mb,
        versions={**versions, **told.versions},
        budget="ledger" if ours else "peer-declared",
        notes=told.notes,
        ledger=json.dumps(told.ledger) if ours else "",
    )


def code_of(command: Sequence[str]) -> str:
    """Return the SHA-256 of a command and of those of its words that name files."""
    digest = hashlib.sha256()
    for word in command:
        digest.update(word.encode() + b"\0")
        if Path(word).is_file():
            digest.update(Path(word).read_bytes() + b"\0")
    return digest.hexdigest()


def _launch(request: PeerRequest) -> tuple[Sequence[str], dict[str, str], Mapping[str, str]]:
    """Return the command, its variables, and the versions of the packages that it runs."""
    if request.command:
        return request.command, dict(os.environ), {}
    check_name(request.name)
    made = environment(request.peer)
    command = [str(made.interpreter), str(peer_named(request.peer).script)]
    if request.peer != OURS:
        return command, {**foreign_variables(), "PYTHONPATH": str(DRIVERS)}, made.versions
    # This interpreter finds the package where this process did, installed or not.
    places = [str(Path(dp_synth.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(place for place in places if place)
    return command, {**os.environ, "PYTHONPATH": path}, made.versions


@dataclass(frozen=True)
class Used:
    """What a process took, its children included.

    ``seconds`` are of the processor, of all of them; ``peak_mb`` is the largest resident memory
    that was seen of all of them together.
    """

    seconds: float
    wall_seconds: float
    peak_mb: float


def run_limited(
    command: Sequence[str], limits: Limits, *, environment: Mapping[str, str] | None = None
) -> Used:
    """Run ``command`` on one thread to its end and return what it took.

    It has no standard input, and a session of its own. A `subreaper` stands between: whatever
    happens, be it to this process, none of the processes that the command started outlives it.
    PeerError, with the last line of its standard error, where it does not end well or takes more
    than its limits.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", subreaper.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**(os.environ if environment is None else environment), **ONE_THREAD},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    tree = ProcessTree(process.pid, leader_counts=False)
    tail = _Tail(process.stderr)
    try:
        peak = _until_the_end(process, tree, limits)
        report = process.stdout.read(KEPT)
    finally:
        process.stdin.close()  # upon which all of them are ended
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        tree.kill()
        process.wait()
        process.stdout.close()
        said = tail.close()
    if not report:
        raise PeerError(_reason(process.returncode, said))
    took = parse_json(report)
    if took["failure"]:
        raise PeerError(f"{command[0]}: cannot be started: {took['failure']}")
    if took["code"] != 0:
        raise PeerError(_reason(took["code"], said))
    return Used(took["seconds"], took["wall_seconds"], max(peak, took["resident"] / MEGABYTE))


def _until_the_end(process: subprocess.Popen[bytes], tree: ProcessTree, limits: Limits) -> float:
    """Wait for the process and return the most megabytes that were seen.

    PeerError where it takes more than its limits.
    """
    started = time.monotonic()
    wait, next_look, peak = FIRST_LOOK, started, 0.0
    while process.poll() is None:
        now = time.monotonic()
        if now >= next_look:
            began = time.thread_time()  # not the clock: on a busy machine looks would grow rare
            peak = max(peak, tree.megabytes())
            next_look = now + max(LOOK, (time.thread_time() - began) / SHARE_OF_LOOKING)
        if limits.seconds is not None and now - started > limits.seconds:
            raise PeerError(f"took more than {limits.seconds:g} s")
        if limits.memory_mb is not None and peak > limits.memory_mb:
            raise PeerError(f"took more than {limits.memory_mb:g} MB")
        time.sleep(wait)
        wait = min(2 * wait, LOOK)
    return peak


class _Tail:
    """The end of what a pipe said, read as it comes so that nobody waits to write."""

    def __init__(self, pipe: IO[bytes]) -> None:
        """Read ``pipe`` from now on."""
        self._pipe, self._kept = pipe, b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> str:
        """Return the end of the text once the pipe has ended."""
        self._reader.join(timeout=10 * LOOK)
        if not self._reader.is_alive():
            self._pipe.close()
        return self._kept.decode("utf-8", errors="replace")

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), KEPT):
                self._kept = (self._kept + chunk)[-KEPT:]


def _reason(code: int, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was killed by {name} (out of memory?)" if name == "SIGKILL" else f"died of {name}"
    text = lines[-1] if lines else f"ended with exit code {code} and no word on standard error"
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_REASON]
