"""A tree is a process and what it started, and never whoever got one of their numbers."""

import os
import signal
import subprocess
import sys

import psutil

from dp_synth.benchmark import executor
from dp_synth.benchmark.executor import ProcessTree

SLEEP = "import time; time.sleep(600)"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {SLEEP}"


def test_no_stranger_is_met_who_has_the_number_of_a_child_of_before(monkeypatch):
    ours, stranger = (
        subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) for _ in range(2)
    )
    try:
        tree = ProcessTree(ours.pid)
        old = executor._Children()
        old._of, old._next = {ours.pid: [stranger.pid]}, float("inf")
        monkeypatch.setattr(old, "read", lambda: None)
        monkeypatch.setattr(executor, "_children", old)
        assert tree.megabytes() < 2 * psutil.Process(ours.pid).memory_info().rss / 2**20
        tree.kill()
        assert ours.wait(60) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for process in (ours, stranger):
            process.kill()
            process.wait()


def test_memory_and_end_are_those_of_children_too():
    parent = subprocess.Popen([sys.executable, "-c", WITH_CHILD], start_new_session=True)
    try:
        while not (children := psutil.Process(parent.pid).children()):
            os.sched_yield()
        executor._children.read()
        tree = ProcessTree(parent.pid)
        together = tree.megabytes()
        assert together > psutil.Process(parent.pid).memory_info().rss / 2**20
        tree.kill()
        assert parent.wait(60) == -signal.SIGKILL
        assert not psutil.wait_procs(children, timeout=60)[1]
    finally:
        parent.kill()
        parent.wait()


def test_the_list_of_processes_is_that_of_psutil(monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    try:
        mine = (os.getpid(), child.pid)
        assert mine in set(executor._parents())
        monkeypatch.setattr(executor, "OWN", executor.Path("/nowhere"))
        assert mine in set(executor._parents())
    finally:
        child.kill()
        child.wait()


def test_a_name_in_brackets_does_not_hide_the_parent(tmp_path):
    # Linux takes the name from the file that is run: brackets and blanks are names too.
    odd = tmp_path / "a) 1 (b"
    odd.symlink_to("/bin/sleep")
    child = subprocess.Popen([odd, "600"])
    try:
        assert (os.getpid(), child.pid) in set(executor._parents())
    finally:
        child.kill()
        child.wait()
