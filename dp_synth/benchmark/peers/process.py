"""One process of foreign code, watched: its time, its memory, and all that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from dp_synth.benchmark import subreaper
from dp_synth.benchmark.peers.errors import PeerError
from dp_synth.benchmark.processes import MEGABYTE, Family
from dp_synth.benchmark.worker import LOOK, PATIENCE, THREAD_VARIABLES, Limits
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
    family = Family(process.pid, leader_counts=False)
    tail = _Tail(process.stderr)
    try:
        peak = _until_the_end(process, family, limits)
        report = process.stdout.read(KEPT)
    finally:
        process.stdin.close()  # upon which all of them are ended
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        family.kill()
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


def _until_the_end(process: subprocess.Popen[bytes], family: Family, limits: Limits) -> float:
    """Wait for the process and return the most megabytes that were seen.

    PeerError where it takes more than its limits.
    """
    started = time.monotonic()
    wait, next_look, peak = FIRST_LOOK, started, 0.0
    while process.poll() is None:
        now = time.monotonic()
        if now >= next_look:
            began = time.thread_time()  # not the clock: on a busy machine looks would grow rare
            peak = max(peak, family.megabytes())
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
