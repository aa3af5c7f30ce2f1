"""One combination of a grid, what names it for ever, and what running it gave."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import dp_synth
from dp_synth._version import __version__
from dp_synth.errors import InputError
from dp_synth.readers import parse_json
from dp_synth.records import Record
from dp_synth.settings import checked

if TYPE_CHECKING:
    from dp_synth.accounting import Adjacency


T = TypeVar("T")


def canonical_json(value: Mapping[str, object]) -> str:
    """Return the one JSON text of ``value``: sorted keys, no blanks, no NaN.

    >>> canonical_json({"b": (1, 2), "a": None})
    '{"a":null,"b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


SHOWING = frozenset({"cli", "figures", "report", "statistics"})  # parts that decide no result


@cache
def code_digest() -> str:
    """Return the SHA-256 of the package's modules, those that only show results left out."""
    package = Path(dp_synth.__file__).parent
    modules = (path.relative_to(package) for path in package.rglob("*.py"))
    deciding = sorted(path for path in modules if not SHOWING.intersection(path.parts))
    digest = hashlib.sha256()
    for path in deciding:
        digest.update(path.as_posix().encode() + b"\0" + (package / path).read_bytes())
    return digest.hexdigest()


CPU_INFO = Path("/proc/cpuinfo")  # of Linux, where platform.processor() names the family alone


@dataclass(frozen=True)
class Machine:
    """A processor's model; and torch's version and vector instructions where it was loaded.

    Sums of floating-point numbers depend on the instructions that they are taken with, and a
    training carries that on.
    """

    processor: str = ""
    torch: str = ""
    kernels: str = ""  # such as "AVX2", in torch's words

    @classmethod
    def here(cls) -> Machine:
        """Return the machine of this process; torch is not loaded for it."""
        torch = sys.modules.get("torch")
        if torch is None:
            return cls(processor())
        return cls(processor(), str(torch.__version__), torch.backends.cpu.get_cpu_capability())

    def __str__(self) -> str:
        """Return the line's worth of it.

        >>> print(Machine("A Fast One", "2.13.0+cpu", "AVX2"), Machine(), sep="; ")
        A Fast One, torch 2.13.0+cpu, AVX2; a machine that is not recorded
        """
        torch = f"torch {self.torch}" if self.torch else ""
        known = [word for word in (self.processor, torch, self.kernels) if word]
        return ", ".join(known) or "a machine that is not recorded"


UNKNOWN = Machine()


def processor(source: Path = CPU_INFO) -> str:
    """Return the model of the processor, its architecture where the system does not say."""
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.processor() or platform.machine()


LIMITED = ("TimedOut:", "OutOfMemory:")  # how the error of a cell begins that came to a limit
SAMPLE_OF_ROWS = "sample_of_rows"  # the baseline whose settings hold a share of the real rows


@dataclass(frozen=True)
class Limits:
    """Limits of one cell: seconds on the clock, and megabytes of resident memory.

    The memory is that of the cell's process and of the processes which that one starts. None is
    without limit.
    """

    seconds: float | None = None
    memory_mb: float | None = None

    def exceeded(self, seconds: float, megabytes: float) -> str:
        """Return which limit so much is beyond, as the reason of a failed cell; "" for none."""
        if self.seconds is not None and seconds > self.seconds:
            return f"{LIMITED[0]} more than {self.seconds:g} s"
        if self.memory_mb is not None and megabytes > self.memory_mb:
            return f"{LIMITED[1]} more than {self.memory_mb:g} MB"
        return ""


UNLIMITED = Limits()


@dataclass(frozen=True)
class Cell:
    """What is run once: a table, a task, a synthesizer or baseline, a budget and a seed.

    ``settings`` holds every field of the synthesizer, defaults included, and ``options`` those of
    the task, both as canonical JSON. A baseline has no budget: epsilon, delta and adjacency are
    None, so that its key does not depend on them. ``code`` tells versions of what this package
    does not ship apart: a digest of third-party modules, or the versions of a peer.
    """

    dataset: str
    dataset_sha256: str
    task: str
    synthesizer: str
    settings: str
    epsilon: float | None
    delta: float | None
    adjacency: Adjacency | None
    seed: int
    options: str
    code: str = ""

    @classmethod
    def from_fields(cls, fields: object) -> Cell:
        """Return the cell of ``asdict``'s fields; InputError where there are others."""
        cell = _made(cls, fields)
        if abs(cell.seed) >= 2**63:
            raise InputError("a seed is of 64 bits")
        for text in (cell.settings, cell.options):
            if not isinstance(parse_json(text), dict):
                raise InputError("settings and options of a cell are objects of JSON")
        return cell

    @property
    def key(self) -> str:
        """SHA-256 of all that decides the result, the code of this package included."""
        text = canonical_json({**asdict(self), "version": __version__, "package": code_digest()})
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def is_baseline(self) -> bool:
        """Whether the rows come from a baseline instead of a fitted synthesizer."""
        return self.epsilon is None


@dataclass(frozen=True)
class Measured:
    """One measured value with its 95 % interval; None where there is none."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Outcome:
    """What a cell gave: measured values, or the error that it ended in.

    ``seconds`` is the processor time of the fit, of a peer's whole process, None for baselines.
    ``wall_seconds`` and ``peak_mb`` are of the whole cell, its process and that one's children.
    ``budget`` says who vouches for epsilon: "ledger", "peer-declared", or "" for baselines.
    ``machine`` is what the cell ran on, ``ledger`` the text of the fit's ledger. The latter and
    ``trace`` are never part of a record.
    """

    measured: tuple[Measured, ...] = ()
    seconds: float | None = None
    wall_seconds: float | None = None
    peak_mb: float | None = None
    budget: str = ""
    machine: Machine = UNKNOWN
    ledger: str = ""
    error: str = ""
    trace: str = ""

    @classmethod
    def from_fields(cls, fields: object) -> Outcome:
        """Return the outcome of ``asdict``'s fields, also of those before machines were known.

        InputError where there are others.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("measured"), list):
            raise InputError("an outcome has a list of what was measured")
        measured = tuple(_made(Measured, value) for value in fields["measured"])
        machine = _made(Machine, fields.get("machine", {}))
        return _made(cls, {**fields, "measured": measured, "machine": machine})


def _made(kind: type[T], fields: object) -> T:
    """Return a dataclass of these fields; InputError where it has others, or of other kinds."""
    kinds = KINDS[kind]
    if not isinstance(fields, dict) or not fields.keys() <= kinds.keys():
        raise InputError(f"not the fields of {kind.__name__}")
    found = checked(fields, {name: kinds[name] for name in fields})
    try:
        return kind(**found)
    except TypeError:
        raise InputError(f"not the fields of {kind.__name__}") from None


KINDS: dict[type, dict[str, Any]] = {
    kind: get_type_hints(kind, localns={"Adjacency": str})
    for kind in (Machine, Cell, Measured, Outcome)
}
"""Of what is read from files: the kind of each field."""


def measured(metric: str, value: float, low: float, high: float) -> Measured:
    """Return the measured value with numbers that are not finite turned into None."""
    numbers = [float(x) if math.isfinite(x) else None for x in (value, low, high)]
    return Measured(metric, *numbers)


def records(cell: Cell, outcome: Outcome) -> list[Record]:
    """Return one record for each measured value, or one that holds the error.

    >>> cell = Cell("adult", "00", "utility", "mst", "{}", 1.0, 1e-5, "add_remove", 0, "{}")
    >>> row, = records(cell, Outcome(error="ValueError: no"))
    >>> row["metric"], row["value"], row["error"]
    ('', None, 'ValueError: no')
    """
    of_cell = asdict(cell)
    shared = ("dataset", "task", "synthesizer", "settings", "epsilon", "delta", "adjacency", "seed")
    return [
        {
            **{name: of_cell[name] for name in shared},
            **asdict(value),
            "seconds": outcome.seconds,
            "wall_seconds": outcome.wall_seconds,
            "peak_mb": outcome.peak_mb,
            "budget": outcome.budget,
            "version": __version__,
            **asdict(outcome.machine),
            "error": outcome.error,
        }
        for value in outcome.measured or (Measured("", None, None, None),)
    ]
