"""What the low bits of DP-SGD's sums tell, and by how many clips one record moves them.

    python -m experiments low-bits [--parts bits clip] [--runs 200]

**bits**: tables of one record and of none, a plan calibrated to (1, 1e-5), 300 steps, a critic of
12-16-1. The score of a run is the number of steps in which noise in single precision leads to every
coordinate from the record's own gradient. Beside the door of today stands the sampler of a planted
fault: the same sums and noise scale in single precision.
**clip**: by how many clips one record moves the sum of a large batch: whole numbers, and products
in single precision as they were.

Lines are kept in ``float_bits.jsonl``, in place of those of the same part. What exact sums did to
trainings is told by ``python -m benchmarks.beside dpctgan --set steps=1500 --before CHECKOUT``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measured import Record, arguments, keep, read
from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians, compose
from dp_synth.accounting.events import SampledGaussian
from dp_synth.audit import Worlds, area_test, clopper_pearson_bound
from dp_synth.audit.likelihood_ratio import reached
from dp_synth.domain import Domain
from dp_synth.mechanisms.dp_sgd import Critic, SampledGradients, whole_sums
from dp_synth.mechanisms.table import PrivateTable
from paper.documents import markdown

STEPS, RATE, INPUTS, WIDTH = 300, 0.026, 12, 16
EPSILON, DELTA = 1.0, 1e-5
Floats = NDArray[np.float64]


def scores(records: int, runs: int, *, floating: bool, seed: int) -> Floats:
    """Return in how many steps of a run the record leads to all that left the door."""

    domain = Domain(tuple(f"c{number}" for number in range(INPUTS)), (2,) * INPUTS)
    codes = np.ones((records, INPUTS), dtype=np.int32)
    plan = Plan({"steps": SampledGaussians(STEPS, RATE)})
    critic = Critic(INPUTS, [WIDTH], torch.Generator().manual_seed(0))
    own = [part.times(1.0).float() for part in whole_sums(critic, torch.ones(1, INPUTS), -1.0, 1.0)]
    found, rng = [], np.random.default_rng(seed)
    for _run in range(runs):
        accountant = Accountant(PrivacyBudget(EPSILON, DELTA), simulate=True)
        payer = accountant.admit("steps", plan)
        table, part = PrivateTable(codes, domain, payer), payer.plan.sampled("steps")
        gradients = SampledGradients(
            table, part, rng, clip=1.0, encode=lambda some, coins: some.float()
        )
        sigma, count = part.event().noise_multiplier, 0
        for _ in range(STEPS):
            if floating:
                there = bool(records) and rng.random() < RATE
                noise = [rng.normal(0.0, sigma, tuple(one.shape)) for one in own]
                released = [
                    one * there + torch.from_numpy(drawn).float()
                    for one, drawn in zip(own, noise, strict=True)
                ]
            else:
                released = gradients.step(critic, -1.0)
            count += all(
                reached(a.numpy(), b.numpy()).all() for a, b in zip(released, own, strict=True)
            )
        found.append(count)
    return np.array(found, dtype=np.float64)


def bits(runs: int) -> list[Record]:
    """Return the AUC of the distinguisher, on the exact sampler and on one in floating point."""
    accountant = Accountant(PrivacyBudget(EPSILON, DELTA), simulate=True)
    part = accountant.admit("steps", Plan({"steps": SampledGaussians(STEPS, RATE)})).plan
    sigma = part.sampled("steps").event().noise_multiplier
    claim = compose([(SampledGaussian(sigma, RATE, STEPS), 1)])
    lines: list[Record] = []
    for name, floating in (("exact", False), ("planted fault: floating point", True)):
        inside, outside = (
            scores(records, runs, floating=floating, seed=1000 + records) for records in (1, 0)
        )
        rng = np.random.default_rng(0)
        worlds = Worlds.of(inside, outside)
        test = area_test(worlds, claim, DELTA, rng=rng)
        proven = clopper_pearson_bound(worlds, DELTA, rng=rng)
        line = {"part": "bits", "sampler": name, "runs": runs, "noise_multiplier": sigma}
        line |= {"auc": test.area, "permitted": test.permitted, "p_value": test.p_value}
        line |= {"epsilon_proven": proven.epsilon, "ceiling": proven.ceiling}
        means = {"mean_inside": float(inside.mean()), "mean_outside": float(outside.mean())}
        lines.append(line | means)
    return lines


def clips() -> list[Record]:
    """Return how far one record moves the sum of a batch, in clips."""

    torch.set_num_threads(1)
    critic = Critic(174, [128], torch.Generator().manual_seed(0))
    lines: list[Record] = []
    for records in (1400, 100_000):
        rng = np.random.default_rng(records)
        rows = torch.zeros(records, 174)
        rows.scatter_(1, torch.from_numpy(rng.integers(0, 174, (records, 15))), 1.0)
        most = {"exact": 0.0, "single precision": 0.0}
        with_it = whole_sums(critic, rows, -1.0, 1.0)
        with_float = float_sum(critic, rows)
        for place in range(8):
            others = torch.cat([rows[:place], rows[place + 1 :]])
            moved = [
                (a.times(1.0) - b.times(1.0)).ravel()
                for a, b in zip(with_it, whole_sums(critic, others, -1.0, 1.0), strict=True)
            ]
            most["exact"] = max(most["exact"], float(torch.cat(moved).norm()))
            gone = with_float.double() - float_sum(critic, others).double()
            most["single precision"] = max(most["single precision"], float(gone.norm()))
        lines += [
            {"part": "clip", "sampler": name, "records": records, "moved": value}
            for name, value in most.items()
        ]
    return lines


def float_sum(critic: Critic, rows: torch.Tensor) -> torch.Tensor:
    """Return a sum of clipped gradients in single precision, as products give it."""
    first, second = critic.layers
    with torch.no_grad():
        out = first(rows)
        hidden = torch.nn.functional.leaky_relu(out, 0.2)
        slope = -second.weight * torch.where(out > 0, 1.0, 0.2)
        squares = (rows.square().sum(1) + 1) * slope.square().sum(1)
        factors = 1.0 / (squares + hidden.square().sum(1) + 1).sqrt().clamp(min=1.0)
        scaled = slope * factors[:, None]
        parts = [scaled.T @ rows, scaled.sum(0), -factors @ hidden, -factors.sum()]
    return torch.cat([part.reshape(-1) for part in parts])


def tables(lines: list[Record]) -> str:
    """Return what was measured as tables."""
    head = ["sampler", "runs a world", "AUC", "permitted", "p", "epsilon >=", "ceiling"]
    names = ("sampler", "runs", "auc", "permitted", "p_value", "epsilon_proven", "ceiling")
    own = [line for line in lines if line["part"] == "bits"]
    said = markdown(head, [[_shown(line[name]) for name in names] for line in own])
    own = [line for line in lines if line["part"] == "clip"]
    rows = [[str(x["records"]), x["sampler"], f"{x['moved']:.7f}"] for x in own]
    return f"{said}\n\n{markdown(['records', 'sums', 'one record moves, in clips'], rows)}"


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Measure the parts that are asked for, and print all that is kept."""
    told = arguments((__doc__ or "").splitlines()[0])
    told.add_argument("--parts", nargs="+", default=["bits", "clip"], choices=["bits", "clip"])
    told.add_argument("--runs", type=int, default=200, help="of a world, for the distinguisher")
    given = told.parse_args()
    results = given.results / "float_bits.jsonl"
    lines = [line for line in read(results) if line["part"] not in given.parts]
    lines += bits(given.runs) if "bits" in given.parts else []
    lines += clips() if "clip" in given.parts else []
    keep(results, lines)
    print(tables(lines))


if __name__ == "__main__":
    main()
