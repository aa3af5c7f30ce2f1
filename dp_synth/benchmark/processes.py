"""A process and all that it starts: the memory that they hold together, and their common end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from dp_synth.benchmark import subreaper

MEGABYTE = 2**20
SCANS = 0.01  # share of one core that reading the list of all processes may take
ROUNDS, PAUSE = 200, 0.005  # of looks for who is left, and seconds between two of them
OWN = Path("/proc/self")  # of Linux, where a process can ask for its peak and have it forgotten


class Family:
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
    """Who started whom, read for all families at once and only as often as it is cheap."""

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
