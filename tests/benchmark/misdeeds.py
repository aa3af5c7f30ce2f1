"""Work that does to its process what no cell should; a cell's options say what, and with what."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from dp_synth.benchmark.cell import Cell, Outcome, measured

FINE = Outcome((measured("tv2", 0.5, 0.4, 0.6),), 0.25, budget="ledger")


def cell_of(deed, *, seed=0, **given):
    options = json.dumps({"deed": deed, **given})
    return Cell("adult", "0" * 64, "utility", "mst", "{}", 1.0, 1e-5, "add_remove", seed, options)


def measuring_cells(number, milliseconds=10):
    """Return cells that give a value of their own each, after so long."""
    return [
        cell_of("measure", seed=seed, value=1 / (seed + 3), milliseconds=milliseconds)
        for seed in range(number)
    ]


def plain_executor(cells):
    """Work through cells right here: what an undisturbed run is."""
    for cell in cells:
        yield cell, work(cell)


class Wordless(Exception):
    """An exception that cannot be sent, nor say what it is."""

    def __init__(self):
        super().__init__(lambda: None)

    def __str__(self):
        raise RuntimeError


def work(cell):
    options = json.loads(cell.options)
    return DEEDS[options.pop("deed")](**options)


def fine():
    return FINE


def tell_process():
    return Outcome((measured("pid", os.getpid(), 0, 0),))


def write_and_read():
    """Write to standard output by every way there is, and read what there is to read."""
    print("x" * 100_000, flush=True)
    os.write(1, b"\x00\x00\x00\x04abcd")
    subprocess.run(["echo", "from a child"], check=True)
    return Outcome((measured("read", len(sys.stdin.read()), 0, 0),))


def hold(megabytes):
    """Hold so much memory, in steps, then let go of it and end well."""
    held = []
    for _ in range(megabytes // 10):
        held.append(np.ones(10 * 2**17))
        time.sleep(0.01)
    return FINE


def measure(value, milliseconds):
    time.sleep(milliseconds / 1000)
    return Outcome((measured("tv2", value, value / 2, value * 2),), 0.25, budget="ledger")


def hang_with_child(mark, megabytes=0):
    """Never end, nor let a grandchild do so that has left the session and holds so much memory."""
    if os.fork() == 0 and os.fork() == 0:
        os.setsid()
        Path(mark).write_text(str(os.getpid()))
        held = b"1" * (megabytes * 2**20)
        time.sleep(600 + len(held) % 2)
    time.sleep(600)
    os._exit(0)


def die_with_fork(mark):
    """Die while a forked child holds every pipe open."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
    Path(mark).write_text(str(child))
    os._exit(7)


def interrupt():
    """Be interrupted as from a terminal, also where a shell's background job ignores that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def interrupt_at_once():
    """End as a process does that leaves an interrupt to the system."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def raise_wordless():
    raise Wordless


def raise_half_a_character():
    raise ValueError("half \ud800 a character")


DEEDS = {
    "fine": fine,
    "measure": measure,
    "tell process": tell_process,
    "write and read": write_and_read,
    "hold": hold,
    "hang with child": hang_with_child,
    "die with fork": die_with_fork,
    "exit at once": lambda: os._exit(3),
    "exit": lambda: sys.exit("no more"),
    "be interrupted": interrupt,
    "be interrupted at once": interrupt_at_once,
    "segfault": lambda: ctypes.string_at(0),
    "raise wordless": raise_wordless,
    "raise half a character": raise_half_a_character,
    "give nothing": lambda: None,
    "give a function": lambda: Outcome((lambda: None,)),
    "give nan": lambda: Outcome(seconds=float("nan")),
}
