"""The registry of metrics, and the evaluation: all of them of one table, beside real records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.frames import Table, as_frame, refuse_shared, text_of
from dp_synth.metrics.cell_metrics import EQUIVALENT_SAMPLE, RANGE_QUERIES, RARE_COMBINATIONS
from dp_synth.metrics.comparison import LABEL_NEEDED, Compared, Metric, Part, RealTables
from dp_synth.metrics.consistency import CONSISTENCY
from dp_synth.metrics.correlation import CORRELATION
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.fidelity import Axes, cliques_of, kmarginal, mean_total_variation
from dp_synth.metrics.model_metrics import AUGMENTATION, PROPENSITY_MSE, SEVERAL_MODELS
from dp_synth.metrics.prediction import (
    OF_NUMBERS,
    SCORES,
    RegressionTask,
    regression_scores,
    utility,
)
from dp_synth.metrics.subgroups import SUBGROUPS
from dp_synth.schema import IdColumn, Schema

NUMBER_NEEDED = "a numeric label of two values or more, and a column beside it"
PARTS: tuple[tuple[Part, str], ...] = (("train", ""), ("holdout", "_holdout"))

Measure = Callable[[Compared], Mapping[str, Estimate]]


def total_variation(degree: int) -> Measure:
    """Return the measure ``tv<degree>``: mean total variation of marginals of so many attributes.

    Against the training records; with ``_holdout``, against the others.
    """

    def measure(compared: Compared) -> Mapping[str, Estimate]:
        if degree > len(compared.real.binning.sizes):
            return {}
        return {f"tv{degree}{end}": compared.total_variation(degree, part) for part, end in PARTS}

    return measure


def kmarginal_of_pairs(compared: Compared) -> Mapping[str, Estimate]:
    """Return ``kmarginal``, 1000 x (1 - tv2), and that against the hold-out records."""
    pairs = total_variation(2)(compared)
    return {name.replace("tv2", "kmarginal"): kmarginal(error) for name, error in pairs.items()}


def score(name: str) -> Measure:
    """Return the measure ``<name>:<model>``: one score of each model of `utility`.

    Or, of a numeric label, of `regression_scores`. The models learn from synthetic records once,
    for all scores of a comparison.
    """

    def measure(compared: Compared) -> Mapping[str, Estimate]:
        scores = compared.regression if name in OF_NUMBERS else compared.scores
        return {f"{name}:{model}": of[name] for model, of in scores.items()}

    return measure


_PLAIN = (
    Metric("tv1", "mean total variation of all one-way marginals", "lower", total_variation(1)),
    Metric(
        "tv2",
        "mean total variation of all pairs, wide columns cut at the real table's 20-quantiles",
        "lower",
        total_variation(2),
        needs="two columns",
    ),
    Metric(
        "tv3",
        "mean total variation of 100 sampled triples",
        "lower",
        total_variation(3),
        needs="three columns",
    ),
    Metric("kmarginal", "1000 x (1 - tv2)", "higher", kmarginal_of_pairs, needs="two columns"),
    Metric(
        "auc",
        "area under the ROC curve, trained on synthetic and tested on hold-out records",
        "higher",
        score("auc"),
        needs=LABEL_NEEDED,
    ),
    Metric(
        "average_precision",
        "average precision, likewise",
        "higher",
        score("average_precision"),
        needs=LABEL_NEEDED,
    ),
    Metric("f1", "F1 score, likewise", "higher", score("f1"), needs=LABEL_NEEDED),
    Metric(
        "r2",
        "share of a numeric label's variance explained, trained on synthetic and tested on "
        "hold-out records",
        "higher",
        score("r2"),
        needs=NUMBER_NEEDED,
    ),
    Metric(
        "mean_absolute_error",
        "mean error of a numeric label, likewise, in units of the label",
        "lower",
        score("mean_absolute_error"),
        needs=NUMBER_NEEDED,
    ),
)

METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        *_PLAIN,
        CORRELATION,
        RANGE_QUERIES,
        RARE_COMBINATIONS,
        CONSISTENCY,
        PROPENSITY_MSE,
        EQUIVALENT_SAMPLE,
        SUBGROUPS,
        SEVERAL_MODELS,
        AUGMENTATION,
    )
}
"""The metrics that benchmarks, `dp-synth evaluate` and `dp-synth list metrics` know."""

DEGREES = (1, 2, 3)
NAMED_WORST = {"worst_columns": 1, "worst_pairs": 2}
WORST = 10  # columns and pairs of columns that are named, those that are reproduced worst
MOST_PAIRS = 2_000  # of more pairs than this so many are compared, drawn by the seed
PLAIN = (*(f"tv{degree}" for degree in DEGREES), "kmarginal", *SCORES, *OF_NUMBERS)
"""The metrics that every evaluation has, laid out as `evaluate` says."""

# What a metric may raise of tables that nobody thought of. It is told, and is not passed on.
FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)

Evaluation = dict[str, Any]


def evaluate(
    real: Table,
    holdout: Table,
    synthetic: Table,
    schema: Schema,
    *,
    seed: int = 0,
    more: Collection[str] = (),
) -> Evaluation:
    """Return every plain metric by name, with its interval under ``name_low`` and ``name_high``.

    ``tv1``, ``tv2``, ``tv3``
        mean total variation of marginals of so many attributes, against ``real``; with
        ``_holdout`` against ``holdout``; with ``_floor`` that of ``holdout`` against ``real``,
        what fresh real records would score. Degrees above the number of attributes are left out.
    ``kmarginal``, ``kmarginal_floor``
        1000 x (1 - the same for pairs).
    ``auc``, ``average_precision``, ``f1``
        by model, trained on ``synthetic`` and tested on ``holdout``; with ``_real`` trained on
        ``real``. Empty when the schema has no usable label.
    ``r2``, ``mean_absolute_error``
        likewise, where the label is a number.
    ``worst_columns``, ``worst_pairs``
        a list of the marginals furthest from those of ``real``: ``columns``, ``value``, ``low``,
        ``high``, and ``floor``, that of ``holdout``.
    ``remarks``
        what was asked for and is not there, or says nothing, with the reason, by name.
    ``failed``
        names of metrics that ended in an error, which ``remarks`` has; the others are there.

    Those of ``more``, names of `METRICS`, give their values by the names that they have there;
    InputError for a name that is not, and where ``real`` and ``holdout`` share records.
    """
    real, holdout = as_frame(real, "real"), as_frame(holdout, "holdout")
    synthetic = as_frame(synthetic, "synthetic")
    refuse_shared({"real": real, "holdout": holdout})
    return evaluation_of(Compared(RealTables(real, holdout, schema), synthetic, seed), more=more)


def evaluation_of(compared: Compared, *, more: Collection[str] = ()) -> Evaluation:
    """Return what `evaluate` does, of tables that are prepared."""
    for name in more:
        if name not in METRICS:
            raise InputError(unknown("metric", name, METRICS))
    result: Evaluation = {}
    for name, estimate in _fidelity(compared).items():
        result |= _flat(name, estimate)
    result |= _predictions(compared)
    for name, degree in NAMED_WORST.items():
        result[name] = [
            {"columns": list(one.columns), **vars(one.distance), "floor": one.floor.value}
            for one in worst_marginals(compared, degree)
        ]
    result |= _named(compared, more)
    there = {key.partition(":")[0] for key in result if result[key]}
    asked = [name for name in more if name not in there]
    absent = {name: f"left out, it needs {METRICS[name].needs}" for name in asked}
    result["remarks"] = absent | _of_models(compared) | _of_keys(compared) | result["remarks"]
    return result


def _named(compared: Compared, more: Collection[str]) -> Evaluation:
    """Return the values of metrics beside the plain ones; one that fails does not lose others."""
    found: Evaluation = {"remarks": {}, "failed": []}
    for metric in more:
        if metric in PLAIN:
            continue
        try:
            for name, estimate in METRICS[metric](compared).items():
                found |= _flat(name, estimate)
        except MemoryError:
            found["remarks"][metric] = "left out, it does not fit into memory"
        except FAILURES as error:
            found["remarks"][metric] = f"failed, {type(error).__name__}: {error}"
            found["failed"].append(metric)
    return found


def _fidelity(compared: Compared) -> dict[str, Estimate]:
    real, sizes = compared.real, compared.real.binning.sizes
    of_real, of_holdout, of_synthetic = real.train_codes, real.holdout_codes, compared.codes
    tables = {
        "": (of_real, of_synthetic),
        "_holdout": (of_holdout, of_synthetic),
        "_floor": (of_real, of_holdout),
    }
    result = {}
    for degree in DEGREES:
        if degree > len(sizes):
            continue
        cliques = cliques_of(len(sizes), degree, compared.seed)
        for suffix, (first, second) in tables.items():
            error = mean_total_variation(first, second, sizes, cliques)
            result[f"tv{degree}{suffix}"] = error
            if degree == 2 and suffix != "_holdout":
                result[f"kmarginal{suffix}"] = kmarginal(error)
    return result


def _predictions(compared: Compared) -> Evaluation:
    """Return the scores of models that learned from synthetic and from real records."""
    real = compared.real
    tables, seed = (real.train, real.holdout, real.schema), compared.seed
    result: Evaluation = {}
    for suffix, of in (("", compared.scores), ("_real", utility(*tables, seed=seed))):
        for score in SCORES:
            result |= _by_model(score + suffix, of, score)
    if RegressionTask.of(real.schema) is not None:
        of_real = regression_scores(*tables, seed=seed)
        for suffix, of in (("", compared.regression), ("_real", of_real)):
            for score in OF_NUMBERS:
                result |= _by_model(score + suffix, of, score)
    return result


def _of_models(compared: Compared) -> dict[str, str]:
    """Return why scores of models are absent, or say nothing, by ``label``, by table."""
    real, schema = compared.real, compared.real.schema
    if schema.label is None:
        return {"label": "the schema names none: no model is trained on the rows"}
    name = repr(schema.label)
    if (numbers := RegressionTask.of(schema)) is not None:
        tested = numbers.examples(real.holdout)[1]
        said = f"{name} is a number: {' and '.join(OF_NUMBERS)} stand in the place of AUC and F1"
        if not len(tested) or not np.ptp(tested):
            said = f"the hold-out rows have fewer than two values of {name}: no score can be had"
        return {"label": said}
    if real.task is None:
        return {"label": f"{name} stands alone or is no category or number: no model is trained"}
    found, classes = {}, len(np.unique(real.examples("holdout").labels))
    if classes < 2:
        found["holdout"] = (
            f"the hold-out rows have fewer than two classes of {name}: scores of models say nothing"
        )
    if len(np.unique(compared.examples.labels)) < 2:
        found["synthetic"] = (
            f"the rows have fewer than two classes of {name}: a model learns nothing from them"
        )
    return found


def _of_keys(compared: Compared) -> dict[str, str]:
    """Return how the new keys of rows stand to those of fitted records, by ``column NAME``."""
    found = {}
    for _, column in compared.real.schema.keys:
        new, old = (_keys_in(frame, column) for frame in (compared.synthetic, compared.real.train))
        said = "new keys, which the rows have not" if new is None else ""
        if new is not None:
            said = f"new keys: {column.keys.compared(new, old or [])}"
        found[f"column {column.name!r}"] = said
    return found


def _keys_in(frame: pd.DataFrame, column: IdColumn) -> list[str] | None:
    """Return the texts of a column of keys; None where a frame has none of its name."""
    places = [place for place, name in enumerate(frame.columns) if str(name) == column.name]
    return list(map(text_of, frame.iloc[:, places[0]])) if places else None


def _flat(name: str, estimate: Estimate) -> Evaluation:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _by_model(name: str, scores: Mapping[str, Mapping[str, Estimate]], score: str) -> Evaluation:
    return {
        name: {model: of[score].value for model, of in scores.items()},
        f"{name}_low": {model: of[score].low for model, of in scores.items()},
        f"{name}_high": {model: of[score].high for model, of in scores.items()},
    }


@dataclass(frozen=True)
class Marginal:
    """Columns whose synthetic marginal is compared with that of the fitted records.

    ``distance`` is the total variation between the two, ``floor`` that of the hold-out records'.
    """

    columns: tuple[str, ...]
    distance: Estimate
    floor: Estimate


def worst_marginals(
    compared: Compared, degree: int, *, most: int = WORST, seed: int = 0
) -> tuple[Marginal, ...]:
    """Return those marginals of ``degree`` columns that are furthest from the fitted records'."""
    real = compared.real
    names = [attribute.name for attribute in real.binning.attributes]

    def marginal(clique: Axes) -> Marginal:
        """Return how far one marginal is from that of the fitted records."""
        sizes = [real.binning.sizes[axis] for axis in clique]
        tables = (real.train_codes, compared.codes, real.holdout_codes)
        fitted, made, fresh = (codes[:, list(clique)] for codes in tables)
        whole = [tuple(range(len(clique)))]
        return Marginal(
            tuple(names[axis] for axis in clique),
            mean_total_variation(fitted, made, sizes, whole),
            mean_total_variation(fitted, fresh, sizes, whole),
        )

    found = map(marginal, _some(len(names), degree, seed))
    return tuple(sorted(found, key=lambda one: -one.distance.value)[:most])


def _some(attributes: int, degree: int, seed: int) -> list[Axes]:
    if attributes < degree:
        return []
    cliques = cliques_of(attributes, degree)
    if len(cliques) <= MOST_PAIRS:
        return cliques
    kept = np.random.default_rng(seed).choice(len(cliques), MOST_PAIRS, replace=False)
    return [cliques[i] for i in sorted(kept.tolist())]


def histogram(compared: Compared, column: str) -> pd.DataFrame:
    """Return the share of records in each cell of a column: of fitted, synthetic, fresh ones.

    Columns ``column, cell, fitted, synthetic, holdout``, a row a cell in the order of the schema.
    """
    real = compared.real
    axis = [attribute.name for attribute in real.binning.attributes].index(column)
    tables = {
        "fitted": real.train_codes,
        "synthetic": compared.codes,
        "holdout": real.holdout_codes,
    }
    cells = real.binning.labels(axis)
    shares = {
        name: np.bincount(codes[:, axis], minlength=len(cells)) / max(len(codes), 1)
        for name, codes in tables.items()
    }
    return pd.DataFrame({"column": column, "cell": cells, **shares})
