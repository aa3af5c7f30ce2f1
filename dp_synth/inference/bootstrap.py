"""Parametric bootstrap: how far noise, and the chance of the records, may have moved a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.inference import (
    Compression,
    JunctionTreeModel,
    MixtureModel,
    Model,
    RefinedModel,
    Refits,
    combine,
    independent_model,
)
from dp_synth.transcript import Answer, MarginalAnswer, Measurement
from dp_synth.types import Clique, Codes, Floats

REPLICAS = 50  # a standard error of so many is within a tenth of its own limit, two times in three
SEED = 0
BINS = "bins"  # the part that found cells: its answers are over codes that are no longer there
DRAWN, DRAWN_CODES = 1_000_000, 2**26  # records, and codes, that one replica draws at most


@dataclass(frozen=True, eq=False)
class MarginalEstimate:
    """Expected counts of a marginal and their standard errors, both in the marginal's shape."""

    counts: Floats
    stderr: Floats


@dataclass(frozen=True, eq=False)
class Replica:
    """A model as it might have come out, and the records that were drawn for it.

    ``codes`` are of shape (records, attributes), in the smallest type that holds them; None
    where no records were drawn, or fewer than there are.
    """

    model: JunctionTreeModel | RefinedModel
    codes: NDArray[np.unsignedinteger] | None = None


def has_replicas(model: Model, answers: Sequence[Answer]) -> bool:
    """Say whether `replicas` gives any: for a model of marginals whose answers were kept."""
    return not isinstance(model, MixtureModel) and bool(_asked(answers))


def replicas(
    model: Model,
    answers: Sequence[Answer],
    *,
    redraw: bool,
    count: int = REPLICAS,
    seed: int = SEED,
    cluster: int = 1,
) -> Iterator[Replica]:
    """Give models refitted to what ``model`` itself would have answered, with fresh noise.

    Efron & Tibshirani 1993, sect. 6.5: the fitted model stands for the truth, and the known law
    of the noise is drawn anew. With ``redraw`` the records are as well: as many as there are by
    the model's total, each independent of all others, and counted for every answer. What differs
    between replicas is then how far an estimate may be from the population, not from the table
    alone. They are drawn ``cluster`` at a time, alike: those of a unit may be. Of more than
    `DRAWN` so many are drawn, and how far their counts are from what is expected is scaled to the
    total: mean and covariances are exact, and only the skewness of rare cells is that of the
    smaller number.

    None where no answer was kept, and for a mixture: its network would have to be trained again.
    Which marginals were asked, and over which groups, stays as it was. Refits are not exact, but
    to a tenth of how far they move: see `Refits`.
    """
    if isinstance(model, MixtureModel) or not (asked := _asked(answers)):
        return
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    rng = np.random.default_rng(seed)
    expected = [_folded(model.marginal(answer.clique), answer) for answer in asked]
    with controller.limit(limits=1):  # threads for tiny matrices wait more than they work
        refitting = _Refitting.of(model, asked, expected)
    for _ in range(count):
        with controller.limit(limits=1):
            drawn = _redrawn(model, asked, expected, rng, cluster) if redraw else (None, expected)
            codes, truth = drawn
            noisy = [
                exact + _noise(answer, exact.shape, rng)
                for answer, exact in zip(asked, truth, strict=True)
            ]
            replica = Replica(refitting.model_of(noisy), codes)
        yield replica


def standard_errors(
    counts: Floats,
    clique: Clique,
    models: Sequence[Model],
    answers: Sequence[Answer],
    weight: float = 1.0,
) -> Floats:
    """Return how far the ``models`` of `replicas` lie from expected ``counts`` over a clique.

    Their root mean square, and for counts within two deviations of 0 at least the noise of the
    best answer that covers them: what was cut at 0 hardly moves when noise is drawn anew, however
    large the count may be that is hidden there. A record counts ``weight`` times in the answers.
    """
    away = [model.marginal(clique) - counts for model in models]
    errors = np.sqrt(np.mean(np.square(away), axis=0))
    alone = [
        answer.stddev * math.sqrt(max(1.0, answer.values.size / counts.size))
        for answer in answers
        if isinstance(answer, MarginalAnswer)
        and answer.part != BINS
        and set(clique) <= set(answer.clique)
    ]
    if not alone:
        return np.asarray(errors)
    noise = min(alone) / weight
    hidden: Floats = np.maximum(errors, noise * (counts < 2 * noise))
    return hidden


def _coarse(model: JunctionTreeModel | RefinedModel) -> JunctionTreeModel:
    return model.coarse if isinstance(model, RefinedModel) else model


def _noise(answer: MarginalAnswer, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return noise of an answer's law, drawn anew."""
    if answer.noise == "laplace":
        return rng.laplace(0.0, answer.stddev / math.sqrt(2), shape)
    return rng.normal(0.0, answer.stddev, shape)


def _folded(counts: Floats, answer: MarginalAnswer) -> Floats:
    """Return fine counts summed to the groups over which the answer was given."""
    for axis, attribute in enumerate(answer.clique):
        if attribute in answer.groups:
            counts = _summed(counts, axis, answer.groups[attribute])
    return counts


def _summed(counts: Floats, axis: int, group: NDArray[np.int32]) -> Floats:
    if counts.ndim == 1:
        return np.asarray(np.bincount(group, counts), dtype=float)
    moved = np.moveaxis(counts, axis, 0)
    sums = np.zeros((int(group.max()) + 1, *moved.shape[1:]))
    np.add.at(sums, group, moved)
    return np.moveaxis(sums, 0, axis)


@dataclass(frozen=True, eq=False)
class _Refitting:
    """The way from new answers to a model over the same groups, by the same means.

    ``over_groups`` holds each answer as expected, over the model's groups; ``refits`` is None
    where no pair was measured, and the model has a closed form.
    """

    model: JunctionTreeModel | RefinedModel
    asked: Sequence[MarginalAnswer]
    over_groups: Sequence[Measurement]
    refits: Refits | None

    @classmethod
    def of(
        cls,
        model: JunctionTreeModel | RefinedModel,
        asked: Sequence[MarginalAnswer],
        expected: Sequence[Floats],
    ) -> _Refitting:
        """Return the problem of the answers that were asked of a model, and are ``expected``."""
        groups = model.groups if isinstance(model, RefinedModel) else {}
        over_groups = [
            _compressed(answer, exact, groups)
            for answer, exact in zip(asked, expected, strict=True)
        ]
        tree = _coarse(model).tree
        refits = None
        if len(tree.cliques) < len(tree.domain):
            refits = Refits.of(tree, over_groups)
        return cls(model, asked, over_groups, refits)

    def model_of(self, noisy: Sequence[Floats]) -> JunctionTreeModel | RefinedModel:
        """Return the model that new values of all answers give."""
        model, coarse = self.model, _coarse(self.model)
        groups = model.groups if isinstance(model, RefinedModel) else {}
        over_groups = [
            replace(one, values=_over_groups(answer, values, groups))
            for one, answer, values in zip(self.over_groups, self.asked, noisy, strict=True)
        ]
        if self.refits is None:
            fitted = independent_model(coarse.domain, combine(over_groups))
        else:
            fitted = self.refits.estimate(over_groups)
        if not isinstance(model, RefinedModel):
            return fitted
        fine = combine(
            Measurement(answer.clique, values, answer.stddev)
            for answer, values in zip(self.asked, noisy, strict=True)
            if len(answer.clique) == 1 and answer.clique[0] in groups and not answer.groups
        )
        compression = Compression(coarse.domain, dict(groups), dict(model.shares))
        shares = {**model.shares, **compression.shared_by(model.domain, fine).shares}
        return RefinedModel(fitted, model.domain, groups, shares)


def _compressed(answer: MarginalAnswer, values: Floats, groups: Mapping[str, Codes]) -> Measurement:
    """Return an answer over the model's groups: a sum of k cells has sqrt(k) times the noise."""
    variance = np.full(values.shape, answer.stddev**2)
    return Measurement(
        answer.clique,
        _over_groups(answer, values, groups),
        np.sqrt(_over_groups(answer, variance, groups)),
    )


def _over_groups(answer: MarginalAnswer, values: Floats, groups: Mapping[str, Codes]) -> Floats:
    """Return the sums over the model's groups, where the answer is over codes."""
    for axis, attribute in enumerate(answer.clique):
        if attribute in groups and attribute not in answer.groups:
            values = _summed(values, axis, groups[attribute])
    return values


def _asked(answers: Iterable[Answer]) -> list[MarginalAnswer]:
    """Return the answers that a model was fitted to."""
    return [a for a in answers if isinstance(a, MarginalAnswer) and a.clique and a.part != BINS]


def _redrawn(
    model: JunctionTreeModel | RefinedModel,
    asked: Sequence[MarginalAnswer],
    expected: Sequence[Floats],
    rng: np.random.Generator,
    cluster: int,
) -> tuple[NDArray[np.unsignedinteger] | None, Sequence[Floats]]:
    """Return records drawn from the model, if they are all, and the exact answers about all."""
    domain, records = model.domain, round(model.total / cluster)
    drawn = min(records, DRAWN, DRAWN_CODES // max(1, len(domain)))
    codes = model.draw(drawn, rng)
    counts = _counted(codes, domain, asked)
    if cluster > 1:
        counts = [cluster * found for found in counts]
    if drawn == records:
        kept = codes.astype(np.min_scalar_type(max(domain.sizes) - 1), order="F")
        return kept if cluster == 1 else None, counts
    part = drawn * cluster / model.total
    return None, [
        exact + (found - part * exact) / math.sqrt(part)
        for found, exact in zip(counts, expected, strict=True)
    ]


def _counted(codes: Codes, domain: Domain, asked: Iterable[MarginalAnswer]) -> list[Floats]:
    """Return the counts of records for each answer; what was asked twice is counted once."""
    columns: dict[tuple[str, int], tuple[NDArray[np.intp], int]] = {}
    tables: dict[tuple[tuple[str, int], ...], Floats] = {}
    found = []
    for answer in asked:
        names = tuple((a, id(answer.groups[a]) if a in answer.groups else 0) for a in answer.clique)
        for name in names:
            if name not in columns:
                columns[name] = _column(codes, domain, name[0], answer.groups)
        if names not in tables:
            (cells, size), *others = (columns[name] for name in names)
            shape = [size]
            for column, size in others:
                cells = cells * size
                cells += column
                shape.append(size)
            counts = np.bincount(cells, minlength=math.prod(shape))
            tables[names] = counts.reshape(shape).astype(float)
        found.append(tables[names])
    return found


def _column(
    codes: Codes, domain: Domain, attribute: str, groups: Mapping[str, Codes]
) -> tuple[NDArray[np.intp], int]:
    """Return the codes of an attribute, over groups where there are some, and their number."""
    own = codes[:, domain.axis(attribute)]
    if attribute not in groups:
        return own.astype(np.intp), domain.size(attribute)
    group = groups[attribute]
    return group[own].astype(np.intp), int(group.max()) + 1
