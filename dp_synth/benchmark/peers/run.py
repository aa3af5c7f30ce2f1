"""Run of a peer: its folder written, its process watched, its answer read strictly."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

import dp_synth
from dp_synth.accounting import PrivacyBudget
from dp_synth.benchmark import subreaper
from dp_synth.benchmark.cell import Limits
from dp_synth.benchmark.executor import (
    LOOK,
    MEGABYTE,
    PATIENCE,
    THREAD_VARIABLES,
    ProcessTree,
    Scratch,
)
from dp_synth.benchmark.peers.environments import (
    DRIVERS,
    OURS,
    PeerError,
    check_name,
    environment,
    foreign_variables,
    peer_named,
)
from dp_synth.datasets.tables import parse_csv
from dp_synth.errors import InputError
from dp_synth.faults import first_fault
from dp_synth.readers import LARGEST_TEXT, JsonFault, parse_json
from dp_synth.schema import DiscreteColumn, IdColumn, Schema
from dp_synth.schema.constraints import Column
from dp_synth.schema.parsing import Cells, numbers_of

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


@dataclass(frozen=True, eq=False)
class PeerAnswer:
    """Rows of the schema's kinds, what they took, and who vouches for their budget.

    ``seconds`` of the processor, ``wall_seconds`` and ``peak_mb`` are of the whole process, from
    start to end. ``budget`` is "ledger" where ``ledger`` holds the text of one of ours, else the
    peer's own word. ``notes`` say what the peer was given and what is known of it.
    """

    rows: pd.DataFrame
    seconds: float
    wall_seconds: float
    peak_mb: float
    versions: Mapping[str, str]
    budget: Literal["ledger", "peer-declared"]
    notes: tuple[str, ...] = ()
    ledger: str = ""


def run_peer(request: PeerRequest) -> PeerAnswer:
    """Return what the peer answers; PeerError, in one line, for whatever else it does."""
    try:
        command, variables, versions = _launch(request)
        with Scratch() as scratch:
            folder = scratch.path
            write_request(folder, request)
            used = run_limited(
                [*command, str(folder)],
                Limits(request.seconds, request.memory_mb),
                environment=variables,
            )
            rows, told = read_answer(folder, request)
    except PeerError as error:
        raise PeerError(f"{request.name}: {error}") from None
    ours = request.peer == OURS and not request.command and told.ledger is not None
    return PeerAnswer(
        rows,
        used.seconds,
        used.wall_seconds,
        used.peak_mb,
        versions={**versions, **told.versions},
        budget="ledger" if ours else "peer-declared",
        notes=told.notes,
        ledger=json.dumps(told.ledger) if ours else "",
    )


def code_of(command: Sequence[str]) -> str:
    """Return the SHA-256 of a command and of those of its words that name files."""
    digest = hashlib.sha256()
    for word in command:
        digest.update(word.encode() + b"\0")
        if Path(word).is_file():
            digest.update(Path(word).read_bytes() + b"\0")
    return digest.hexdigest()


def _launch(request: PeerRequest) -> tuple[Sequence[str], dict[str, str], Mapping[str, str]]:
    """Return the command, its variables, and the versions of the packages that it runs."""
    if request.command:
        return request.command, dict(os.environ), {}
    check_name(request.name)
    made = environment(request.peer)
    command = [str(made.interpreter), str(peer_named(request.peer).script)]
    if request.peer != OURS:
        return command, {**foreign_variables(), "PYTHONPATH": str(DRIVERS)}, made.versions
    # This interpreter finds the package where this process did, installed or not.
    places = [str(Path(dp_synth.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(place for place in places if place)
    return command, {**os.environ, "PYTHONPATH": path}, made.versions


@dataclass(frozen=True)
class Used:
    """What a process took, its children included.

    ``seconds`` are of the processor, of all of them; ``peak_mb`` is the largest resident memory
    that was seen of all of them together.
    """

    seconds: float
    wall_seconds: float
    peak_mb: float


def run_limited(
    command: Sequence[str], limits: Limits, *, environment: Mapping[str, str] | None = None
) -> Used:
    """Run ``command`` on one thread to its end and return what it took.

    It has no standard input, and a session of its own. A `subreaper` stands between: whatever
    happens, be it to this process, none of the processes that the command started outlives it.
    PeerError, with the last line of its standard error, where it does not end well or takes more
    than its limits.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", subreaper.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**(os.environ if environment is None else environment), **ONE_THREAD},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    tree = ProcessTree(process.pid, leader_counts=False)
    tail = _Tail(process.stderr)
    try:
        peak = _until_the_end(process, tree, limits)
        report = process.stdout.read(KEPT)
    finally:
        process.stdin.close()  # upon which all of them are ended
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        tree.kill()
        process.wait()
        process.stdout.close()
        said = tail.close()
    if not report:
        raise PeerError(_reason(process.returncode, said))
    took = parse_json(report)
    if took["failure"]:
        raise PeerError(f"{command[0]}: cannot be started: {took['failure']}")
    if took["code"] != 0:
        raise PeerError(_reason(took["code"], said))
    return Used(took["seconds"], took["wall_seconds"], max(peak, took["resident"] / MEGABYTE))


def _until_the_end(process: subprocess.Popen[bytes], tree: ProcessTree, limits: Limits) -> float:
    """Wait for the process and return the most megabytes that were seen.

    PeerError where it takes more than its limits.
    """
    started = time.monotonic()
    wait, next_look, peak = FIRST_LOOK, started, 0.0
    while process.poll() is None:
        now = time.monotonic()
        if now >= next_look:
            began = time.thread_time()  # not the clock: on a busy machine looks would grow rare
            peak = max(peak, tree.megabytes())
            next_look = now + max(LOOK, (time.thread_time() - began) / SHARE_OF_LOOKING)
        if limits.seconds is not None and now - started > limits.seconds:
            raise PeerError(f"took more than {limits.seconds:g} s")
        if limits.memory_mb is not None and peak > limits.memory_mb:
            raise PeerError(f"took more than {limits.memory_mb:g} MB")
        time.sleep(wait)
        wait = min(2 * wait, LOOK)
    return peak


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


FORMAT = 1
LARGEST_ANSWER = 2**30  # bytes of the rows
SLACK = 1e-9  # relative: what printing and reading a number may change

Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, eq=False)
class PeerRequest:
    """What is asked of a peer: rows like those of a table, within a budget and limits.

    ``settings`` are keyword arguments of the peer's own method. ``command`` runs a program that
    is no known peer: the folder's path is added to it. ``seconds`` are on the clock.
    """

    peer: str
    method: str
    table: pd.DataFrame
    schema: Schema
    budget: PrivacyBudget
    rows: int
    seed: int
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    seconds: float | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        if self.budget.unit is not None or not math.isfinite(self.budget.epsilon):
            raise PeerError("a peer is asked for a finite epsilon, and to protect single records")
        if self.rows < 1:
            raise PeerError(f"rows must be at least 1, got {self.rows}")

    @property
    def name(self) -> str:
        """The peer and its method, as a grid writes them."""
        return f"{self.peer}/{self.method}"


class Declared(BaseModel):
    """The budget that a peer says it has kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: Finite
    delta: Finite
    adjacency: Literal["add_remove", "replace_one"] | None = None


class Told(BaseModel):
    """What a peer says of its rows: `answer.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    versions: dict[str, str] = Field(default_factory=dict)
    declared: Declared
    notes: tuple[str, ...] = ()
    ledger: dict[str, JsonValue] | None = None


def write_request(folder: Path, request: PeerRequest) -> None:
    """Write the files that a peer reads into an empty ``folder``."""
    schema = request.schema
    codes = pd.DataFrame(schema.encode(request.table), columns=list(schema.names))
    domain = schema.domain
    columns = [
        {"name": name, "size": size, "ordered": ordered > 0}
        for name, size, ordered in zip(schema.names, domain.sizes, domain.ordered, strict=True)
    ]
    content = {
        "format": FORMAT,
        "method": request.method,
        "epsilon": request.budget.epsilon,
        "delta": request.budget.delta,
        "adjacency": request.budget.adjacency,
        "rows": request.rows,
        "seed": request.seed,
        "settings": dict(request.settings),
        "columns": columns,
    }
    schema.typed(request.table).to_csv(folder / "table.csv", index=False, lineterminator="\n")
    codes.to_csv(folder / "codes.csv", index=False, lineterminator="\n")
    _write(folder / "schema.json", schema.to_dict())
    _write(folder / "request.json", content)


def read_answer(folder: Path, request: PeerRequest) -> tuple[pd.DataFrame, Told]:
    """Return the rows and what the peer says of them; PeerError says what is wrong with either.

    Of more rows than were asked for the first are taken.
    """
    told = _told(folder / "answer.json", request.budget)
    coded = folder / "rows.codes.csv"
    if os.path.lexists(coded):
        rows = _decoded(_table(coded, request), request)
    else:
        rows = _cast(_table(folder / "rows.csv", request), request.schema)
    return rows, told


def _told(path: Path, budget: PrivacyBudget) -> Told:
    try:
        told = Told.model_validate(parse_json(_read(path, LARGEST_TEXT)))
    except FileNotFoundError:
        raise PeerError("wrote no answer.json") from None
    except JsonFault as fault:
        raise PeerError(f"answer.json: {fault}") from None
    except ValidationError as error:
        found = first_fault(error, Told, {"declared": Declared})
        raise PeerError(f"answer.json: {found.line()}") from None
    declared = told.declared
    for name, spent, asked in (
        ("epsilon", declared.epsilon, budget.epsilon),
        ("delta", declared.delta, budget.delta),
    ):
        if spent > asked * (1 + SLACK):
            raise PeerError(f"declares {name} {spent:g}, more than the {asked:g} that was asked")
    if declared.adjacency not in (None, budget.adjacency):
        raise PeerError(f"declares {declared.adjacency}, where {budget.adjacency} was asked")
    return told


def _read(path: Path, most: int) -> bytes:
    """Return a file that a peer wrote; PeerError for a link, a pipe, a device, or a larger one.

    FileNotFoundError where there is none.
    """
    try:
        # Opening a pipe would wait for whoever writes to it.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, "rb") as file:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                content = file.read(most + 1)
                if len(content) > most:
                    raise PeerError(f"{path.name}: is larger than {most:,} bytes")
                return content
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise PeerError(f"{path.name}: cannot be read: {error.strerror}") from None
    raise PeerError(f"{path.name}: must be a regular file, no link, folder, pipe or device")


def _table(path: Path, request: PeerRequest) -> pd.DataFrame:
    """Return the texts of as many rows as were asked for."""
    try:
        frame = parse_csv(_read(path, LARGEST_ANSWER), path.name)
    except FileNotFoundError:
        raise PeerError("wrote no rows.csv") from None
    except PeerError:
        raise
    except InputError as error:
        raise PeerError(str(error)) from None
    missing = [name for name in request.schema.names if name not in frame.columns]
    if missing:
        raise PeerError(f"{path.name}: column {missing[0]!r} is missing")
    if len(frame) < request.rows:
        raise PeerError(f"{path.name}: holds {len(frame)} rows where {request.rows} were asked")
    return frame.loc[:, list(request.schema.names)].head(request.rows)


def _cast(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the rows with cells of the schema's kinds; values beyond the bounds are kept."""
    for column in schema.columns:
        _check_cells(column, Cells.of(frame[column.name]))
    return schema.typed(frame)


def _check_cells(column: Column, cells: Cells) -> None:
    if isinstance(column, IdColumn):
        return
    where = f"rows.csv: column {column.name!r}"
    if isinstance(column, DiscreteColumn):
        if None in column.lookup(cells):
            raise PeerError(f"{where} holds a category that the schema does not name")
        return
    unread = ~np.isfinite(column.numbers(cells)[:-1])
    if (unread & ~np.isin(cells.texts()[:-1], column.missing)).any():
        noun = "number" if column.type in ("integer", "real") else "date"
        raise PeerError(f"{where} holds what is no {noun}")


def _decoded(frame: pd.DataFrame, request: PeerRequest) -> pd.DataFrame:
    """Return the rows of a table of codes, values drawn inside their cells."""
    schema, codes = request.schema, np.empty(frame.shape, dtype=np.int32)
    for i, (name, size) in enumerate(zip(schema.names, schema.domain.sizes, strict=True)):
        numbers = numbers_of(frame[name])
        if not (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
            raise PeerError(f"rows.codes.csv: column {name!r} holds what is no whole number")
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < size:
            raise PeerError(f"rows.codes.csv: codes of {name!r} must lie in [0, {size})")
        codes[:, i] = numbers
    return schema.decode(codes, np.random.default_rng(request.seed))


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
