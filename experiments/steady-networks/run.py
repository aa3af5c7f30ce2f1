"""How much DPGAN's result depends on the seed, and on the kernels of a processor: TV of pairs.

Fits the bundled Adult table at epsilon 1 and delta 1e-5 with nine seeds, as cells of `deep.yaml`
do: once with the rows of one generator of averaged weights (``late_share=0``, all that there was
before it), once with those of all late generators together, the default. Trainings of one seed are
the same up to the rows. With ``--kernels`` the first seed is fitted once more under the vector
instructions of lesser processors. Every line is kept in ``dpgan_steadiness.jsonl``; what stands
there is not fitted again with ``--resume``. Twenty minutes of one core, a few more with kernels.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from benchmarks.measured import RESULTS, Record, keep, read
from benchmarks.versions import ONE_THREAD, ROOT, lines_by
from dp_synth.benchmark.diff import LiveCell
from paper.documents import markdown

LINES = RESULTS / "dpgan_steadiness.jsonl"
SEEDS = 9
BEFORE = 0.0  # of late_share
LEVELS = ("default", "avx2")  # of ATEN_CPU_CAPABILITY, both of which every x86-64 of today has


def fit(late_share: float, seed: int) -> Record:
    """Return the line of one fit, done in this process."""
    import torch  # noqa: F401  # so that its kernels are told

    import dp_synth as dps
    from dp_synth.benchmark.cell import Machine
    from dp_synth.benchmark.cell_run import child_seed

    data = dps.datasets.load("adult")
    accountant = dps.Accountant(dps.PrivacyBudget(epsilon=1.0, delta=1e-5), simulate=True)
    recipe = dps.DPGAN(late_share=late_share)
    started = time.process_time()
    release = recipe.fit(data.train, data.schema, accountant, seed=child_seed(seed, "fit"))
    seconds = time.process_time() - started
    rows = release.sample(len(data.train), seed=child_seed(seed, "sample"))
    error = dps.metrics.workload_error(data.train, rows, data.schema, degree=2)
    machine = Machine.here()
    return {
        "late_share": late_share,
        "seed": seed,
        "tv2": error.value,
        "seconds": round(seconds, 1),
        "processor": machine.processor,
        "torch": machine.torch,
        "kernels": machine.kernels,
    }


def fit_apart(late_share: float, seed: int, level: str) -> Record:
    """Return the line of one fit in a process of its own, under kernels of one level if any."""
    variables = ONE_THREAD | ({"ATEN_CPU_CAPABILITY": level} if level else {})
    told = ("--one", late_share, seed)
    (line,) = lines_by(ROOT, "experiments.steady_networks.run", *told, **variables)
    return json.loads(line) | {"level": level}


def table(lines: list[Record], default: float) -> str:
    """Return a row for each way and its deviation over seeds, then one for each kernel level."""
    head = ["rows of", *map(str, range(SEEDS)), "mean", "deviation", "CPU s"]
    rows = []
    for says, share in (("one averaged generator", BEFORE), ("late generators", default)):
        own = {x["seed"]: x for x in lines if x["late_share"] == share and not x["level"]}
        values = np.array([line["tv2"] for line in own.values()])
        if len(values) < 2:
            continue
        shown = [f"{own[s]['tv2']:.3f}" if s in own else "-" for s in range(SEEDS)]
        spent = np.mean([line["seconds"] for line in own.values()])
        deviation = values.std(ddof=1)
        rows.append([says, *shown, f"{values.mean():.4f}", f"{deviation:.4f}", f"{spent:.1f}"])
    return "\n".join([markdown(head, rows), *_beside(lines, default)])


def _beside(lines: list[Record], default: float) -> list[str]:
    """Return a line for each fit under other kernels beside the seeds under one's own."""
    said = []
    for share in (BEFORE, default):
        own = [x["tv2"] for x in lines if x["late_share"] == share and not x["level"]]
        others = [x for x in lines if x["late_share"] == share and x["level"]]
        for line in others if own else []:
            name = f"late_share {share:g} seed {line['seed']} {line['kernels']}"
            said.append(str(LiveCell.of(name, line["tv2"], own, 0.0)))
    return said


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--resume", action="store_true", help="keep the lines that are there")
    told.add_argument("--kernels", action="store_true", help="other instruction sets as well")
    told.add_argument("--one", nargs=2, metavar=("SHARE", "SEED"), help=argparse.SUPPRESS)
    given = told.parse_args()
    if given.one:
        print(json.dumps(fit(float(given.one[0]), int(given.one[1]))))
        return
    from dp_synth.synthesizers.dpgan import DPGAN

    default = DPGAN.late_share
    wanted = [(share, seed, "") for share in (BEFORE, default) for seed in range(SEEDS)]
    if given.kernels:
        wanted += [(share, 0, level) for share in (BEFORE, default) for level in LEVELS]
    lines = read(LINES) if given.resume else []
    done = {(line["late_share"], line["seed"], line["level"]) for line in lines}
    for task in wanted:
        if task not in done:
            lines.append(fit_apart(*task))
            keep(LINES, lines)
    print(table(lines, default))


if __name__ == "__main__":
    main()
