"""All metrics of one synthetic table, each beside what real records would score."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.metrics.catalogue import METRICS
from dp_synth.metrics.compared import Compared, RealTables
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.fidelity import cliques_of, kmarginal, mean_total_variation
from dp_synth.metrics.utility import SCORES, utility
from dp_synth.schema import Schema

DEGREES = (1, 2, 3)
PLAIN = (*(f"tv{degree}" for degree in DEGREES), "kmarginal", *SCORES)
"""The metrics that every evaluation has, laid out as `evaluate` says."""

Evaluation = dict[str, float | dict[str, float]]


def evaluate(
    real: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
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

    Those of ``more``, names of `METRICS`, give their values by the names that they have there;
    ValueError for a name that is not.
    """
    for name in more:
        if name not in METRICS:
            raise InputError(unknown("metric", name, METRICS))
    compared = Compared(RealTables(real, holdout, schema), synthetic, seed)
    result: Evaluation = {}
    for name, estimate in _fidelity(compared).items():
        result |= _flat(name, estimate)
    of_real = utility(real, holdout, schema, seed=seed)
    for suffix, scores in (("", compared.scores), ("_real", of_real)):
        for score in SCORES:
            result |= _by_model(score + suffix, scores, score)
    for metric in more:
        if metric not in PLAIN:
            for name, estimate in METRICS[metric](compared).items():
                result |= _flat(name, estimate)
    return result


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


def _flat(name: str, estimate: Estimate) -> Evaluation:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _by_model(name: str, scores: Mapping[str, Mapping[str, Estimate]], score: str) -> Evaluation:
    return {
        name: {model: of[score].value for model, of in scores.items()},
        f"{name}_low": {model: of[score].low for model, of in scores.items()},
        f"{name}_high": {model: of[score].high for model, of in scores.items()},
    }
