"""Executor on a Dask cluster: the cells of one run on as many machines as a cluster has.

A plugin of each Dask worker keeps processes beside it, one for each of its threads that is busy, so
that the limits hold there too and a cell that crashes takes no Dask worker along. Cells of a Dask
worker that dies go to another one. Only this side writes to the store.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import distributed
from distributed.comm.core import connect
from distributed.scheduler import KilledWorker

from dp_synth.benchmark.cell import UNLIMITED, Cell, Limits, Outcome, code_digest
from dp_synth.benchmark.executor import CLOSED, Completed, Executor, Work, Worker, in_flight
from dp_synth.errors import InputError
from dp_synth.readers import LARGEST_TEXT, parse_json

Untyped = Any  # a client or a future of distributed, whose types are partly unknown

CONNECT = 30  # seconds until a scheduler that does not answer is given up
LEAVE = 10  # seconds that a scheduler has for a good-bye
AHEAD = 2  # cells sent for each thread of the cluster, so that none waits for the way back
GROWTH = 1.0  # seconds between two looks at how many threads the cluster has
IDLE = 60.0  # seconds without a cell until a process ends: its run may have been killed


def dask_executor(
    work: Work, address: str, limits: Limits = UNLIMITED, *, fresh: bool = False
) -> Executor:
    """Return an executor on the Dask scheduler at ``address``, or in a scheduler file.

    With ``fresh`` there is a new process for each cell.
    InputError where no scheduler answers, or it goes away, or a worker has another code than this
    process.
    """

    def executor(cells: Iterator[Cell]) -> Completed:
        """Give cells with their outcomes, as the cluster's workers end them."""
        plugin = CellProcesses(work, limits, code_digest(), fresh=fresh)
        client = _connected(address)
        try:
            client.register_plugin(plugin)
            threads = client.get_executor(pure=False)
            run = partial(threads.submit, partial(_run_there, plugin.name))
            for cell, future in in_flight(cells, _most_at_once(client), run, patience=GROWTH):
                yield cell, _outcome_of(future)
        except (CancelledError, OSError) as error:
            raise InputError(
                f"the Dask scheduler at {address} went away ({type(error).__name__}); "
                "finished cells are kept"
            ) from None
        finally:
            _leave(client, plugin.name)

    return executor


class CellProcesses(distributed.WorkerPlugin):
    """Plugin of a Dask worker: the processes in which it runs the cells of one run."""

    def __init__(self, work: Work, limits: Limits, code: str, *, fresh: bool = False) -> None:
        """Prepare to run ``work`` where the package has the digest ``code``."""
        self.name = f"dp_synth-{uuid.uuid4().hex}"
        self._work, self._limits, self._code, self._fresh = work, limits, code, fresh
        self._workers: list[Worker] = []
        self._free: list[Worker] = []  # to append and to pop is atomic
        self._ended = False

    def setup(self, worker: object) -> None:
        """Begin, for distributed, on a worker that is there or has come later."""

    def teardown(self, worker: object) -> None:
        """End all processes, those with a cell included, and begin no other cell."""
        self._ended = True
        for one in self._workers:
            one.close()

    def run(self, cell: Cell) -> Outcome:
        """Return what the cell gave; the last process that was free is the first to go on.

        InputError where the code differs from that of whoever sent the cell: its key is of theirs.
        """
        if code_digest() != self._code:
            raise InputError("it has another version of dp_synth than the process that sends them")
        try:
            worker = self._free.pop()
        except IndexError:
            worker = Worker(self._work, self._limits, idle=IDLE, fresh=self._fresh)
            self._workers.append(worker)
        try:
            return CLOSED if self._ended else worker.run(cell)
        finally:
            self._free.append(worker)


def _run_there(plugin: str, cell: Cell) -> Outcome:
    """Return what a cell gave, run by a plugin of the Dask worker that this runs in."""
    found: Untyped = distributed.get_worker().plugins[plugin]
    outcome: Outcome = found.run(cell)
    return outcome


def _connected(address: str) -> Untyped:
    kind: Untyped = distributed.Client
    try:
        meant = _meant(address)
        asyncio.run(_greet(meant))
        return kind(meant, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"no Dask scheduler answers at {address}: {reason}") from None


async def _greet(address: str) -> None:
    """Connect once: a Client that could not takes a minute to go away, and is loud about it."""
    reach: Untyped = connect
    security: Untyped = distributed.Security
    comm = await reach(address, timeout=CONNECT, **security().get_connection_args("client"))
    await comm.close()


def _meant(address: str) -> str:
    """Return the scheduler's address, which may stand in the file that it writes."""
    try:
        with Path(address).open("rb") as file:
            content = parse_json(file.read(LARGEST_TEXT + 1))
    except FileNotFoundError:
        return address
    if not isinstance(content, dict) or not isinstance(content.get("address"), str):
        raise ValueError("it is not the file of a scheduler")
    return str(content["address"])


def _most_at_once(client: Untyped) -> Callable[[], int]:
    """Return what says how many cells are to be under way: a cluster may grow."""
    most, asked = 0, float("-inf")

    def most_now() -> int:
        nonlocal most, asked
        if time.monotonic() - asked > GROWTH:
            most, asked = AHEAD * max(1, sum(client.nthreads().values())), time.monotonic()
        return most

    return most_now


def _outcome_of(future: Future[Outcome]) -> Outcome:
    """Return a task's outcome; one that no Dask worker survived is a row with its reason."""
    error = future.exception()
    if error is None:
        return future.result()
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, KilledWorker):
        return Outcome(error=reason)
    # What a cell does is an outcome: this is about the worker, and each of its cells would fail.
    said = error if isinstance(error, InputError) else reason
    raise InputError(f"a worker of the Dask cluster cannot run cells: {said}")


def _leave(client: Untyped, plugin: str) -> None:
    """End the processes of this run, wherever the cluster can still be reached."""
    with suppress(OSError, ValueError, RuntimeError, CancelledError):
        if client.status == "running":
            client.unregister_worker_plugin(plugin)
    with suppress(OSError, RuntimeError, CancelledError):
        client.close(timeout=LEAVE)
