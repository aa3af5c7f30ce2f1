"""A peer asked for rows: its folder written, its process watched, its answer read strictly."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

import dp_synth
from dp_synth.benchmark.peers.environments import environment, foreign_variables
from dp_synth.benchmark.peers.errors import PeerError
from dp_synth.benchmark.peers.process import run_limited
from dp_synth.benchmark.peers.protocol import PeerRequest, read_answer, write_request
from dp_synth.benchmark.peers.registry import OURS, check_name, peer_named
from dp_synth.benchmark.scratch import Scratch
from dp_synth.benchmark.worker import Limits


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
        return command, foreign_variables(), made.versions
    # This interpreter finds the package where this process did, installed or not.
    places = [str(Path(dp_synth.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(place for place in places if place)
    return command, {**os.environ, "PYTHONPATH": path}, made.versions
