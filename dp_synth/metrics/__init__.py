"""How good a synthetic table is: fidelity of marginals, utility for classification.

Every metric looks at real records: what it returns is internal to the data holder, not
differentially private.
"""

from dp_synth.metrics.classifiers import MODELS
from dp_synth.metrics.estimate import Estimate, clopper_pearson
from dp_synth.metrics.evaluation import evaluate
from dp_synth.metrics.fidelity import (
    Binning,
    cliques_of,
    kmarginal,
    kmarginal_score,
    mean_total_variation,
    workload_error,
)
from dp_synth.metrics.ranking import area_under_roc
from dp_synth.metrics.utility import utility

METRICS: dict[str, str] = {
    "tv1": "mean total variation of all one-way marginals",
    "tv2": "mean total variation of all pairs, wide columns cut at the real table's 20-quantiles",
    "tv3": "mean total variation of 100 sampled triples",
    "kmarginal": "1000 x (1 - tv2)",
    "auc": "area under the ROC curve, trained on synthetic and tested on hold-out records",
    "average_precision": "average precision, likewise",
    "f1": "F1 score, likewise",
}

__all__ = [
    "METRICS",
    "MODELS",
    "Binning",
    "Estimate",
    "area_under_roc",
    "cliques_of",
    "clopper_pearson",
    "evaluate",
    "kmarginal",
    "kmarginal_score",
    "mean_total_variation",
    "utility",
    "workload_error",
]
