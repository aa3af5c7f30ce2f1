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
from dp_synth.metrics.single import kmarginal_of_pairs, score, total_variation
from dp_synth.metrics.subgroups import subgroups

_ALL = (
    Metric("tv1", "mean total variation of all one-way marginals", "lower", total_variation(1)),
    Metric(
        "tv2",
        "mean total variation of all pairs, wide columns cut at the real table's 20-quantiles",
        "lower",
        total_variation(2),
    ),
    Metric("tv3", "mean total variation of 100 sampled triples", "lower", total_variation(3)),
    Metric("kmarginal", "1000 x (1 - tv2)", "higher", kmarginal_of_pairs),
    Metric(
        "auc",
        "area under the ROC curve, trained on synthetic and tested on hold-out records",
        "higher",
        score("auc"),
    ),
    Metric(
        "average_precision", "average precision, likewise", "higher", score("average_precision")
    ),
    Metric("f1", "F1 score, likewise", "higher", score("f1")),
    Metric(
        "correlation",
        "mean absolute error of Pearson's, Cramer's V and the correlation ratio of pairs",
        "lower",
        correlation,
    ),
    Metric(
        "range_queries",
        "mean absolute error of 1,000 counting queries on three attributes, and of prefixes",
        "lower",
        range_queries,
    ),
    Metric(
        "rare_combinations",
        "share of rare pairs of values that are there, and of records in pairs that are real",
        "higher",
        rare_combinations,
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
    ),
    Metric(
        "equivalent_sample",
        "share of the training records whose random sample has the same tv2_holdout",
        "higher",
        equivalent_share,
    ),
    Metric(
        "subgroups",
        "errors of columns and classifiers by group: worst, mean, and gap between groups",
        "lower",
        subgroups,
    ),
    Metric(
        "several_models",
        "AUC of seven kinds of models trained on synthetic records, and their order",
        "higher",
        several_models,
    ),
    Metric(
        "augmentation",
        "gain of a model by synthetic records of rare classes beside the real ones",
        "higher",
        augmentation,
    ),
)

METRICS: MappingProxyType[str, Metric] = MappingProxyType({one.name: one for one in _ALL})
"""The metrics that benchmarks, `dp-synth evaluate` and `dp-synth list metrics` know."""
