"""How good a synthetic table is: fidelity, utility, fairness, consistency.

Every metric looks at real records: what it returns is internal to the data holder, not
differentially private.
"""

from dp_synth.metrics.auc import area_under_roc
from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.equivalent_sample import equivalent_sample
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
from dp_synth.metrics.models import MODELS
from dp_synth.metrics.registry import METRICS
from dp_synth.metrics.utility import utility

__all__ = [
    "METRICS",
    "MODELS",
    "Binning",
    "Compared",
    "Estimate",
    "Metric",
    "RealTables",
    "area_under_roc",
    "cliques_of",
    "clopper_pearson",
    "equivalent_sample",
    "evaluate",
    "kmarginal",
    "kmarginal_score",
    "mean_total_variation",
    "utility",
    "workload_error",
]
