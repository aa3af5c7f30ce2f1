"""What stands in a grid: numbers, names and lists, each checked where it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from dp_synth import datasets, extensions
from dp_synth.attacks import ATTACKS
from dp_synth.errors import InputError
from dp_synth.metrics import METRICS

TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")

T = TypeVar("T")


def _known(kind: str, known: Callable[[], Mapping[str, object]]) -> AfterValidator:
    """Return the check that a name is known, declared by a package, or a dotted one."""

    def check(name: str) -> str:
        try:
            extensions.find(kind, name, known())
        except InputError as error:
            raise ValueError(str(error)) from None
        return name

    return AfterValidator(check)


def _table(name: str) -> str:
    """Return the name of a table that is known or declared, or the path of one."""
    if not name.endswith(TABLE_ENDINGS) and name not in datasets.names():
        try:
            extensions.find("datasets", name, dict.fromkeys(datasets.names()))
        except InputError as error:
            raise ValueError(str(error)) from None
    return name


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
    """Return a list of one where a text stands alone."""
    return [value] if isinstance(value, str) else value


def counted(value: object) -> object:
    """Return the seeds 0, 1, ... when only their number is given."""
    if isinstance(number(value), int) and isinstance(value, int):
        if value < 1:
            raise ValueError(f"must be at least 1, or a list of seeds, got {value}")
        return tuple(range(value))
    return value


def by_name(value: object) -> object:
    """Return a mapping with the name where it stands alone."""
    return {"name": value} if isinstance(value, str) else value


Epsilon = Annotated[float, BeforeValidator(number), Field(gt=0, allow_inf_nan=False)]
Epsilons = Annotated[tuple[Epsilon, ...], AfterValidator(distinct)]
Count = Annotated[int, BeforeValidator(number), Field(ge=0)]
Share = Annotated[float, BeforeValidator(number), Field(gt=0, le=1)]
Limit = Annotated[float, BeforeValidator(number), Field(gt=0)]
DatasetName = Annotated[str, AfterValidator(_table)]
MetricName = Annotated[str, _known("metrics", lambda: METRICS)]
AttackName = Annotated[str, _known("attacks", lambda: ATTACKS)]


class Part(BaseModel):
    """A mapping of a grid, whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
