"""The marginal-ratio attack: frequencies of those marginals that the synthesizer would measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks.base import Aimed, Attack
from dp_synth.attacks.density import Cells, expected_counts, likely_cells, log_odds
from dp_synth.attacks.view import AttackerView
from dp_synth.metrics.fidelity import Axes
from dp_synth.schema import Schema
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.types import Clique, Codes, Floats

Fit = tuple[Synthesizer, PrivacyBudget, Schema, int]
"""A fit as the attacker knows it, to rehearse, and how many records were fitted."""

REMEMBERED = 64  # rehearsals: as many fits as the seeds of a benchmark have in common


@dataclass(frozen=True)
class MarginalRatio(Attack):
    """Score by how much likelier a record is in the marginals that a synthesizer keeps.

    MAMA-MIA (Golob, Pentyala, Maratkhan & De Cock 2024, arXiv:2402.06699 and arXiv:2410.05506):
    where the view knows the synthesizer and its budget, its choice of marginals is rehearsed
    ``runs`` times on samples of the reference, as many records as were fitted, and each clique
    has the share of runs that chose it as its weight (the focal points). Without any, every pair
    has the weight that it would have in a random tree. Departures, each of which gains some
    points of AUC on Adult:

    - frequency ratios enter as logarithms, smoothed by what sampling leaves unknown: see
      ``density.log_odds``;
    - every column counts once, and a clique by how its count lies above what those of its
      columns let expect, as the likelihood of a tree has it. PrivBayes has tables of an
      attribute given its parents: there it is above what child and parents let expect;
    - what a clique's counts are off by beyond sampling, as noise and by what the synthesizer's
      model leaves out, is seen on the cells of the reference and smooths that clique's ratios.

    Numbers of ``records`` that are not known are those of the synthetic table.
    """

    runs: int = 10
    smoothing: float = 0.5
    seed: int = 0
    name = "marginal_ratio"
    figure_label = "marginal ratio"
    question = "Are the counts that the method keeps higher where fitted records are?"
    cites = ("golob2024", "golob2024marginals")
    needs_reference = True
    uses = ("synthesizer", "records")
    LEAST: ClassVar = {"runs": 1}
    ABOVE: ClassVar = {"smoothing": 0}

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        return self._aimed(targets, view)(view.synthetic)

    def _aimed(self, targets: pd.DataFrame, view: AttackerView) -> Aimed:
        reference = self._reference(view)
        binning = likely_cells(view.schema, reference)
        places = {column.name: axis for axis, column in enumerate(binning.attributes)}
        directed = view.is_directed
        codes = np.concatenate([binning.codes(frame) for frame in (targets, reference)])
        usual = _Usual(codes, len(targets), binning.sizes, self.smoothing)

        def _score(synthetic: pd.DataFrame) -> Floats:
            if not (len(targets) and len(synthetic) and len(reference)):
                return np.zeros(len(targets))
            points = focal_points(replace(view, synthetic=synthetic), self.runs, self.seed)
            weights = {tuple(places[name] for name in c): w for c, w in points.items()}
            if not weights:  # the share of all spanning trees in which a pair is an edge
                pairs = combinations(range(len(places)), 2)
                weights = dict.fromkeys(pairs, 2 / len(places))
            return usual.scores(binning.codes(synthetic), weights, directed=directed)

        return _score


@dataclass(frozen=True, eq=False)
class _Usual:
    """What a reference lets expect of any table, in the cells of the targets.

    ``codes`` are those of the targets and then of the reference, whose own cells show how far a
    table is off that has nothing to do with the targets.
    """

    codes: Codes
    targets: int
    sizes: Axes
    smoothing: float
    tried: dict[Axes, _Clique] = field(default_factory=dict)  # what was looked at before

    def scores(self, table: Codes, weights: Mapping[Axes, float], *, directed: bool) -> Floats:
        """Return the scores of the targets, given weighted cliques of a table's attributes."""
        singles = [(axis,) for axis in range(len(self.sizes))]
        odds: dict[Axes, Floats] = {}
        for part in {*singles, *(clique[1:] for clique in weights if directed and clique[1:])}:
            clique = self._clique(part, every=True)
            expected, unsure = self._expected(clique, len(table))
            # Synthetic records are drawn once more, with a variance of their own.
            odds[part] = log_odds(clique.cells.counts(table), expected, expected + unsure)
        scores: Floats = sum((odds[part][: self.targets] for part in singles), np.zeros(1))
        for axes, weight in weights.items():
            if len(axes) > 1:
                parts = [axes[:1], axes[1:]] if directed else [(axis,) for axis in axes]
                scores = scores + weight * self._beyond(axes, table, [odds[p] for p in parts])
        return scores

    def _beyond(self, axes: Axes, table: Codes, odds: list[Floats]) -> Floats:
        """Return the targets' log odds in a clique, given those in its parts."""
        clique = self._clique(axes)
        expected, unsure = self._expected(clique, len(table))
        expected = expected * np.exp(sum(part[clique.rows] for part in odds))
        counts, variance = clique.cells.counts(table), expected + unsure
        off = ((counts - expected) ** 2 - variance)[self.targets :].mean()
        result = log_odds(counts, expected, variance + max(float(off), 0.0))
        return result[: self.targets]

    def _expected(self, clique: _Clique, records: int) -> tuple[Floats, Floats]:
        others = len(self.codes) - self.targets
        return expected_counts(clique.seen, others, records, self.smoothing)

    def _clique(self, axes: Axes, *, every: bool = False) -> _Clique:
        """Return the cells of the targets and each of the reference's, once or for every record."""
        key = (*axes, -1) if every else axes
        if key not in self.tried:
            rows = np.arange(len(self.codes))
            if not every:
                cells = Cells.of(self.codes[self.targets :], self.sizes, axes)
                rows = np.concatenate([rows[: self.targets], self.targets + cells.first()])
            cells = Cells.of(self.codes[rows], self.sizes, axes)
            self.tried[key] = _Clique(cells, rows, cells.counts(self.codes[self.targets :]))
        return self.tried[key]


@dataclass(frozen=True, eq=False)
class _Clique:
    """Some records' cells of a clique, and how many records of the reference each holds."""

    cells: Cells
    rows: NDArray[np.intp]
    seen: Floats


def focal_points(view: AttackerView, runs: int, seed: int) -> Mapping[Clique, float]:
    """Return the share of rehearsals in which each clique was chosen.

    Empty where the view has no synthesizer that chooses. A rehearsal has fresh noise and a fresh
    sample of the reference, drawn with replacement where that is too small. What was rehearsed
    last is remembered: members and non-members, and the tables of a game, share it.
    """
    synthesizer, budget, reference = view.synthesizer, view.budget, view.reference
    if synthesizer is None or budget is None or reference is None:
        return {}
    if not synthesizer.chooses or not len(reference):
        return {}
    records = len(view.synthetic) if view.records is None else view.records
    fit = (synthesizer, budget, view.schema, records)
    return _rehearsed(fit, Same(reference), runs, seed)


@dataclass(frozen=True, eq=False)
class Same:
    """A table that equals itself alone, so that a cache can look it up."""

    frame: pd.DataFrame

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.frame is other.frame

    def __hash__(self) -> int:
        return id(self.frame)


@lru_cache(maxsize=REMEMBERED)
def _rehearsed(fit: Fit, reference: Same, runs: int, seed: int) -> Mapping[Clique, float]:
    synthesizer, budget, schema, records = fit
    known, found = len(reference.frame), Counter[Clique]()
    for stream in np.random.SeedSequence(seed).spawn(runs):
        rng = np.random.default_rng(stream)
        sample = reference.frame.iloc[rng.choice(known, records, replace=records > known)]
        (cliques,) = synthesizer.select_only(sample, schema, budget, seed=int(rng.integers(2**63)))
        found.update(list(dict.fromkeys(cliques)))  # each once, in an order that no hash decides
    return MappingProxyType({clique: count / runs for clique, count in found.items()})
