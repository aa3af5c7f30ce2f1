"""Interactions: what no pair shows, found by noisy parities of many sets, becomes a clique.

A stage of one-shot fits, between the choice of pairs and their measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dp_synth.accounting import Filtered, FilteredGaussian, Gaussian, cost
from dp_synth.domain import Domain
from dp_synth.inference import Compression, estimate_total
from dp_synth.inference.pair_selection import Allocation
from dp_synth.inference.residual_selection import (
    MOST_SETS,
    Bits,
    Interaction,
    Layer,
    find_interactions,
    layers_of,
    parity_sets,
    threshold,
)
from dp_synth.inference.triangulation import as_many_as_fit, fits
from dp_synth.mechanisms import measure_parities, parity_sensitivity
from dp_synth.mechanisms.noise import LARGEST_SCALE
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers._one_shot import FilterBudget, Selected
from dp_synth.transcript import Measurement
from dp_synth.types import Clique

WHY = "parities of many columns"

MOST_SHARE = 0.35  # of the budget, for parities
MOST_HARM = 5e-5  # of total variation: what the noise that this adds to pairs may cost
MOST_HARM_ALONE = 3e-4  # the same, where columns alone are measured: interactions are all there is
AMPLE = 0.2  # of the budget: a share from which on weak effects are not what is looked for
LARGE_EFFECT, SMALL_EFFECT = 0.8, 0.4  # of the records: weaker ones may then go unseen
FEW_SETS = 5_000  # that are asked at most where the share is not ample
WANTED_EFFECT = 0.3  # of the records: what is seen at it costs no more
MOST_WORDS = 2**28  # of 64 records, counted for all sets together: about a second

MOST_LOST = 0.25  # of an interaction's effect: the scores of pairs that the tree gives up for it

MEAN_NOISE = math.sqrt(2 / math.pi)  # the mean size of a standard normal number
CLIQUE_SHARE = 0.1  # of what is left: about what a table of an interaction will get
LARGEST_ERROR = 0.1  # of the records: summed noise of a table over the codes as they are


@dataclass(frozen=True)
class Search:
    """The sets of bits to ask, and the part of the whole budget that they cost together."""

    bits: Bits
    layers: Sequence[Layer]
    part: float

    @classmethod
    def of(
        cls, domain: Domain, ones: Sequence[Measurement], budget: FilterBudget, share: float
    ) -> Search | None:
        """Return the search that a share of the budget allows; None where it would say nothing.

        As many kinds of sets as still show an interaction of `LARGE_EFFECT`, or `SMALL_EFFECT`;
        then the share at which one of `WANTED_EFFECT` shows, if smaller.
        """
        total = estimate_total(ones)
        bits = Bits.of(domain, ones, total)
        layers = layers_of(bits, domain.label)
        is_ample = share >= AMPLE
        effect = LARGE_EFFECT if is_ample else SMALL_EFFECT
        most = min(MOST_SETS if is_ample else FEW_SETS, MOST_WORDS * 64 // max(int(total), 1))
        kept = sets = asked = 0
        for number, layer in enumerate(layers):
            asked += layer.count
            if asked > most or threshold(asked) * _stddev(budget, asked, share) > effect * total:
                break
            kept, sets = number + 1, asked
        if not any(layer.length > 2 for layer in layers[:kept]):
            return None
        seen = threshold(sets) * _stddev(budget, sets, share) / (WANTED_EFFECT * total)
        part = share * min(1.0, seen**2)
        if _stddev(budget, sets, part) > LARGEST_SCALE:
            return None
        return cls(bits, layers[:kept], part)

    def run(self, table: PrivateTable, budget: FilterBudget, total: float) -> list[Interaction]:
        """Ask the parities, and return what stands out; see `find_interactions`."""
        asked = parity_sets(self.bits, table.domain.label, self.layers)
        answers = FilteredGaussian(budget.part, _multiplier(budget.part, self.part))
        values = measure_parities(table, asked, answers, budget.rng, why=WHY)
        stddev = _stddev(budget, len(asked), self.part)
        return find_interactions(self.bits, asked, values, stddev, total)


def _multiplier(part: Filtered, share: float) -> float:
    """Return the noise multiplier of a Gaussian answer that costs a share of a filtered part."""
    whole = (part.amount or 0.0) * share
    return math.sqrt(cost(Gaussian(1.0, 1.0), part.currency) / whole) if whole else math.inf


def _stddev(budget: FilterBudget, sets: int, share: float) -> float:
    """Return the noise of so many parities that cost a share of the whole together."""
    table = budget.table
    sensitivity = parity_sensitivity(sets, table.adjacency, table.payer.budget.max_rows)
    return sensitivity * _multiplier(budget.part, share)


def search_interactions(
    table: PrivateTable, ones: Sequence[Measurement], budget: FilterBudget, share: float
) -> list[Interaction]:
    """Return the interactions of a table that pairs cannot show; none where none would be seen.

    ``ones`` are measured over the table's codes. At most ``share`` of the whole budget is spent.
    """
    search = Search.of(table.domain, ones, budget, min(share, budget.left))
    return [] if search is None else search.run(table, budget, estimate_total(ones))


def affordable_share(
    domain: Domain, pairs: Sequence[Clique], budget: FilterBudget, total: float
) -> float:
    """Return the share of the budget that parities may cost in view of what else it measures.

    A share of s adds s / 2 to the noise of pairs, or of columns where no pair is measured, in
    parts of it: little where they are few, and records many.
    """
    precision, harm = budget.precision_left, MOST_HARM
    if pairs:
        allocation = Allocation.of(domain, pairs, precision)
        noise = sum(allocation.price(domain, pair) for pair in pairs) / 2
        mean = noise / math.comb(len(domain), 2)
    else:
        harm = MOST_HARM_ALONE
        sizes = np.array(domain.sizes, dtype=float)
        each = precision * sizes ** (2 / 3) / (sizes ** (2 / 3)).sum()
        mean = float(np.mean(MEAN_NOISE * sizes / np.sqrt(each)))  # half of both of a pair
    return min(MOST_SHARE, 2 * harm * total / mean) if mean else MOST_SHARE


def add_interactions(
    table: PrivateTable, seen: Selected, budget: FilterBudget, *, max_cells: int
) -> Selected:
    """Return what was selected with a clique for each interaction found, as far as a tree holds it.

    Attributes that stand in no pair are coarsened to the halves that interact where the whole
    table would have more noise than it is worth. Interactions come first: pairs that the tree
    no longer holds are left out.
    """
    if not seen.scores or len(table.domain) < 3:
        return seen
    ones = [seen.compression.compress(one) for one in seen.ones]
    coarse = table.coarsen(seen.compression.groups)
    total = estimate_total(ones)
    share = affordable_share(coarse.domain, seen.pairs, budget, total)
    found = search_interactions(coarse, ones, budget, share)
    if not found:
        return seen
    error = MEAN_NOISE / math.sqrt(max(budget.precision_left * CLIQUE_SHARE, 1e-300))
    most = LARGEST_ERROR * total / error
    compression = _halved(seen, table.domain, found, most)
    domain = compression.domain
    kept = replace(seen, compression=compression)
    for interaction in found:
        cells = domain.cells(interaction.clique)
        noise = error * math.sqrt(cells)  # of the parity, had the table's cells this noise
        if noise <= abs(interaction.effect) * total / 4:
            kept = _with_clique(kept, interaction, MOST_LOST * total, max_cells)
    return kept if kept.pairs != seen.pairs else seen


def _with_clique(
    seen: Selected, interaction: Interaction, total: float, max_cells: int
) -> Selected:
    """Return what was selected with one clique more, unless it takes the room of better pairs."""
    domain, clique = seen.compression.domain, interaction.clique
    larger = [other for other in seen.pairs if len(other) > 2]
    pairs = [pair for pair in seen.pairs if len(pair) == 2]
    if not fits(domain, [*larger, clique], max_cells):
        return seen
    kept = as_many_as_fit(domain, pairs, max_cells, beside=[*larger, clique])
    lost = sum(seen.scores.get(pair, 0.0) for pair in pairs[len(kept) :])
    if lost > abs(interaction.effect) * total:
        return seen
    return replace(seen, pairs=[*larger, clique, *kept])


def _halved(
    seen: Selected, domain: Domain, found: Sequence[Interaction], most: float
) -> Compression:
    """Return groups that are no finer than interactions need, of attributes without a pair.

    Of those alone that stand in a clique of more than so many cells. Attributes with structural
    zeros stay as they are.
    """
    compression = seen.compression
    coarse = compression.domain
    large = [one for one in found if coarse.cells(one.clique) > most]
    fixed = {attribute for pair in seen.pairs for attribute in pair}
    fixed |= {attribute for support in domain.supports for attribute in support.clique}
    groups = dict(compression.groups)
    for attribute in {a: None for one in large for a in one.clique if a not in fixed}:
        halves = [one.halves[attribute] for one in found if attribute in one.halves]
        rows = np.stack(halves, axis=1)
        merged = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)
        groups[attribute] = np.asarray(merged[compression.groups[attribute]], dtype=np.int32)
    changed = Compression(domain.coarsened(groups), groups, compression.shares)
    return changed.shared_by(domain, seen.ones)
