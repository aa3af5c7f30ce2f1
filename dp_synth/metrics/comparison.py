"""Comparisons of a synthetic table with two real ones, prepared once, and metrics of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar

import pandas as pd

from dp_synth.frames import hold_frames
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.fidelity import Binning, cliques_of, mean_total_variation
from dp_synth.metrics.models import MODELS, Factory
from dp_synth.metrics.prediction import Examples, LabelTask, Predicted, regression_scores, scores_of
from dp_synth.schema import Schema
from dp_synth.types import Codes

Made = TypeVar("Made")
Part = Literal["train", "holdout"]
LABEL_NEEDED = "a categorical or ordinal label, and a column beside it"
REFERENCE_SEED = 0  # of models that learn from real records: the same beside every table


@dataclass(frozen=True, eq=False)
class Remembering:
    """What is made of tables once, by name."""

    _made: dict[Hashable, object] = field(default_factory=dict, init=False, repr=False)

    def remembered(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what ``make`` gave when it was first asked for under ``key``."""
        if key not in self._made:
            self._made[key] = make()
        found: Made = self._made[key]  # type: ignore[assignment]  # each key has one maker
        return found


@dataclass(frozen=True, eq=False)
class RealTables(Remembering):
    """The records that were fitted and others that were not, and what metrics make of them.

    What is made once serves every synthetic table that is compared with them.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    schema: Schema

    def __post_init__(self) -> None:
        hold_frames(self, "train", "holdout")

    @cached_property
    def binning(self) -> Binning:
        """The cells in which marginals are compared, cut on the training records."""
        return Binning.from_frame(self.schema, self.train)

    @cached_property
    def train_codes(self) -> Codes:
        """The cells of the training records, shape (records, attributes)."""
        return self.binning.codes(self.train)

    @cached_property
    def holdout_codes(self) -> Codes:
        """The cells of the hold-out records, shape (records, attributes)."""
        return self.binning.codes(self.holdout)

    @cached_property
    def task(self) -> LabelTask | None:
        """The label to predict, if the schema has one that can be."""
        return LabelTask.of(self.schema)

    def codes(self, part: Part) -> Codes:
        """Return the cells of one of the two tables."""
        return self.train_codes if part == "train" else self.holdout_codes

    def examples(self, part: Part) -> Examples:
        """Return one of the two tables as examples of its label; ValueError without a task."""
        frame = self.train if part == "train" else self.holdout
        return self.remembered(("examples", part), lambda: _task(self).examples(frame))

    def predicted(self, model: str, factory: Factory) -> Predicted:
        """Return what a model that learned from the training records says of the hold-out."""
        return self.remembered(
            ("predicted", model),
            lambda: _task(self).predict(
                self.examples("train"), self.examples("holdout"), factory, REFERENCE_SEED
            ),
        )


@dataclass(frozen=True, eq=False)
class Compared(Remembering):
    """A synthetic table beside the real ones; ``seed`` is that of classifiers and resampling."""

    real: RealTables
    synthetic: pd.DataFrame
    seed: int = 0

    def __post_init__(self) -> None:
        hold_frames(self, "synthetic")

    @cached_property
    def codes(self) -> Codes:
        """The cells of the synthetic records, shape (records, attributes)."""
        return self.real.binning.codes(self.synthetic)

    @cached_property
    def examples(self) -> Examples:
        """The synthetic records as examples of their label; ValueError without a task."""
        return _task(self.real).examples(self.synthetic)

    def total_variation(self, degree: int, part: Part) -> Estimate:
        """Return the mean total variation of marginals of so many attributes from a real table."""
        sizes = self.real.binning.sizes
        return self.remembered(
            ("total_variation", degree, part),
            lambda: mean_total_variation(
                self.real.codes(part), self.codes, sizes, cliques_of(len(sizes), degree)
            ),
        )

    def predicted(self, model: str, factory: Factory) -> Predicted:
        """Return what a model that learned from synthetic records says of the hold-out."""
        return self.remembered(
            ("predicted", model),
            lambda: _task(self.real).predict(
                self.examples, self.real.examples("holdout"), factory, self.seed
            ),
        )

    @cached_property
    def scores(self) -> dict[str, dict[str, Estimate]]:
        """The scores that `utility` gives, by model; empty without a task."""
        if self.real.task is None:
            return {}
        return {
            name: scores_of(self.predicted(name, factory), self.seed)
            for name, factory in MODELS.items()
        }

    @cached_property
    def regression(self) -> dict[str, dict[str, Estimate]]:
        """The scores that `regression_scores` gives, by model; empty without a numeric label."""
        return regression_scores(
            self.synthetic, self.real.holdout, self.real.schema, seed=self.seed
        )


@dataclass(frozen=True)
class Metric:
    """A function from a comparison to values by name, each name beginning with the metric's own.

    The mapping is empty where the tables do not have what the metric ``needs``. ``better`` says
    which way all of its values point.
    """

    name: str
    description: str
    better: Literal["lower", "higher"]
    measure: Callable[[Compared], Mapping[str, Estimate]]
    needs: str = "records of either table"
    figure_label: str = ""  # the name where it is empty
    cites: tuple[str, ...] = ()  # keys of references.bib, or whole BibTeX entries

    def __call__(self, compared: Compared) -> Mapping[str, Estimate]:
        """Return the values by name, with their intervals."""
        return self.measure(compared)


def _task(real: RealTables) -> LabelTask:
    if real.task is None:
        raise ValueError("the schema has no categorical or ordinal label to predict")
    return real.task
