"""Membership games with targets of four degrees of rarity: who of them can be told to be fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

import dp_synth as dps
from dp_synth.attacks import (
    AttackerView,
    ClosestRecord,
    Fitted,
    MarginalRatio,
    MembershipGame,
    Panel,
    vulnerability,
)

ATTACKS = {attack.name: attack for attack in (ClosestRecord(), MarginalRatio())}
BANDS = {  # of the table's records by rarity, from which share to which
    "rarest 1 %": (0.0, 0.01),
    "next 9 %": (0.01, 0.1),
    "next 40 %": (0.1, 0.5),
    "commonest 50 %": (0.5, 1.0),
}
SUBGROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {  # attribute and categories
    "women": ("sex", ("Female",)),
    "men": ("sex", ("Male",)),
    "race White": ("race", ("White",)),
    "other races": ("race", ("Black", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other")),
}
Rank = Literal["rarity", "isolation", "leverage"]
RANKS: tuple[Rank, ...] = ("rarity", "isolation", "leverage")
A_BAND, FIXED, REFERENCE, GAMES = 150, 700, 1000, 16
DELTA, FPR = 1e-5, 0.01


class Judged(TypedDict):
    """AUC, TPR and targets of each group, and the agreement of AUC with each rank."""

    groups: dict[str, dict[str, float]]
    ranks: dict[str, float]


Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Setting:
    """The targets of one seed, in equal numbers from each band, and the records beside them."""

    data: dps.datasets.Dataset
    targets: pd.DataFrame
    fixed: pd.DataFrame
    band: NDArray[np.intp]

    @classmethod
    def of_seed(cls, seed: int) -> Setting:
        """Return targets and fixed records of Adult's training and hold-out parts."""
        data = dps.datasets.load("adult")
        rng = np.random.default_rng(seed)
        whole = pd.concat([data.train, data.holdout], ignore_index=True)
        # A target that has a double is fitted while it is out: each record once.
        table = whole[~whole.duplicated(keep=False)].reset_index(drop=True)
        order = np.argsort(-vulnerability(table, data.schema, "rarity"), kind="stable")
        cuts = [(int(a * len(order)), int(b * len(order))) for a, b in BANDS.values()]
        chosen = [rng.choice(order[a:b], A_BAND, replace=False) for a, b in cuts]
        others = np.setdiff1d(order, np.concatenate(chosen))
        return cls(
            data,
            table.iloc[np.concatenate(chosen)].reset_index(drop=True),
            table.iloc[rng.choice(others, FIXED, replace=False)].reset_index(drop=True),
            np.repeat(np.arange(len(BANDS)), A_BAND),
        )

    @property
    def records(self) -> int:
        """How many records each game fits."""
        return len(self.targets) // 2 + len(self.fixed)

    @property
    def groups(self) -> Iterator[tuple[str, Flags]]:
        """The bands and the subgroups, with who belongs to them."""
        for place, name in enumerate(BANDS):
            yield name, self.band == place
        yield "everybody", np.ones(len(self.targets), dtype=bool)
        for name, (attribute, categories) in SUBGROUPS.items():
            yield name, self.targets[attribute].isin(categories).to_numpy()

    @property
    def weights(self) -> Floats:
        """How many records of the table a target stands for, up to one factor."""
        shares = np.array([end - start for start, end in BANDS.values()])
        return np.asarray(shares[self.band])


def play(
    setting: Setting, synthesizer: dps.Synthesizer | None, epsilon: float, seed: int
) -> dict[str, Judged]:
    """Return AUC and TPR of each attack in each group, and what the ranks foretell of AUC.

    Without a synthesizer the synthetic table is a bootstrap of the fitted records.
    """
    schema, reference = setting.data.schema, setting.data.reference.head(REFERENCE)
    view = AttackerView(setting.targets.head(0), schema, reference, records=setting.records)
    generate: Callable[[pd.DataFrame, int], pd.DataFrame] = bootstrapped
    if synthesizer is not None:
        budget = dps.PrivacyBudget(epsilon, DELTA, "replace_one")
        generate = Fitted(synthesizer, schema, budget, setting.records)
        view = replace(view, synthesizer=synthesizer, budget=budget)
    panel = Panel(ATTACKS, setting.targets, view)
    game = MembershipGame(generate, setting.targets, fixed=setting.fixed)
    played = game.play(panel, GAMES, seed=seed)
    found = np.array(played.seen)  # shape (games, attacks, targets)
    return {
        name: judged(setting, found[:, place], played.member) for place, name in enumerate(ATTACKS)
    }


def bootstrapped(members: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return as many records, drawn from the fitted ones with replacement: no privacy."""
    places = np.random.default_rng(seed).integers(len(members), size=len(members))
    return members.iloc[places].reset_index(drop=True)


def judged(setting: Setting, scores: Floats, member: Flags) -> Judged:
    """Return what one attack's scores, of shape (games, targets), say of each group."""
    areas, above = own_areas(scores, member), above_own(scores, member)
    weights = setting.weights
    together = pd.concat([setting.targets, setting.fixed], ignore_index=True)
    groups = {
        name: {
            "auc": round(float(np.average(areas[inside], weights=weights[inside])), 5),
            "tpr": round(
                rate_above(above[:, inside], member[:, inside], weights[inside], fpr=FPR), 5
            ),
            "targets": int(inside.sum()),
        }
        for name, inside in setting.groups
    }
    ranks: dict[str, float] = {
        rank: round(_agreement(vulnerability(together, setting.data.schema, rank), areas), 4)
        for rank in RANKS
    }
    return {"groups": groups, "ranks": ranks}


def own_areas(scores: Floats, member: Flags) -> Floats:
    """Return for each target the chance that it scores higher when fitted, ties counted half."""
    areas = np.empty(scores.shape[1])
    for target in range(scores.shape[1]):
        inside = member[:, target]
        ranks = rankdata(scores[:, target])
        count, out = int(inside.sum()), int((~inside).sum())
        areas[target] = (ranks[inside].sum() - count * (count + 1) / 2) / (count * out)
    return areas


def above_own(scores: Floats, member: Flags) -> Floats:
    """Return scores less what the target scores, on average, in the other games it was out of.

    An attacker finds that average by games of its own, without the private table.
    """
    out = np.where(member, 0.0, scores)
    others = (~member).sum(axis=0) - ~member
    return np.asarray(scores - (out.sum(axis=0) - out) / others)


def rate_above(scores: Floats, member: Flags, weights: Floats, *, fpr: float) -> float:
    """Return the weighted share of members above what a share ``fpr`` of the others reach."""
    spread = np.broadcast_to(weights, scores.shape)
    order = np.argsort(-scores[~member], kind="stable")
    reached = np.cumsum(spread[~member][order]) / spread[~member].sum()
    bar = scores[~member][order][np.searchsorted(reached, fpr)]
    inside, its = scores[member], spread[member]
    return float(its[inside > bar].sum() / its.sum())


def _agreement(rank: Floats, areas: Floats) -> float:
    return float(spearmanr(rank[: len(areas)], areas).statistic)
