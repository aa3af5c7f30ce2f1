"""The networks on coded Adult at delta 1e-5: utility and cost, every fit in its own process.

Writes one line a fit to ``deep_adult.jsonl`` and prints the table that is drawn from them
(``tables.py``). Split, TV and boosting are those of `synthesizers.py`, logistic regression is that
of `dps.metrics.utility`; CPU and wall seconds are of one thread, calibration apart. One more line a
seed tells what a critic's step costs beside the same step without privacy; ``--steps`` measures
these alone. Needs the folder that DP_SYNTH_DATA names, and the extra `deep`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import dp_synth as dps
from benchmarks import tables
from benchmarks.deep_tables import STEP
from benchmarks.fits import Fits, compute
from benchmarks.inputs import Source
from benchmarks.measured import Record, arguments, keep, read

DELTA = 1e-5
TIMED_STEPS = 200
SOURCE, RAW = Source("adult_discrete"), Source("adult_raw")
BOTH = ("dpctgan", "marginal_generator")  # at epsilon 1 on raw Adult as well
METHODS: Sequence[tuple[str, Mapping[str, object], Sequence[float]]] = (
    ("dpctgan", {}, (1.0, 3.0)),
    ("marginal_generator", {}, (1.0,)),
    ("pategan", {"label": "income>50K"}, (1.0,)),
    ("patectgan", {"label": "income>50K"}, (1.0,)),
    ("dpgan", {}, (1.0,)),
)


def fits(seeds: int) -> Iterator[Fits]:
    """Yield each network at its epsilons on coded Adult, and two of them on raw Adult."""
    told = {"classified": True, "delta": DELTA}
    for name, settings, epsilons in METHODS:
        yield Fits(SOURCE, [(name, settings)], epsilons, range(seeds), **told)
    yield Fits(RAW, [(name, {}) for name in BOTH], [1.0], range(seeds), **told)


def milliseconds(step: Callable[[], None]) -> float:
    """Return the CPU time of one call, once it is warm."""
    step()
    started = time.process_time()
    for _ in range(TIMED_STEPS):
        step()
    return 1000 * (time.process_time() - started) / TIMED_STEPS


def time_steps(
    seed: int, rows: int = 1024, inputs: int = 320, width: int = 128
) -> dict[str, float]:
    """Return what a critic's step takes on records and generated rows, without privacy and with."""
    import torch

    from dp_synth.mechanisms.dp_sgd import Critic, whole_sums
    from dp_synth.mechanisms.noise import rounded_gaussian

    torch.set_num_threads(1)
    coins = torch.Generator().manual_seed(seed)
    critic = Critic(inputs, [width], coins)
    real, made = ((torch.rand(rows, inputs, generator=coins) < 0.1).float() for _ in range(2))
    optimizer = torch.optim.Adam(critic.parameters())

    def plain() -> None:
        optimizer.zero_grad()
        (critic(made) - critic(real)).mean().backward()
        optimizer.step()

    def private() -> None:
        sums = whole_sums(critic, real, -1.0, 1.0), whole_sums(critic, made, 1.0, 1.0)
        for parameter, ours, other in zip(critic.parameters(), *sums, strict=True):
            drawn = rounded_gaussian(4.0 * 2.0**ours.bits, tuple(ours.whole.shape))
            noisy = ours._replace(whole=ours.whole + torch.from_numpy(drawn))
            parameter.grad = ((noisy.times(1.0) + other.times(1.0)) / rows).float()
        optimizer.step()

    without, with_privacy = milliseconds(plain), milliseconds(private)
    return {
        "step_milliseconds": with_privacy,
        "plain_step_milliseconds": without,
        "step_ratio": with_privacy / without,
    }


def keep_steps(results: Path, seeds: int, *, resume: bool) -> None:
    """Keep a line a seed with the cost of a private step, in place of those that were there."""
    others = [r for r in read(results) if r["synthesizer"] != STEP]
    steps = [r for r in read(results) if r["synthesizer"] == STEP]
    if resume and len(steps) == seeds:
        return
    what = {"table": SOURCE.label, "synthesizer": STEP, "settings": {}, "epsilon": 0.0}
    timed: list[Record] = [
        {**what, "seed": seed, "version": dps.__version__, "values": time_steps(seed)}
        for seed in range(seeds)
    ]
    keep(results, [*others, *timed])


def parser() -> argparse.ArgumentParser:
    """Return what all measuring scripts are told, and that steps alone may be timed."""
    told = arguments()
    told.add_argument("--steps", action="store_true", help="time training steps alone")
    return told


def main() -> None:
    given = parser().parse_args()
    results = given.results / "deep_adult.jsonl"
    if not given.steps:
        steps = [line for line in read(results) if line["synthesizer"] == STEP]
        compute(fits(given.seeds), results, resume=given.resume)
        keep(results, [*read(results), *steps])
    keep_steps(results, given.seeds, resume=given.resume)
    print(f"\n{tables.draw('networks coded', given.results)}")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"deep_adult: {error}")
