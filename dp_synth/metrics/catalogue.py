"""Every metric by its name."""

from __future__ import annotations

from types import MappingProxyType

from dp_synth.metrics.augmentation import augmentation
from dp_synth.metrics.compared import Metric
from dp_synth.metrics.consistency import consistency
from dp_synth.metrics.correlation import correlation
from dp_synth.metrics.equivalent_sample import equivalent_share
from dp_synth.metrics.propensity import propensity_mse
from dp_synth.metrics.range_queries import range_queries
from dp_synth.metrics.rare_combinations import rare_combinations
from dp_synth.metrics.several_models import several_models
from dp_synth.metrics.single import kmarginal_of_pairs, regression, score, total_variation
from dp_synth.metrics.subgroups import subgroups

LABEL = "a categorical or ordinal label, and a column beside it"
NUMBER = "a numeric label of two values or more, and a column beside it"

_ALL = (
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
    Metric(
        "kmarginal",
        "1000 x (1 - tv2)",
        "higher",
        kmarginal_of_pairs,
        needs="two columns",
    ),
    Metric(
        "auc",
        "area under the ROC curve, trained on synthetic and tested on hold-out records",
        "higher",
        score("auc"),
        needs=LABEL,
    ),
    Metric(
        "average_precision",
        "average precision, likewise",
        "higher",
        score("average_precision"),
        needs=LABEL,
    ),
    Metric(
        "f1",
        "F1 score, likewise",
        "higher",
        score("f1"),
        needs=LABEL,
    ),
    Metric(
        "r2",
        "share of a numeric label's variance explained, trained on synthetic and tested on "
        "hold-out records",
        "higher",
        regression("r2"),
        needs=NUMBER,
    ),
    Metric(
        "mean_absolute_error",
        "mean error of a numeric label, likewise, in units of the label",
        "lower",
        regression("mean_absolute_error"),
        needs=NUMBER,
    ),
    Metric(
        "correlation",
        "mean absolute error of Pearson's, Cramer's V and the correlation ratio of pairs",
        "lower",
        correlation,
        needs="two columns",
    ),
    Metric(
        "range_queries",
        "mean absolute error of 1,000 counting queries on three attributes, and of prefixes",
        "lower",
        range_queries,
        needs="a column, and records of either table",
    ),
    Metric(
        "rare_combinations",
        "share of rare pairs of values that are there, and of records in pairs that are real",
        "higher",
        rare_combinations,
        needs="two columns, and synthetic records",
    ),
    Metric(
        "consistency",
        "share of records that break a bound, a category list, a constraint or a dependency",
        "lower",
        consistency,
    ),
    Metric(
        "propensity_mse",
        "how well a model tells synthetic from hold-out records, and that beside chance",
        "lower",
        propensity_mse,
        needs="a known value, and thirty hold-out and synthetic records",
    ),
    Metric(
        "equivalent_sample",
        "share of the training records whose random sample is as near to hold-out pairs",
        "higher",
        equivalent_share,
        needs="two columns, and records of both real tables",
    ),
    Metric(
        "subgroups",
        "errors of columns and classifiers by group: worst, mean, and gap between groups",
        "lower",
        subgroups,
        needs="a column of few categories beside the label, and 100 hold-out records of one",
    ),
    Metric(
        "several_models",
        "AUC of seven kinds of models trained on synthetic records, and their order",
        "higher",
        several_models,
        needs=LABEL,
    ),
    Metric(
        "augmentation",
        "gain of a model by synthetic records of rare classes beside the real ones",
        "higher",
        augmentation,
        needs="a categorical or ordinal label with a rare class",
    ),
)

METRICS: MappingProxyType[str, Metric] = MappingProxyType({one.name: one for one in _ALL})
"""The metrics that benchmarks, `dp-synth evaluate` and `dp-synth list metrics` know."""
