"""Whether a low or a high value of a metric is the good one."""

from __future__ import annotations

from typing import Literal, cast

from dp_synth import extensions
from dp_synth.errors import InputError

Better = Literal["lower", "higher"]


def better(metric: str, task: str = "utility") -> Better:
    """Return which end of ``metric`` is good: for the data of a cell, not for its attacker.

    A metric of ours or of an installed package says it of itself; InputError where none does. In
    the task ``leakage`` an ``auc`` is an attack's unless it is named after a model.

    >>> better("tv2_holdout"), better("auc:gradient_boosting"), better("subgroups:auc_gap")
    ('lower', 'higher', 'lower')
    >>> better("auc:density_ratio:isolated", "leakage"), better("auc:gradient_boosting", "leakage")
    ('lower', 'higher')
    """
    if task == "leakage" and metric.startswith("auc"):
        return "higher" if _is_model(metric) else "lower"
    if metric.startswith("tpr_at_fpr"):
        return "lower"
    return _said_by_itself(metric)


def _is_model(metric: str) -> bool:
    from dp_synth.metrics import MODELS

    return metric.partition(":")[2] in MODELS


def _said_by_itself(metric: str) -> Better:
    from dp_synth.metrics import METRICS

    first = metric.partition(":")[0]
    known = extensions.names("metrics", METRICS)
    name = next((one for one in (first, first.removesuffix("_holdout")) if one in known), None)
    # A dotted name is not imported: reading records runs no code but that of installed packages.
    said = name and getattr(extensions.find("metrics", name, METRICS), "better", None)
    if said not in ("lower", "higher"):
        raise InputError(
            f"nothing says whether a low or a high {metric!r} is better; a metric says it by its "
            f"attribute better, 'lower' or 'higher', and an entry point of the group "
            f"dp_synth.metrics, named {name or first!r}, says where it is"
        )
    return cast(Better, said)
