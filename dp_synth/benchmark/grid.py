"""What to run: a YAML file whose keys are checked, and the cells that it stands for."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
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

from dp_synth import datasets
from dp_synth.attacks import ATTACKS
from dp_synth.benchmark.baselines import LEAKAGE_BASELINES, UTILITY_BASELINES
from dp_synth.benchmark.cell import Cell, canonical_json
from dp_synth.errors import GridError
from dp_synth.synthesizers import SYNTHESIZERS

UTILITY_METRICS = ("tv1", "tv2", "tv3", "kmarginal", "auc", "average_precision", "f1")
DEFAULT_ATTACKS = ("closest_record", "density_ratio")

T = TypeVar("T")


def _suggest(name: object, names: Iterable[str]) -> str:
    """Return the nearest of ``names`` and all of them, as the end of an error line."""
    known = list(names)
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}there are: {', '.join(known)}"


def _known(kind: str, names: Callable[[], Iterable[str]]) -> AfterValidator:
    """Return the check that a name is one of ``names()``."""

    def check(name: str) -> str:
        if name not in set(names()):
            raise ValueError(f"no {kind} named {name!r}; {_suggest(name, names())}")
        return name

    return AfterValidator(check)


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("the list must name at least one")
    if len(set(map(repr, values))) < len(values):
        raise ValueError(f"the values must be distinct, got {list(values)}")
    return values


def _number(value: object) -> object:
    if isinstance(value, bool):  # YAML reads yes, no, on and off as truth values
        raise ValueError(f"must be a number, got {str(value).lower()}")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _counted(value: object) -> object:
    """Return the seeds 0, 1, ... when only their number is given."""
    if isinstance(_number(value), int) and isinstance(value, int):
        if value < 1:
            raise ValueError(f"must be at least 1, or a list of seeds, got {value}")
        return tuple(range(value))
    return value


def _by_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Epsilon = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
Epsilons = Annotated[tuple[Epsilon, ...], AfterValidator(_distinct)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=0)]
DatasetName = Annotated[str, _known("dataset", datasets.names)]
Metric = Annotated[str, _known("metric", lambda: UTILITY_METRICS)]
AttackName = Annotated[str, _known("attack", lambda: ATTACKS)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SynthesizerChoice(_Part):
    """A synthesizer by name and the fields that are set to other than their defaults."""

    name: Annotated[str, _known("synthesizer", lambda: SYNTHESIZERS)]
    set: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _settings_are_fields(self) -> SynthesizerChoice:
        names = [field.name for field in dataclasses.fields(SYNTHESIZERS[self.name])]
        for name in self.set:
            if name not in names:
                fields = _suggest(name, names) if names else "it has none"
                raise ValueError(f"set.{name}: no field {name!r} in {self.name!r}; {fields}")
        self.settings()
        return self

    def settings(self) -> dict[str, object]:
        """Return every field of the synthesizer, defaults included; ValueError for a bad one."""
        try:
            made = TypeAdapter(SYNTHESIZERS[self.name]).validate_python(self.set)
        except TypeError as error:
            raise ValueError(f"set: {_reason(str(error))}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(["set", *map(str, first["loc"])])
            raise ValueError(f"{where}: {_reason(first['msg'])}") from None
        return dataclasses.asdict(made)


class UtilityTask(_Part):
    """Cells that fit on the whole training part and are scored."""

    epsilons: Epsilons
    metrics: Annotated[tuple[Metric, ...], AfterValidator(_distinct)] = UTILITY_METRICS


class LeakageTask(_Part):
    """Cells that fit on some members and are attacked."""

    epsilons: Epsilons
    members: Annotated[Count, Field(ge=1)] = 1000
    isolated: Count = 200
    attacks: Annotated[tuple[AttackName, ...], AfterValidator(_distinct)] = DEFAULT_ATTACKS

    @model_validator(mode="after")
    def _isolated_fit_into_the_pool(self) -> LeakageTask:
        if self.isolated > 2 * self.members:
            raise ValueError(
                f"isolated must be at most twice members ({2 * self.members}), got {self.isolated}"
            )
        return self


class Grid(_Part):
    """A benchmark: every synthesizer at every epsilon and seed, on every table."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    dataset: Annotated[tuple[DatasetName, ...], BeforeValidator(_listed), AfterValidator(_distinct)]
    delta: Annotated[float, BeforeValidator(_number), Field(gt=0, lt=1)]
    adjacency: Literal["add_remove", "replace_one"] = "add_remove"
    seeds: Annotated[tuple[Count, ...], BeforeValidator(_counted), AfterValidator(_distinct)]
    synthesizers: Annotated[
        tuple[Annotated[SynthesizerChoice, BeforeValidator(_by_name)], ...],
        AfterValidator(_distinct),
    ]
    utility: UtilityTask | None = None
    leakage: LeakageTask | None = None

    @model_validator(mode="after")
    def _something_to_run(self) -> Grid:
        if self.utility is None and self.leakage is None:
            raise ValueError("give at least one of the tasks utility and leakage")
        return self

    @classmethod
    def load(cls, path: str | Path) -> Grid:
        """Return the grid of a YAML file; GridError, in one line, when it is malformed."""
        try:
            content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_StrictLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f"line {mark.line + 1}: " if mark else ""
            raise GridError(f"{path}: {line}{error.problem}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise GridError(f"{path}: not a YAML text: {_reason(str(error))}") from None
        return cls.from_dict(content, source=str(path))

    @classmethod
    def from_dict(cls, content: object, source: str = "grid") -> Grid:
        """Return the grid of a mapping; ``source`` begins the line of a GridError."""
        if not isinstance(content, dict):
            keys = ", ".join(cls.model_fields)
            raise GridError(f"{source}: must be a mapping with the keys {keys}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise GridError(f"{source}: {_explain(error)}") from None

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
            options = canonical_json(_options(part))
            baselines = LEAKAGE_BASELINES if task == "leakage" else UTILITY_BASELINES
            for name in baselines:
                yield Cell(dataset, digest, task, name, "{}", None, None, None, seed, options)
            for choice in self.synthesizers:
                settings = canonical_json(choice.settings())
                for epsilon in part.epsilons:
                    budget = (epsilon, self.delta, self.adjacency)
                    yield Cell(dataset, digest, task, choice.name, settings, *budget, seed, options)


def _options(part: UtilityTask | LeakageTask) -> dict[str, object]:
    """Return what decides a cell of this task beside its epsilon; the order of names does not."""
    if isinstance(part, UtilityTask):
        return {"metrics": sorted(part.metrics)}
    return {
        "members": part.members,
        "isolated": part.isolated,
        "attacks": sorted(part.attacks),
    }


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """Return the mapping of ``node``; ConstructorError where a key stands twice."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _reason(message: str) -> str:
    text = " ".join(message.split()).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _explain(error: ValidationError) -> str:
    """Return one finding as ``key path: what is wrong and what would be right``."""
    # A misspelt key is also a missing one: what stands in the file says more.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    where = ".".join(path)
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key; {_suggest(path[-1], _keys_at(path[:-1]))}"
    if first["type"] == "missing":
        return f"{where}: this key is missing"
    reason = _reason(first["msg"])
    if first["type"] != "value_error":
        reason += f", got {first['input']!r}"
    return f"{where}: {reason}" if where else reason


def _keys_at(path: list[str]) -> Iterable[str]:
    parts: dict[str, type[_Part]] = {
        "utility": UtilityTask,
        "leakage": LeakageTask,
        "synthesizers": SynthesizerChoice,
    }
    return (parts[path[0]] if path else Grid).model_fields
