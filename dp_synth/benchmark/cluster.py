"""A crew of Dask workers: the cells of one run on as many machines as a cluster has.

Each task runs its cell in a `Worker`, a process of its own beside the Dask worker, so that the
limits hold there too and a cell that crashes takes no Dask worker along. Tasks of a Dask worker
that dies go to another one. Only this side writes to the store.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from dp_synth.benchmark.cell import Cell, Outcome, code_digest
from dp_synth.benchmark.crew import Crew, Ended
from dp_synth.benchmark.remote import Task, end_run, run_here
from dp_synth.benchmark.worker import UNLIMITED, Limits, Work
from dp_synth.errors import InputError, missing_extra
from dp_synth.readers import LARGEST_TEXT, parse_json

# What dask leaves untyped; it is an extra that may not be installed.
Client = Any
Future = Any

CONNECT = 30  # seconds until a scheduler that does not answer is given up
LEAVE = 10  # seconds that a scheduler has for a good-bye
AHEAD = 2  # cells sent for each thread of the cluster, so that none waits for the way back
GROWTH = 1.0  # seconds between two looks at how many threads the cluster has


def dask_crew(work: Work, address: str, limits: Limits = UNLIMITED) -> Crew:
    """Return a crew of the workers of the Dask scheduler at ``address``, or in a scheduler file.

    InputError where dask is not installed, or no scheduler answers, or it goes away, or a worker
    has another code than this process.
    """
    _client_kind()

    def crew(cells: Iterator[Cell]) -> Ended:
        """Give cells with their outcomes, as the cluster's workers end them."""
        task = Task(work, limits, code_digest(), run=uuid.uuid4().hex)
        client = _connected(address)
        try:
            yield from _in_flight(client, cells, task)
        except (CancelledError, OSError) as error:
            raise InputError(
                f"the Dask scheduler at {address} went away ({type(error).__name__}); "
                "finished cells are kept"
            ) from None
        finally:
            _leave(client, task)

    return crew


def _client_kind() -> Any:
    try:
        import distributed
    except ImportError:
        raise missing_extra("a cluster", "dask", "cluster") from None
    return distributed.Client


def _connected(address: str) -> Client:
    try:
        meant = _meant(address)
        asyncio.run(_greet(meant))
        return _client_kind()(meant, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"no Dask scheduler answers at {address}: {reason}") from None


async def _greet(address: str) -> None:
    """Connect once: a Client that could not takes a minute to go away, and is loud about it."""
    from distributed import Security
    from distributed.comm.core import connect

    reach: Any = connect
    security: Any = Security
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


def _in_flight(client: Client, cells: Iterator[Cell], task: Task) -> Ended:
    """Give cells with their outcomes as they end, enough of them under way for all threads.

    A cluster may grow: how many threads it has is asked for again and again.
    """
    flying: dict[str, tuple[Future, Cell]] = {}
    ended: SimpleQueue[Future] = SimpleQueue()
    most, asked = 0, float("-inf")
    while True:
        if time.monotonic() - asked > GROWTH:
            most, asked = AHEAD * max(1, sum(client.nthreads().values())), time.monotonic()
        while len(flying) < most and (cell := next(cells, None)) is not None:
            future = client.submit(run_here, task, cell, pure=False)
            flying[future.key] = future, cell
            future.add_done_callback(ended.put)
        if not flying:
            return
        with suppress(Empty):
            future = ended.get(timeout=GROWTH)
            yield flying.pop(future.key)[1], _outcome_of(future)


def _outcome_of(future: Future) -> Outcome:
    """Return a task's outcome; one that no Dask worker survived is a row with its reason."""
    from distributed.scheduler import KilledWorker

    error = future.exception()
    if error is None:
        outcome: Outcome = future.result()
        return outcome
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, KilledWorker):
        return Outcome(error=reason)
    # What a cell does is an outcome: this is about the worker, and each of its cells would fail.
    said = error if isinstance(error, InputError) else reason
    raise InputError(f"a worker of the Dask cluster cannot run cells: {said}")


def _leave(client: Client, task: Task) -> None:
    """End the processes of this run, wherever the cluster can still be reached."""
    with suppress(OSError, ValueError, RuntimeError, CancelledError):
        if client.status == "running":
            client.run(end_run, task.run, on_error="ignore")
    with suppress(OSError, RuntimeError, CancelledError):
        client.close(timeout=LEAVE)
