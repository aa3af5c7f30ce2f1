"""Checkpoints: what a fit that was stopped goes on from, on disk whole or not at all.

A checkpoint is a zip archive of .npy arrays (numpy's .npz), none of them pickled:

- ``header``: one text, a JSON object with ``format``, ``version``, ``dp_synth``; ``fit``, which
  names the synthesizer, its settings, the schema and the seed; ``ledger``: how many entries it
  had, and their SHA-256; ``reserved_at`` and ``noise``, the reservation that pays; ``texts`` and
  ``bins``, the categories and columns whose cells were found; ``transcript``; ``numbers``.
- ``bins_<i>``: of the i-th of ``bins``, the group of each fine code.
- ``answer_<k>`` and ``answer_groups_<m>``: of the transcript, as in a release.
- ``state_<name>``: weights, averages and moments of the optimizers, and the states of public
  coins.

All of it has passed the door: what was paid for, and what was computed from that alone, so that
the file is as safe to publish as the release. Neither the key of the noise of the gradients nor
the coins of records are in it: whoever had them could take the noise away. Those of a seeded fit
follow from its seed, which protects nobody.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_synth._version import __version__
from dp_synth.accounting import Ledger, Plan, Reservation
from dp_synth.errors import CheckpointError, InputError
from dp_synth.files import written_whole
from dp_synth.readers import parse_json, read_arrays
from dp_synth.settings import check_settings, checked
from dp_synth.transcript import Answer, from_fields, names_of, to_fields
from dp_synth.types import Codes

Arrays = Mapping[str, NDArray[np.generic]]

FORMAT, VERSION = "dp_synth.checkpoint", 1
OF_STATE = "state_"  # begins the names of its arrays
SECONDS = 5.0
"""Between two writes. What a crash takes is not only time: charged steps are not taken again."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a fit keeps its checkpoint, and how long it waits between two writes.

    It is written first when the columns are paid for, then after charged steps that are all
    taken; at ``seconds`` 0 after every such block.
    """

    path: str | PathLike[str]
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.seconds >= 0:
            raise InputError(f"seconds between two checkpoints must be 0 or more: {self.seconds}")

    @classmethod
    def of(cls, place: Checkpoint | str | PathLike[str]) -> Checkpoint:
        """Return ``place`` as a checkpoint, with the usual waits where it is a path."""
        return place if isinstance(place, Checkpoint) else cls(place)


@dataclass(frozen=True, eq=False)
class DiscoveredDomain:
    """Categories of open columns, and the group of each fine code of others.

    Public, since they were paid for: the texts that were released, and what noisy counts say.
    """

    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bins: Mapping[str, Codes] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class State:
    """Where a training stands: arrays by name, and what JSON can hold."""

    numbers: Mapping[str, Any]
    arrays: Arrays


@dataclass(frozen=True, eq=False)
class Kept:
    """What a checkpoint says of the fit that it was kept for."""

    path: Path
    fit: Mapping[str, Any]
    ledger: tuple[int, str]  # entries, and their fingerprint
    reserved_at: int
    noise: Mapping[str, Any]
    cells: DiscoveredDomain
    transcript: tuple[Answer, ...]
    state: State

    @classmethod
    def read(cls, checkpoint: Checkpoint) -> Kept | None:
        """Return what ``checkpoint`` holds, None where there is no file; CheckpointError else."""
        path = Path(checkpoint.path)
        if not path.exists():
            return None
        try:
            header, arrays = read_arrays(path, _members_of)
            return cls._of(path, header, arrays)
        except (KeyError, ValueError) as error:
            reason = str(error) if isinstance(error, InputError) else "it is damaged or none"
            raise CheckpointError(f"{path}: cannot be read as a checkpoint: {reason}") from error

    @classmethod
    def _of(cls, path: Path, header: Mapping[str, Any], arrays: Arrays) -> Kept:
        said = checked(header, _HEAD)
        texts = {name: tuple(found) for name, found in said["texts"].items()}
        bins = {
            name: arrays[f"bins_{place}"].astype(np.int32)
            for place, name in enumerate(said["bins"])
        }
        own = {
            name.removeprefix(OF_STATE): array
            for name, array in arrays.items()
            if name.startswith(OF_STATE)
        }
        return cls(
            path,
            said["fit"],
            said["ledger"],
            said["reserved_at"],
            said["noise"],
            DiscoveredDomain(texts, bins),
            from_fields(said["transcript"], arrays),
            State(said["numbers"], own),
        )

    def check(self, fit: Mapping[str, object], ledger: Ledger) -> None:
        """Raise CheckpointError unless this was kept for this fit, with this ledger.

        A ledger that says the same up to there, line by line, is not told apart, and need not
        be: it pays for the steps that it lists.
        """
        for name, wanted in parse_json(json.dumps(fit)).items():  # as a file says it
            if self.fit.get(name) != wanted:
                raise CheckpointError(
                    f"{self.path}: was kept for a fit with another {name}; go on with the same, "
                    "or name another checkpoint"
                )
        entries, digest = self.ledger
        if fingerprint(ledger, entries) != digest:
            raise CheckpointError(
                f"{self.path}: was kept with another ledger; go on with the same, or name another "
                "checkpoint"
            )

    def plan(self, charges: Plan) -> Plan:
        """Return the plan of a fit with the noise that it had when it was stopped."""
        try:
            parts = charges.parts.items()
            return Plan({name: replace(part, **self.noise[name]) for name, part in parts})
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path}: its noise is not that of this fit") from error


@dataclass(eq=False)
class CheckpointWriter:
    """Writes the checkpoints of one fit; ``state`` is what an earlier run of it has left.

    ``fit`` identifies the fit, and ``transcript`` grows with the answers that it is given.
    """

    checkpoint: Checkpoint
    fit: Mapping[str, object]
    payer: Reservation
    cells: DiscoveredDomain
    transcript: Sequence[Answer]
    state: State | None = None
    _written: float = -math.inf

    def offer(self, state: Callable[[], State]) -> None:
        """Write the state if the last one was written long enough ago."""
        if time.monotonic() - self._written >= self.checkpoint.seconds:
            self._write(state())
            self._written = time.monotonic()

    def remove(self) -> None:
        """Take the checkpoint away: the fit is complete."""
        Path(self.checkpoint.path).unlink(missing_ok=True)

    def _write(self, state: State) -> None:
        answers, answered = to_fields(self.transcript)
        ledger = self.payer.accountant.ledger
        header = {
            "format": FORMAT,
            "version": VERSION,
            "dp_synth": __version__,
            "fit": self.fit,
            "ledger": [len(ledger.entries), fingerprint(ledger, len(ledger.entries))],
            "reserved_at": self.payer.reserved_at,
            "noise": _noise_of(self.payer.plan),
            "texts": dict(self.cells.texts),
            "bins": list(self.cells.bins),
            "transcript": answers,
            "numbers": dict(state.numbers),
        }
        arrays: dict[str, Any] = {
            "header": np.array(json.dumps(header)),
            **{f"bins_{place}": group for place, group in enumerate(self.cells.bins.values())},
            **answered,
            **{f"{OF_STATE}{name}": array for name, array in state.arrays.items()},
        }
        with written_whole(self.checkpoint.path) as passing, passing.open("wb") as file:
            np.savez(file, **arrays)


def fingerprint(ledger: Ledger, entries: int) -> str:
    """Return the SHA-256 of a ledger's budget, rule and so many of its first entries."""
    lines = [entry.to_fields() for entry in ledger.entries[:entries]]
    said = [str(ledger.budget), ledger.rule, ledger.simulation, lines]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _noise_of(plan: Plan) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, part in plan.parts.items():
        given = {of: getattr(part, of, None) for of in ("noise_multiplier", "delta", "amount")}
        found[name] = {of: value for of, value in given.items() if value is not None}
    return found


_HEAD = {
    "fit": dict,
    "ledger": tuple[int, str],
    "reserved_at": int,
    "noise": dict[str, dict[str, float]],
    "texts": dict[str, tuple[str, ...]],
    "bins": tuple[str, ...],
    "transcript": tuple[dict[str, Any], ...],
    "numbers": dict,
}


def _members_of(header: Any, present: Iterable[str]) -> list[str]:
    """Return the names of the arrays that a header needs; CheckpointError where it is none."""
    _check_head(header)
    said = checked(header, _HEAD)
    bins = (f"bins_{place}" for place in range(len(said["bins"])))
    state = (name for name in present if name.startswith(OF_STATE))
    return [*bins, *names_of(said["transcript"]), *state]


def _check_head(header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"it is no {FORMAT}")
    written = header.get("version"), header.get("dp_synth")
    if written != (VERSION, __version__):
        raise CheckpointError(
            f"it is of version {written[0]!r} by dp_synth {written[1]}, not {VERSION} by "
            f"{__version__}; go on with the version that wrote it"
        )
