"""One process of foreign code, watched: its time, its memory, and all that it starts."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from dp_synth.benchmark.peers.errors import PeerError
from dp_synth.benchmark.processes import MEGABYTE, Family
from dp_synth.benchmark.worker import LOOK, THREAD_VARIABLES, Limits

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
RESIDENT_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


@dataclass(frozen=True)
class Used:
    """What a process took, its children included.

    ``seconds`` are of the processor, of the children that it waited for as well; ``peak_mb`` is
    the largest resident memory that was seen of all of them together.
    """

    seconds: float
    wall_seconds: float
    peak_mb: float


def run_limited(
    command: Sequence[str], limits: Limits, *, environment: Mapping[str, str] | None = None
) -> Used:
    """Run ``command`` on one thread to its end and return what it took.

    It has no standard input, and a session of its own: whatever happens, none of the processes
    that it started outlives it. PeerError, with the last line of its standard error, where it
    does not end well or takes more than its limits.
    """
    variables = {**(os.environ if environment is None else environment), **ONE_THREAD}
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=variables,
            start_new_session=True,
        )
    except OSError as error:
        raise PeerError(f"{command[0]}: cannot be started: {error.strerror}") from None
    assert process.stderr is not None
    family = Family(process.pid)
    tail = _Tail(process.stderr)
    try:
        usage, seen = _until_the_end(process, family, limits, started)
        wall_seconds = time.monotonic() - started
    finally:
        family.kill()
        if process.returncode is None:
            process.wait()
        said = tail.close()
    if process.returncode != 0:
        raise PeerError(_reason(process.returncode, said))
    # A child begins with its parent's largest memory: a smaller number tells nothing of its own.
    resident = usage.ru_maxrss * RESIDENT_UNIT / MEGABYTE if usage.ru_maxrss > own_peak else 0.0
    return Used(usage.ru_utime + usage.ru_stime, wall_seconds, max(seen, resident))


def _until_the_end(
    process: subprocess.Popen[bytes], family: Family, limits: Limits, started: float
) -> tuple[resource.struct_rusage, float]:
    """Wait for the process and return its usage and the most megabytes that were seen.

    PeerError where it takes more than its limits.
    """
    wait, next_look, peak = FIRST_LOOK, started, 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage, peak
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
