"""A process that runs cells one after the other, under limits, and is replaced when one kills it.

Every cell of a run, on this machine or on a cluster, goes through a `Worker`: whatever a cell does
(raise, exit, hang, eat the memory, crash the interpreter) ends as one outcome, and in the process
of no other cell.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection

from dp_synth.benchmark.cell import Cell, Outcome
from dp_synth.benchmark.machine import Machine
from dp_synth.benchmark.processes import MEGABYTE, Family, forget_peak, peak_mb
from dp_synth.benchmark.scratch import Scratch
from dp_synth.benchmark.subreaper import become_subreaper
from dp_synth.readers import parse_json

__all__ = [
    "ATTEMPTS",
    "LIMITED",
    "LOOK",
    "MEGABYTE",
    "THREAD_VARIABLES",
    "UNLIMITED",
    "Limits",
    "Work",
    "Worker",
    "died",
]

Work = Callable[[Cell], Outcome]

# Numerical libraries read these once, when they are loaded: cells share the cores by processes.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
ATTEMPTS = 3  # processes that a cell may lose before the cell itself is blamed
LIMITED = ("TimedOut:", "OutOfMemory:")  # how the error of a cell begins that came to a limit
CLOSED = Outcome(error="WorkerClosed: the run was stopped")
PATIENCE = 2.0  # seconds for a process that has closed its pipes to end
LOOK = 0.1  # seconds between two looks at the clock and the memory
START = """
import sys
sys.path[:] = sys.argv[2:]
from dp_synth.benchmark.worker import serve
serve(int(sys.argv[1]))
"""


@dataclass(frozen=True)
class Limits:
    """What one cell may take: seconds on the clock, and megabytes of resident memory.

    The memory is that of the cell's process and of the processes which that one starts. None is
    without limit.
    """

    seconds: float | None = None
    memory_mb: float | None = None

    def exceeded(self, seconds: float, megabytes: float) -> str:
        """Return which limit so much is beyond, as the reason of a failed cell; "" for none."""
        if self.seconds is not None and seconds > self.seconds:
            return f"{LIMITED[0]} more than {self.seconds:g} s"
        if self.memory_mb is not None and megabytes > self.memory_mb:
            return f"{LIMITED[1]} more than {self.memory_mb:g} MB"
        return ""


UNLIMITED = Limits()


def died(code: int | None) -> Outcome:
    """Return the outcome of a cell whose processes ended without an answer, the last with ``code``.

    >>> died(-9).error
    'WorkerDied: 3 processes ended without an answer, the last by SIGKILL (out of memory?)'
    """
    how = f"with exit code {code}"
    if code is not None and code < 0:
        with suppress(ValueError):
            how = f"by {signal.Signals(-code).name}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    return Outcome(
        error=f"WorkerDied: {ATTEMPTS} processes ended without an answer, the last {how}{hint}"
    )


class Worker:
    """One process at a time, started when the first cell comes."""

    def __init__(self, work: Work, limits: Limits = UNLIMITED) -> None:
        """Prepare to run ``work``, which must be importable by its name, under ``limits``."""
        self._work, self._limits = work, limits
        self._server: _Server | None = None
        self._closed = False
        self._starting = threading.Lock()  # so that close() misses no process
        self._running = threading.Lock()  # held while the pipes are in use

    def run(self, cell: Cell) -> Outcome:
        """Return what the cell gave, or the row of how it failed; never raises for the cell."""
        code = None
        with self._running:
            for _ in range(ATTEMPTS):
                outcome = self._attempt(cell)
                if outcome is not None:
                    return outcome
                code = self._end(patience=PATIENCE)
                if self._closed:
                    return CLOSED
        return died(code)

    def close(self) -> None:
        """End the process, from any thread, and wait for it; a cell under way is given up."""
        with self._starting:
            self._closed = True
            if self._server is not None:
                self._server.family.kill()
        with self._running:
            self._end()

    def _attempt(self, cell: Cell) -> Outcome | None:
        """Return the outcome, or None where the process died without one."""
        try:
            server = self._started()
            server.requests.send_bytes(pickle.dumps((self._work, cell)))
            outcome, peak = self._watched(server)
        except (EOFError, OSError):
            return None
        return replace(outcome, peak_mb=max(outcome.peak_mb or 0.0, peak))

    def _watched(self, server: _Server) -> tuple[Outcome, float]:
        """Return the outcome, and the most megabytes that were seen until it came."""
        started, peak = time.monotonic(), 0.0
        while not server.answers.poll(LOOK):
            server.check()
            seconds, peak = time.monotonic() - started, max(peak, server.family.megabytes())
            reason = self._limits.exceeded(seconds, peak)
            if reason:
                self._end()
                return Outcome(error=reason, wall_seconds=seconds), peak
        return _from_text(server.answers.recv_bytes()), peak

    def _started(self) -> _Server:
        """Return the process, once it is ready: no cell's clock runs while it starts."""
        with self._starting:
            if self._closed:
                raise EOFError
            if self._server is not None:
                return self._server
            server = self._server = _Server()
        server.wait()
        return server

    def _end(self, *, patience: float = 0.0) -> int | None:
        """End the process if there is one, and return what it ended with."""
        with self._starting:
            server, self._server = self._server, None
            return None if server is None else server.end(patience)


class _Server:
    """A process that runs `serve`, the pipes to and from it, and its folder for temporary files."""

    def __init__(self) -> None:
        self.scratch = Scratch()
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(os.getpid()), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | dict.fromkeys(THREAD_VARIABLES, "1")
            | {"TMPDIR": str(self.scratch.path)},
            start_new_session=True,  # Ctrl-C on a terminal is for the parent alone
        )
        self.family = Family(self.process.pid)
        self.requests = _adopted(self.process.stdin, readable=False)
        self.answers = _adopted(self.process.stdout, readable=True)

    def wait(self) -> None:
        """Wait until the process is ready; EOFError where it ends instead."""
        while not self.answers.poll(LOOK):
            self.check()
        self.answers.recv_bytes()

    def check(self) -> None:
        """Raise EOFError when the process ended without a word.

        The pipe alone does not tell: what the process forked may still hold it open.
        """
        if self.process.poll() is not None and not self.answers.poll(0):
            raise EOFError

    def end(self, patience: float) -> int:
        """Kill the process and all that it started, and return its exit code.

        One that is about to end by itself has so many seconds for it: its own code says more.
        """
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        code = self.process.poll()
        self.family.kill()
        self.requests.close()
        self.answers.close()
        ended = self.process.wait()
        self.scratch.remove()  # what a process that was killed could not remove itself
        return ended if code is None else code


def serve(parent: int) -> None:
    """Answer requests on standard input until it ends: what runs in a worker's process."""
    become_subreaper()
    requests = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    # The pipes are for requests and outcomes alone: what libraries print goes to standard error,
    # and there is nothing for them to read.
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    with suppress(EOFError, OSError):  # the parent has gone, be it in the middle of a word
        answers.send_bytes(b"ready")
        while True:
            answers.send_bytes(_to_text(attempt(requests.recv_bytes())))
    Family(os.getpid()).kill()


def attempt(request: bytes) -> Outcome:
    """Return what the pickled work gives for its cell, or the error and trace that it ended in."""
    forget_peak()
    started = time.monotonic()
    try:
        work, cell = pickle.loads(request)
        outcome = _checked(work(cell))
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        outcome = Outcome(error=_reason(error), trace=_printable(traceback.format_exc()))
    return replace(
        outcome,
        wall_seconds=time.monotonic() - started,
        peak_mb=max(outcome.peak_mb or 0.0, peak_mb()),
        machine=Machine.here(),
    )


def _checked(given: object) -> Outcome:
    """Return what work gave; an error where it is not an outcome that can be stored."""
    if not isinstance(given, Outcome):
        raise TypeError(f"work must return an Outcome, got {type(given).__name__}")
    return _from_text(_to_text(given))


def _reason(error: BaseException) -> str:
    try:
        message = " ".join(str(error).split())
    except Exception:  # an exception of foreign code may not even be able to say what it is
        message = ""
    name = type(error).__name__
    return _printable(f"{name}: {message}" if message else name)


def _printable(text: str) -> str:
    """Return ``text`` with what no file can hold, halves of characters, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _to_text(outcome: Outcome) -> bytes:
    """Return an outcome as JSON, as it will be stored: unlike a pickle it holds nothing foreign."""
    return json.dumps(asdict(outcome), allow_nan=False).encode()


def _from_text(text: bytes) -> Outcome:
    return Outcome.from_fields(parse_json(text))


def _follow(parent: int) -> None:
    """End with the parent, however that one ended, and take all that was started along."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    Family(os.getpid()).kill()


def _adopted(pipe: object, *, readable: bool) -> Connection[bytes, bytes]:
    """Return a connection that owns the file descriptor of a process's pipe."""
    descriptor = os.dup(pipe.fileno())  # type: ignore[attr-defined]
    pipe.close()  # type: ignore[attr-defined]
    return Connection(descriptor, readable=readable, writable=not readable)
