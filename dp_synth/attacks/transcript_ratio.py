"""The transcript attack: noisy marginals as they were released, under the noise they carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Attack
from dp_synth.attacks.density import expected_counts, log_odds
from dp_synth.attacks.joint_ratio import MOST_CELLS, NormalCounts, places
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.transcript import Answer, MarginalAnswer
from dp_synth.types import Clique, Codes, Floats
from dp_synth.unit_weights import ATTRIBUTE

BEFORE = ("bins", "categories")  # parts whose answers are not over the codes of the schema

SHRUNK = 0.1  # of what a reference of some thousands shows of any two cells

WITHOUT_MARGINALS = "the transcript holds no noisy marginal, so there is nothing to compare"


@dataclass(frozen=True, eq=False)
class Table:
    """Noisy counts of a clique, in groups of its codes, and the variance of each."""

    clique: Clique
    values: Floats
    variance: float
    groups: tuple[Codes, ...]

    def without(self, axes: Sequence[int]) -> Table:
        """Return the marginal that sums out some axes: their noise adds up."""
        kept = [axis for axis in range(len(self.clique)) if axis not in axes]
        values = self.values.sum(axis=tuple(axes))
        return Table(
            tuple(self.clique[axis] for axis in kept),
            values,
            self.variance * self.values.size / values.size,
            tuple(self.groups[axis] for axis in kept),
        )

    def cells(self, codes: Codes, schema: Schema) -> NDArray[np.intp]:
        """Return the cell of each record."""
        columns = [
            group[codes[:, schema.names.index(attribute)]]
            for attribute, group in zip(self.clique, self.groups, strict=True)
        ]
        return np.ravel_multi_index(columns, self.values.shape)


@dataclass(frozen=True)
class TranscriptRatio(Attack):
    """Score by the likelihood ratio of a release's noisy marginals, with and without the record.

    An attacker who holds the release needs no synthetic row: each measured count is compared
    with what the reference lets expect, under the noise that the transcript states. Two ratios
    are taken, and the score is their mean. One goes cell by cell (``density.log_odds``): what a
    table of several columns says is taken given what its own columns say, as in
    ``MarginalRatio``, so that no column counts twice. The other is that of all counts at once
    (``joint_ratio``), which knows what tables say together, as far as the reference shows it. It
    is left out beyond 4,000 cells, and where ``together`` is false.
    """

    smoothing: float = 0.5
    together: bool = True
    name = "transcript_ratio"
    figure_label = "ratio of the transcript"
    question = "Do the released noisy counts tell who was fitted?"
    cites = ("neyman1933",)
    needs_reference = True
    needs_transcript = True
    uses = ("algorithm", "records")
    ABOVE: ClassVar = {"smoothing": 0}

    def missing(self, view: AttackerView) -> str | None:
        """Return in one line what ``view`` lacks; None where the attack can be run."""
        lacking = super().missing(view)
        if lacking is None and not has_marginals(view.transcript or ()):
            return f"attack {self.name!r} needs noisy marginals: {WITHOUT_MARGINALS}"
        if lacking is None and _counts_units(view.transcript or (), view.schema):
            return (
                f"attack {self.name!r} needs counts of records, not of the weighted rows of units"
            )
        return lacking

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        transcript = self._transcript(view)
        records = count_records(transcript) if view.records is None else float(view.records)
        tables = tables_of(transcript, view.schema)
        compared = Compared.of(targets, self._reference(view), view.schema, self.smoothing)
        return compared.log_ratios(
            tables, records, directed=view.is_directed, together=self.together
        )


@dataclass(frozen=True, eq=False)
class Compared:
    """Codes of the targets and of a reference, to compare tables of counts at the targets' cells.

    Both have shape (records, attributes), over the codes of ``schema``.
    """

    targets: Codes
    reference: Codes
    schema: Schema
    smoothing: float

    @classmethod
    def of(
        cls, targets: pd.DataFrame, reference: pd.DataFrame, schema: Schema, smoothing: float
    ) -> Compared:
        """Return the codes of two tables; SchemaError where one lacks a column."""
        return cls(schema.encode(targets), schema.encode(reference), schema, smoothing)

    def log_ratios(
        self,
        tables: Sequence[Table],
        records: float,
        *,
        directed: bool,
        drawn: float = 0.0,
        together: bool = True,
    ) -> Floats:
        """Return the targets' log likelihood ratios of counts among ``records`` fitted ones.

        ``drawn`` is what sampling adds to the variance of a count, as a part of what is expected
        of it; 0 of counts as they were released. All counts are compared at once as well where
        ``together`` says so, if they are not too many.
        """
        scores = np.zeros(len(self.targets))
        if not (len(self.targets) and len(self.reference) and records):
            return scores
        for table, weight in _terms(tables, directed=directed):
            cells, others = (table.cells(of, self.schema) for of in (self.targets, self.reference))
            seen = np.bincount(others, minlength=table.values.size)[cells].astype(np.float64)
            expected, unsure = expected_counts(seen, len(others), records, self.smoothing)
            counts = table.values.ravel()[cells]
            variance = unsure + table.variance + drawn * expected
            scores += weight * log_odds(counts, expected, variance)
        if not together or sum(table.values.size for table in tables) > MOST_CELLS:
            return scores
        return (scores + self._joint(tables, records, drawn)) / 2

    def _joint(self, tables: Sequence[Table], records: float, drawn: float) -> Floats:
        """Return the log likelihood ratios of all tables at once."""
        sizes = [table.values.size for table in tables]
        targets, known = (
            places([table.cells(of, self.schema) for table in tables], sizes)
            for of in (self.targets, self.reference)
        )
        law = NormalCounts(
            known,
            np.repeat([table.variance for table in tables], sizes),
            records,
            spread=1 + records / len(known) + drawn,
            shrunk=SHRUNK,
            smoothing=self.smoothing,
        )
        counts = np.concatenate([table.values.ravel() for table in tables])
        return law.log_ratios(targets, counts)[0]


def has_marginals(transcript: Sequence[Answer]) -> bool:
    """Tell whether a transcript holds noisy marginals: those of networks hold none."""
    return any(_is_marginal(answer) for answer in transcript)


def _counts_units(transcript: Sequence[Answer], schema: Schema) -> bool:
    """Tell whether rows were counted by weights, beside a column of how many their unit has."""
    marginals = filter(_is_marginal, transcript)
    names = {name for answer in marginals for name in answer.clique}
    return any(ATTRIBUTE in name for name in names.difference(schema.names))


def tables_of(transcript: Sequence[Answer], schema: Schema) -> list[Table]:
    """Return the noisy marginals over a schema's codes, repeated ones combined.

    InputError where there is none, and where they are over codes of another schema.
    """
    found: dict[tuple[object, ...], list[Table]] = {}
    for answer in transcript:
        if not _is_marginal(answer):
            continue
        groups = tuple(_group(answer, axis, schema) for axis in range(len(answer.clique)))
        table = Table(answer.clique, answer.values, answer.stddev**2, groups)
        key = (answer.clique, *(group.tobytes() for group in groups))
        found.setdefault(key, []).append(table)
    if not found:
        raise InputError(WITHOUT_MARGINALS)
    return [reduce(_combined, same) for same in found.values()]


def _is_marginal(answer: Answer) -> TypeGuard[MarginalAnswer]:
    if not isinstance(answer, MarginalAnswer):
        return False
    return answer.part not in BEFORE and bool(answer.clique)


def count_records(transcript: Sequence[Answer]) -> float:
    """Return the number of records as the noisy marginals have it, weighted by precision."""
    answers = [a for a in transcript if isinstance(a, MarginalAnswer)]
    precisions = [1 / (a.stddev**2 * a.values.size) for a in answers]
    sums = [float(a.values.sum()) for a in answers]
    return max(float(np.average(sums, weights=precisions)), 0.0)


def _group(answer: MarginalAnswer, axis: int, schema: Schema) -> Codes:
    attribute, cells = answer.clique[axis], answer.values.shape[axis]
    if attribute in schema.domain:
        codes = schema.domain.size(attribute)
        group = answer.groups.get(attribute, np.arange(codes, dtype=np.int32))
        if len(group) == codes and int(group.max()) + 1 == cells:
            return group
    raise InputError(
        f"column {attribute!r} of the transcript has other cells than in the schema; give the "
        "schema of the release"
    )


def _combined(first: Table, second: Table) -> Table:
    weights = np.array([1 / first.variance, 1 / second.variance])
    values = (weights[0] * first.values + weights[1] * second.values) / weights.sum()
    return Table(first.clique, values, float(1 / weights.sum()), first.groups)


def _terms(tables: Sequence[Table], *, directed: bool) -> list[tuple[Table, float]]:
    """Return tables with what their log odds are multiplied by."""
    larger = [table for table in tables if len(table.clique) > 1]
    single = [table for table in tables if len(table.clique) == 1]
    terms = [(table, 1.0) for table in larger]
    if directed:
        parents = [(table.without([0]), -1.0) for table in larger]
        return terms + parents + [(table, 1.0) for table in single]
    times = Counter(attribute for table in larger for attribute in table.clique)
    for table in larger:
        for axis, attribute in enumerate(table.clique):
            others = [other for other in range(len(table.clique)) if other != axis]
            terms.append((table.without(others), 1 / times[attribute] - 1))
    return terms + [(table, 1.0) for table in single if not times[table.clique[0]]]
