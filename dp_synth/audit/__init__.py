"""What attack scores prove: ROC curves, bounds on epsilon, audits against the ledger."""

from dp_synth.audit.auc_test import AreaTest, area_test, noise_factor
from dp_synth.audit.auditor import AuditReport, audit
from dp_synth.audit.bounds import Bound, Worlds, ceiling, clopper_pearson_bound, gaussian_bound
from dp_synth.audit.neighbours import NeighbouringTables, contrast, of_table, worst_case
from dp_synth.audit.one_run import (
    guesses,
    one_run_bound,
    one_run_gaussian_bound,
    one_run_mean_p_value,
)
from dp_synth.audit.roc import Roc
from dp_synth.audit.search import candidates, search_design
from dp_synth.audit.stages import Stage, stages_of, total_scores

CITABLE = (audit, one_run_bound)
Design = NeighbouringTables  # its name of version 0.1

__all__ = [
    "AreaTest",
    "AuditReport",
    "Bound",
    "Design",
    "NeighbouringTables",
    "Roc",
    "Stage",
    "Worlds",
    "area_test",
    "audit",
    "candidates",
    "ceiling",
    "clopper_pearson_bound",
    "contrast",
    "gaussian_bound",
    "guesses",
    "noise_factor",
    "of_table",
    "one_run_bound",
    "one_run_gaussian_bound",
    "one_run_mean_p_value",
    "search_design",
    "stages_of",
    "total_scores",
    "worst_case",
]
