"""The folder through which any program can be a peer: a table goes in, rows come out.

`docs/peers.md` is the description for those who write one.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from dp_synth.accounting import PrivacyBudget
from dp_synth.benchmark.peers.registry import PeerError
from dp_synth.datasets.tables import parse_csv
from dp_synth.errors import InputError
from dp_synth.faults import first_fault
from dp_synth.readers import LARGEST_TEXT, JsonFault, parse_json
from dp_synth.schema import DiscreteColumn, IdColumn, Schema
from dp_synth.schema.constraints import Column
from dp_synth.schema.parsing import Cells, numbers_of

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
