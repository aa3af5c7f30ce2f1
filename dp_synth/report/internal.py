"""The internal part of a card: how good the rows are, what attacks found, what calls for care.

It is computed from private rows, is not differentially private, and must not be published. It
is for the data holder, who asks for it. Fitted records stand beside fresh records of the same
people: what both have in equal measure is chance, not leakage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.frames import Table
from dp_synth.metrics import METRICS, MODELS, Compared, RealTables
from dp_synth.metrics.estimate import Estimate, difference, share
from dp_synth.metrics.evaluation import Marginal, worst_marginals
from dp_synth.metrics.fidelity import Binning, attributes_of, cells_of, cliques_of
from dp_synth.metrics.prediction import auc_gain
from dp_synth.release import Release
from dp_synth.report.publishable import Measured
from dp_synth.report.risk import RiskReport, risk_report
from dp_synth.schema import Schema
from dp_synth.types import Flags

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

NEAR_UNIQUE = 0.5
"""A column is named when more than this share of records has a value of its own."""

MOST_PAIRS = 500
"""Of more pairs of columns than this so many are looked at, drawn by the seed."""


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
        what in the private rows calls for care (`data_warnings`).
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
    train: Table,
    holdout: Table,
    synthetic: Table,
    release: Release,
    *,
    reference: Table | None = None,
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
            itself = key.endswith(
                (AGAINST_FRESH, *AGAINST_FITTED)
            )  # real records, in place of made
            floor = None if itself or key not in known else known[key].value
            yield Measured.of(key, estimate, beside=floor, note=note)
            note = ""  # once is enough


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


def data_warnings(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    seed: int = 0,
) -> tuple[Measured, ...]:
    """Return what calls for care, each with its interval.

    ``near_unique``: the share of fitted records whose value no other one has, of each column in
    which that is more than half. ``copies`` and ``rare_combinations``: the share of fitted
    records that stand exactly in the synthetic table, and of those alone in a cell of two columns
    that have such a cell there; ``beside`` is the same share of fresh records, and
    ``copies_excess`` and ``rare_combinations_excess`` are the differences.
    """
    keys = record_keys([train, holdout, synthetic], schema)
    copied = [np.isin(own, keys[2]) for own in keys[:2]]
    return (
        *_near_unique(train, schema),
        *_beside("copies", *map(_share, copied)),
        *_beside("rare_combinations", *rare_shares(train, holdout, synthetic, schema, seed=seed)),
    )


def record_keys(frames: list[pd.DataFrame], schema: Schema) -> list[NDArray[np.intp]]:
    """Return a number for each record of each table, the same for records equal in all columns.

    Values are compared in the schema's kinds, neither binned nor clipped.
    """
    names = [column.name for column in attributes_of(schema)]
    public = schema.select(names)
    written = [public.in_kinds(frame).astype(str) for frame in frames]
    together = pd.concat(written, ignore_index=True)
    numbers = together.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    return np.split(numbers, np.cumsum([len(frame) for frame in frames])[:-1])


def rare_shares(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    seed: int = 0,
) -> tuple[Estimate, Estimate]:
    """Return how many lonely fitted, and lonely fresh, records have such a cell in the rows.

    A record is lonely when it is the only one of both tables in a cell of some pair of columns,
    with the cells of `Binning`. A lonely record was as likely fitted as fresh, by the tables'
    sizes, whatever its values: so the shares differ only where being fitted matters.
    """
    real = pd.concat([train, holdout], ignore_index=True)
    binning = Binning.from_frame(schema, real)
    of_real, of_synthetic = binning.codes(real), binning.codes(synthetic)
    lonely, met = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for first, second in _pairs(len(binning.sizes), seed):
        size = binning.sizes[second]
        cells = [
            codes[:, first].astype(np.int64) * size + codes[:, second]
            for codes in (of_real, of_synthetic)
        ]
        alone = _alone(cells[0])
        lonely |= alone
        met |= alone & np.isin(cells[0], cells[1])
    fitted = np.arange(len(real)) < len(train)
    return _share(met[lonely & fitted]), _share(met[lonely & ~fitted])


def _pairs(attributes: int, seed: int) -> list[tuple[int, ...]]:
    if attributes < 2:
        return []
    pairs = cliques_of(attributes, 2)
    if len(pairs) <= MOST_PAIRS:
        return pairs
    kept = np.random.default_rng(seed).choice(len(pairs), MOST_PAIRS, replace=False)
    return [pairs[i] for i in sorted(kept.tolist())]


def _alone(cells: NDArray[np.int64]) -> Flags:
    _, places, counts = np.unique(cells, return_inverse=True, return_counts=True)
    return np.asarray(counts[places] == 1)


def _near_unique(train: pd.DataFrame, schema: Schema) -> Iterator[Measured]:
    for column in attributes_of(schema):
        cells = cells_of(train, column).astype(str)
        alone = _share(~cells.duplicated(keep=False).to_numpy())
        if alone.value > NEAR_UNIQUE:
            yield Measured.of("near_unique", alone, about=column.name)


def _beside(name: str, fitted: Estimate, fresh: Estimate) -> Iterator[Measured]:
    yield Measured.of(name, fitted, beside=fresh.value)
    yield Measured.of(f"{name}_excess", difference(fitted, fresh))


def _share(flags: Flags) -> Estimate:
    if not len(flags):
        return Estimate(0.0, 0.0, 1.0)  # of no records nothing is known
    return share(int(flags.sum()), len(flags))
