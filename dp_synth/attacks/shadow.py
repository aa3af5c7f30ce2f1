"""Shadow attacks: learn from runs whose coins are known what a table looks like with a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import ClassVar, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.membership_game import Played
from dp_synth.attacks.scores import Scores
from dp_synth.errors import InputError
from dp_synth.metrics import Binning
from dp_synth.metrics.models import short_seed
from dp_synth.schema import Schema
from dp_synth.types import Codes, Flags, Floats, Integers

Groundhog = Literal["naive", "histogram", "correlations"]

MOST_COLUMNS = 64  # a record's matches are bits of one integer
QUERIES = {1: 20, 2: 500, 3: 500}  # at most, of each number of columns (TAPAS, their paper)


class Features(Protocol):
    """Numbers of fixed length that an attack takes from a synthetic table."""

    @property
    def binning(self) -> Binning:
        """The cells in which records are looked at."""

    def of_codes(self, codes: Codes) -> Floats:
        """Return the features of records that are codes of ``binning`` already."""


@dataclass(frozen=True, eq=False)
class TargetedCounts:
    """How many synthetic records equal the target on each of many sets of 1 to 3 columns.

    The targeted counting queries of TAPAS (Houssiau et al. 2022, arXiv:2211.06550), as shares of
    the table. Numbers are equal where they lie in the same cell of ``binning``.
    """

    name: ClassVar[str] = "targeted_counts"
    cites: ClassVar[tuple[str, ...]] = ("houssiau2022",)

    binning: Binning
    target: Codes
    queries: NDArray[np.uint64]

    @classmethod
    def of(
        cls, target: pd.DataFrame, schema: Schema, reference: pd.DataFrame, *, seed: int = 0
    ) -> TargetedCounts:
        """Return the queries about a target, a table of one record; ``seed`` draws the sets."""
        if len(target) != 1:
            raise InputError("a targeted attack has one target at a time")
        binning = Binning.from_frame(schema, reference)
        columns = len(binning.attributes)
        if columns > MOST_COLUMNS:
            raise InputError(f"targeted counts take at most {MOST_COLUMNS} columns")
        rng = np.random.default_rng(seed)
        masks = [mask for size in QUERIES for mask in _masks(columns, size, rng)]
        return cls(binning, binning.codes(target)[0], np.array(masks, dtype=np.uint64))

    def __call__(self, synthetic: pd.DataFrame) -> Floats:
        """Return the share of records that each query counts."""
        return self.of_codes(self.binning.codes(synthetic))

    def of_codes(self, codes: Codes) -> Floats:
        """Return the features of records that are codes of ``binning`` already.

        A record's matches are packed into one integer, of which few are distinct; a query
        counts those that hold all of its bits, so all counts are one product of a matrix.
        """
        bits = np.uint64(1) << np.arange(codes.shape[1], dtype=np.uint64)
        packed = (codes == self.target) @ bits
        matches, counts = np.unique(packed, return_counts=True)
        holds = (matches & self.queries[:, None]) == self.queries[:, None]
        shares: Floats = holds @ counts.astype(np.float64) / max(len(codes), 1)
        return shares


@dataclass(frozen=True, eq=False)
class GroundhogFeatures:
    """Summaries of a whole table: moments, histograms or correlations of its columns.

    The feature sets of Stadler, Oprisanu & Troncoso 2022 (arXiv:2011.07018), over the codes of
    ``binning``: mean, median and variance of each column ("naive"), the share of each value
    ("histogram"), the correlations of all pairs ("correlations").
    """

    name: ClassVar[str] = "groundhog"
    cites: ClassVar[tuple[str, ...]] = ("stadler2022",)

    binning: Binning
    kind: Groundhog

    def __call__(self, synthetic: pd.DataFrame) -> Floats:
        """Return the features of one table."""
        return self.of_codes(self.binning.codes(synthetic))

    def of_codes(self, codes: Codes) -> Floats:
        """Return the features of records that are codes of ``binning`` already."""
        if not len(codes):
            codes = np.zeros((1, codes.shape[1]), dtype=np.int32)
        if self.kind == "naive":
            middle = np.median(codes, axis=0)
            return np.concatenate([codes.mean(axis=0), middle, codes.var(axis=0)])
        if self.kind == "histogram":
            sizes = zip(codes.T, self.binning.sizes, strict=True)
            return np.concatenate([np.bincount(c, minlength=k) / len(codes) for c, k in sizes])
        centred = codes - codes.mean(axis=0)
        scale = np.sqrt(np.maximum((centred**2).sum(axis=0), np.finfo(np.float64).tiny))
        products = (centred / scale).T @ (centred / scale)
        upper: Floats = products[np.triu_indices(codes.shape[1], 1)]
        return upper


@dataclass(frozen=True, eq=False)
class Together:
    """Several kinds of features side by side, over one binning: a table is encoded once."""

    parts: tuple[Features, ...]

    def __post_init__(self) -> None:
        if not self.parts or any(part.binning is not self.binning for part in self.parts):
            raise InputError("features that are looked at together must share one binning")

    @property
    def binning(self) -> Binning:
        """The cells in which records are looked at."""
        return self.parts[0].binning

    def __call__(self, synthetic: pd.DataFrame) -> Floats:
        """Return the features of one table."""
        return self.of_codes(self.binning.codes(synthetic))

    def of_codes(self, codes: Codes) -> Floats:
        """Return the features of records that are codes of ``binning`` already."""
        return np.concatenate([part.of_codes(codes) for part in self.parts])


def shadow_scores(
    played: Played[Floats],
    training: Sequence[int] | Integers,
    *,
    classifier: Literal["forest", "logistic"] = "forest",
    seed: int = 0,
) -> Scores:
    """Return scores of the one target in all runs but the ``training`` ones.

    ``played`` are runs of a game with one target, or one set, seen through features. A random
    forest or a logistic regression learns from the training runs which tables are with it; its
    probability of that is the score. Split what is returned again where a threshold or an
    attack is to be chosen. InputError where the training runs do not hold both worlds.
    """
    member = played.member[:, 0]
    if (played.member != member[:, None]).any():
        raise InputError("a shadow attack is on one target, or on a set that is in or out together")
    runs = np.arange(len(member), dtype=np.int64)
    worked = np.array([one is not None for one in played.seen])
    learns = np.isin(runs, training)
    known = np.flatnonzero(learns & worked)
    if len(np.unique(member[known])) < 2:
        raise InputError("the training runs must hold tables with the target and without it")
    tables = np.array([one for one in played.seen if one is not None])
    place = np.cumsum(worked) - 1
    model = _classifier(classifier, seed).fit(tables[place[known]], member[known])
    asked = np.flatnonzero(~learns & worked)
    score = np.full(len(runs), np.nan)
    if len(asked):
        score[asked] = model.predict_proba(tables[place[asked]])[:, 1]
    return Scores.of_runs(score[~learns, None], member[~learns, None], runs[~learns])


class _Classifier(Protocol):
    def fit(self, features: Floats, labels: Flags) -> _Classifier: ...

    def predict_proba(self, features: Floats) -> Floats: ...


def _classifier(kind: Literal["forest", "logistic"], seed: int) -> _Classifier:
    if kind == "forest":
        from sklearn.ensemble import RandomForestClassifier

        forest: _Classifier = RandomForestClassifier(
            n_estimators=200, min_samples_leaf=3, random_state=short_seed(seed)
        )
        return forest
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logistic: _Classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)
    )
    return logistic


def _masks(columns: int, size: int, rng: np.random.Generator) -> list[int]:
    """Return at most ``QUERIES[size]`` distinct sets of columns as bits."""
    if size > columns:
        return []
    if comb(columns, size) <= QUERIES[size]:
        sets = list(combinations(range(columns), size))
    else:
        drawn: set[tuple[int, ...]] = set()
        while len(drawn) < QUERIES[size]:
            drawn.add(tuple(sorted(rng.choice(columns, size, replace=False).tolist())))
        sets = sorted(drawn)
    return [sum(1 << column for column in chosen) for chosen in sets]
