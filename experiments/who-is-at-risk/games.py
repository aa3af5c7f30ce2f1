"""Membership games on MST: how well five attacks tell who was fitted, at six epsilons.

64 games at each epsilon, all targets in each: half of a pool of 1,000 records of Adult is fitted
(adjacency replace_one, delta 1e-5), 500 synthetic records are drawn, and every record of the pool
is scored by an attacker who knows the synthesizer and its budget. 32 games calibrate LiRA and
RMIA, the other 32 are tested on; intervals resample games, since what comes out of one game shares
its noise. 100 records that are never fitted serve RMIA, and 1,000 others are the attacker's
reference. Two processes; the last line gives processor seconds, and what two idle cores would need.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import dp_synth as dps
from dp_synth.attacks import AttackerView, ClosestRecord, DensityRatio, MarginalRatio
from dp_synth.attacks.membership_game import Fitted, MembershipGame, Panel, Played
from dp_synth.attacks.scores import Scores, lira, rmia
from dp_synth.synthesizers import MST

EPSILONS = (0.5, 1.0, 4.0, 10.0, 100.0, 1000.0)
POOL, BYSTANDERS, REFERENCE = 1000, 100, 1000
DELTA, FPR = 1e-5, 0.01

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timed:
    """A panel that also says how long it took."""

    panel: Panel

    def __call__(self, synthetic: pd.DataFrame) -> tuple[Floats, float]:
        """Return the scores and the processor seconds they took."""
        started = process_time()
        return self.panel(synthetic), process_time() - started


def make_panel(data: dps.datasets.Dataset) -> Panel:
    reference, bystanders = data.reference.head(REFERENCE), data.holdout.head(BYSTANDERS)
    view = AttackerView(data.train.head(0), data.schema, reference, records=POOL // 2)
    attacks = {attack.name: attack for attack in (ClosestRecord(), DensityRatio(), MarginalRatio())}
    return Panel(attacks, data.train.head(POOL), view, bystanders)


def five_scores(panel: Panel, played: Played[Floats]) -> dict[str, Scores]:
    """Return the test games' scores of three attacks, and of the last one calibrated twice."""
    scores, games = panel.scores(played), len(played.seen)
    training, tested = np.arange(games // 2), np.arange(games // 2, games)
    found = {name: of_one.among(tested) for name, of_one in scores.items()}
    name = "marginal_ratio"
    before = scores[name].among(training)
    others = panel.bystander_scores(played)[name]
    found[f"lira({name})"] = lira(found[name], before)
    found[f"rmia({name})"] = rmia(
        found[name], others[tested], before, training_bystanders=others[training]
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=2)
    settings = parser.parse_args()
    data = dps.datasets.load("adult")
    panel, started = make_panel(data), perf_counter()
    fits = looks = 0.0
    print(f"{'epsilon':>8} {'attack':22} {'AUC':>25} {f'TPR at FPR {FPR:.0%}':>25}")
    for place, epsilon in enumerate(EPSILONS):
        budget = dps.PrivacyBudget(epsilon, DELTA, "replace_one")
        generate = Fitted(MST(), data.schema, budget, records=POOL // 2)
        game = MembershipGame(generate, panel.targets)
        knowing = replace(panel, view=replace(panel.view, synthesizer=MST(), budget=budget))
        timed = game.play(Timed(knowing), settings.games, seed=place, jobs=settings.jobs)
        fits += sum(timed.seconds)
        looks += sum(seen[1] for seen in timed.seen if seen is not None)
        played = timed.looked_at(lambda seen: seen[0])
        for name, scores in five_scores(panel, played).items():
            rate = scores.tpr_at_fpr(FPR)
            print(f"{epsilon:8g} {name:22} {scores.auc()!s:>25} {rate!s:>25}", flush=True)
    seconds, count = perf_counter() - started, len(EPSILONS) * settings.games
    print(f"{count} games of {POOL} targets in {seconds:.0f} s, {settings.jobs} processes")
    rest = process_time()
    print(
        f"processor seconds: fits {fits:.0f}, scores {looks:.0f}, the rest {rest:.0f}; "
        f"on two idle cores {(fits + looks) / 2 + rest:.0f} s"
    )


if __name__ == "__main__":
    main()
