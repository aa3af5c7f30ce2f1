"""Validation paid by the plan of a fit: noisy distances of its model from the private records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Gaussians, Plan
from dp_synth.accounting.plan import Part
from dp_synth.counting import Data
from dp_synth.domain import Domain
from dp_synth.errors import InputError, warn
from dp_synth.extensions import unknown
from dp_synth.inference import Model
from dp_synth.mechanisms import (
    Distances,
    l1_distance_sensitivity,
    measure,
    measure_distances,
    measure_histogram,
)
from dp_synth.mechanisms.gaussian import stddev_of
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.settings import check_settings
from dp_synth.types import Clique, Codes, Floats
from dp_synth.validation_bounds import (
    COUNT,
    DISTANCES,
    HOLDOUT,
    MEMBERS,
    PARTS,
    expected_records,
    fineness_of,
)

LARGEST_SHARE = 0.5
MOST_PAIRS = 1_000  # of more, so many are drawn: by a public seed, so that they are no choice
LARGEST_PAIR = 5_000_000  # cells; larger ones are not looked at
GROUPS = 20  # into which more ordered codes are cut, at the model's own quantiles
RELATIVE = {COUNT: 1.0, DISTANCES: 3.0, MEMBERS: 1.0, HOLDOUT: 3.0}  # a hold-out is small
SEED = 0  # of all that is public
DRAWN = 20_000  # rows of the model that say where thresholds lie
SHARES_BELOW = (0.5, 0.9, 0.99)  # of the model's rows: thresholds of the attack; few, for noise


@dataclass(frozen=True)
class Validation:
    """What part of a fit's budget says how good its model is, and of which columns.

    ``share`` is its part of the fit's zCDP cost. Measured are the number of records and, of every
    pair of ``columns`` (all of them if None; of more than ``MOST_PAIRS`` pairs so many, drawn by
    a public seed), the total variation between the fitted records and the model. Ordered columns
    of more than ``GROUPS`` codes are cut at quantiles of the model. With ``attack`` also how
    often an attack on membership is right, for which a fit needs a hold-out: see `against`.
    """

    share: float = 0.05
    columns: tuple[str, ...] | None = None
    attack: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 < self.share <= LARGEST_SHARE:
            raise InputError(
                f"the share of a validation must lie in (0, {LARGEST_SHARE}], got {self.share}"
            )
        if self.columns is not None and (
            not self.columns or len(set(self.columns)) < len(self.columns)
        ):
            raise InputError(f"the columns of a validation must be distinct, got {self.columns}")

    def against(self, holdout: Data) -> Against:
        """Return the validation with an attack, and the hold-out that this needs.

        ``holdout`` are records of other people than those to be fitted, in any form that a fit
        takes. They are as private, and the same budget protects them.
        """
        return Against(replace(self, attack=True), holdout)

    def cliques(self, domain: Domain) -> list[Clique]:
        """Return what is looked at: pairs of columns, or the only column; InputError for none.

        ``domain`` is that of the widest schema: public, and the same before and after the fit.
        """
        names = domain.attributes if self.columns is None else self.columns
        for name in names:
            if name not in domain:
                raise InputError(f"validation: {unknown('column', name, domain.attributes)}")
        pairs: list[Clique] = [
            pair for pair in combinations(names, 2) if domain.cells(pair) <= LARGEST_PAIR
        ]
        if len(pairs) > MOST_PAIRS:
            drawn = np.random.default_rng(SEED).choice(len(pairs), MOST_PAIRS, replace=False)
            pairs = [pairs[place] for place in np.sort(drawn)]
        return pairs or [(name,) for name in names]

    def added_to(self, plan: Plan, widest: Domain) -> Plan:
        """Return the plan with parts that pay for the validation, after all others.

        InputError where the plan has parts of these names of its own.
        """
        if taken := [name for name in plan.parts if name in PARTS]:
            raise InputError(f"the parts {', '.join(taken)} are those of a validation")
        counts = {COUNT: 1, DISTANCES: len(self.cliques(widest))}
        if self.attack:
            counts |= {MEMBERS: 1, HOLDOUT: 1}
        others = math.fsum(part.share for part in plan.parts.values() if part.count) or 1.0
        each = others * self.share / (1 - self.share) / sum(RELATIVE[name] for name in counts)
        added: dict[str, Part] = {
            name: Gaussians(count, each * RELATIVE[name], distances=name == DISTANCES)
            for name, count in counts.items()
        }
        return Plan({**plan.parts, **added})


@dataclass(frozen=True, eq=False)
class Against:
    """A validation with the private records of its hold-out: an argument of a fit, never kept."""

    settings: Validation
    holdout: Data = field(repr=False)


Asked = Validation | Against | float
"""What a fit takes: a number is a share."""


def validate(
    settings: Validation,
    widest: Domain,
    table: PrivateTable,
    others: PrivateTable | None,
    model: Model,
    rng: np.random.Generator,
) -> None:
    """Ask how far ``model`` is from ``table``, and leave the answers in the table's transcript.

    ``others`` are the records of the hold-out, over the same codes and with the same payer.
    What an earlier run of the fit has charged and not answered is left out, with a warning.

    Privacy
    -------
    All is a function of the model, which is public by then, and of Gaussian answers of the parts
    that `Validation.added_to` has planned. One unit moves the number of records by
    ``marginal_sensitivity``, each distance by ``l1_distance_sensitivity`` whatever the number of
    records is, and each histogram of scores by ``marginal_sensitivity``. Fitted and held-out
    records are charged apart, so that the budget also holds for somebody who is in both tables.
    """
    plan, payer = table.payer.plan, table.payer
    parts = {name: plan.gaussians(name) for name in PARTS if name in plan.parts}
    if any(payer.left(part) < part.count for part in parts.values()):
        warn(
            "the validation was charged before the fit was stopped, and cannot be asked again: "
            "the release has none",
            UserWarning,
        )
        return
    [count] = measure(table, [()], parts[COUNT], rng, why="number of records")
    total = expected_records(float(count.values))
    groups = model_groups(model, table.domain)
    coarse, cliques = table.coarsen(groups), settings.cliques(widest)
    sensitivity = l1_distance_sensitivity(payer.adjacency, payer.budget.max_rows)
    chances = {clique: _chances(model, clique, groups) for clique in cliques}
    distances = Distances(
        coarse,
        lambda clique: chances[clique] * total,
        fineness=fineness_of(stddev_of(parts[DISTANCES], sensitivity)),
    )
    measure_distances(distances, cliques, parts[DISTANCES], rng, why="distances from the model")
    if others is None:
        return
    lifts = Lifts.of(chances, coarse.domain, total)
    drawn = model.sample(DRAWN, np.random.default_rng(SEED))
    edges = np.quantile(lifts.scores(_coarsened(drawn, groups, table.domain)), SHARES_BELOW)

    def cells(codes: Codes) -> NDArray[np.integer]:
        return np.searchsorted(edges, lifts.scores(codes), side="left")

    size = len(edges) + 1
    measure_histogram(coarse, cells, size, parts[MEMBERS], rng, why="attacked: fitted records")
    held = others.coarsen(groups)
    measure_histogram(held, cells, size, parts[HOLDOUT], rng, why="attacked: held-out records")


def model_groups(model: Model, domain: Domain) -> dict[str, Codes]:
    """Return a group for each code of ordered attributes of many: cut at the model's quantiles."""
    found = {}
    for attribute, size, ordered in zip(
        domain.attributes, domain.sizes, domain.ordered, strict=True
    ):
        if ordered <= GROUPS:
            continue
        weights = model.marginal((attribute,))[:ordered]
        middle = np.cumsum(weights) - weights / 2
        place = np.floor(middle / max(float(weights.sum()), 1e-300) * GROUPS)
        runs = np.unique(np.minimum(place, GROUPS - 1), return_inverse=True)[1].reshape(-1)
        marks = np.arange(size - ordered) + runs.max() + 1
        found[attribute] = np.concatenate([runs, marks]).astype(np.int32)
    return found


@dataclass(frozen=True, eq=False)
class Lifts:
    """A score of records: how much likelier the model has their pairs than independent columns.

    The mean over pairs of log(P(a, b) / (P(a) P(b))): a record that was learnt by heart lifts its
    own pairs. A composite of the density ratio of DOMIAS (van Breugel et al. 2023,
    arXiv:2302.12580) with the model's own columns for a reference.
    """

    places: tuple[tuple[int, ...], ...]
    tables: tuple[Floats, ...]

    @classmethod
    def of(cls, chances: Mapping[Clique, Floats], domain: Domain, total: float) -> Lifts:
        """Return the score for pairs of probabilities ``chances``, half a record added to each."""
        least, tables = 0.5 / total, []
        for table in chances.values():
            apart = table
            if table.ndim == 2:
                apart = np.outer(table.sum(axis=1), table.sum(axis=0))
            tables.append(np.log((table + least) / (apart + least)))
        places = (tuple(domain.axis(a) for a in clique) for clique in chances)
        return cls(tuple(places), tuple(tables))

    def scores(self, codes: Codes) -> Floats:
        """Return the score of each record, in an order of sums that no other record changes."""
        found = np.zeros(len(codes))
        for places, table in zip(self.places, self.tables, strict=True):
            found += table[tuple(codes[:, place] for place in places)]
        return found / len(self.places)


def _chances(model: Model, clique: Clique, groups: Mapping[str, Codes]) -> Floats:
    """Return the model's probabilities of a marginal, over groups of codes.

    Of a marginal that is too large to be summed out, those among rows that it draws.
    """
    try:
        table = model.marginal(clique)
    except InputError:
        axes = [model.domain.axis(attribute) for attribute in clique]
        rows = model.sample(50 * DRAWN, np.random.default_rng(SEED))
        table = np.zeros(model.domain.shape(clique))
        np.add.at(table, tuple(rows[:, axis] for axis in axes), 1.0)
    for axis, attribute in enumerate(clique):
        if attribute in groups:
            moved = np.moveaxis(table, axis, 0)
            sums = np.zeros((int(groups[attribute].max()) + 1, *moved.shape[1:]))
            np.add.at(sums, groups[attribute], moved)
            table = np.moveaxis(sums, 0, axis)
    table = np.maximum(table, 0.0)
    whole = float(table.sum())
    return np.asarray(table / whole if whole > 0 else np.full(table.shape, 1 / table.size))


def _coarsened(codes: Codes, groups: Mapping[str, Codes], domain: Domain) -> Codes:
    """Return rows of codes as group numbers, where attributes have groups."""
    rows = codes.copy()
    for attribute, group in groups.items():
        axis = domain.axis(attribute)
        rows[:, axis] = group[codes[:, axis]]
    return rows
