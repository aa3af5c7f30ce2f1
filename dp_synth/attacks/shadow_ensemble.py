"""The shadow ensemble: a model of many attacks' scores, trained where membership is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd

from dp_synth.accounting import Accountant
from dp_synth.attacks.base import Attack
from dp_synth.attacks.density import DensityRatio, GenLRA, KernelDensityRatio
from dp_synth.attacks.distance import (
    ClosestRecord,
    DistanceDifference,
    NearestRecords,
    RecordsWithinRadius,
)
from dp_synth.attacks.marginal_ratio import Fit, MarginalRatio, Same
from dp_synth.attacks.rows_ratio import RowsRatio, is_of_marginals, measuring
from dp_synth.attacks.view import AttackerView
from dp_synth.metrics.models import short_seed
from dp_synth.progress import part_of_work
from dp_synth.types import Flags, Floats

REMEMBERED = 8  # trained ensembles: members and non-members are scored by the same one
MOST_SHADOWS = 1000  # records of a shadow table, and as many that are left out of it
WEIGHT_OF_A_FEATURE = 0.1  # C of the logistic regression: features go together
LARGEST_FEATURE = 5.0  # standard deviations of the shadows, beyond which a score says no more


@dataclass(frozen=True)
class ShadowEnsemble(Attack):
    """Score by a model of distances, densities and marginals that shadow fits have trained.

    In the manner of the ensembles of the MIDST challenge on single tables with a black box
    (distances, DOMIAS and calibrated ratios below one classifier; Ward et al. 2025,
    arXiv:2509.05350, show that such ensembles do better than any single attack). One half of the
    reference is what attacks compare with; of the other half, ``runs`` shadow tables are drawn and
    fitted by the synthesizer with its budget, as many records as were fitted or half of what there
    is, and what the attacks say of fitted and left-out records of each is what a logistic
    regression learns from. Attacks: closest record, nearest records, records within a radius,
    difference of distances, density ratios of columns and of pairs, DOMIAS, Gen-LRA, marginal
    ratio, and for methods with marginals the ratio of the rows. Departures: scores are standardised
    by those of the shadows and cut at 5 standard deviations, in place of boosted trees that need
    many shadows; there is no RMIA, whose models would be as many fits again.

    Needs the reference and the synthesizer with its budget. Its control are records that were not
    fitted: an area of 0.5. Methods that take long to fit are trained only where
    ``every_method`` says so. A number of ``records`` that is not known is that of the rows.
    """

    runs: int = 2
    every_method: bool = False
    seed: int = 0
    name = "shadow_ensemble"
    figure_label = "shadow ensemble"
    question = "Do all attacks together, trained on rehearsed fits, know fitted records?"
    cites = ("ward2025ensembling",)
    needs_reference = True
    needs_synthesizer = True
    uses = ("records",)
    LEAST: ClassVar = {"runs": 1}

    def missing(self, view: AttackerView) -> str | None:
        """Return in one line what ``view`` lacks; None where the attack can be run."""
        lacking = super().missing(view)
        if lacking is None and not (is_of_marginals(view) or self.every_method):
            return (
                f"attack {self.name!r} needs a synthesizer that is quickly fitted {self.runs} "
                f"times, as {', '.join(measuring())} are; got {view.algorithm!r} "
                "(every_method=True fits it all the same)"
            )
        return lacking

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        assert view.synthesizer is not None  # else it is `missing`
        assert view.budget is not None
        reference = self._reference(view)
        records = len(view.synthetic) if view.records is None else view.records
        attacks = self._attacks(view)
        if not (len(targets) and len(view.synthetic) and len(reference) > 3 and records):
            view.schema.encode(targets)  # refuses a column that is missing
            return np.zeros(len(targets))
        fit = (view.synthesizer, view.budget, view.schema, records)
        with part_of_work(0, 2):
            model = _trained(fit, Same(reference), attacks, self.runs, self.seed)
        known = replace(view, reference=_halves(reference, self.seed)[0])
        with part_of_work(1, 2):
            return model.log_odds(_features(attacks, targets, known))

    def _attacks(self, view: AttackerView) -> tuple[Attack, ...]:
        found: tuple[Attack, ...] = (
            *(ClosestRecord(), NearestRecords(), RecordsWithinRadius(), DistanceDifference()),
            *(DensityRatio(degree=1), DensityRatio(), KernelDensityRatio(), GenLRA()),
            MarginalRatio(runs=5, seed=self.seed),
        )
        rows = RowsRatio(runs=5, seed=self.seed)
        return found if rows.missing(view) else (*found, rows)


class _Classifier(Protocol):
    def decision_function(self, features: Floats) -> Floats: ...


@dataclass(frozen=True, eq=False)
class _Ensemble:
    """Centres and spreads of the shadows' scores, and a model of membership over them."""

    centres: Floats
    spreads: Floats
    model: _Classifier

    @classmethod
    def of(cls, features: Floats, member: Flags, seed: int) -> _Ensemble:
        """Return an ensemble trained on features of shape (records, attacks)."""
        from sklearn.linear_model import LogisticRegression

        centres, spreads = features.mean(axis=0), features.std(axis=0)
        spreads = np.where(spreads > 0, spreads, 1.0)
        model = LogisticRegression(
            C=WEIGHT_OF_A_FEATURE, max_iter=1000, random_state=short_seed(seed)
        )
        return cls(centres, spreads, model.fit(_standard(features, centres, spreads), member))

    def log_odds(self, features: Floats) -> Floats:
        """Return the log odds of membership of each record."""
        odds = self.model.decision_function(_standard(features, self.centres, self.spreads))
        return np.asarray(odds, dtype=np.float64)


def _standard(features: Floats, centres: Floats, spreads: Floats) -> Floats:
    away: Floats = (features - centres) / spreads
    return np.clip(away, -LARGEST_FEATURE, LARGEST_FEATURE)


def _features(attacks: Sequence[Attack], targets: pd.DataFrame, view: AttackerView) -> Floats:
    """Return the score of each attack, shape (targets, attacks)."""
    scores = []
    for place, attack in enumerate(attacks):
        with part_of_work(place, len(attacks)):
            scores.append(attack.scores(targets, view))
    return np.stack(scores, axis=1)


def _halves(reference: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what attacks compare with, and the pool of which shadow tables are drawn."""
    order = np.random.default_rng(seed).permutation(len(reference))
    middle = len(reference) // 2
    return tuple(reference.iloc[part] for part in (order[:middle], order[middle:]))  # type: ignore[return-value]


@lru_cache(maxsize=REMEMBERED)
def _trained(
    known: Fit, reference: Same, attacks: tuple[Attack, ...], runs: int, seed: int
) -> _Ensemble:
    """Return the ensemble that shadow fits have trained."""
    synthesizer, budget, schema, records = known
    compared, pool = _halves(reference.frame, seed)
    size = min(records, len(pool) // 2)
    most = min(size, MOST_SHADOWS)
    features, member = [], []
    for run, stream in enumerate(np.random.SeedSequence(seed).spawn(runs)):
        rng = np.random.default_rng(stream)
        order = rng.permutation(len(pool))
        fitted, left_out = pool.iloc[order[:size]], pool.iloc[order[size : size + most]]
        accountant = Accountant(budget, simulate=True)
        release = synthesizer.fit(fitted, schema, accountant, seed=int(rng.integers(2**63)))
        view = AttackerView(
            release.sample(size, seed=int(rng.integers(2**63))),
            schema,
            compared,
            synthesizer=synthesizer,
            budget=budget,
            records=size,
        )
        for frame, flag in ((fitted.head(most), True), (left_out, False)):
            with part_of_work(2 * run + (not flag), 2 * runs):
                features.append(_features(attacks, frame, view))
            member.append(np.full(len(frame), flag))
    return _Ensemble.of(np.concatenate(features), np.concatenate(member), seed)
