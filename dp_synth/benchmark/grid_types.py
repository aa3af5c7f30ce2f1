"""What stands in a grid: numbers, names and lists, each checked where it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from dp_synth import datasets, extensions
from dp_synth.attacks import ATTACKS, Attack
from dp_synth.metrics import METRICS
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer

MOST_CELLS = 1_000_000
"""Cells of one grid, each a file of its store; no grid has more seeds than that either."""

LARGEST_COUNT = 2**63 - 1  # what a file of records can hold

TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")

T = TypeVar("T")


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
    """Return the name of a table that is known, declared or given, or the path of one."""
    if isinstance(given, datasets.Dataset):
        return _name_of_table(given)
    if not isinstance(given, str):
        raise ValueError(  # pydantic makes one line of it
            f"must be a name, a path or a Dataset, got {type(given).__name__}; "
            "of a frame datasets.from_frame(frame, schema) makes one"
        )
    name = given
    if not name.endswith(TABLE_ENDINGS) and name not in datasets.names():
        extensions.find("datasets", name, dict.fromkeys(datasets.names()))
    return name


def _name_of_table(data: datasets.Dataset) -> str:
    """Return the name of a table that stands there itself: its own, which none of ours may have."""
    if data.name in datasets.names() and datasets.load(data.name).sha256 != data.sha256:
        raise ValueError(f"a table that ships is called {data.name!r}; give this one another name")
    return extensions.give("datasets", data.name, data)


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
    if isinstance(value, Synthesizer):
        settings = TypeAdapter(type(value)).dump_python(value, mode="json")
        return {"name": extensions.name_of("synthesizers", type(value), SYNTHESIZERS)} | {
            "set": settings
        }
    if isinstance(value, type):
        return {"name": extensions.name_of("synthesizers", value, SYNTHESIZERS)}
    return value


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
