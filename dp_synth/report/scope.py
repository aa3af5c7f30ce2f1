"""Scope of inference: for which questions the intervals of a release hold, told by it alone.

`Release.estimate` answers every question that can be asked of a model. What its interval covers
depends on what the fit measured: of a column alone, and of columns that were measured together,
noise and sampling are known; of other pairs what the model leaves out is judged by noisy answers,
where the fit paid for any (`estimates.misfit`); of the rest nothing is known. A question that was
declared before the fit has a corrected answer, which depends on none of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations, islice

from dp_synth.estimates.corrected import CorrectedAnswer
from dp_synth.estimates.estimate import LEVEL
from dp_synth.estimates.misfit import Misfit
from dp_synth.inference import MixtureModel
from dp_synth.inference.bootstrap import has_replicas
from dp_synth.release import Release
from dp_synth.types import Clique

MOST_LISTED = 200  # columns or pairs of one kind, of which a card names all; it counts them anyway
FIRST = 12  # of more than these, that it names
SHOWN = 6  # that a page names

KNOWN = "noise of the release and sampling of the records"
MERGED = "; where categories were merged, what is inside of them is judged"
JUDGED = (
    "an allowance, besides, for what the model may leave out: judged by noisy answers that the fit "
    "paid for, and not certified"
)
UNCOVERED = "not covered: what the model leaves out of them is in no interval"
MORE = "an allowance by their pairs, which does not cover what three columns have beyond these"
DECLARED = "whatever was measured: corrected by a noisy sum over the records"


@dataclass(frozen=True)
class Cliques:
    """Columns, or pairs of them: how many there are, and the first in the order of the schema.

    Of no more than 200 ``first`` has all, of more the first twelve.
    """

    count: int
    first: tuple[Clique, ...]

    @classmethod
    def of(cls, found: Iterable[Clique], count: int) -> Cliques:
        """Return the first of so many; no more of ``found`` are looked at."""
        named = count if count <= MOST_LISTED else FIRST
        return cls(count, tuple(islice(found, named)))

    @property
    def shown(self) -> str:
        """The first of them in words, and how many more there are."""
        names = ", ".join(" and ".join(clique) for clique in self.first[:SHOWN])
        more = self.count - min(len(self.first), SHOWN)
        return f"{names} and {more:,} more" if more else names


@dataclass(frozen=True)
class DeclaredAnswer:
    """The corrected answer to a question that was declared before the fit.

    ``name`` is the term of a regression, otherwise the kind of question. ``low`` and ``high`` are
    None where the interval has no end. ``sentence`` says the answer, and what it does not promise.
    """

    question: str
    name: str
    value: float
    low: float | None
    high: float | None
    sentence: str

    @classmethod
    def of(cls, answer: CorrectedAnswer) -> DeclaredAnswer:
        """Return an answer as a card has it."""
        estimate = answer.estimate(LEVEL)
        low, high = (x if math.isfinite(x) else None for x in (estimate.low, estimate.high))
        return cls(answer.question, answer.name, estimate.value, low, high, estimate.sentence)


@dataclass(frozen=True)
class ScopeRow:
    """One kind of question: how many columns or pairs it is of, which, and what intervals cover."""

    questions: str
    count: str
    names: str
    covers: str


@dataclass(frozen=True)
class Scope:
    """For which questions a release has intervals, of ``level``, and what these cover.

    ``columns_measured`` have noisy counts of their own, ``pairs_measured`` of both together;
    ``pairs_judged``, of such columns, have an allowance for what the model leaves out, told by
    noisy answers; ``columns_uncovered`` and ``pairs_uncovered`` have nothing. ``declared`` are the
    answers to questions that the fit was asked. ``unanswered`` says why no other question has an
    interval, all columns and pairs being uncovered; it is empty where others have.
    """

    summary: str
    level: float
    unanswered: str
    columns_measured: Cliques
    columns_uncovered: Cliques
    pairs_measured: Cliques
    pairs_judged: Cliques
    pairs_uncovered: Cliques
    declared: tuple[DeclaredAnswer, ...]

    def rows(self) -> tuple[ScopeRow, ...]:
        """Return what covers the questions of each kind; kinds without any are left out."""
        asked = len({one.question for one in self.declared})
        declared = [ScopeRow("declared before the fit", f"{asked:,}", "see below", DECLARED)]
        if self.unanswered:
            others = ScopeRow("all others", "", "", f"no interval: {self.unanswered}")
            return (*declared[: min(asked, 1)], others)
        kinds = (
            ("of one column", self.columns_measured, KNOWN),
            ("of one column, without counts of its own", self.columns_uncovered, UNCOVERED),
            ("of two columns, measured together", self.pairs_measured, KNOWN + MERGED),
            ("of two columns, judged", self.pairs_judged, JUDGED),
            ("of two columns, nothing known", self.pairs_uncovered, UNCOVERED),
        )
        rows = [
            ScopeRow(questions, f"{found.count:,}", found.shown, covers)
            for questions, found, covers in kinds
            if found.count
        ]
        if self.columns_measured.count + self.columns_uncovered.count > 2:
            rows.append(ScopeRow("of three columns and more", "", "", MORE))
        return (*declared[: min(asked, 1)], *rows)


def scope_of(release: Release) -> Scope:
    """Return for which questions the intervals of a release hold.

    Nothing but the release is looked at, so that the scope may be published with it.

    >>> import dp_synth as dps
    >>> data = dps.datasets.load("adult")
    >>> budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
    >>> release = dps.Independent().fit(data.train, data.schema, budget, seed=0)
    >>> found = scope_of(release)
    >>> found.columns_measured.count, found.pairs_uncovered.count
    (15, 105)
    """
    names, unanswered = release.schema.domain.attributes, _unanswered(release)
    misfit = None if unanswered else Misfit.of(release.counted_model, release.transcript)
    known = set(names) & set((misfit and misfit.columns) or ())
    sides = ([(name,) for name in names if (name in known) is side] for side in (True, False))
    columns_measured, columns_uncovered = (Cliques.of(side, len(side)) for side in sides)
    pairs_measured, judged, pairs_uncovered = _pairs(misfit, names, known)
    found = Scope(
        summary="",
        level=LEVEL,
        unanswered=unanswered,
        columns_measured=columns_measured,
        columns_uncovered=columns_uncovered,
        pairs_measured=pairs_measured,
        pairs_judged=judged,
        pairs_uncovered=pairs_uncovered,
        declared=tuple(map(DeclaredAnswer.of, release.answers)),
    )
    return replace(found, summary=_summary(found))


def _unanswered(release: Release) -> str:
    """Return why a question that was not declared has no interval; empty where it has one."""
    if has_replicas(release.model, release.transcript):
        return ""
    if isinstance(release.model, MixtureModel):
        return "its model is a network, of whose errors nothing is known"
    return "it was kept without the noisy answers that tell of errors"


def _pairs(
    misfit: Misfit | None, names: Clique, columns: set[str]
) -> tuple[Cliques, Cliques, Cliques]:
    """Return the pairs that were measured, those that are judged, and all others.

    Only pairs of ``columns``, which have counts of their own, are judged: a distance tells of what
    two columns have together. Of a table of thousands of columns all pairs are millions: no more
    are looked at than are listed.
    """
    every, count = combinations(names, 2), math.comb(len(names), 2)
    if misfit is None or not columns:
        return Cliques.of((), 0), Cliques.of((), 0), Cliques.of(every, count)
    measured = {pair for pair in misfit.measured if columns.issuperset(pair)}
    if misfit.noise is not None:  # that of the last round, which bounds every pair
        possible = (pair for pair in every if pair not in measured and columns.issuperset(pair))
        judged = Cliques.of(possible, math.comb(len(columns), 2) - len(measured))
        others = (pair for pair in combinations(names, 2) if not columns.issuperset(pair))
        left_out = count - math.comb(len(columns), 2)
        return _ordered(measured, names), judged, Cliques.of(others, left_out)
    told = {pair for pair in misfit.squares if columns.issuperset(pair)} - measured
    known = measured | told
    others = (pair for pair in every if pair not in known)
    left_out = count - len(measured) - len(told)
    return _ordered(measured, names), _ordered(told, names), Cliques.of(others, left_out)


def _ordered(pairs: set[Clique], names: Clique) -> Cliques:
    """Return pairs in the order of the schema."""
    place = {name: i for i, name in enumerate(names)}
    return Cliques.of(sorted(pairs, key=lambda pair: [place[a] for a in pair]), len(pairs))


def _summary(scope: Scope) -> str:
    """Return the counts of a scope in one sentence."""
    asked = len({one.question for one in scope.declared})
    said = f"{asked:,} {'question was' if asked == 1 else 'questions were'} declared before the fit"
    if scope.unanswered:
        return f"{said}; no other has an interval: {scope.unanswered}."
    pairs = (scope.pairs_measured, scope.pairs_judged, scope.pairs_uncovered)
    columns = scope.columns_measured.count + scope.columns_uncovered.count
    return (
        f"Intervals cover questions of {scope.columns_measured.count:,} of {columns:,} columns "
        f"alone; of {sum(one.count for one in pairs):,} pairs {pairs[0].count:,} were measured, "
        f"{pairs[1].count:,} have a judged allowance, {pairs[2].count:,} are not covered; {said}."
    )
