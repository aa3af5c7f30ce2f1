"""The registry of metrics: the plain ones, and a line for each that has a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dp_synth.metrics.cell_metrics import EQUIVALENT_SAMPLE, RANGE_QUERIES, RARE_COMBINATIONS
from dp_synth.metrics.comparison import LABEL_NEEDED, Compared, Metric, Part
from dp_synth.metrics.consistency import CONSISTENCY
from dp_synth.metrics.correlation import CORRELATION
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.fidelity import kmarginal
from dp_synth.metrics.model_metrics import AUGMENTATION, PROPENSITY_MSE, SEVERAL_MODELS
from dp_synth.metrics.subgroups import SUBGROUPS

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

    The models learn from synthetic records once, for all scores of a comparison.
    """

    def measure(compared: Compared) -> Mapping[str, Estimate]:
        return {f"{name}:{model}": of[name] for model, of in compared.scores.items()}

    return measure


def regression(name: str) -> Measure:
    """Return the measure ``<name>:<model>`` of a numeric label: one score of each model."""

    def measure(compared: Compared) -> Mapping[str, Estimate]:
        return {f"{name}:{model}": of[name] for model, of in compared.regression.items()}

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
        regression("r2"),
        needs=NUMBER_NEEDED,
    ),
    Metric(
        "mean_absolute_error",
        "mean error of a numeric label, likewise, in units of the label",
        "lower",
        regression("mean_absolute_error"),
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
