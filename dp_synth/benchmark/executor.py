"""Executors of cells: processes that each run one cell after the other, under limits.

An executor takes cells as they are asked for and gives each back with its outcome, in the order in
which they end; closing its generator ends its processes at once. Every cell, here or on a cluster,
goes through a `Worker`: whatever a cell does (raise, exit, hang, eat the memory, crash the
interpreter) ends as one outcome, and in the process of no other cell.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import LifoQueue
from typing import Self

import psutil

from dp_synth.benchmark import subreaper
from dp_synth.benchmark.cell import UNLIMITED, Cell, Limits, Machine, Outcome
from dp_synth.readers import parse_json

Work = Callable[[Cell], Outcome]
Completed = Generator[tuple[Cell, Outcome], None, None]
Executor = Callable[[Iterator[Cell]], Completed]

MEGABYTE = 2**20
# Numerical libraries read these once, when they are loaded: cells share the cores by processes.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
ATTEMPTS = 3  # processes that a cell may lose before the cell itself is blamed
CLOSED = Outcome(error="WorkerClosed: the run was stopped")
PATIENCE = 2.0  # seconds for a process that has closed its pipes to end
LOOK = 0.1  # seconds between two looks at the clock and the memory
SCANS = 0.01  # share of one core that reading the list of all processes may take
ROUNDS, PAUSE = 200, 0.005  # of looks for who is left, and seconds between two of them
OWN = Path("/proc/self")  # of Linux, where a process can ask for its peak and have it forgotten
START = """
import sys
sys.path[:] = sys.argv[3:]
from dp_synth.benchmark.executor import serve
serve(int(sys.argv[1]), float(sys.argv[2] or "inf"))
"""


def local_executor(
    work: Work, jobs: int, limits: Limits = UNLIMITED, *, fresh: bool = False
) -> Executor:
    """Return an executor of ``jobs`` processes on this machine, of one thread each.

    With ``fresh`` there is a new process for each cell.
    """

    def executor(cells: Iterator[Cell]) -> Completed:
        """Give cells with their outcomes, from threads that each own a process."""
        # All of them before the first thread: none can start a process once they are closed. The
        # last that was free is the first to go on: processes start only where they are needed.
        workers = [Worker(work, limits, fresh=fresh) for _ in range(jobs)]
        free: LifoQueue[Worker] = LifoQueue()
        for worker in workers:
            free.put(worker)

        def run(cell: Cell) -> Outcome:
            worker = free.get()
            try:
                return worker.run(cell)
            finally:
                free.put(worker)

        with ThreadPoolExecutor(jobs) as threads:
            try:
                # No more cells than processes are under way: the others stay open to whoever
                # else works on the same store.
                pairs = in_flight(cells, lambda: jobs, lambda cell: threads.submit(run, cell))
                yield from ((cell, future.result()) for cell, future in pairs)
            finally:
                for worker in workers:
                    worker.close()

    return executor


def in_flight(
    cells: Iterator[Cell],
    most: Callable[[], int],
    submit: Callable[[Cell], Future[Outcome]],
    *,
    patience: float | None = None,
) -> Iterator[tuple[Cell, Future[Outcome]]]:
    """Give cells with their futures as they end, at most so many of them under way.

    How many that is is asked for again whenever one has ended, or after ``patience`` seconds.
    """
    flying: dict[Future[Outcome], Cell] = {}
    while True:
        while len(flying) < most() and (cell := next(cells, None)) is not None:
            flying[submit(cell)] = cell
        if not flying:
            return
        for future in wait(flying, patience, return_when=FIRST_COMPLETED).done:
            yield flying.pop(future), future


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

    def __init__(
        self,
        work: Work,
        limits: Limits = UNLIMITED,
        *,
        idle: float | None = None,
        fresh: bool = False,
    ) -> None:
        """Prepare to run ``work``, which must be importable by its name, under ``limits``.

        The process ends by itself after ``idle`` seconds without a cell; a ``fresh`` one after
        each cell, for those of which time and memory are to tell of nothing before.
        """
        self._work, self._limits, self._idle, self._fresh = work, limits, idle, fresh
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
                    if self._fresh:
                        self._end()
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
                self._server.tree.kill()
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
            seconds, peak = time.monotonic() - started, max(peak, server.tree.megabytes())
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
            server = self._server = _Server(self._idle)
        server.wait()
        return server

    def _end(self, *, patience: float = 0.0) -> int | None:
        """End the process if there is one, and return what it ended with."""
        with self._starting:
            server, self._server = self._server, None
            return None if server is None else server.end(patience)


class _Server:
    """A process that runs `serve`, the pipes to and from it, and its folder for temporary files."""

    def __init__(self, idle: float | None) -> None:
        self.scratch = Scratch()
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(os.getpid()), str(idle or ""), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | dict.fromkeys(THREAD_VARIABLES, "1")
            | {"TMPDIR": str(self.scratch.path)},
            start_new_session=True,  # Ctrl-C on a terminal is for the parent alone
        )
        self.tree = ProcessTree(self.process.pid)
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
        self.tree.kill()
        self.requests.close()
        self.answers.close()
        ended = self.process.wait()
        self.scratch.remove()  # what a process that was killed could not remove itself
        return ended if code is None else code


def serve(parent: int, idle: float) -> None:
    """Answer requests on standard input until it ends, or none comes for ``idle`` seconds.

    It is what runs in a worker's process.
    """
    subreaper.become_subreaper()
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
        while requests.poll(None if idle == float("inf") else idle):
            answers.send_bytes(_to_text(attempt(requests.recv_bytes())))
    ProcessTree(os.getpid()).kill()


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
    ProcessTree(os.getpid()).kill()


def _adopted(pipe: object, *, readable: bool) -> Connection[bytes, bytes]:
    """Return a connection that owns the file descriptor of a process's pipe."""
    descriptor = os.dup(pipe.fileno())  # type: ignore[attr-defined]
    pipe.close()  # type: ignore[attr-defined]
    return Connection(descriptor, readable=readable, writable=not readable)


class ProcessTree:
    """A process that leads a session of its own, and all that it was seen to start.

    Those count too that left the session, and those that lived longer than who started them. One
    that merely got the number of a process that has ended is never taken for it.
    """

    def __init__(self, pid: int, *, leader_counts: bool = True) -> None:
        """Watch the process ``pid``, whose own memory is left out where it does not count."""
        self._pid, self._leader_counts = pid, leader_counts
        self._seen: dict[int, psutil.Process] = {}
        with suppress(psutil.Error):
            self._seen[pid] = psutil.Process(pid)

    def megabytes(self) -> float:
        """Return the resident memory of all of them; what they share counts for each."""
        self._look()
        total = 0.0
        for pid, process in self._seen.items():
            with suppress(psutil.Error):
                if pid == self._pid and not self._leader_counts:
                    continue
                total += process.memory_info().rss / MEGABYTE
        return total

    def kill(self) -> None:
        """Kill every one of them.

        The process itself is the last: should whoever calls this be killed meanwhile, it is still
        there to find out and to do the same, and where it is a subreaper whoever is left by one
        that is killed becomes its child, and is found in the next round. For that reason none is
        stopped first, either.
        """
        for _ in range(ROUNDS):
            _children.read()
            self._look()
            left = [one for pid, one in self._seen.items() if pid != self._pid and _is_alive(one)]
            if not left:
                break
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            time.sleep(PAUSE)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    def _look(self) -> None:
        """Forget who has ended, and meet who was started."""
        self._seen = {pid: process for pid, process in self._seen.items() if process.is_running()}
        for parent, child in _children.below(list(self._seen)):
            with suppress(psutil.Error):
                process = psutil.Process(child)
                if process.ppid() == parent:  # the list is old: is the number still the child's?
                    self._seen[child] = process


class _Children:
    """Who started whom, read for all trees at once and only as often as it is cheap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[int, list[int]] = {}
        self._next = 0.0  # when the list may be read again

    def read(self) -> None:
        """Read the list of all processes now."""
        with self._lock:
            self._read()

    def below(self, roots: list[int]) -> list[tuple[int, int]]:
        """Return parent and child for each descendant of ``roots``, from the top down."""
        with self._lock:
            if time.monotonic() >= self._next:
                self._read()
            of = self._of
        return list(_descend(of, roots))

    def _read(self) -> None:
        began = time.thread_time()  # not the clock: a busy machine would make the list grow old
        of: dict[int, list[int]] = {}
        for parent, child in _parents():
            of.setdefault(parent, []).append(child)
        self._of = of
        self._next = time.monotonic() + (time.thread_time() - began) / SCANS


_children = _Children()


def _parents() -> Iterator[tuple[int, int]]:
    """Yield parent and child for every process that there is.

    Linux is asked directly, several times as fast as by way of psutil: a list that costs less may
    be read more often, and short-lived children are missed less.
    """
    if not OWN.exists():
        for process in psutil.process_iter(["ppid"]):
            yield process.info["ppid"], process.pid
        return
    yield from subreaper.parents()


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that has and is not waited for yet is not alive."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _descend(of: dict[int, list[int]], roots: list[int]) -> Iterator[tuple[int, int]]:
    left, known = list(roots), set(roots)
    while left:
        parent = left.pop()
        for child in of.get(parent, ()):
            if child not in known:  # the list is not of one moment: numbers may come twice
                known.add(child)
                left.append(child)
                yield parent, child


def forget_peak() -> None:
    """Begin to count the peak of this process's memory anew, where the system can."""
    with suppress(OSError):
        (OWN / "clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the largest resident memory since `forget_peak`, else what is resident now."""
    with suppress(OSError):
        for line in (OWN / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(psutil.Process().memory_info().rss) / MEGABYTE


PREFIX = "dp-synth-"


class Scratch:
    """A new folder in the temporary one that its owner alone can read, until it is removed.

    >>> with Scratch() as scratch:
    ...     (scratch.path / "a").write_text("b")
    1
    >>> scratch.path.exists()
    False
    """

    def __init__(self) -> None:
        """Remove what owners left that are dead, and make a folder."""
        sweep()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))  # of mode 0700
            lock = _locked(self.path)
            if lock is not None:  # else it was swept before it could be locked
                self._lock = lock
                return

    def remove(self) -> None:
        """Remove the folder, for good."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def sweep() -> None:
    """Remove the folders of this user in the temporary one whose owners are dead."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _locked(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _locked(path: Path) -> int | None:
    """Return the open folder at ``path`` with a lock; None where it is another's or none."""
    folder = None
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held, there = os.fstat(folder), os.stat(path, follow_symlinks=False)
        private = held.st_uid == os.geteuid() and stat.S_IMODE(held.st_mode) == stat.S_IRWXU
        if private and os.path.samestat(held, there):
            return folder
    if folder is not None:
        os.close(folder)
    return None


# Names of the version before, for one version more.
Crew, Ended, local_crew = Executor, Completed, local_executor
