"""A process that runs one command and ends with all that it started, even what has left it.

It is run as a script by an isolated interpreter, so it imports the standard library alone. Its
standard input is a pipe that nobody writes to: when that ends, whoever asked has gone or given
up. Its last word, on standard output, is a JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

SET_CHILD_SUBREAPER = 36  # of prctl(2), Linux
PROCESSES = "/proc"
RESIDENT_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


def become_subreaper() -> None:
    """Have those whose parent ends become children of this process, where the system can (Linux).

    A command that starts a process, leaves it and ends cannot hide it so.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents() -> Iterator[tuple[int, int]]:
    """Yield parent and child for every process that there is; none where there is no /proc."""
    if not os.path.exists(f"{PROCESSES}/self/stat"):
        return
    for name in os.listdir(PROCESSES):
        if name.isdigit():
            try:
                # A name in brackets, which may hold anything, then the state and the parent.
                with open(f"{PROCESSES}/{name}/stat", "rb") as file:
                    said = file.read().rpartition(b")")[2]
            except OSError:  # it has ended meanwhile
                continue
            yield int(said.split()[1]), int(name)


def main(command: list[str]) -> None:
    """Run the command to its end, end what it left, and write what that took."""
    become_subreaper()
    started = time.monotonic()
    pid, failure = _start(command)
    threading.Thread(target=_end_when_alone, args=(pid,), daemon=True).start()
    ended, status = os.waitpid(-1, 0)
    while ended != pid:
        ended, status = os.waitpid(-1, 0)
    seconds = time.monotonic() - started
    _end_children(pid)
    took = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = {
        "failure": failure,
        "code": os.waitstatus_to_exitcode(status),
        "wall_seconds": seconds,
        "seconds": took.ru_utime + took.ru_stime,
        "resident": took.ru_maxrss * RESIDENT_UNIT,
    }
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(said).encode())


def _start(command: list[str]) -> tuple[int, str]:
    """Start the command in a session of its own; return its number, and why it did not start."""
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            for name in ("SIGPIPE", "SIGXFSZ"):  # which Python ignores, and programs do not
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(nothing, 1)
            os.execvp(command[0], command)
        except OSError as error:
            os.write(writes, (error.strerror or "unknown reason").encode())
        finally:
            os._exit(127)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        return pid, pipe.read().decode()


def _end_when_alone(pid: int) -> None:
    """End the command once nobody is there to be told; the rest ends after it."""
    while os.read(0, 1):
        pass
    os.kill(pid, signal.SIGKILL)


def _end_children(pid: int) -> None:
    """Kill the command's group and all that is a child of this process, until there is none.

    One that is killed leaves its own children to this process before it is waited for.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            for parent, child in parents():
                if parent == os.getpid():
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
