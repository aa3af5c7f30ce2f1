"""All attacks on one synthetic table in one frame, each beside its control and baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dp_synth.attacks.attribute import GUESSES, Secret, attribute_inference
from dp_synth.attacks.base import Attack
from dp_synth.attacks.density import DensityRatio
from dp_synth.attacks.distance import ClosestRecord
from dp_synth.attacks.excess_risk import ExcessRisk
from dp_synth.attacks.linkability import linkability
from dp_synth.attacks.reconstruction import linear_reconstruction
from dp_synth.attacks.singling_out import MULTIVARIATE, UNIVARIATE, singling_out
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.metrics.auc import area_under_roc
from dp_synth.metrics.fidelity import attributes_of
from dp_synth.schema import DiscreteColumn, Schema

INTERNAL = "internal: computed from private rows"
MOST_RECORDS = 2000  # attacked in each group

MEMBERSHIP: tuple[Attack, ...] = (ClosestRecord(), DensityRatio())
QUESTIONS = {
    "closest_record": "Are fitted records closer to the synthetic table? Similarity, not privacy.",
    "density_ratio": "Are fitted records likelier in the synthetic table than elsewhere?",
    "singling_out_univariate": "Does one value that is rare here single out a fitted record?",
    "singling_out_multivariate": "Do three values that are unique here single out a fitted record?",
    "linkability": "Do two halves of a fitted record lead to the same synthetic record?",
    "inference_nearest": "Does the most similar synthetic record tell a fitted person's secret?",
    "inference_bayes": "Do pairs of columns tell a fitted person's secret?",
    "inference_predictor": "Does a model of the synthetic table tell a fitted person's secret?",
    "reconstruction": "Do all counts together tell every fitted person's secret?",
}


@dataclass(frozen=True, eq=False)
class _Material:
    """What the attacks are given: as many fitted as fresh records at most."""

    members: pd.DataFrame
    controls: pd.DataFrame
    synthetic: pd.DataFrame
    schema: Schema
    seed: int


def privacy_risks(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    reference: pd.DataFrame | None = None,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Return a row for each attack: what it asks, its value and interval, control and baseline.

    Of membership attacks ``value`` is the area under the ROC curve between ``train`` and
    ``holdout`` records, with 0.5 as baseline; those that need a ``reference`` are left out
    without one, which must share no record with either. Of the others it is (attack - control) /
    (1 - control), see ``ExcessRisk``; the secret is the schema's label, else the last
    categorical column, and without either there are no such rows. At most 2,000 records of each
    table are attacked.

    The frame is computed from private records, without noise: it is for the data holder alone,
    and publishing it gives records away (``ReconSyn``). Low values prove nothing; only the
    ledger does. InputError without records to attack.
    """
    if not len(train) or not len(holdout) or not len(synthetic):
        raise InputError("train, holdout and synthetic must each have a record or more")
    rng = np.random.default_rng(seed)
    material = _Material(
        _some(train, rng), _some(holdout, rng), synthetic.reset_index(drop=True), schema, seed
    )
    rows = [*_membership(material, reference), *_article_29(material), *_inference(material)]
    return pd.DataFrame(rows)


def _membership(material: _Material, reference: pd.DataFrame | None) -> Iterator[dict[str, object]]:
    view = AttackerView(material.synthetic, material.schema, reference)
    for attack in MEMBERSHIP:
        if attack.needs_reference and reference is None:
            continue
        area = area_under_roc(
            attack.scores(material.members, view),
            attack.scores(material.controls, view),
            np.random.default_rng(material.seed),
        )
        yield _row(attack.name, area.value, area.low, area.high, control=np.nan, baseline=0.5)


def _article_29(material: _Material) -> Iterator[dict[str, object]]:
    given = (material.members, material.controls, material.synthetic, material.schema)
    for name, guessing in (("univariate", UNIVARIATE), ("multivariate", MULTIVARIATE)):
        found = singling_out(*given, guessing=guessing, seed=material.seed)
        yield _risk_row(f"singling_out_{name}", found)
    if len(attributes_of(material.schema)) > 1:
        yield _risk_row("linkability", linkability(*given, seed=material.seed))


def _inference(material: _Material) -> Iterator[dict[str, object]]:
    column = _secret_of(material.schema)
    if column is None:
        return
    secret = Secret(column, material.schema, material.synthetic)
    given = (material.members, material.controls, secret)
    for method in GUESSES:
        found = attribute_inference(*given, method=method, seed=material.seed)
        yield _risk_row(f"inference_{method}", found)
    commonest = secret.commonest()
    yield _risk_row("reconstruction", linear_reconstruction(*given, value=commonest))


def _secret_of(schema: Schema) -> str | None:
    if len(attributes_of(schema)) < 2:
        return None
    if schema.label is not None:
        return schema.label
    named = [c.name for c in attributes_of(schema) if isinstance(c, DiscreteColumn)]
    return named[-1] if named else None


def _some(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    chosen = rng.permutation(len(frame))[:MOST_RECORDS]
    return frame.iloc[chosen].reset_index(drop=True)


def _risk_row(name: str, found: ExcessRisk) -> dict[str, object]:
    risk = found.risk
    return _row(
        name, risk.value, risk.low, risk.high, control=found.control.value, baseline=found.baseline
    )


def _row(
    name: str, value: float, low: float, high: float, *, control: float, baseline: float
) -> dict[str, object]:
    return {
        "attack": name,
        "question": QUESTIONS[name],
        "value": value,
        "low": low,
        "high": high,
        "control": control,
        "baseline": baseline,
        "note": INTERNAL,
    }
