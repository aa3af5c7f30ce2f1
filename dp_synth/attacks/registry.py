"""The registry of attacks and guesses, and the risk table of what each finds on one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from dp_synth.attacks.article_29 import (
    BAYES,
    LINKABILITY,
    NEAREST,
    ONE_VALUE,
    PREDICTOR,
    THREE_VALUES,
    attribute_inference,
    linkability,
    singling_out,
)
from dp_synth.attacks.base import Attack, AttackedTables, ExcessRisk, Guess
from dp_synth.attacks.belief_propagation import BELIEFS, belief_reconstruction
from dp_synth.attacks.density import DensityRatio, GenLRA, KernelDensityRatio, SyntheticClassifier
from dp_synth.attacks.distance import (
    ClosestRecord,
    DistanceDifference,
    NearestRecords,
    RecordsWithinRadius,
)
from dp_synth.attacks.marginal_ratio import MarginalRatio
from dp_synth.attacks.reconstruction import RECONSTRUCTION, ReconSyn, linear_reconstruction
from dp_synth.attacks.rows_ratio import RowsRatio
from dp_synth.attacks.scores import lira, rmia
from dp_synth.attacks.shadow import GroundhogFeatures, TargetedCounts
from dp_synth.attacks.shadow_ensemble import ShadowEnsemble
from dp_synth.attacks.targets import vulnerability
from dp_synth.attacks.transcript_ratio import TranscriptRatio
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.extensions import find
from dp_synth.metrics.estimate import Estimate, area_under_roc
from dp_synth.schema import Schema

INTERNAL = "internal: computed from private rows"
MOST_RECORDS = 2000  # attacked in each group

ATTACKS: dict[str, type[Attack]] = {
    attack.name: attack
    for attack in (
        ClosestRecord,
        DensityRatio,
        NearestRecords,
        RecordsWithinRadius,
        DistanceDifference,
        KernelDensityRatio,
        GenLRA,
        SyntheticClassifier,
        MarginalRatio,
        ShadowEnsemble,
        RowsRatio,
        TranscriptRatio,
    )
}

CITABLE = (  # what is neither in ATTACKS nor a guess
    lira,
    rmia,
    TargetedCounts,
    GroundhogFeatures,
    attribute_inference,
    singling_out,
    linkability,
    linear_reconstruction,
    belief_reconstruction,
    ReconSyn,
    vulnerability,
)

MEMBERSHIP: tuple[Attack, ...] = (ClosestRecord(), DensityRatio())
GUESSES: dict[str, Guess] = {
    guess.name: guess
    for guess in (
        ONE_VALUE,
        THREE_VALUES,
        LINKABILITY,
        NEAREST,
        BAYES,
        PREDICTOR,
        RECONSTRUCTION,
        BELIEFS,
    )
}


def attack_named(name: str) -> Attack:
    """Return the attack of that name: ours, an installed package's, or ``module:Class``.

    InputError, with the nearest name, where there is none, or it is no attack.
    """
    known: dict[str, object] = dict(ATTACKS)
    found = find("attacks", name, known)
    if isinstance(found, Attack):  # one that was given with its settings
        return found
    if not isinstance(found, type) or not issubclass(found, Attack):
        raise InputError(f"{name!r} must be a class that is an Attack")
    return found()


def that_can_see(view: AttackerView) -> tuple[Attack, ...]:
    """Return the attacks, with their usual settings, that an attacker of this view can run.

    What the others lack is told by their `Attack.missing`.

    >>> schema = Schema.from_dict({"name": "t", "columns": [
    ...     {"name": "ill", "type": "categorical", "size": 2}]})
    >>> view = AttackerView(pd.DataFrame({"ill": [0, 1]}), schema)
    >>> [attack.name for attack in that_can_see(view)]
    ['closest_record', 'nearest_records', 'records_within_radius']
    """
    return tuple(one for one in (kind() for kind in ATTACKS.values()) if not one.missing(view))


@dataclass(frozen=True)
class Risk:
    """What one attack found: an area under the ROC curve, or the excess risk of its guesses.

    ``control`` is the success on fresh records, NaN of an area, whose ``baseline`` is 0.5.
    """

    attack: Attack | Guess
    value: Estimate
    control: float
    baseline: float
    guessed: ExcessRisk | None = None  # all of it, of a guess


def attacked_tables(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    seed: int = 0,
) -> AttackedTables:
    """Return what is attacked: at most 2,000 random records of either group of people.

    InputError without records to attack.
    """
    if not len(train) or not len(holdout) or not len(synthetic):
        raise InputError("train, holdout and synthetic must each have a record or more")
    rng = np.random.default_rng(seed)
    members, controls = (
        frame.iloc[rng.permutation(len(frame))[:MOST_RECORDS]].reset_index(drop=True)
        for frame in (train, holdout)
    )
    return AttackedTables(members, controls, synthetic.reset_index(drop=True), schema, seed)


def membership_risk(attack: Attack, tables: AttackedTables, view: AttackerView) -> Risk:
    """Return the area between scores of fitted and of fresh records.

    InputError when ``view`` lacks what the attack needs.
    """
    members, controls = (attack.scores(one, view) for one in (tables.members, tables.controls))
    area = area_under_roc(members, controls, np.random.default_rng(tables.seed))
    return Risk(attack, area, nan, 0.5)


def guess_risks(tables: AttackedTables) -> Iterator[Risk]:
    """Yield the excess risk of each attack by guesses that the tables are of the kind for."""
    for guess in GUESSES.values():
        if (found := guess.run(tables)) is not None:
            yield Risk(guess, found.risk, found.control.value, found.baseline, found)


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
    tables = attacked_tables(train, holdout, synthetic, schema, seed=seed)
    view = AttackerView(tables.synthetic, schema, reference)
    able = [one for one in MEMBERSHIP if reference is not None or not one.needs_reference]
    risks = [*(membership_risk(one, tables, view) for one in able), *guess_risks(tables)]
    return pd.DataFrame([_row(risk) for risk in risks])


def _row(risk: Risk) -> dict[str, object]:
    attack = risk.attack
    similarity = isinstance(attack, Attack) and attack.measures != "membership"
    return {
        "attack": attack.name,
        "question": attack.question + (" Similarity, not privacy." if similarity else ""),
        "value": risk.value.value,
        "low": risk.value.low,
        "high": risk.value.high,
        "control": risk.control,
        "baseline": risk.baseline,
        "note": INTERNAL,
    }
