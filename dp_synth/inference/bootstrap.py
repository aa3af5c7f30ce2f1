"""Parametric bootstrap: how far the noise may have moved what a model says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.inference import (
    Compression,
    JunctionTreeModel,
    MixtureModel,
    Model,
    RefinedModel,
    combine,
    estimate,
    independent_model,
)
from dp_synth.transcript import Answer, MarginalAnswer, Measurement
from dp_synth.types import Clique, Floats

REPLICAS = 20  # a standard error of so many is within a sixth of its own limit, two times in three
SEED = 0
BINS = "bins"  # the part that found cells: its answers are over codes that are no longer there


@dataclass(frozen=True, eq=False)
class MarginalEstimate:
    """Expected counts of a marginal and their standard errors, both in the marginal's shape."""

    counts: Floats
    stderr: Floats


def replicas(model: Model, answers: Sequence[Answer]) -> list[Model]:
    """Return models refitted to what ``model`` itself would have answered, with fresh noise.

    Efron & Tibshirani 1993, sect. 6.5: the fitted model stands for the truth, and the known law
    of the noise is drawn anew. Empty where no answer was kept, and for a mixture: its network
    would have to be trained again.
    """
    if isinstance(model, MixtureModel):
        return []
    asked = [a for a in answers if isinstance(a, MarginalAnswer) and a.clique and a.part != BINS]
    if not asked:
        return []
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(SEED)
    truth = [_folded(model.marginal(answer.clique), answer) for answer in asked]
    models: list[JunctionTreeModel | RefinedModel] = []
    start = _coarse(model)
    with threadpool_limits(limits=1):  # threads for tiny matrices wait more than they work
        for _ in range(REPLICAS):
            noisy = [
                Measurement(
                    answer.clique,
                    exact + rng.normal(0.0, answer.stddev, exact.shape),
                    answer.stddev,
                )
                for answer, exact in zip(asked, truth, strict=True)
            ]
            models.append(_refitted(model, asked, noisy, start))
            start = _coarse(models[-1])
    return list(models)


def standard_errors(
    counts: Floats, clique: Clique, models: Sequence[Model], answers: Sequence[Answer]
) -> Floats:
    """Return how far the ``models`` of `replicas` lie from expected ``counts`` over a clique.

    Their root mean square, and for counts within two deviations of 0 at least the noise of the
    best answer that covers them: what was cut at 0 hardly moves when noise is drawn anew, however
    large the count may be that is hidden there.
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
    noise = min(alone)
    hidden: Floats = np.maximum(errors, noise * (counts < 2 * noise))
    return hidden


def _coarse(model: JunctionTreeModel | RefinedModel) -> JunctionTreeModel:
    return model.coarse if isinstance(model, RefinedModel) else model


def _folded(counts: Floats, answer: MarginalAnswer) -> Floats:
    """Return fine counts summed to the groups over which the answer was given."""
    for axis, attribute in enumerate(answer.clique):
        if attribute in answer.groups:
            counts = _summed(counts, axis, answer.groups[attribute])
    return counts


def _summed(counts: Floats, axis: int, group: NDArray[np.int32]) -> Floats:
    moved = np.moveaxis(counts, axis, 0)
    sums = np.zeros((int(group.max()) + 1, *moved.shape[1:]))
    np.add.at(sums, group, moved)
    return np.moveaxis(sums, 0, axis)


def _refitted(
    model: JunctionTreeModel | RefinedModel,
    asked: Sequence[MarginalAnswer],
    noisy: Sequence[Measurement],
    start: JunctionTreeModel,
) -> JunctionTreeModel | RefinedModel:
    """Return the model that new answers give, over the same groups and by the same means."""
    coarse = _coarse(model)
    groups = model.groups if isinstance(model, RefinedModel) else {}
    over_groups = [
        _compressed(one, answer, groups) for answer, one in zip(asked, noisy, strict=True)
    ]
    if len(coarse.tree.cliques) == len(coarse.domain):  # no pair was measured: a closed form
        fitted = independent_model(coarse.domain, combine(over_groups))
    else:
        fitted = estimate(coarse.domain, over_groups, start=start)
    if not isinstance(model, RefinedModel):
        return fitted
    fine = combine(
        one
        for answer, one in zip(asked, noisy, strict=True)
        if len(one.clique) == 1 and one.clique[0] in groups and not answer.groups
    )
    compression = Compression(coarse.domain, dict(groups), dict(model.shares))
    shares = {**model.shares, **compression.shared_by(model.domain, fine).shares}
    return RefinedModel(fitted, model.domain, groups, shares)


def _compressed(
    one: Measurement, answer: MarginalAnswer, groups: Mapping[str, NDArray[np.int32]]
) -> Measurement:
    """Return an answer over the model's groups: a sum of k cells has sqrt(k) times the noise."""
    values = one.values
    variance = np.broadcast_to(np.square(one.stddev), values.shape)
    for axis, attribute in enumerate(one.clique):
        if attribute in groups and attribute not in answer.groups:
            values = _summed(values, axis, groups[attribute])
            variance = _summed(variance, axis, groups[attribute])
    return Measurement(one.clique, values, np.sqrt(variance))
