"""What to run: a YAML file whose keys are checked, and the cells that it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from dp_synth import extensions
from dp_synth.attacks import ATTACKS
from dp_synth.benchmark.baselines import LEAKAGE_BASELINES, SAMPLE_OF_ROWS, UTILITY_BASELINES
from dp_synth.benchmark.cell import Cell, canonical_json
from dp_synth.benchmark.choice import SynthesizerChoice
from dp_synth.benchmark.grid_file import explain, read_grid, with_settings
from dp_synth.benchmark.grid_types import (
    MOST_CELLS,
    AttackName,
    Count,
    DatasetName,
    Epsilons,
    Limit,
    MetricName,
    Part,
    Share,
    by_name,
    counted,
    distinct,
    listed,
    number,
    unrepeated,
)
from dp_synth.benchmark.worker import Limits
from dp_synth.errors import GridError
from dp_synth.metrics import METRICS
from dp_synth.readers import Lines

DEFAULT_METRICS = ("tv1", "tv2", "tv3", "kmarginal", "auc", "average_precision", "f1")
DEFAULT_ATTACKS = ("closest_record", "density_ratio")


class UtilityTask(Part):
    """Cells that fit on the whole training part and are scored.

    ``samples`` adds real rows: random shares of the training part, as a scale to read methods on.
    """

    epsilons: Epsilons
    metrics: Annotated[tuple[MetricName, ...], AfterValidator(distinct)] = DEFAULT_METRICS
    samples: Annotated[tuple[Share, ...], AfterValidator(unrepeated)] = ()


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
    "synthesizers": SynthesizerChoice,
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
        tuple[Annotated[SynthesizerChoice, BeforeValidator(by_name)], ...],
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
        parts = [part for part in (self.utility, self.leakage) if part is not None]
        kinds = sum(
            len(self.synthesizers) * len(part.epsilons) + len(list(_baselines(part)))
            for part in parts
        )
        if (count := kinds * len(self.dataset) * len(self.seeds)) > MOST_CELLS:
            raise ValueError(f"the grid has {count:,} cells, at most {MOST_CELLS:,} can be run")
        return self

    @classmethod
    def load(cls, path: str | Path, settings: Sequence[str] = ()) -> Grid:
        """Return the grid of a YAML file; GridError, in one line, when it is malformed.

        ``settings`` are set over the file's: ``key.path=value``, with the value as YAML.
        """
        content, lines = read_grid(path)
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
            raise GridError(f"{source}: {explain(error, cls, PARTS, lines or {})}") from None

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
            for name, settings in _baselines(part):
                nothing = (None, None, None)
                yield Cell(dataset, digest, task, name, settings, *nothing, seed, options, code)
            for choice in self.synthesizers:
                settings = canonical_json(choice.settings())
                codes = choice.code() + code
                for epsilon in part.epsilons:
                    budget = (epsilon, self.delta, self.adjacency)
                    yield Cell(
                        dataset, digest, task, choice.name, settings, *budget, seed, options, codes
                    )


def _baselines(part: UtilityTask | LeakageTask) -> Iterable[tuple[str, str]]:
    """Return the names of a task's baselines with their settings."""
    if isinstance(part, LeakageTask):
        return [(name, "{}") for name in LEAKAGE_BASELINES]
    shares = [(SAMPLE_OF_ROWS, canonical_json({"share": share})) for share in part.samples]
    return [*((name, "{}") for name in UTILITY_BASELINES), *shares]


def _options(part: UtilityTask | LeakageTask) -> dict[str, object]:
    """Return what decides a cell of this task beside its epsilon; the order of names does not."""
    if isinstance(part, UtilityTask):
        return {"metrics": sorted(part.metrics)}
    return {
        "members": part.members,
        "isolated": part.isolated,
        "attacks": sorted(part.attacks),
    }


def _code(part: UtilityTask | LeakageTask) -> str:
    """Return what tells versions of a task's third-party metrics or attacks apart."""
    found: list[object]
    if isinstance(part, UtilityTask):
        found = [extensions.find("metrics", name, METRICS) for name in sorted(part.metrics)]
    else:
        found = [extensions.find("attacks", name, ATTACKS) for name in sorted(part.attacks)]
    return "".join(extensions.code_of(one) for one in found)
