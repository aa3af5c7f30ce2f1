"""Monitoring of a release: does it still describe today's records?

Today's records are measured as those were that the release is of, through the same door and by a
budget of their own; `drift` then compares the two. All cells are fixed by the release alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from dp_synth.accounting import (
    Accountant,
    Gaussians,
    Laplaces,
    Plan,
    PrivacyBudget,
    Randomness,
    RiskTarget,
    SubAccountant,
)
from dp_synth.accounting.ledger import Ledger
from dp_synth.counting import CodeCounts, Data, PrivateRecords
from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.frames import ArrowTable, as_frame
from dp_synth.mechanisms import measure
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.monitor.drift import Comparison, Counts, drift_intervals
from dp_synth.monitor.reference import Reference, References, Total, combined_total
from dp_synth.monitor.report import (
    NOT_TO_PUBLISH,
    NULLS,
    DriftReport,
    drift_of,
    now,
)
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.settings import check_settings
from dp_synth.synthesizers.reading import records_in, records_of
from dp_synth.types import Codes, Floats

NAME, COLUMNS, PAIRS = "monitor", "columns", "pairs"
COLUMNS_SHARE = 2 / 3  # of the zCDP cost, where there are pairs: these are there for what is left
HALF = 0.5  # of the chance of a false alarm is for columns, the other for pairs

Payer = PrivacyBudget | Accountant | SubAccountant


@dataclass(frozen=True)
class Monitoring:
    """What is compared, and how sure an alarm is.

    ``alarm_rate`` bounds the chance of any false alarm, over all columns and pairs; a drift up to
    ``tolerance``, a total variation, is none. ``columns`` are those that are looked at, all if
    None, and ``pairs`` is the most pairs of them, as many as columns if None.
    """

    alarm_rate: float = 0.05
    tolerance: float = 0.0
    columns: tuple[str, ...] | None = None
    pairs: int | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 < self.alarm_rate <= 0.5:
            raise InputError(f"the alarm rate must lie in (0, 0.5], got {self.alarm_rate}")
        if not 0 <= self.tolerance < 1:
            raise InputError(f"the tolerance must lie in [0, 1), got {self.tolerance}")
        if self.pairs is not None and self.pairs < 0:
            raise InputError(f"the number of pairs must be 0 or more, got {self.pairs}")
        if self.columns is not None and (
            not self.columns or len(set(self.columns)) < len(self.columns)
        ):
            raise InputError(f"the columns must be distinct, and some, got {self.columns}")

    def references(self, release: Release) -> References:
        """Return what a release says of what is compared; InputError for an unknown column."""
        known = release.schema.domain
        for name in self.columns or ():
            if name not in known:
                raise InputError(unknown("column", name, known.attributes))
        columns = known.attributes if self.columns is None else self.columns
        return References.of(release, columns, len(columns) if self.pairs is None else self.pairs)


def monitor(
    release: Release,
    data: Data,
    payer: Payer,
    settings: Monitoring | None = None,
    *,
    seed: int | None = None,
) -> DriftReport:
    """Return how far today's records have drifted from those that a release is of.

    ``data`` are today's records in any form that a fit takes, and ``payer`` is what they are
    charged to: a budget of their own, of the release's adjacency and unit (`monitoring_budget`).
    What cannot be paid is refused before a record is read, and each answer is charged before it is
    computed. ``seed`` as in a fit: a seeded report is not for publication.

    Of a release with measured marginals the null is that today's records are a sample of the
    population that the fitted ones came from: noise of both and sampling of both are allowed for,
    and the model is not asked. Of any other it is that they are a sample of the model.

    Privacy
    -------
    One Gaussian answer for each column, and one for each pair that is compared, over cells that
    are functions of the release: charged as a plan of two parts. The rest is post-processing.

    >>> import dp_synth as dps
    >>> data = dps.datasets.load("adult")
    >>> schema = data.schema.select(["age", "sex", "income"])
    >>> release = dps.MST().fit(data.train, schema, dps.PrivacyBudget(1, 1e-9), seed=0)
    >>> report = monitor(release, data.holdout, monitoring_budget(release, 0.5, 1e-9), seed=1)
    >>> report.found
    ()
    """
    asked = settings or Monitoring()
    account = Accountant(payer) if isinstance(payer, PrivacyBudget) else payer
    root = account.root if isinstance(account, SubAccountant) else account
    _check_budget(release, root.budget)
    references = asked.references(release)
    plan = {NAME: (_plan(references), 1.0)}
    account.check(plan)
    drawn, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    schema = closed(release.schema)
    with ExitStack() as opened:
        records = opened.enter_context(records_of(data, schema, root.budget, drawn))
        randomness: Randomness = "os" if seed is None else "seeded"
        payment = account.admit_jointly(plan, randomness=randomness)[NAME]
        counts = _counts_of(records, release)
        table = PrivateTable(counts, counts.domain, payment)
        found = _measured(table, references, noise)
    return _report(release, references, found, asked, root.ledger, root.budget.max_rows)


def monitor_exactly(
    release: Release, data: pd.DataFrame | ArrowTable, settings: Monitoring | None = None
) -> DriftReport:
    """Return what `monitor` does from exact counts of today's records: for their holder alone.

    Nothing is charged, and nothing of the report may be published: it says so.
    """
    asked = settings or Monitoring()
    references, budget = asked.references(release), release.ledger.budget
    rng = np.random.default_rng(0)
    records = records_in(as_frame(data), closed(release.schema), budget, rng)
    counts = _counts_of(records, release)
    found = _Found(Total(float(len(counts)), 0.0), tuple(_exact(counts, references)))
    return _report(release, references, found, asked, None, budget.max_rows)


def monitoring_budget(
    release: Release,
    epsilon: float | None = None,
    delta: float | None = None,
    *,
    risk: RiskTarget | None = None,
) -> PrivacyBudget:
    """Return a budget for today's records, of the adjacency and unit of a release.

    Of an epsilon and a delta, or of a ``risk`` that no attack on them may exceed, as
    `PrivacyBudget.of_risk` has it. InputError for both, or neither.
    """
    known = release.ledger.budget
    if risk is not None and epsilon is None:
        promise = known.adjacency, known.unit, known.max_rows
        return PrivacyBudget.of_risk(risk, delta, *promise)
    if risk is not None or epsilon is None or delta is None:
        raise InputError("a budget of today's records is an epsilon and a delta, or a risk")
    return replace(known, epsilon=epsilon, delta=delta, risk=None)


def closed(schema: Schema) -> Schema:
    """Return a release's schema with nothing left to be found: its open columns are closed."""
    fields = schema.to_dict()
    columns = fields["columns"]
    assert isinstance(columns, list)
    kept = [{name: v for name, v in one.items() if name != "open"} for one in columns]
    return Schema.from_dict({**fields, "columns": kept})


def _counts_of(records: PrivateRecords, release: Release) -> CodeCounts:
    """Return the counts of today's records, by weights where the release was fitted by such."""
    return records.counts if release.unit_weights is None else records.weighted_counts


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found of today's records: their number, and counts with noise of some variance.

    Of Laplace's law, at delta 0, or normal.
    """

    total: Total
    counts: tuple[tuple[Floats, float], ...]  # in the order of the references
    laplace: bool = False

    WITHOUT_NOISE: ClassVar[float] = 0.0


def _plan(references: References) -> Plan:
    ones, twos = len(references.columns), len(references.pairs)
    return Plan(
        {COLUMNS: Gaussians(ones, COLUMNS_SHARE), PAIRS: Gaussians(twos, 1 - COLUMNS_SHARE)}
    )


def _check_budget(release: Release, budget: PrivacyBudget) -> None:
    """Raise InputError where today's records would not be as those were that were fitted."""
    fitted = release.ledger.budget
    for name in ("adjacency", "unit", "max_rows"):
        mine, theirs = getattr(budget, name), getattr(fitted, name)
        if mine != theirs:
            raise InputError(
                f"{name} of the budget must be that of the release, {theirs!r}, got {mine!r}; "
                "monitoring_budget makes such a budget"
            )
    if not math.isfinite(budget.epsilon):
        raise InputError("epsilon of the budget must be finite; monitor_exactly takes no budget")


def _measured(table: PrivateTable, references: References, rng: np.random.Generator) -> _Found:
    """Return noisy counts of today's records over the references' cells, each charged."""
    plan, found = table.payer.plan, []
    for part, asked in ((COLUMNS, references.columns), (PAIRS, references.pairs)):
        gaussians = plan.gaussians(part)
        for together in _alike(asked):
            groups = {name: g for one in together for name, g in one.groups.items()}
            cliques = [one.clique for one in together]
            coarse = table.coarsen(groups)
            answers = measure(coarse, cliques, gaussians, rng, why="drift")
            found += [(one.values, float(np.max(one.stddev)) ** 2) for one in answers]
    records, laplace = table.public_records, isinstance(plan.gaussians(COLUMNS), Laplaces)
    if records is not None:
        return _Found(Total(records, 0.0), tuple(found), laplace)
    sums = [(float(values.sum()), values.size * variance) for values, variance in found]
    return _Found(combined_total(sums), tuple(found), laplace)


def _alike(references: Sequence[Reference]) -> Iterator[list[Reference]]:
    """Yield runs of references that have the same groups of the attributes which they share."""
    run: list[Reference] = []
    known: dict[str, Codes] = {}
    for one in references:
        if any(n in known and not np.array_equal(known[n], g) for n, g in one.groups.items()):
            yield run
            run, known = [], {}
        run.append(one)
        known |= one.groups
    if run:
        yield run


def _exact(counts: CodeCounts, references: References) -> Iterator[tuple[Floats, float]]:
    for one in (*references.columns, *references.pairs):
        yield counts.coarsened(one.groups).marginal(one.clique), _Found.WITHOUT_NOISE


def _report(
    release: Release,
    references: References,
    found: _Found,
    asked: Monitoring,
    ledger: Ledger | None,
    max_rows: int,
) -> DriftReport:
    rate, many = asked.alarm_rate, len(release.schema.domain)
    # Counts are of weighted rows where units have several: by the mean weight of then.
    weight = release.counted_model.total / max(release.model.total, 1e-300)
    weight = weight if release.unit_weights is not None else 1.0
    everything = (*references.columns, *references.pairs)
    compared = [
        _comparison(one, references, found, place, max_rows) for place, one in enumerate(everything)
    ]
    ones, twos = compared[: len(references.columns)], compared[len(references.columns) :]
    intervals = drift_intervals(ones, rate * (HALF if twos else 1.0))
    # A fit may have chosen its pairs by the records: what holds, holds for all that there are.
    of_pair = rate * HALF / max(many * (many - 1) // 2, 1)
    intervals += [drift_intervals([one], of_pair)[0] for one in twos]
    drifts = [
        drift_of(one.clique, one.counts.size, interval, asked.tolerance)
        for one, interval in zip(everything, intervals, strict=True)
    ]
    return DriftReport(
        null=NULLS[references.sampled],
        alarm_rate=rate,
        tolerance=asked.tolerance,
        records_then=references.total.value / weight,
        records_now=found.total.value / weight,
        drifts=tuple(drifts),
        epsilon=None if ledger is None else ledger.epsilon,
        delta=None if ledger is None else ledger.budget.delta,
        statement=NOT_TO_PUBLISH if ledger is None else ledger.statement(),
        seeded=ledger is not None and ledger.seeded,
        at=now(),
    )


def _comparison(
    one: Reference, references: References, found: _Found, place: int, alike: int
) -> Comparison:
    """Return what is compared of a column or pair, of which today's counts stand at a place."""
    values, variance = found.counts[place]
    then = Counts(
        one.counts - one.apart,
        one.variances * one.widened,
        references.total,
        alike,
        references.sampled,
        one.widened,
        references.laplace,
    )
    noise = np.full(values.shape, variance)
    today = Counts(values, noise, found.total, alike, laplace=found.laplace)
    return Comparison(then, today, one.ordered, one.likely)
