"""The internal part of a card: how good the rows are, and what attacks on them found.

It is computed from private rows, is not differentially private, and must not be published. It
is for the data holder, who asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dp_synth.metrics import METRICS, MODELS, Compared, Estimate, RealTables
from dp_synth.metrics.estimate import difference
from dp_synth.metrics.evaluation import Marginal, worst_marginals
from dp_synth.metrics.utility import auc_gain
from dp_synth.release import Release
from dp_synth.report.card_data import data_warnings
from dp_synth.report.card_measured import Measured
from dp_synth.report.risk import RiskReport, risk_report

MARK = "internal: not differentially private"

AUC_GAP = "auc_gap"

FIDELITY = ("tv1", "tv2", "tv3", "correlation", "range_queries", "consistency")
TOLD_APART = ("propensity_mse",)  # from the fresh records, which cannot stand beside themselves
UTILITY = ("auc", "average_precision", "f1")
SUBGROUPS = ("subgroups",)
AGAINST_FITTED = ("tv", "tv_gap", "loss")  # likewise of the subgroups', from the fitted ones
AGAINST_FRESH = "_holdout"  # ends the names of distances from the fresh records
SAMPLE = "equivalent_sample"
"""Metrics of each section, as far as there are metrics of these names."""


@dataclass(frozen=True)
class InternalPart:
    """What was computed from private rows: never to be published.

    ``fidelity``, ``columns``, ``pairs``
        total variation of marginals against the fitted records, as means and of the columns and
        pairs that fare worst; ``beside`` is what fresh real records have. How well rows are told
        from fresh records stands beside how well fitted ones are.
    ``utility``
        scores on fresh records of models trained on the rows; ``beside`` is that of models
        trained on the fitted records. ``auc_gap``: by how much the latter is higher.
    ``subgroups``
        the same by group of people, where the schema has a label and groups large enough.
    ``sample``
        the share of real records whose sample is as far away; None where it was not computed.
    ``attacks``, ``guesses``
        membership attacks: the AUC, beside the largest that the ledger permits; guesses about
        single people: the excess risk, beside the success on fresh records.
    ``warnings``
        what in the private rows calls for care (`card_data`).
    """

    fidelity: tuple[Measured, ...]
    columns: tuple[Measured, ...]
    pairs: tuple[Measured, ...]
    utility: tuple[Measured, ...]
    subgroups: tuple[Measured, ...]
    sample: Measured | None
    attacks: tuple[Measured, ...]
    guesses: tuple[Measured, ...]
    warnings: tuple[Measured, ...]
    left_out: Mapping[str, str]
    summary: str
    seed: int
    mark: str = MARK


def internal_part(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    release: Release,
    *,
    reference: pd.DataFrame | None = None,
    seed: int = 0,
) -> InternalPart:
    """Return what can be measured on private rows about a release and rows drawn from it.

    ``holdout`` are real records of the same people that were not fitted; ``reference`` are others
    that an attacker has, without which some attacks are left out. It takes from seconds to a
    minute. InputError where tables are empty or share records.
    """
    schema = release.schema
    train, holdout, synthetic = map(schema.typed, (train, holdout, synthetic))
    reference = None if reference is None else schema.typed(reference)
    risks = risk_report(train, holdout, synthetic, release, reference=reference, seed=seed)
    real = RealTables(train, holdout, schema)
    made, fresh, fitted = (Compared(real, rows, seed) for rows in (synthetic, holdout, train))
    columns, pairs = (
        tuple(_of_marginal(one) for one in worst_marginals(made, degree, seed=seed))
        for degree in (1, 2)
    )
    return InternalPart(
        fidelity=(*_measured(FIDELITY, made, fresh), *_measured(TOLD_APART, made, fitted)),
        columns=columns,
        pairs=pairs,
        utility=(*_measured(UTILITY, made, fitted), *_gaps(made, fitted)),
        subgroups=tuple(_measured(SUBGROUPS, made, fitted)),
        sample=next(_measured((SAMPLE,), made, None), None),
        attacks=_found(risks, "membership"),
        guesses=_found(risks, "guess"),
        warnings=data_warnings(train, holdout, synthetic, schema, seed=seed),
        left_out=dict(risks.left_out),
        summary=risks.summary,
        seed=seed,
    )


def _of_marginal(marginal: Marginal) -> Measured:
    """Return how far a marginal is, beside how far that of the fresh records is."""
    name, about = f"tv{len(marginal.columns)}", " and ".join(marginal.columns)
    return Measured.of(name, marginal.distance, about=about, beside=marginal.floor.value)


def _measured(names: Sequence[str], made: Compared, beside: Compared | None) -> Iterator[Measured]:
    """Yield the values of metrics, each beside that of real records in place of the made ones."""
    for name in names:
        metric = METRICS.get(name)
        if metric is None:
            continue
        known = {} if beside is None else metric(beside)
        note = metric.description
        for key, estimate in metric(made).items():
            floor = None if _is_trivial(key) or key not in known else known[key].value
            yield Measured.of(key, estimate, beside=floor, note=note)
            note = ""  # once is enough


def _is_trivial(key: str) -> bool:
    """Tell whether real records in place of made ones are compared with themselves here."""
    return key.endswith(AGAINST_FRESH) or key.endswith(AGAINST_FITTED)


def _gaps(made: Compared, fitted: Compared) -> Iterator[Measured]:
    """Yield by how much the AUC of each model falls short of one that learned from real records.

    Both are tested on the same records, so that their areas go together: `auc_gain` pairs them.
    """
    for model, scores in made.scores.items():
        factory = MODELS[model]
        gap = auc_gain(fitted.predicted(model, factory), made.predicted(model, factory))
        if gap.low == gap.high:  # no record ranks differently: few show not that none would
            gap = difference(fitted.scores[model]["auc"], scores["auc"])
        yield Measured.of(f"{AUC_GAP}:{model}", gap)


def _found(risks: RiskReport, kind: str) -> tuple[Measured, ...]:
    """Return what attacks of one kind found.

    Membership attacks stand beside the largest AUC that the ledger permits, guesses beside their
    success on fresh records.
    """
    ceiling = None if risks.guarantee is None else risks.guarantee.ceiling
    return tuple(
        Measured.of(
            str(row["attack"]),
            Estimate(float(row["value"]), float(row["low"]), float(row["high"])),
            about=str(row["sees"]),
            beside=ceiling if kind == "membership" else float(row["control"]),
            note=str(row["sentence"]),
        )
        for _, row in risks.table[risks.table["kind"] == kind].iterrows()
    )
