"""Whether a synthetic table serves all groups of records alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from scipy.special import ndtri

from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.estimate import (
    NORMAL_QUANTILE,
    TAIL,
    Estimate,
    difference,
    paired_difference,
    share,
    weighted_mean,
)
from dp_synth.metrics.fidelity import mean_total_variation
from dp_synth.metrics.models import MODELS
from dp_synth.metrics.prediction import Predicted, auc_gain, auc_of
from dp_synth.schema import DiscreteColumn
from dp_synth.types import Flags

MOST_GROUPS = 10  # categories of an attribute, missing marks included
FEWEST_RECORDS = 100  # of a group in the hold-out
FEWEST_OF_A_CLASS = 10  # of a group's hold-out records, for rates over them and for an area
MODEL = "gradient_boosting"
GAPS = ("tv", "accuracy", "auc", "tpr", "fpr", "selection")
ERRORS = ("tv", "auc_loss", "accuracy_loss")


@dataclass(frozen=True, eq=False)
class Group:
    """The records with one category of an attribute: how many in the hold-out, and their scores.

    ``tv``: mean total variation of the other attributes' columns from the training records of
    the group. Of a boosted classifier that learned from synthetic records: ``accuracy``,
    ``auc``, ``tpr``, ``fpr`` and ``selection`` (the share that it calls positive) on the group's
    hold-out records; ``auc_loss`` and ``accuracy_loss``: what it lacks of one that learned from
    the training records. A score that the group has too few records for is not there.
    """

    attribute: str
    category: str
    records: int
    scores: Mapping[str, Estimate]


def subgroups(compared: Compared) -> Mapping[str, Estimate]:
    """Return how differently groups fare, and how the worst and the average one does.

    Groups are those of `groups_of`. ``subgroups:<score>_gap`` is the largest over attributes of
    the best group's score less the worst's: of ``tv``, ``accuracy`` and ``auc``, and for a label
    with a positive class of ``tpr`` (equal opportunity; with ``fpr`` equalized odds: Hardt, Price
    & Srebro 2016) and ``selection`` (demographic parity: Dwork et al. 2012). A gap may be there
    in the real records too: compare with the value of the training records themselves.
    ``subgroups:worst_<error>`` is the largest error of a group: ``tv``, ``auc_loss`` or
    ``accuracy_loss``. ``subgroups:mean_<error>`` weighs the groups of an attribute by their
    records, attributes alike.

    Where many groups are alike, gaps and worst errors are a little high; their intervals allow
    for any pair, or group, that may be the one. That of a mean takes attributes as wholly
    dependent, which is wide.
    """
    by_attribute = compared.remembered("subgroups", lambda: groups_of(compared))
    found = {}
    for name in GAPS:
        attributes = [scored for scored in _having(by_attribute, name) if len(scored) > 1]
        if attributes:
            found[f"subgroups:{name}_gap"] = widest_gap(attributes)
    for name in ERRORS:
        attributes = list(_having(by_attribute, name))
        if attributes:
            found[f"subgroups:worst_{name}"] = worst(attributes)
            found[f"subgroups:mean_{name}"] = mean(attributes)
    return found


def groups_of(compared: Compared) -> Mapping[str, Sequence[Group]]:
    """Return the groups of each categorical or ordinal attribute of at most ten categories.

    The label makes no groups, and a group has at least 100 hold-out records.
    """
    real = compared.real
    found = {}
    for axis, column in enumerate(real.binning.attributes):
        if not isinstance(column, DiscreteColumn) or column.name == real.schema.label:
            continue
        if column.size > MOST_GROUPS:
            continue
        texts = (*column.texts, *column.missing)
        codes = real.holdout_codes[:, axis]
        counts = np.bincount(codes, minlength=len(texts))
        groups = [
            Group(column.name, texts[code], int(counts[code]), _scores(compared, axis, code))
            for code in np.flatnonzero(counts >= FEWEST_RECORDS).tolist()
        ]
        if groups:
            found[column.name] = groups
    return found


def _scores(compared: Compared, axis: int, code: int) -> dict[str, Estimate]:
    found = dict(_profile(compared, axis, code))
    if compared.real.task is None:
        return found
    known = compared.real.remembered("known labels", lambda: _known(compared.real))
    inside = (compared.real.holdout_codes[:, axis] == code)[known]
    learned = compared.predicted(MODEL, MODELS[MODEL])
    real = compared.real.predicted(MODEL, MODELS[MODEL])
    rng = np.random.default_rng(compared.seed)
    return found | _judged(_at(learned, inside), _at(real, inside), rng)


def _profile(compared: Compared, axis: int, code: int) -> Iterator[tuple[str, Estimate]]:
    sizes = compared.real.binning.sizes
    cliques = [(other,) for other in range(len(sizes)) if other != axis]
    if cliques:
        real, other = (
            table[table[:, axis] == code] for table in (compared.real.train_codes, compared.codes)
        )
        yield "tv", mean_total_variation(real, other, sizes, cliques)


def _known(real: RealTables) -> Flags:
    assert real.task is not None
    return real.task.labels(real.holdout)[1]


def _at(predicted: Predicted, rows: Flags) -> Predicted:
    return replace(
        predicted, labels=predicted.labels[rows], probabilities=predicted.probabilities[rows]
    )


def _judged(learned: Predicted, real: Predicted, rng: np.random.Generator) -> dict[str, Estimate]:
    """Return the scores of a model on records, and what it lacks of another."""
    records = len(learned.labels)
    if not records:
        return {}
    right, right_of_real = ((one.named == one.labels).astype(np.float64) for one in (learned, real))
    found = {
        "accuracy": share(int(right.sum()), records),
        "accuracy_loss": paired_difference(right_of_real, right),
    }
    classes = np.bincount(learned.labels)
    enough = len(classes) > 1 and classes[classes > 0].min() >= FEWEST_OF_A_CLASS
    if enough and len(learned.scored) and np.count_nonzero(classes) > 1:
        found |= {"auc": auc_of(learned, rng), "auc_loss": auc_gain(real, learned)}
    if learned.binary:
        found["selection"] = share(int(learned.named.sum()), records)
        for name, label in (("fpr", 0), ("tpr", 1)):
            named = learned.named[learned.labels == label]
            if len(named) >= FEWEST_OF_A_CLASS:
                found[name] = share(int(named.sum()), len(named))
    return found


Scored = list[tuple[int, Estimate]]  # records of a group, and one score of it


def _having(by_attribute: Mapping[str, Sequence[Group]], name: str) -> Iterator[Scored]:
    for groups in by_attribute.values():
        scored = [(one.records, one.scores[name]) for one in groups if name in one.scores]
        if scored:
            yield scored


def widest_gap(attributes: Sequence[Scored]) -> Estimate:
    """Return the largest over attributes of the best group's score less the worst's.

    That pair was picked among all pairs for its gap: the lower end is the largest that holds for
    every one of them at once (Bonferroni), the upper one what any of them may come to.
    """
    pairs = [
        difference(one, other)
        for scored in attributes
        for (_, one), (_, other) in permutations(scored, 2)
    ]
    gap = max(pair.value for pair in pairs)
    return _of_picked(pairs, 2 * TAIL / len(pairs), low=0.0, high=1.0, value=gap)


def worst(attributes: Sequence[Scored]) -> Estimate:
    """Return the largest error of a group, with an interval for any group that may have it."""
    errors = [error for scored in attributes for _, error in scored]
    value = max(error.value for error in errors)
    return _of_picked(errors, TAIL / len(errors), low=-1.0, high=1.0, value=value)


def _of_picked(
    estimates: Sequence[Estimate], tail: float, *, low: float, high: float, value: float
) -> Estimate:
    """Return the largest of estimates: no lower end is missed with more than ``tail``."""
    wider = float(ndtri(1 - tail)) / NORMAL_QUANTILE
    least = max(one.value - wider * (one.value - one.low) for one in estimates)
    most = max(one.high for one in estimates)
    return Estimate(value, min(max(least, low), value), max(min(most, high), value))


def mean(attributes: Sequence[Scored]) -> Estimate:
    """Return the mean over attributes of that over groups, by their records."""
    means = [weighted_mean([e for _, e in scored], [n for n, _ in scored]) for scored in attributes]
    value, low, high = np.mean([(one.value, one.low, one.high) for one in means], axis=0)
    return Estimate(float(value), float(low), float(high))


SUBGROUPS = Metric(
    "subgroups",
    "errors of columns and classifiers by group: worst, mean, and gap between groups",
    "lower",
    subgroups,
    needs="a column of few categories beside the label, and 100 hold-out records of one",
)
