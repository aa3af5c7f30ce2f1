"""Every interval that is printed, drawn from a law whose truth is known, at n runs or records.

A case draws data of a size n and returns what is printed of it, beside the truth. Where a
statistic of finite tables is biased and its docstring says so (distances, errors of associations,
recall of what is rare), the truth is its mean over drawings of tables of that size, or its median
where a scale ends, which is left to `coverage` to take: NaN stands for it. None says that nothing
is printed at this size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri

from benchmarks.deep_tables import correlations, lower_limits
from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks.excess_risk import excess
from dp_synth.attacks.scores import Cluster, Scores
from dp_synth.audit import Roc
from dp_synth.benchmark.diff import LiveCell
from dp_synth.benchmark.statistics import bootstrap_interval, t_interval
from dp_synth.benchmark.statistics.scores import Scale
from dp_synth.figures.curves import spread
from dp_synth.inference.bootstrap import REPLICAS
from dp_synth.metrics import Compared, Estimate, RealTables, subgroups
from dp_synth.metrics.cell_metrics import equivalent_sample, range_queries, rare_combinations
from dp_synth.metrics.correlation import correlation
from dp_synth.metrics.estimate import difference, paired_difference, share, weighted_mean
from dp_synth.metrics.fidelity import mean_total_variation
from dp_synth.metrics.model_metrics import intervals_over_models, propensity_mse, rank_agreement
from dp_synth.metrics.prediction import Errors, Predicted, auc_gain, auc_of, scores_of
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, CliqueTree, Independent, Synthesizer
from dp_synth.transcript import measured

SIZES = (5, 10, 20, 60)
TARGETS = 20
ACROSS_MODELS = 4

Rng = np.random.Generator
Floats = np.ndarray
Found = tuple[Estimate, float]
Draw = Callable[[Rng, int], Found | None]


@dataclass(frozen=True)
class Case:
    """One interval: where it is made, the law of what it is made of, and the sizes looked at."""

    name: str
    law: str
    draw: Draw
    sizes: tuple[int, ...] = SIZES
    nominal: float = 0.05
    slow: bool = False
    middle: Callable[[Floats], float] = np.mean


# Runs, seeds and games


@dataclass(frozen=True)
class Game:
    """Normal scores, members' higher by ``gain``, with effects of run and target.

    ``shared`` moves all scores of a run (or of a target); ``leaning`` moves members of a run up
    and others down, or the other way, as one noisy answer does.
    """

    gain: float = 0.0
    shared: float = 0.0
    leaning: float = 0.0
    cluster: Cluster = "run"

    def drawn(self, rng: Rng, count: int) -> Scores:
        """Return the scores of so many clusters of `TARGETS` entries."""
        member = rng.random((count, TARGETS)) < 0.5
        side = np.where(member, 1.0, -1.0)
        score = rng.normal(size=member.shape) + self.gain * member
        score += self.shared * rng.normal(size=(count, 1))
        score += self.leaning * rng.normal(size=(count, 1)) * side
        if self.cluster == "run":
            return Scores.of_runs(score, member)
        return Scores.of_runs(score.T, member.T)

    @property
    def area(self) -> float:
        """The chance that a member of one cluster scores above a non-member of another."""
        return float(ndtr(self.gain / sqrt(2 + 2 * self.shared**2 + 2 * self.leaning**2)))

    def auc(self, rng: Rng, count: int) -> Found | None:
        """Return the area of so many clusters."""
        return self.drawn(rng, count).auc(self.cluster), nan

    def tpr(self, fpr: float, rng: Rng, count: int) -> Found | None:
        """Return the rate of true positives at one of false ones, and that of endless clusters."""
        width = sqrt(1 + self.shared**2 + self.leaning**2)
        bar = width * float(-ndtri(fpr))
        return self.drawn(rng, count).tpr_at_fpr(fpr, self.cluster), float(
            ndtr((self.gain - bar) / width)
        )


def _ends(ends: tuple[float, float] | None, truth: float) -> Found | None:
    return None if ends is None else (Estimate(sum(ends) / 2, *ends), truth)


def _t_mean(rng: Rng, count: int) -> Found | None:
    return _ends(t_interval(rng.normal(0.7, 0.02, count)), 0.7)


def _skewed_mean(interval: Callable[[Floats], tuple[float, float] | None]) -> Draw:
    return lambda rng, count: _ends(interval(rng.chisquare(12, count)), 12.0)


def _bootstrap_mean(rng: Rng, count: int) -> Found | None:
    return _ends(bootstrap_interval(rng.normal(0.7, 0.02, count)), 0.7)


def _paired(rng: Rng, count: int) -> Found | None:
    common = rng.normal(0.7, 0.1, count)
    first, second = (common + rng.normal(shift, 0.02, count) for shift in (0.03, 0.0))
    return _ends(t_interval(first - second), 0.03)


def _whisker(rng: Rng, count: int) -> Found | None:
    values = rng.normal(0.7, 0.02, count)
    columns = {"metric": "tv2", "series": "mst", "epsilon": 1.0, "low": nan, "high": nan}
    row = spread(pd.DataFrame({"value": values} | columns), "tv2").iloc[0]
    return Estimate(row["mean"], row["low"], row["high"]), 0.7


def _live(rng: Rng, count: int) -> Found | None:
    live = LiveCell.of("mst tv2", float(rng.normal()), rng.normal(size=count), nan)
    return Estimate(live.recorded, live.low, live.high), live.live


def _placed(rng: Rng, count: int) -> Found | None:
    scale = Scale(np.array([0.01, 0.1, 1.0]), np.array([0.5, 0.7, 0.9]))
    ends = t_interval(rng.normal(0.75, 0.02, count))
    if ends is None:
        return None
    found = [scale.share_of(value) for value in (sum(ends) / 2, *ends)]
    return Estimate(*found), scale.share_of(0.75)


# Records


def _two_groups(gain: float, rng: Rng, count: int) -> Found | None:
    roc = Roc(rng.normal(gain, 1, count), rng.normal(size=count))
    return roc.auc(), float(ndtr(gain / sqrt(2)))


def _roc_rate(fpr: float, rng: Rng, count: int) -> Found | None:
    roc = Roc(rng.normal(1, 1, count), rng.normal(size=count))
    return roc.tpr_at_fpr(fpr), float(ndtr(1 + ndtri(fpr)))


def _share_of(interval: Callable[[int, int], Estimate], chance: float) -> Draw:
    return lambda rng, count: (interval(int(rng.binomial(count, chance)), count), chance)


def _excess(attack: float, control: float, rng: Rng, count: int) -> Found | None:
    wins = int(rng.binomial(count, attack)), int(rng.binomial(count, control))
    truth = (attack - control) / (1 - control)
    return excess(wins[0], count, wins[1], count), truth


def _difference_of_shares(rng: Rng, count: int) -> Found | None:
    one, other = (share(int(rng.binomial(count, p)), count) for p in (0.9, 0.7))
    return difference(one, other), 0.2


def _mean_of_shares(rng: Rng, count: int) -> Found | None:
    chances = (0.95, 0.8, 0.6)
    found = [share(int(rng.binomial(count, p)), count) for p in chances]
    return weighted_mean(found, [1, 1, 1]), float(np.mean(chances))


def _paired_hits(worse: float, rng: Rng, count: int) -> Found | None:
    """Draw whether two models are right about each record: the second is less often."""
    first = rng.random(count) < 0.9
    second = first & (rng.random(count) < 1 - worse)
    return paired_difference(first.astype(float), second.astype(float)), 0.9 * worse


def _predicted(classes: int, rng: Rng, count: int, apart: float = 1.0) -> Predicted:
    """Draw labels, and probabilities that a model might give them."""
    if classes == 2:
        labels = (rng.random(count) < 0.4).astype(np.int32)
        said = expit(apart * labels + rng.normal(size=count) - 0.5)
        return Predicted(labels, np.stack([1 - said, said], axis=1), True)
    labels = rng.choice(classes, count, p=np.arange(1, classes + 1) / (classes + 1) / classes * 2)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), labels] += apart
    odds = np.exp(logits)
    return Predicted(labels.astype(np.int32), odds / odds.sum(axis=1, keepdims=True), False)


@cache
def _score_at_large(classes: int, name: str, apart: float) -> float:
    rng = np.random.default_rng(1)
    large = (_predicted(classes, rng, 10_000, apart) for _ in range(10))
    return float(np.mean([scores_of(one, 0)[name].value for one in large]))


def _score(classes: int, name: str, apart: float, rng: Rng, count: int) -> Found | None:
    test = _predicted(classes, rng, count, apart)
    found = auc_of(test, rng) if name == "auc" else scores_of(test, int(rng.integers(99)))[name]
    return found, _score_at_large(classes, name, apart)


def _models(rng: Rng, count: int, apart: Sequence[float]) -> list[Predicted]:
    one = _predicted(2, rng, count)
    noise = rng.normal(size=count)
    models = []
    for gain in apart:
        said = expit(gain * one.labels + noise + 0.5 * rng.normal(size=count))
        models.append(replace(one, probabilities=np.stack([1 - said, said], axis=1)))
    return models


def _auc_gain(rng: Rng, count: int) -> Found | None:
    gains = (1.5, 1.0)
    truth = [float(ndtr(gain / sqrt(2 * 1.25))) for gain in gains]
    better, worse = _models(rng, count, gains)
    return auc_gain(better, worse), truth[0] - truth[1]


def _several(name: str, rng: Rng, count: int) -> Found | None:
    gains = tuple(np.linspace(0.5, 1.5, ACROSS_MODELS))
    learned, real = _models(rng, count, gains), _models(rng, count, gains)
    real = [replace(one, labels=learned[0].labels) for one in learned]
    found = intervals_over_models(learned, real, rng)[name]
    truth = float(np.mean([ndtr(gain / sqrt(2 * 1.25)) for gain in gains]))
    return found, truth if name == "mean_auc" else 1.0


def _ranks(real: Sequence[float], learned: Sequence[float], rng: Rng, count: int) -> Found | None:
    """Draw models that learned from real and from synthetic records, of known areas."""
    models = _models(rng, count, (*learned, *real))
    found = intervals_over_models(models[: len(learned)], models[len(learned) :], rng)
    truth = rank_agreement(np.array([learned]), np.array([real]))
    return found["rank_agreement"], float(truth[0])


# Groups of records


Groups = tuple[tuple[float, ...], ...]  # of each attribute: what its groups score in truth


def _rates(groups: Groups, rng: Rng, count: int) -> list[list[tuple[int, Estimate]]]:
    return [[(count, share(int(rng.binomial(count, p)), count)) for p in own] for own in groups]


def _gap(groups: Groups, rng: Rng, count: int) -> Found | None:
    return subgroups.widest_gap(_rates(groups, rng, count)), max(max(g) - min(g) for g in groups)


def _worst(groups: Groups, rng: Rng, count: int) -> Found | None:
    return subgroups.worst(_rates(groups, rng, count)), max(map(max, groups))


def _mean_of_groups(groups: Groups, rng: Rng, count: int) -> Found | None:
    return subgroups.mean(_rates(groups, rng, count)), float(np.mean([np.mean(g) for g in groups]))


def _distance(rng: Rng, count: int, tied: float) -> Estimate:
    """Return the distance of the columns of a group: real records, and synthetic ones."""
    sizes = (4, 3)
    real = np.stack([rng.integers(0, size, count) for size in sizes], axis=1)
    other = np.where(rng.random((count, 1)) < tied, 0, rng.integers(0, sizes, (count, 2)))
    return mean_total_variation(real, other.astype(np.int64), sizes, [(0,), (1,)])


@cache
def _distance_at_large(count: int, tied: float) -> float:
    rng = np.random.default_rng(2)
    return float(np.mean([_distance(rng, count, tied).value for _ in range(4000)]))


def _gap_of_distances(tied: Sequence[float], rng: Rng, count: int) -> Found | None:
    scored = [(count, _distance(rng, count, each)) for each in tied]
    truths = [_distance_at_large(count, each) for each in tied]
    return subgroups.widest_gap([scored]), max(truths) - min(truths)


def _gap_of_areas(gains: Sequence[float], rng: Rng, count: int) -> Found | None:
    scored = [(count, auc_of(_predicted(2, rng, count, gain), rng)) for gain in gains]
    truths = [float(ndtr(gain / sqrt(2))) for gain in gains]
    return subgroups.widest_gap([scored]), max(truths) - min(truths)


# Seeds of several budgets, and releases


def _growing(rise: float, shared: float, rng: Rng, count: int) -> Floats:
    """Draw scores of seeds at four epsilons: they rise with it, beside effects of the seed."""
    values = rise * np.arange(4.0) + rng.normal(size=(count, 4))
    return np.asarray(values + shared * rng.normal(size=(count, 1)))


@cache
def _growth_of_many(rise: float, shared: float, count: int) -> float:
    """The mean over drawings of as many seeds: ties in epsilon cut it short of one."""
    rng, every = np.random.default_rng(3), np.arange(4 * count)[np.newaxis]
    drawn = (_growing(rise, shared, rng, count) for _ in range(2000))
    return float(np.mean([correlations(values, every)[0] for values in drawn]))


def _growth(by_seed: bool, rise: float, shared: float, rng: Rng, count: int) -> Found | None:
    low = lower_limits(_growing(rise, shared, rng, count), resamples=1000)[by_seed]
    return Estimate(1.0, low, 1.0), _growth_of_many(rise, shared, count)


def _errors_of_release(
    synthesizer: Synthesizer, columns: int, rng: Rng, count: int
) -> Found | None:
    """Return one cell of a marginal that was measured, and Student's interval by its error."""
    rows = _people(rng, count, 0.8)
    release = synthesizer.fit(rows, SCHEMA, PrivacyBudget(1.0, 1e-6), seed=int(rng.integers(2**31)))
    cliques = [clique for clique in measured(release.transcript) if len(clique) == columns]
    if not cliques:
        return None
    clique = cliques[int(rng.integers(len(cliques)))]
    found, axes = release.marginal(clique), [SCHEMA.domain.axis(name) for name in clique]
    exact = np.zeros(found.counts.shape)
    np.add.at(exact, tuple(SCHEMA.encode(rows)[:, axes].T), 1)
    place = int(rng.integers(exact.size))
    value, error = found.counts.flat[place], found.stderr.flat[place]
    return Estimate.student(float(value), float(error) ** 2, REPLICAS), float(exact.flat[place])


def _errors(name: str, rng: Rng, count: int) -> Found | None:
    truth = rng.normal(50, 10, count)
    said = truth + rng.normal(0, 6, count)
    found = Errors(truth, said).scores(int(rng.integers(2**31))).get(name)
    known = {"r2": 1 - 0.36, "mean_absolute_error": 6 * sqrt(2 / np.pi)}
    return None if found is None else (found, known[name])


# Tables


SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 99},
            {"name": "hours", "type": "integer", "lower": 0, "upper": 99},
            {"name": "work", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "home", "type": "categorical", "categories": ["x", "y", "z"]},
        ],
    }
)
REAL = 400  # records of real tables that stay as they are


def _people(rng: Rng, count: int, tied: float) -> pd.DataFrame:
    """Draw records whose columns go together by ``tied``."""
    work = rng.choice(3, count, p=[0.5, 0.3, 0.2])
    home = np.where(rng.random(count) < tied, work, rng.choice(3, count))
    age = np.clip(rng.normal(40 + 15 * tied * work, 12, count), 0, 99).round().astype(int)
    hours = np.clip(tied * age + rng.normal(20, 12, count), 0, 99).round().astype(int)
    texts = {"work": np.array(list("abc"))[work], "home": np.array(list("xyz"))[home]}
    return pd.DataFrame({"age": age, "hours": hours} | texts)


def _both_drawn(rng: Rng, count: int) -> Compared:
    real = _people(rng, count, 0.8)
    return Compared(RealTables(real, real, SCHEMA), _people(rng, count, 0.1), int(rng.integers(99)))


@cache
def _fixed() -> RealTables:
    rng = np.random.default_rng(5)
    train, holdout = (_people(rng, REAL, 0.8) for _ in range(2))
    return RealTables(train, holdout, SCHEMA)


def _against_fixed(rng: Rng, count: int) -> Compared:
    return Compared(_fixed(), _people(rng, count, 0.3), int(rng.integers(99)))


Metric = Callable[[Compared], Mapping[str, Estimate]]


def _metric(metric: Metric, name: str, drawn: Callable[[Rng, int], Compared]) -> Draw:
    def draw(rng: Rng, count: int) -> Found | None:
        found = metric(drawn(rng, count)).get(name)
        return None if found is None else (found, nan)

    return draw


def _tv(degree: int) -> Metric:
    return lambda compared: {"tv": compared.total_variation(degree, "train")}


GAMES = {
    "chance": Game(),
    "members higher": Game(gain=0.7),
    "members far higher": Game(gain=2.5),
    "runs move all scores": Game(gain=0.7, shared=1.0),
    "runs move members against others": Game(leaning=1.0),
}
GROUPS: Mapping[str, Groups] = {
    "two groups, 0.9 and 0.7": ((0.9, 0.7),),
    "five groups alike": ((0.8,) * 5,),
    "five groups, one worse": ((0.8, 0.8, 0.8, 0.8, 0.5),),
    "three attributes of four groups alike": ((0.8,) * 4,) * 3,
}
PREDICTED = {  # classes, how far apart the model tells them
    "2 classes, told in part": (2, 1.0),
    "2 classes, told well": (2, 4.0),
    "4 classes, told in part": (4, 1.5),
}
RANKS = {  # what models score that learned from synthetic records
    "the same order": (0.5, 0.8, 1.1, 1.4),
    "two turned around": (0.5, 1.1, 0.8, 1.4),
    "all turned around": (1.4, 1.1, 0.8, 0.5),
    "synthetic models alike": (1.0, 1.0, 1.0, 1.0),
}
RISES = {  # how scores rise with epsilon, and how far seeds differ
    "no rise": (0.0, 0.0),
    "a rise": (1.0, 0.0),
    "a rise, and effects of seeds": (1.0, 2.0),
    "a steep rise": (3.0, 0.0),
}
RELEASES: Mapping[str, tuple[Synthesizer, int]] = {
    "a column, Independent": (Independent(), 1),
    "a pair, MST": (MST(), 2),
    "a pair, CliqueTree": (CliqueTree(), 2),
}


def _of(name: str, laws: Mapping[str, Draw], **more: Any) -> Iterator[Case]:
    """Yield one interval under several laws."""
    return (Case(name, law, draw, **more) for law, draw in laws.items())


def _means(
    interval: Callable[[Floats], tuple[float, float] | None], normal: Draw
) -> dict[str, Draw]:
    return {"normal": normal, "chi squared, 12 degrees": _skewed_mean(interval)}


def _seeds_and_games() -> Iterator[Case]:
    """Yield what is made of runs, seeds and games."""
    yield from _of("Scores.auc, by run", {law: game.auc for law, game in GAMES.items()})
    by_target = {law: replace(game, cluster="target").auc for law, game in GAMES.items()}
    yield from _of("Scores.auc, by target", by_target)
    for fpr in (0.1, 0.01):
        chosen = ("chance", "members higher", "runs move all scores")
        laws = {law: partial(GAMES[law].tpr, fpr) for law in chosen}
        yield from _of(f"Scores.tpr_at_fpr({fpr:g}), by run", laws)
    yield from _of("t interval over seeds", _means(t_interval, _t_mean))
    yield from _of("BCa interval over seeds", _means(bootstrap_interval, _bootstrap_mean))
    yield Case("difference of two methods, seed by seed", "normal", _paired)
    yield Case("whisker of a figure or page", "normal", _whisker)
    yield Case("live cell, prediction", "normal", _live, nominal=0.01)
    yield Case("share of real rows", "normal, a known scale", _placed)


def _of_records() -> Iterator[Case]:
    """Yield what is made of single records, and of models of them."""
    laws = {"chance": 0.0, "members higher": 1.0, "members far higher": 2.5}
    yield from _of("Roc.auc", {law: partial(_two_groups, gain) for law, gain in laws.items()})
    for fpr in (0.1, 0.01):
        yield Case(f"Roc.tpr_at_fpr({fpr:g})", "members higher", partial(_roc_rate, fpr))
    chances = {f"chance {p:g}": _share_of(share, p) for p in (0.02, 0.1, 0.5)}
    yield from _of("share, success of an attack", chances)
    pairs = ((0.1, 0.1), (0.5, 0.5), (0.9, 0.5), (0.95, 0.9), (0.05, 0.0))
    against = {f"{one:g} against {other:g}": partial(_excess, one, other) for one, other in pairs}
    yield from _of("excess risk", against)
    yield Case("difference of two groups", "0.9 less 0.7", _difference_of_shares)
    yield Case("mean over groups", "0.95, 0.8, 0.6", _mean_of_shares)
    fewer = {f"{p:g} fewer": partial(_paired_hits, p) for p in (0.02, 0.1, 0.4)}
    yield from _of("accuracy loss, recall gain", fewer)
    for name in ("auc", "average_precision", "f1"):
        told = {law: partial(_score, n, name, apart) for law, (n, apart) in PREDICTED.items()}
        yield from _of(name, told)
    yield Case("auc loss or gain", "two models on the same records", _auc_gain)
    for name in ("r2", "mean_absolute_error"):
        yield Case(name, "normal", partial(_errors, name))
    yield Case("mean AUC of several models", "four", partial(_several, "mean_auc"))
    ranks = {law: partial(_ranks, RANKS["the same order"], own) for law, own in RANKS.items()}
    yield from _of("several_models:rank_agreement", ranks)


def _of_groups() -> Iterator[Case]:
    """Yield what is made of groups of records, of budgets, and of releases."""
    for what, draw in (
        ("gap of rates", _gap),
        ("worst rate", _worst),
        ("mean rate", _mean_of_groups),
    ):
        yield from _of(
            f"subgroups, {what}", {law: partial(draw, groups) for law, groups in GROUPS.items()}
        )
    distances = {"four groups alike": (0.2,) * 4, "one of four far": (0.2, 0.2, 0.2, 0.7)}
    laws = {law: partial(_gap_of_distances, tied) for law, tied in distances.items()}
    yield from _of("subgroups:tv_gap", laws)
    areas = {"four groups alike": (1.0,) * 4, "one of four worse": (2.0, 2.0, 2.0, 0.5)}
    laws = {law: partial(_gap_of_areas, gains) for law, gains in areas.items()}
    yield from _of("subgroups:auc_gap", laws)
    for law, (rise, shared) in RISES.items():
        for by_seed in (False, True):
            limit = "seeds left out" if by_seed else "points drawn again"
            draw = partial(_growth, by_seed, rise, shared)
            name = f"rank correlation with epsilon, {limit}"
            yield Case(name, law, draw, nominal=0.025, slow=True)
    errors = {law: partial(_errors_of_release, *made) for law, made in RELEASES.items()}
    yield from _of("standard error of a release", errors)


def _of_tables() -> Iterator[Case]:
    """Yield what is made of two tables."""
    for degree in (1, 2):
        yield Case(f"tv{degree}", "both drawn", _metric(_tv(degree), "tv", _both_drawn))
    for name in ("correlation:pearson", "correlation:cramers_v", "correlation:ratio"):
        yield Case(name, "both drawn", _metric(correlation, name, _both_drawn))
    for name in ("rare_combinations:recall", "rare_combinations:precision"):
        yield Case(name, "synthetic drawn", _metric(rare_combinations, name, _against_fixed))
    for name in ("range_queries", "range_queries:prefix"):
        draw = _metric(range_queries, name, _against_fixed)
        yield Case(name, "synthetic drawn", draw, slow=True)
    draw = _metric(lambda one: {"": equivalent_sample(one)}, "", _against_fixed)
    yield Case("equivalent_sample", "synthetic drawn", draw, slow=True, middle=np.median)
    for name in ("propensity_mse:logistic", "propensity_mse:logistic:ratio"):
        yield Case(name, "both drawn", _metric(propensity_mse, name, _both_drawn), (60,), slow=True)


CASES = (*_seeds_and_games(), *_of_records(), *_of_groups(), *_of_tables())
