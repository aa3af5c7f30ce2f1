"""Runs of a fit through a door, and all that two of them may differ in."""

from __future__ import annotations

import hashlib
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd

from dp_synth.accounting import Accountant, Adjacency, Ledger, PrivacyBudget
from dp_synth.audit.checks import same
from dp_synth.audit.door import ROUNDING, Diverged, Door, Fault
from dp_synth.audit.shifts import relative_shift
from dp_synth.counting.records import encode_finest
from dp_synth.mechanisms.simulation import watched
from dp_synth.release import Release
from dp_synth.schema import Misfits, Schema
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.synthesizers.questions import Declared
from dp_synth.synthesizers.reading import telling
from dp_synth.synthesizers.validation import Asked
from dp_synth.transcript import to_fields
from dp_synth.types import Codes

ROWS = 200  # that a release is compared by
COMPARED = {  # what runs have in common when nothing leaks, and how a difference is told
    "error": "one of two neighbouring tables makes it fail",
    "answers": "it asks the door another number of questions",
    "ledger": "its ledger has other lines",
    "schema": "the released schema differs",
    "settings": "the released settings differ",
    "transcript": "the transcript of what was asked differs",
    "total": "the released number of records differs",
    "rows": "the released rows differ",
    "output": "what fit returns differs",
    "warnings": "it gives other warnings",
    "printed": "it prints something else",
    "files": "it writes other files",
}


@dataclass(frozen=True)
class FitOptions:
    """What a fit is asked for beside its model, as in `Synthesizer.fit`; nothing by default."""

    validation: Asked | None = None
    questions: Declared | None = None

    def fit_of(self, synthesizer: Synthesizer) -> Callable[..., object]:
        """Return the fit of a synthesizer that is asked for this, and for nothing it has not."""
        asked = {name: one for name, one in self.__dict__.items() if one is not None}
        return partial(synthesizer.fit, **asked)


@dataclass(eq=False)
class Run:
    """One run of a fit: its door, its ledger, and what came of it, by the names of `COMPARED`."""

    door: Door
    ledger: Ledger
    found: dict[str, object] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def reads_outside(self) -> bool:
        """Whether any record was read that no mechanism's answer is made of."""
        return any(fault.kind == "read outside the door" for fault in self.door.faults)


def play(
    fit: Callable[..., object],
    frame: pd.DataFrame,
    schema: Schema,
    budget: PrivacyBudget,
    door: Door,
    *,
    seed: int,
) -> Run:
    """Return the run of a fit through a door; its public coins come from ``seed``."""
    accountant = Accountant(budget, simulate=True)
    run = Run(door, accountant.ledger)
    seen = _Surroundings()
    with watched(door), telling(lambda _: None), seen:
        release = fit(frame, schema, accountant, seed=seed)
        run.found |= _outputs(release)
    run.error = seen.error
    if run.error is None:
        door.states.append(door.state())
    run.ledger = accountant.ledger
    run.found |= {
        **seen.found,
        "error": None if run.error is None else _place_of(run.error),
        "answers": len(door.answers),
        "ledger": [entry.to_fields() for entry in run.ledger.entries],
    }
    return run


def differences(first: Run, other: Run) -> Iterator[Fault]:
    """Yield what differs between two runs in which the door gave the same answers."""
    for number, (own, their) in enumerate(zip(first.door.states, other.door.states, strict=False)):
        if own != their:
            where = (
                f"before answer {number + 1}" if number < len(first.door.answers) else "at the end"
            )
            yield Fault("differs", f"the generator of public coins is drawn from otherwise {where}")
            break
    for own_law, their_law in zip(first.door.laws, other.door.laws, strict=False):
        if (own_law.part, own_law.why) != (their_law.part, their_law.why):
            yield Fault("differs", f"other answers than of part {own_law.part!r} are asked for")
            break
    yield from _moved_too_far(first, other)
    if isinstance(other.error, Diverged):
        yield Fault("differs", f"the run asks something else: {other.error}")
        return
    for name, sentence in COMPARED.items():
        if not same(first.found.get(name), other.found.get(name)):
            told = f" ({other.found['error']})" if name == "error" and other.error else ""
            yield Fault("differs", sentence + told)
            if name == "error":
                return


def _moved_too_far(first: Run, other: Run) -> Iterator[Fault]:
    """Yield the answers that the other table moves by more than was charged for."""
    for heard, there in zip(first.door.heard, other.door.read, strict=False):
        law, paid = heard.law, heard.paid
        share = None if paid is None else relative_shift(law, there, paid)
        if share is not None and share > 1 + ROUNDING:
            said = "a neighbouring table moves it further than is charged for"
            yield Fault("sensitivity", f"part {law.part!r} ({law.why}): {said}")


def _outputs(release: object) -> dict[str, object]:
    if not isinstance(release, Release):
        return {"output": release}
    fields, arrays = to_fields(release.transcript)
    return {
        "schema": release.schema.to_dict(),
        "settings": repr(dict(release.settings)),
        "transcript": [fields, arrays],
        "total": float(release.model.total),
        "rows": release.sample(ROWS, seed=0, kinds="written"),
    }


def _place_of(error: Exception) -> str:
    """Return the kind of an error and its line of code: its text may tell records."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    name = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {name}:{trace.tb_lineno}"


_WRITTEN: ContextVar[list[str] | None] = ContextVar("files that a run opens to write", default=None)
_hooked: list[bool] = []


def _note_opened(event: str, arguments: tuple[object, ...]) -> None:
    """Take note of a file that is opened to be written: a hook of the interpreter."""
    if event != "open" or (names := _WRITTEN.get()) is None:
        return
    path, mode, flags = arguments
    writes = any(sign in mode for sign in "wax+") if isinstance(mode, str) else False
    writes |= isinstance(flags, int) and bool(flags & 3)  # os.O_WRONLY or os.O_RDWR
    if writes and isinstance(path, (str, bytes, Path)):
        names.append(str(path.decode() if isinstance(path, bytes) else path))


class _Surroundings:
    """What a block does beside its result: how it ends, and what it warns, prints and writes."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.found: dict[str, object] = {}
        self._output = io.StringIO()
        self._names: list[str] = []

    def __enter__(self) -> None:
        if not _hooked:
            sys.addaudithook(_note_opened)
            _hooked.append(True)
        self._stack = ExitStack()
        self._caught = self._stack.enter_context(warnings.catch_warnings(record=True))
        self._stack.enter_context(redirect_stdout(self._output))
        self._stack.enter_context(redirect_stderr(self._output))
        warnings.simplefilter("always")
        self._token = _WRITTEN.set(self._names)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Keep an error: that a run fails is an output too."""
        _WRITTEN.reset(self._token)
        self._stack.close()
        self.found = {
            "warnings": [(one.category.__name__, str(one.message)) for one in self._caught or ()],
            "printed": self._output.getvalue(),
            "files": _contents(self._names),
        }
        if isinstance(error, Exception):
            self.error = error
        return self.error is not None


def _contents(names: list[str]) -> list[tuple[str, str]]:
    """Return each file that was written, and a digest of it; temporary ones by their place."""
    found = []
    for place, name in enumerate(dict.fromkeys(names)):
        path = Path(name)
        shown = f"temporary {place}" if path.is_relative_to(tempfile.gettempdir()) else name
        if path.suffix != ".pyc" and ".pyc" not in path.name and path.is_file():
            found.append((shown, hashlib.sha256(path.read_bytes()).hexdigest()))
    return found


def neighbours_of_frame(
    frame: pd.DataFrame,
    schema: Schema,
    adjacency: Adjacency,
    most: int,
    rng: np.random.Generator,
) -> list[pd.DataFrame]:
    """Return up to ``most`` neighbours of a table, with or without one record, or with another.

    All of them where there are no more: equal records are one, and those added are of every cell
    of the schema's domain.
    """
    codes = encode_finest(schema, frame, Misfits())
    lines = np.unique(codes, axis=0, return_index=True)[1] if len(frame) else np.empty(0, int)
    more = schema.decode(_added(schema, most, rng), rng).astype(object)
    kept = frame.reset_index(drop=True)
    pairs: list[tuple[int | None, int | None]]
    if adjacency == "replace_one":
        pairs = [(line, other) for line in lines.tolist() for other in range(len(more))]
    else:
        pairs = [(line, None) for line in lines.tolist()]
        pairs += [(None, other) for other in range(len(more))]
    if len(pairs) > most:
        pairs = [pairs[place] for place in rng.choice(len(pairs), most, replace=False).tolist()]
    return [_moved(kept, more, line, other) for line, other in pairs]


def _moved(
    frame: pd.DataFrame, more: pd.DataFrame, line: int | None, other: int | None
) -> pd.DataFrame:
    if line is not None and other is None:
        return frame.drop(index=line).reset_index(drop=True)
    assert other is not None
    added = more.iloc[[other]].reindex(columns=frame.columns)
    if line is None:
        return pd.concat([frame.astype(object), added], ignore_index=True)
    moved = frame.astype(object)
    moved.iloc[line] = added.iloc[0]
    return moved


def _added(schema: Schema, most: int, rng: np.random.Generator) -> Codes:
    """Return codes of records to add: every cell, or drawn ones and the corners of the domain."""
    sizes = schema.domain.sizes
    if (cells := prod(sizes)) <= most:
        return np.stack(np.unravel_index(np.arange(cells), sizes), axis=1).astype(np.int32)
    drawn = rng.integers(0, sizes, (most, len(sizes)))
    ends = np.where(rng.random(drawn.shape) < 0.5, 0, np.array(sizes) - 1)
    return np.where(rng.random((most, 1)) < 0.5, drawn, ends).astype(np.int32)
