"""One training of DPGAN with canaries: what its noisy gradients prove, as it is and with a fault.

    python -m experiments.audit_tightness.canaries [--canaries 100] [--runs 3]

Each canary is a record of random codes in many columns, which hardly any other record resembles,
put into a small table by a coin of its own. The auditor knows all other records and sees every
noisy sum of gradients: it takes off what the others add on average, leaves out the direction that
all records share, and explains the rest by the canaries' own clipped gradients (least squares over
all steps). Half of the canaries are guessed, a number chosen beforehand. The fault is noise of a
sixteenth of the scale that the ledger charges. A line a training in ``results/canaries.jsonl``.
Needs the extra `deep`; half a minute a training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

import dp_synth as dps
from benchmarks.measured import Record, arguments, keep
from dp_synth.accounting import Accountant
from dp_synth.audit import guesses, one_run_bound
from dp_synth.mechanisms.dp_sgd import (
    Critic,
    Loss,
    SampledGradients,
    WholeSum,
    clipped_sum,
)
from dp_synth.nn import gan

BUDGET = dps.PrivacyBudget(2.0, 1e-5)
COLUMNS, CATEGORIES, OTHERS = 100, 4, 800
SHARE, LEVEL = 0.5, 0.05  # of the canaries that are guessed
FAULT = 1 / 16
RECIPE = dps.DPGAN(
    steps=200,
    rate=0.5,
    columns_share=0.4,
    critic_width=8,
    generator_width=8,
    fakes=64,
    components=16,
    learning_rate=3e-5,  # a critic that stays small has gradients in which records differ most
)
SEED = 20_261_122
FILE = "canaries.jsonl"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Drill:
    """Records that all are in, canaries, and the coin of each."""

    others: Integers
    canaries: Integers
    included: NDArray[np.bool_]

    @classmethod
    def drawn(cls, canaries: int, rng: np.random.Generator) -> Drill:
        """Return a table of random codes, and canaries with fresh coins."""
        others = rng.integers(CATEGORIES, size=(OTHERS, COLUMNS))
        made = rng.integers(CATEGORIES, size=(canaries, COLUMNS))
        return cls(others, made, rng.random(canaries) < 0.5)

    @property
    def table(self) -> pd.DataFrame:
        """What is fitted."""
        codes = np.concatenate([self.others, self.canaries[self.included]])
        return pd.DataFrame(codes, columns=schema().names).astype(str)


def schema() -> dps.Schema:
    """Return the columns, all with the same categories."""
    texts = [str(code) for code in range(CATEGORIES)]
    names = [f"c{number + 1}" for number in range(COLUMNS)]
    fields = [{"name": name, "type": "categorical", "categories": texts} for name in names]
    return dps.Schema.from_dict({"name": "canaries", "columns": fields})


class Watcher:
    """What an auditor gathers, step by step, who sees the critic and every noisy sum."""

    def __init__(self, drill: Drill, rate: float) -> None:
        self._codes = drill.canaries, drill.others
        self._rate = rate
        self._seen = torch.zeros(len(drill.canaries), dtype=torch.float64)
        self._alike = torch.zeros((len(drill.canaries),) * 2, dtype=torch.float64)

    def look(self, gradients: SampledGradients, critic: Critic, loss: Loss, noisy: Tensor) -> None:
        """Add one step: the noisy sum, less what others add on average, along each canary."""
        groups, clip = gradients._table.groups, gradients._clip
        canaries, others = (
            gradients._encode(
                torch.from_numpy(_grouped(codes, groups)),
                torch.zeros(len(codes), dtype=torch.int64),
            )
            for codes in self._codes
        )
        own = torch.stack(
            [_flat(clipped_sum(critic, row, loss, clip)) for row in canaries.split(1)]
        )
        known = _flat(clipped_sum(critic, others, loss, clip))
        alike = known / known.norm()  # what all records share, by which batches differ most
        own = own - torch.outer(own @ alike, alike)
        self._seen += own @ (noisy - self._rate * known)
        self._alike += self._rate * own @ own.T

    def scores(self) -> Floats:
        """Return for each canary how much of it explains what was seen: about 1 if it is in."""
        found, *_ = np.linalg.lstsq(self._alike.numpy(), self._seen.numpy(), rcond=1e-6)
        return np.asarray(found, dtype=np.float64)


def _grouped(codes: Integers, groups: Mapping[str, NDArray[np.int32]]) -> Integers:
    """Return the codes that are one input of the critic's each, of which few are merged."""
    alone = np.arange(CATEGORIES)
    pairs = zip(schema().names, codes.T, strict=True)
    return np.stack([groups.get(name, alone)[column] for name, column in pairs], 1).astype(int)


def _flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.detach().ravel() for part in parts]).to(torch.float64)


@contextmanager
def watched(watcher: Watcher, factor: float) -> Iterator[None]:
    """Let the watcher see every step of trainings here, whose noise is ``factor`` times its own."""

    class Watched(SampledGradients):
        def step(self, critic: Critic, loss: Loss) -> list[Tensor]:  # type: ignore[override]
            noisy = super().step(critic, loss)
            watcher.look(self, critic, loss, _flat(noisy))
            return noisy

        def _noise(self, sums: Sequence[WholeSum]) -> list[WholeSum]:
            drawn = super()._noise(sums)
            return [WholeSum((factor * one).round().long(), bits) for one, bits in drawn]

    with mock.patch.object(gan, "SampledGradients", Watched):
        yield


def audited(canaries: int, factor: float, seed: int, recipe: dps.DPGAN = RECIPE) -> Record:
    """Return what one training with so many canaries proves, as a line of results."""
    drill = Drill.drawn(canaries, np.random.default_rng([SEED, seed]))
    watcher = Watcher(drill, recipe.rate)
    with watched(watcher, factor):
        accountant = Accountant(BUDGET, simulate=True)
        recipe.fit(drill.table, schema(), accountant, seed=seed)
    right, made = guesses(watcher.scores(), drill.included, SHARE)
    bound = one_run_bound(right, made, canaries, BUDGET.delta, level=LEVEL)
    claim = {"synthesizer": recipe.name, "claimed_epsilon": BUDGET.epsilon, "delta": BUDGET.delta}
    training = {"seed": seed, "noise": factor, "canaries": canaries, "steps": recipe.steps}
    values = {"right": right, "made": made, "epsilon": bound.epsilon, "ceiling": bound.ceiling}
    about = {"level": LEVEL, "version": dps.__version__, "command": "canaries.py"}
    return {**claim, **training, **about, "values": values}


def main() -> None:
    """Audit trainings with the noise that is charged, and with the fault; keep a line each."""
    parser = arguments()
    parser.add_argument("--canaries", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3, help="trainings of each kind")
    asked = parser.parse_args()
    records = []
    for factor in (1.0, FAULT):
        for seed in range(asked.runs):
            records.append(audited(asked.canaries, factor, seed))
            print(f"noise {factor:g} of what is charged: {records[-1]['values']}", flush=True)
    keep(asked.results / FILE, records)


if __name__ == "__main__":
    main()
