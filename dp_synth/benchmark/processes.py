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

MEGABYTE = 2**20
SCANS = 0.01  # share of one core that reading the list of all processes may take
PROCESSES = Path("/proc")
OWN = PROCESSES / "self"  # of Linux, where a process can ask for its peak and have it forgotten


class Family:
    """A process that leads a session of its own, and all that it was seen to start.

    Those count too that left the session, and those that lived longer than who started them. One
    that merely got the number of a process that has ended is never taken for it.
    """

    def __init__(self, pid: int) -> None:
        """Watch the process ``pid``."""
        self._pid = pid
        self._seen: dict[int, psutil.Process] = {}
        with suppress(psutil.Error):
            self._seen[pid] = psutil.Process(pid)

    def megabytes(self) -> float:
        """Return the resident memory of all of them; what they share counts for each."""
        self._look()
        total = 0.0
        for process in self._seen.values():
            with suppress(psutil.Error):
                total += process.memory_info().rss / MEGABYTE
        return total

    def kill(self) -> None:
        """Kill every one of them.

        The process itself is the last: should whoever calls this be killed meanwhile, it is still
        there to find out and to do the same. For that reason none is stopped first, either.
        """
        _children.read()
        self._look()
        for pid, process in self._seen.items():
            if pid != self._pid:
                with suppress(psutil.Error):
                    process.kill()
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
    if not (PROCESSES / "self" / "stat").exists():
        for process in psutil.process_iter(["ppid"]):
            yield process.info["ppid"], process.pid
        return
    for name in os.listdir(PROCESSES):
        if name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                # A name in brackets, which may hold anything, then the state and the parent.
                with open(f"{PROCESSES}/{name}/stat", "rb") as file:
                    said = file.read().rpartition(b")")[2]
                yield int(said.split()[1]), int(name)


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
