"""Planted faults that a replay finds: synthesizers that leak beside the door, or charge too little.

``REPLAYED`` names them, with correct ones (``P0 ...``) that must pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import pandas as pd

from dp_synth.accounting import Adjacency, PrivacyBudget
from dp_synth.audit.planted import leaking
from dp_synth.audit.planted.laplace_leaks import own_laplace
from dp_synth.audit.planted.leaking import KEPT, RECORDS, SHARED, Planted, PlantedBefore
from dp_synth.audit.replayer import ReplayReport, replay
from dp_synth.schema import Schema
from dp_synth.synthesizers.base import Synthesizer

BUDGET = PrivacyBudget(1.0, 1e-5)


@dataclass(frozen=True)
class ReplayedBug:
    """A synthesizer with a fault, and the kind of `Fault` by which a replay has to name it."""

    name: str
    fault: str
    twin_of: str
    synthesizer: Synthesizer
    found: str
    adjacency: Adjacency = "add_remove"
    delta: float = BUDGET.delta

    @property
    def is_correct(self) -> bool:
        """Whether there is nothing to be found."""
        return not self.fault


def planted_table() -> tuple[pd.DataFrame, Schema]:
    """Return 24 records of a group, an age and an illness; one of them is alone in its group."""
    ages = [18, 18, 21, 23, 25, 29, 31, 33, 35, 38, 40, 41, 44, 47, 50, 52, 55, 58, 60, 63, 66, 70]
    groups = ["a", "b"] * 9 + ["c"] * KEPT + ["a", "a", "d"]
    sick = ["yes" if place % 5 == 0 else "no" for place in range(RECORDS)]
    frame = pd.DataFrame({"group": groups, "age": [*ages, 75, 79], "sick": sick})
    fields: list[dict[str, object]] = [
        {"name": "group", "type": "categorical", "categories": list("abcd")},
        {"name": "age", "type": "integer", "lower": 0, "upper": 119, "bins": 4},
        {"name": "sick", "type": "categorical", "categories": ["no", "yes"]},
    ]
    return frame, Schema.from_dict({"name": "planted", "columns": fields})


_NOISE, _READ, _MOVED, _DIFFERS = "noise", "read outside the door", "sensitivity", "differs"
_UNCHARGED = "uncharged"
_TREE = "synthcity PrivBayes"
_GRADIENTS = "akin to synthcity DPGAN, smartnoise DPGAN"

_BUGS = (
    ReplayedBug("P0 columns", "", "", Planted(leaking.columns), ""),
    ReplayedBug("P0 own noise", "", "", Planted(leaking.own_noise), ""),
    ReplayedBug("P0 votes", "", "", Planted(leaking.voted, leaking.votes_plan), ""),
    ReplayedBug("P0 own fit", "", "", PlantedBefore(), ""),
    ReplayedBug(
        "P2 sigma / 2",
        "noise of half the standard deviation that is charged",
        "a sensitivity of 1 that is 2",
        Planted(partial(leaking.own_noise, told=0.5)),
        _NOISE,
    ),
    ReplayedBug(
        "P3 scale / n",
        "the noise of counts is divided by the number of records once more",
        "DataSynthesizer up to 0.1.4 (DataSynthesizer#34), synthcity PrivBayes",
        Planted(partial(leaking.own_noise, told=1 / RECORDS)),
        _NOISE,
    ),
    ReplayedBug(
        "P4 histogram",
        "noise for a record added, where a record replaced moves two cells",
        "adjacency confused",
        Planted(leaking.own_noise),
        _MOVED,
        "replace_one",
    ),
    ReplayedBug(
        "P4 sum",
        "noise for a record added, where a record replaced moves a sum twice as far",
        "adjacency confused",
        Planted(partial(leaking.own_question, read=leaking.column_by_column, sensitivity=1.0)),
        _MOVED,
        "replace_one",
    ),
    ReplayedBug(
        "P5 categories seen",
        "the domain is what occurs in the data",
        "synthcity PrivBayes and AIM, smartnoise MST and AIM, dpmm before 2026 (dpmm#19)",
        PlantedBefore(leaking.categories_seen),
        _DIFFERS,
    ),
    ReplayedBug(
        "P5 encoder fitted",
        "categories of few records are merged by their exact counts",
        "encoders that are fitted on rows",
        PlantedBefore(leaking.encoder_fitted),
        _DIFFERS,
    ),
    ReplayedBug(
        "P6 bounds seen",
        "bounds are the least and the largest value of the data",
        "smartnoise PATE-GAN, synthcity PATE-GAN (synthcity#278)",
        PlantedBefore(leaking.bounds_seen),
        _DIFFERS,
    ),
    ReplayedBug(
        "P6 bins seen",
        "bins are cut at the quantiles of the data",
        "KBinsDiscretizer before a private fit",
        PlantedBefore(leaking.bins_seen),
        _DIFFERS,
    ),
    ReplayedBug(
        "P7 empty cells without noise",
        "cells without records stay zero",
        "synthcity PrivBayes",
        Planted(partial(leaking.own_noise, drawn=leaking.where_counted)),
        _NOISE,
    ),
    ReplayedBug(
        "P8 fixed seed",
        "every fit draws its noise from the seed 0",
        "all plugins of synthcity, PRIVBAYES of reprosyn (tapas#101)",
        Planted(partial(leaking.own_noise, drawn=leaking.of_fixed_seed)),
        _NOISE,
    ),
    ReplayedBug(
        "P8 seed of the data",
        "all randomness comes from a seed that the records decide",
        "a hash of the table as its seed",
        PlantedBefore(leaking.seed_of_records),
        _DIFFERS,
    ),
    ReplayedBug(
        "P9 noise used twice",
        "two marginals get the same noise, so that their difference has none",
        "one generator made anew from one seed",
        Planted(partial(leaking.own_noise, drawn=leaking.used_twice)),
        _NOISE,
    ),
    ReplayedBug(
        "P10 teachers share records",
        f"one record reaches {SHARED} teachers",
        "smartnoise PATECTGAN, synthcity PATE-GAN (synthcity#275), mlforhealthlabpub (#29)",
        Planted(partial(leaking.voted, kind=leaking.SharedTeachers), leaking.votes_plan),
        _MOVED,
    ),
    ReplayedBug(
        "P10 parted anew",
        "records are parted among teachers anew in each round",
        "synthcity PATE-GAN (synthcity#275), mlforhealthlabpub (#29)",
        Planted(partial(leaking.voted, kind=leaking.RedrawnTeachers), leaking.votes_plan),
        _MOVED,
    ),
    ReplayedBug(
        "P11 uncharged answer",
        "a second pass over the records is not charged",
        "synthcity PATE-GAN",
        Planted(leaking.second_pass, leaking.pairs_plan),
        _UNCHARGED,
    ),
    ReplayedBug(
        "P11 answered twice",
        "one charge pays for two answers",
        "synthcity PATE-GAN",
        Planted(leaking.second_answer, leaking.pairs_plan),
        _UNCHARGED,
    ),
    ReplayedBug(
        "P11 charged late",
        "an answer is charged after it was read",
        "synthcity PATE-GAN",
        Planted(partial(leaking.second_pass, late=True), leaking.pairs_plan),
        _UNCHARGED,
    ),
    ReplayedBug(
        "P12 no clipping",
        "vectors are summed at whatever norm they have",
        _GRADIENTS,
        Planted(partial(leaking.own_question, read=leaking.unclipped_sum, sensitivity=1.0)),
        _MOVED,
    ),
    ReplayedBug(
        "P12 clipping after summing",
        "the sum is clipped, with noise for one record's part of it",
        _GRADIENTS,
        Planted(partial(leaking.own_question, read=leaking.sum_clipped, sensitivity=1.0)),
        _MOVED,
    ),
    ReplayedBug(
        "P12 clipping after averaging",
        "the mean is clipped, with noise for one record's share of it",
        _GRADIENTS,
        Planted(partial(leaking.own_question, read=leaking.mean_clipped, sensitivity=1.0)),
        _MOVED,
    ),
    ReplayedBug(
        "P12 clipping by layer",
        "each column is clipped to the norm that all of them may have",
        "smartnoise DPGAN and DPCTGAN (smartnoise-sdk#569)",
        Planted(partial(leaking.own_question, read=leaking.column_by_column, sensitivity=1.0)),
        _MOVED,
    ),
    ReplayedBug(
        "P12 another norm",
        "the sensitivity is the largest change of a number, not the L2 norm of all",
        "an L1 or maximum norm for Gaussian noise",
        Planted(partial(leaking.own_question, read=leaking.all_at_once, sensitivity=1.0)),
        _MOVED,
    ),
    ReplayedBug(
        "P14 exact argmax",
        "the pair of the largest exact score is measured",
        _TREE,
        Planted(leaking.exact_scores, leaking.pairs_plan),
        _READ,
    ),
    ReplayedBug(
        "P14 exact threshold",
        "a noisy choice is dropped when its exact score is below a threshold",
        _TREE,
        Planted(partial(leaking.halved_sensitivity, exact=True), leaking.pairs_plan),
        _READ,
    ),
    ReplayedBug(
        "P14 scores move further",
        "scores of a choice move twice as far as is charged",
        "an exponential mechanism with a sensitivity of 1/2",
        Planted(leaking.halved_sensitivity, leaking.pairs_plan),
        _MOVED,
    ),
    ReplayedBug(
        "P14 early stopping",
        "answers end when the exact loss is small",
        "early stopping by a private validation loss",
        Planted(leaking.early_stopping),
        _READ,
    ),
    ReplayedBug(
        "P15 exact total",
        "the model's total is the exact number of records",
        "smartnoise MST and AIM",
        Planted(leaking.exact_total),
        _READ,
    ),
    ReplayedBug(
        "P15 exact rows",
        "the model begins at the records themselves",
        "a mixture that is started at the data",
        Planted(leaking.exact_rows),
        _READ,
    ),
    ReplayedBug(
        "P15 exact number of records",
        "the synthetic table has as many rows as the private one",
        "smartnoise MST and AIM",
        PlantedBefore(after=leaking.rows_kept),
        _DIFFERS,
    ),
    ReplayedBug(
        "P15 balanced classes",
        "as many records of each class are kept as the rarest has",
        "under-sampling before a private fit",
        PlantedBefore(leaking.balanced),
        _MOVED,
    ),
    ReplayedBug(
        "P15 printed",
        "a line of progress says how many kinds of records there are",
        "verbose fits",
        Planted(leaking.printed_loss),
        _READ,
    ),
    ReplayedBug(
        "P15 a warning",
        "a warning says how many records there are",
        "verbose fits",
        PlantedBefore(leaking.counted_aloud),
        _DIFFERS,
    ),
    ReplayedBug(
        "P15 a refusal",
        "a table is refused by how its records are spread",
        "train_test_split with stratify",
        PlantedBefore(leaking.refused),
        _DIFFERS,
    ),
    ReplayedBug(
        "P18 floating-point noise",
        "the last bits of a float tell which value the noise was added to",
        "noise of np.random",
        Planted(partial(leaking.own_noise, drawn=leaking.in_floats)),
        _NOISE,
    ),
    ReplayedBug("P0 Laplace noise", "", "", Planted(own_laplace), "", delta=0.0),
    ReplayedBug(
        "P2 scale / 2",
        "Laplace noise of half the scale that is charged",
        "an L1 sensitivity of 1 that is 2",
        Planted(partial(own_laplace, told=0.5)),
        _NOISE,
        delta=0.0,
    ),
    ReplayedBug(
        "P12 another norm at delta 0",
        "the sensitivity is the largest change of a number, not the L1 norm of all",
        "an L2 or maximum norm for Laplace noise",
        Planted(partial(own_laplace, read=leaking.all_at_once)),
        _MOVED,
        delta=0.0,
    ),
    ReplayedBug(
        "P18 floating-point Laplace noise",
        "the last bits of a float tell which value the noise was added to",
        "noise of np.random",
        Planted(partial(own_laplace, floating=True)),
        _NOISE,
        delta=0.0,
    ),
)

REPLAYED: Mapping[str, ReplayedBug] = MappingProxyType({bug.name: bug for bug in _BUGS})
"""Synthesizers with faults that a replay finds, and correct ones, by name."""


def replay_planted(bug: ReplayedBug, *, seed: int = 0) -> ReplayReport:
    """Return what a replay about all neighbours of `planted_table` finds."""
    frame, schema = planted_table()
    budget = replace(BUDGET, adjacency=bug.adjacency, delta=bug.delta)
    return replay(bug.synthesizer, budget, frame, schema, seed=seed)
