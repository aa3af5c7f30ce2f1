"""Grid of a benchmark: a YAML file whose keys are checked, and the cells that it stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from dp_synth import datasets, extensions
from dp_synth.attacks import ATTACKS, Attack
from dp_synth.benchmark import peers
from dp_synth.benchmark.cell import SAMPLE_OF_ROWS, Cell, Limits, canonical_json
from dp_synth.errors import GridError
from dp_synth.faults import first_fault
from dp_synth.metrics import METRICS
from dp_synth.readers import Lines, YamlFault, parse_yaml, read_yaml
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer, synthesizer_named

MOST_CELLS = 1_000_000
"""Cells of one grid, each a file of its store; no grid has more seeds than that either."""

LARGEST_COUNT = 2**63 - 1  # what a file of records can hold
TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")
DEFAULT_METRICS = ("tv1", "tv2", "tv3", "kmarginal", "auc", "average_precision", "f1")
DEFAULT_ATTACKS = ("closest_record", "density_ratio")
# The baselines that stand beside every synthesizer, by task; `cell_run` says what they are.
UTILITY_BASELINES = ("real_rows", "fresh_rows", "independent_without_noise")
LEAKAGE_BASELINES = ("no_privacy", "fresh_rows")

T = TypeVar("T")


def with_settings(content: object, settings: Sequence[str]) -> object:
    """Return the content with each ``key.path=value`` set; values are read as YAML.

    >>> with_settings({"seeds": 5, "utility": {"epsilons": [1]}}, ["utility.epsilons=[1, 10]"])
    {'seeds': 5, 'utility': {'epsilons': [1, 10]}}
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not all(path.split(".")):
            raise GridError(f"--set takes key=value, such as seeds=2, got {setting!r}")
        try:
            value, _ = parse_yaml(text)
        except YamlFault:
            raise GridError(f"--set {path}: not a YAML value: {text!r}") from None
        content = _set(content, path.split("."), value)
    return content


def _set(content: object, path: Sequence[str], value: object) -> object:
    if not path:
        return value
    if not isinstance(content, dict | None):
        raise GridError(f"--set: there is no key {path[0]!r} in a value that is no mapping")
    return {**(content or {}), path[0]: _set((content or {}).get(path[0]), path[1:], value)}


def _known(kind: str, known: Callable[[], Mapping[str, object]]) -> BeforeValidator:
    """Return the check that a name is known, declared by a package, or a dotted one.

    From Python what has the name may stand there itself: a class, a function, or an attack with
    its settings, which are then part of its name.
    """

    def check(thing: object) -> str:
        if not isinstance(thing, str):
            return _named(kind, thing, known())
        extensions.find(kind, thing, known())
        return thing

    return BeforeValidator(check)


def _named(kind: str, thing: object, known: Mapping[str, object]) -> str:
    if not isinstance(thing, Attack):
        return extensions.name_of(kind, thing, known)
    name = extensions.name_of(kind, type(thing), known)
    if thing == type(thing)():
        return name
    settings = repr(thing).removeprefix(type(thing).__qualname__)
    return extensions.give(kind, f"{name}{settings}", thing)


def _table(given: object) -> str:
    """Return the name of a table that is known, declared or given, or the path of one.

    A table that stands there itself has its own name, which none of ours may have.
    """
    if isinstance(given, datasets.Dataset):
        ours = datasets.names()
        if given.name in ours and datasets.load(given.name).sha256 != given.sha256:
            raise ValueError(
                f"a table that ships is called {given.name!r}; give this one another name"
            )
        return extensions.give("datasets", given.name, given)
    if not isinstance(given, str):
        raise ValueError(  # pydantic makes one line of it
            f"must be a name, a path or a Dataset, got {type(given).__name__}; "
            "of a frame datasets.from_frame(frame, schema) makes one"
        )
    if not given.endswith(TABLE_ENDINGS) and given not in datasets.names():
        extensions.find("datasets", given, dict.fromkeys(datasets.names()))
    return given


def distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return the values, of which there must be some, and none twice."""
    if not values:
        raise ValueError("the list must name at least one")
    return unrepeated(values)


def unrepeated(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return the values, none of which may stand twice."""
    if len(set(map(repr, values))) < len(values):
        raise ValueError(f"the values must be distinct, got {list(values)}")
    return values


def number(value: object) -> object:
    """Return what is no truth value."""
    if isinstance(value, bool):  # YAML reads yes, no, on and off as truth values
        raise ValueError(f"must be a number, got {str(value).lower()}")
    return value


def listed(value: object) -> object:
    """Return a list of one where a name, or what has one, stands alone."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def counted(value: object) -> object:
    """Return the seeds 0, 1, ... when only their number is given."""
    if isinstance(number(value), int) and isinstance(value, int):
        if value < 1:
            raise ValueError(f"must be at least 1, or a list of seeds, got {value}")
        if value > MOST_CELLS:
            raise ValueError(f"must be at most {MOST_CELLS:,} seeds, got {value:,}")
        return tuple(range(value))
    return value


def by_name(value: object) -> object:
    """Return a mapping with the name where it stands alone, or where a synthesizer does.

    From Python a class or an object with its settings may stand there.
    """
    if isinstance(value, str):
        return {"name": value}
    kind = type(value) if isinstance(value, Synthesizer) else value
    if not isinstance(kind, type):
        return value
    named = {"name": extensions.name_of("synthesizers", kind, SYNTHESIZERS)}
    if kind is value:
        return named
    return {**named, "set": TypeAdapter(type(value)).dump_python(value, mode="json")}


Epsilon = Annotated[float, BeforeValidator(number), Field(gt=0, allow_inf_nan=False)]
Epsilons = Annotated[tuple[Epsilon, ...], AfterValidator(distinct)]
Count = Annotated[int, BeforeValidator(number), Field(ge=0, le=LARGEST_COUNT)]
Share = Annotated[float, BeforeValidator(number), Field(gt=0, le=1)]
Limit = Annotated[float, BeforeValidator(number), Field(gt=0)]
DatasetName = Annotated[str, BeforeValidator(_table)]
MetricName = Annotated[str, _known("metrics", lambda: METRICS)]
AttackName = Annotated[str, _known("attacks", lambda: ATTACKS)]


class Part(BaseModel):
    """A mapping of a grid, whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SynthesizerSpec(Part):
    """A synthesizer by name and the fields that are set to other than their defaults.

    The name is one of ours, that of an entry point, ``module:Class``, or ``peer/method``. With
    ``command`` it is a peer that this command speaks for, by the folder protocol.
    """

    name: str
    set: dict[str, JsonValue] = Field(default_factory=dict)
    command: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_known(self) -> SynthesizerSpec:
        self.settings()
        return self

    @property
    def is_peer(self) -> bool:
        """Whether another process fits, and says itself what it spent."""
        return peers.names_peer(self.name)

    def settings(self) -> dict[str, object]:
        """Return every field of the synthesizer, defaults included; ValueError for a bad one."""
        if self.is_peer:
            if self.command:
                peers.split_name(self.name)
                return {**self.set, "command": list(self.command)}
            peers.check_name(self.name)
            return dict(self.set)
        if self.command:
            raise ValueError("command: is for peers, whose names are like 'mine/method'")
        kind = synthesizer_named(self.name)
        names = [field.name for field in dataclasses.fields(kind)]
        for name in self.set:
            if name not in names:
                fields = extensions.nearest(name, names)
                raise ValueError(f"set.{name}: no field {name!r} in {self.name!r}; {fields}")
        try:
            made = TypeAdapter(kind).validate_python(self.set)
        except TypeError as error:
            raise ValueError(f"set: {str(error)[:1].lower()}{str(error)[1:]}") from None
        except ValidationError as error:
            raise ValueError(first_fault(error).line(within=["set"])) from None
        return dataclasses.asdict(made)

    def code(self) -> str:
        """Return what tells versions of the synthesizer apart, "" for one of this package."""
        if self.command:
            return peers.code_of(self.command)
        if self.is_peer:
            try:
                return peers.version_of(peers.split_name(self.name)[0])
            except peers.PeerError:
                return "not installed"  # once it is, its cells are others
        return extensions.code_of(synthesizer_named(self.name))


class UtilityTask(Part):
    """Cells that fit on the whole training part and are scored.

    ``samples`` adds real rows: random shares of the training part, as a scale to read methods on.
    ``costs`` adds what a fit of ours takes in a process of its own, its calibration apart, and
    ``drawn`` the time that so many rows take to be sampled.
    """

    epsilons: Epsilons
    metrics: Annotated[tuple[MetricName, ...], AfterValidator(distinct)] = DEFAULT_METRICS
    samples: Annotated[tuple[Share, ...], AfterValidator(unrepeated)] = ()
    costs: Annotated[bool, Field(strict=True)] = False
    drawn: Annotated[Count, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _drawn_is_a_cost(self) -> UtilityTask:
        if self.drawn is not None and not self.costs:
            raise ValueError("drawn: is one of the costs; set costs: true beside it")
        return self


class LeakageTask(Part):
    """Cells that fit on some members and are attacked."""

    epsilons: Epsilons
    members: Annotated[Count, Field(ge=1)] = 1000
    isolated: Count = 200
    attacks: Annotated[tuple[AttackName, ...], AfterValidator(distinct)] = DEFAULT_ATTACKS

    @model_validator(mode="after")
    def _isolated_fit_into_the_pool(self) -> LeakageTask:
        if self.isolated > 2 * self.members:
            raise ValueError(
                f"isolated must be at most twice members ({2 * self.members}), got {self.isolated}"
            )
        return self


class LimitsOfCells(Part):
    """What one cell may take before it is ended, and is a row that says so.

    Once ``give_up`` cells that differ by their seeds alone came to a limit, the others are not
    run: each is a row that says so.
    """

    seconds: Limit | None = None
    memory_mb: Limit | None = None
    give_up: Annotated[Count, Field(ge=1)] | None = None


PARTS: dict[str, type[BaseModel]] = {
    "utility": UtilityTask,
    "leakage": LeakageTask,
    "synthesizers": SynthesizerSpec,
    "limits": LimitsOfCells,
}


class Grid(Part):
    """A benchmark: every synthesizer at every epsilon and seed, on every table."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    dataset: Annotated[tuple[DatasetName, ...], BeforeValidator(listed), AfterValidator(distinct)]
    delta: Annotated[float, BeforeValidator(number), Field(gt=0, lt=1)]
    adjacency: Literal["add_remove", "replace_one"] = "add_remove"
    seeds: Annotated[tuple[Count, ...], BeforeValidator(counted), AfterValidator(distinct)]
    synthesizers: Annotated[
        tuple[Annotated[SynthesizerSpec, BeforeValidator(by_name)], ...],
        AfterValidator(distinct),
    ]
    utility: UtilityTask | None = None
    leakage: LeakageTask | None = None
    limits: LimitsOfCells = LimitsOfCells()

    @model_validator(mode="after")
    def _something_to_run(self) -> Grid:
        if self.utility is None and self.leakage is None:
            raise ValueError("give at least one of the tasks utility and leakage")
        return self

    @model_validator(mode="after")
    def _not_more_than_can_be_kept(self) -> Grid:
        kinds = sum(
            len(self.synthesizers) * len(part.epsilons) + len(_baselines(part))
            for part in (self.utility, self.leakage)
            if part is not None
        )
        if (count := kinds * len(self.dataset) * len(self.seeds)) > MOST_CELLS:
            raise ValueError(f"the grid has {count:,} cells, at most {MOST_CELLS:,} can be run")
        return self

    @classmethod
    def load(cls, path: str | Path, settings: Sequence[str] = ()) -> Grid:
        """Return the grid of a YAML file; GridError, in one line, when it is malformed.

        ``settings`` are set over the file's: ``key.path=value``, with the value as YAML.
        """
        content, lines = read_yaml(path, GridError)
        return cls.from_dict(with_settings(content, settings), source=str(path), lines=lines)

    @classmethod
    def from_dict(
        cls, content: object, source: str = "grid", *, lines: Lines | None = None
    ) -> Grid:
        """Return the grid of a mapping; ``source`` begins the line of a GridError."""
        if not isinstance(content, dict):
            keys = ", ".join(cls.model_fields)
            raise GridError(f"{source}: must be a mapping with the keys {keys}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            fault = first_fault(error, cls, PARTS, shows_input=True)
            raise GridError(f"{source}: {fault.line(lines)}") from None

    def named(self) -> Iterable[tuple[str, str]]:
        """Yield kind and name of every table, synthesizer, metric and attack of the grid."""
        yield from (("datasets", name) for name in self.dataset)
        yield from (("synthesizers", choice.name) for choice in self.synthesizers)
        if self.utility is not None:
            yield from (("metrics", name) for name in self.utility.metrics)
        if self.leakage is not None:
            yield from (("attacks", name) for name in self.leakage.attacks)

    def cell_limits(self) -> Limits:
        """Return the limits of each cell as its worker takes them."""
        return Limits(self.limits.seconds, self.limits.memory_mb)

    def cells(self, digests: Mapping[str, str]) -> tuple[Cell, ...]:
        """Return every cell, one seed after the other; ``digests`` maps tables to SHA-256.

        With the seeds outermost, what a stopped run leaves are whole curves of fewer seeds.
        """
        return tuple(
            cell
            for seed in self.seeds
            for dataset in self.dataset
            for cell in self._cells_of(dataset, digests[dataset], seed)
        )

    def _cells_of(self, dataset: str, digest: str, seed: int) -> Iterable[Cell]:
        for task, part in (("leakage", self.leakage), ("utility", self.utility)):
            if part is None:
                continue
            options, code = canonical_json(_options(part)), _code(part)
            cell = partial(Cell, dataset, digest, task)
            for name, settings in _baselines(part):
                yield cell(name, settings, None, None, None, seed, options, code)
            for choice in self.synthesizers:
                settings, codes = canonical_json(choice.settings()), choice.code() + code
                for epsilon in part.epsilons:
                    budget = (epsilon, self.delta, self.adjacency)
                    yield cell(choice.name, settings, *budget, seed, options, codes)


def _baselines(part: UtilityTask | LeakageTask) -> list[tuple[str, str]]:
    """Return the names of a task's baselines with their settings."""
    if isinstance(part, LeakageTask):
        return [(name, "{}") for name in LEAKAGE_BASELINES]
    shares = [(SAMPLE_OF_ROWS, canonical_json({"share": share})) for share in part.samples]
    return [*((name, "{}") for name in UTILITY_BASELINES), *shares]


def _options(part: UtilityTask | LeakageTask) -> dict[str, object]:
    """Return what decides a cell of this task beside its epsilon; the order of names does not."""
    if isinstance(part, UtilityTask):
        costs = {"costs": True, "drawn": part.drawn or 0} if part.costs else {}
        return {"metrics": sorted(part.metrics), **costs}
    of_game = {"members": part.members, "isolated": part.isolated}
    return {**of_game, "attacks": sorted(part.attacks)}


def _code(part: UtilityTask | LeakageTask) -> str:
    """Return what tells versions of a task's third-party metrics or attacks apart."""
    found: list[object]
    if isinstance(part, UtilityTask):
        found = [extensions.find("metrics", name, METRICS) for name in sorted(part.metrics)]
    else:
        found = [extensions.find("attacks", name, ATTACKS) for name in sorted(part.attacks)]
    return "".join(map(extensions.code_of, found))
