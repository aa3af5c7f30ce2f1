"""What the low bits of DP-SGD's sums tell, what exact sums cost, and what they do to a training.

    python -m benchmarks.float_bits [--before CHECKOUT] [--parts bits clip use cost] [--runs 200]

**bits**: tables of one record and of none, a plan calibrated to (1, 1e-5), 300 steps, a critic of
12-16-1. The score of a run is the number of steps in which noise in single precision leads to every
coordinate from the record's own gradient. Beside the door of today stands the sampler of a planted
fault: the same sums and noise scale in single precision.
**clip**: by how many clips one record moves the sum of a large batch: whole numbers, and products
in single precision as they were.
**use**: TV and AUC of trainings of DP-CTGAN on the bundled Adult at the same budget, beside the
package of another checkout (``--before``, of a version in floating point), by seeds.
**cost**: CPU of a step of these trainings, by turns, from trainings of few and of more steps.

Lines are kept in ``float_bits.jsonl``; the last parts take a quarter of an hour of one core each.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.versions import lines_by
from paper.documents import markdown

RESULTS = Path(__file__).with_name("results") / "float_bits.jsonl"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
STEPS, RATE, INPUTS, WIDTH = 300, 0.026, 12, 16
EPSILON, DELTA = 1.0, 1e-5
Line = dict[str, object]
Floats = NDArray[np.float64]


def scores(records: int, runs: int, *, floating: bool, seed: int) -> Floats:
    """Return in how many steps of a run the record leads to all that left the door."""
    import torch

    from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
    from dp_synth.audit.likelihood_ratio import reached
    from dp_synth.domain import Domain
    from dp_synth.mechanisms.dp_sgd import Critic, SampledGradients, whole_sums
    from dp_synth.mechanisms.table import PrivateTable

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


def bits(runs: int) -> list[Line]:
    """Return the AUC of the distinguisher, on the exact sampler and on one in floating point."""
    from dp_synth.accounting import SampledGaussians, compose
    from dp_synth.accounting.accountant import Accountant
    from dp_synth.accounting.budget import PrivacyBudget
    from dp_synth.accounting.events import SampledGaussian
    from dp_synth.accounting.plan import Plan
    from dp_synth.audit import Worlds, area_test, clopper_pearson_bound

    accountant = Accountant(PrivacyBudget(EPSILON, DELTA), simulate=True)
    part = accountant.admit("steps", Plan({"steps": SampledGaussians(STEPS, RATE)})).plan
    sigma = part.sampled("steps").event().noise_multiplier
    claim = compose([(SampledGaussian(sigma, RATE, STEPS), 1)])
    lines: list[Line] = []
    for name, floating in (("exact", False), ("planted fault: floating point", True)):
        inside, outside = (
            scores(records, runs, floating=floating, seed=1000 + records) for records in (1, 0)
        )
        rng = np.random.default_rng(0)
        worlds = Worlds.of(inside, outside)
        test = area_test(worlds, claim, DELTA, rng=rng)
        proven = clopper_pearson_bound(worlds, DELTA, rng=rng)
        lines.append(
            {
                "part": "bits",
                "sampler": name,
                "runs": runs,
                "noise_multiplier": sigma,
                "auc": test.area,
                "permitted": test.permitted,
                "p_value": test.p_value,
                "epsilon_proven": proven.epsilon,
                "ceiling": proven.ceiling,
                "mean_inside": float(inside.mean()),
                "mean_outside": float(outside.mean()),
            }
        )
    return lines


def clip_lines() -> list[Line]:
    """Return how far one record moves the sum of a batch, in clips."""
    import torch

    from dp_synth.mechanisms.dp_sgd import Critic, whole_sums

    torch.set_num_threads(1)
    critic = Critic(174, [128], torch.Generator().manual_seed(0))
    lines: list[Line] = []
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


def float_sum(critic, rows):  # type: ignore[no-untyped-def]
    """Return a sum of clipped gradients in single precision, as products give it."""
    import torch

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


def fit(seeds: int, **settings: int) -> Iterator[Line]:
    """Yield the line of each training of DP-CTGAN on Adult, done in this process."""
    import torch

    import dp_synth as dps
    from benchmarks.inputs import boosted_auc, numbers_of

    torch.set_num_threads(1)
    data, budget = dps.datasets.load("adult"), dps.PrivacyBudget(EPSILON, DELTA)
    models = {"logistic_regression": dps.metrics.MODELS["logistic_regression"]}
    real = numbers_of(data.holdout, data.schema)
    for seed in range(seeds):
        accountant = dps.Accountant(budget, simulate=True)
        recipe = dps.DPCTGAN(**settings)
        started = time.process_time()
        release = recipe.fit(data.train, data.schema, accountant, seed=seed)
        seconds = time.process_time() - started
        rows = release.sample(len(data.train), seed=seed)
        line: Line = {"seed": seed, **settings, "seconds": seconds}
        for degree in (1, 2):
            found = dps.metrics.workload_error(data.train, rows, data.schema, degree=degree)
            line[f"tv{degree}"] = found.value
        scores = dps.metrics.utility(rows, data.holdout, data.schema, models=models)
        line["auc_logistic"] = scores["logistic_regression"]["auc"].value
        line["auc_boosted"] = boosted_auc(
            numbers_of(rows, data.schema), real, str(data.schema.label)
        )
        yield line


def cost(steps: int) -> Iterator[Line]:
    """Yield the CPU of a training of few steps, and of one of so many more, in this process."""
    import torch

    import dp_synth as dps

    try:
        from dp_synth.nn import gan
    except ImportError:  # of a version in which it had another name
        from dp_synth.nn import adversarial as gan  # type: ignore[no-redef]

    torch.set_num_threads(1)
    gan.WARM_UP = 1  # steps of the generator alone, which are not asked about
    data, budget = dps.datasets.load("adult"), dps.PrivacyBudget(EPSILON, DELTA)
    for count in (2, 2, 2 + steps):  # the first loads and compiles what is loaded once
        accountant = dps.Accountant(budget, simulate=True)
        recipe = dps.DPCTGAN(steps=count)
        started = time.process_time()
        recipe.fit(data.train, data.schema, accountant, seed=0)
        yield {"steps": count, "seconds": time.process_time() - started}


def apart(checkout: Path, *told: str) -> list[Line]:
    """Return the lines that a process with the package of a checkout prints."""
    place, *lines = lines_by(checkout, "float_bits", *told, **ONE_THREAD)
    if place != str(checkout.resolve()):
        raise RuntimeError(f"the package of {checkout} was not the one that ran")
    return [json.loads(line) for line in lines]


def part_here(name: str, numbers: list[int]) -> None:
    """Print the lines of a part that runs apart, after the place of the package."""
    import dp_synth as dps

    print(Path(dps.__file__).resolve().parent.parent)
    if name == "use":
        seeds, steps, fakes = numbers
        lines = fit(seeds, steps=steps, fakes=fakes)
    else:
        lines = cost(*numbers)
    for line in lines:
        print(json.dumps(line), flush=True)


def read(results: Path) -> list[Line]:
    """Return the lines that are kept."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def tables(lines: list[Line]) -> str:
    """Return what was measured as tables, version beside version."""
    said = []
    own = [line for line in lines if line["part"] == "bits"]
    if own:
        head = ["sampler", "runs a world", "AUC", "permitted", "p", "epsilon >=", "ceiling"]
        names = ("sampler", "runs", "auc", "permitted", "p_value", "epsilon_proven", "ceiling")
        said.append(markdown(head, [[_shown(line[name]) for name in names] for line in own]))
    own = [line for line in lines if line["part"] == "clip"]
    if own:
        rows = [[str(x["records"]), str(x["sampler"]), f"{x['moved']:.7f}"] for x in own]
        said.append(markdown(["records", "sums", "one record moves, in clips"], rows))
    own = [line for line in lines if line["part"] == "use"]
    if own:
        said.append(_beside(own))
    own = [line for line in lines if line["part"] == "cost"]
    if own:
        said.append(_costs(own))
    return "\n\n".join(said)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _beside(lines: list[Line]) -> str:
    """Return each value of both versions with its interval over seeds, and their difference.

    Of CPU seconds their ratio.
    """
    from dp_synth.records import Spread

    known = {(str(line["version"]), int(str(line["seed"]))): line for line in lines}
    seeds = [s for s in range(100) if ("before", s) in known and ("now", s) in known]
    rows = []
    for name in ("tv1", "tv2", "auc_logistic", "auc_boosted"):
        values = {
            version: np.array([float(str(known[version, seed][name])) for seed in seeds])
            for version in ("before", "now")
        }
        spreads = [Spread.of(list(values[version])).shown(4) for version in values]
        paired = Spread.of(list(values["now"] - values["before"])).shown(4, sign=True)
        rows.append([name, *spreads, paired])
    spent = {
        version: np.array(
            [float(str(known[version, seed].get("seconds", "nan"))) for seed in seeds]
        )
        for version in ("before", "now")
    }
    ratios = Spread.of(list(spent["now"] / spent["before"])).shown(3)
    rows.append(
        ["fit, CPU s", *(Spread.of(list(each)).shown(1) for each in spent.values()), ratios]
    )
    return markdown(
        ["of DP-CTGAN", "before", "now", f"difference or ratio, {len(seeds)} seeds"], rows
    )


def _costs(lines: list[Line]) -> str:
    """Return the CPU of a step of both versions, by turns, and their ratio."""
    from dp_synth.records import Spread

    steps = {
        version: np.array([float(str(x["milliseconds"])) for x in lines if x["version"] == version])
        for version in ("before", "now")
    }
    count = min(map(len, steps.values()))
    ratios = steps["now"][:count] / steps["before"][:count]
    shown = [Spread.of(list(values)).shown(1) for values in steps.values()]
    head = ["a step of DP-CTGAN, CPU ms", "before", "now", "ratio"]
    return markdown(head, [[f"{count} turns", *shown, Spread.of(list(ratios)).shown(3)]])


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--before", type=Path, help="a checkout to train beside this one")
    told.add_argument("--parts", nargs="+", default=["bits", "clip", "use", "cost"])
    told.add_argument("--runs", type=int, default=200, help="of a world, for the distinguisher")
    told.add_argument("--seeds", type=int, default=5)
    told.add_argument("--steps", type=int, default=1500, help="of the trainings of use")
    told.add_argument("--fakes", type=int, default=1024, help="rows of a step of these")
    told.add_argument("--turns", type=int, default=5, help="of the trainings of cost")
    told.add_argument("--more", type=int, default=100, help="steps that a turn's longer one has")
    told.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = told.parse_args()
    if given.one:
        part_here(given.one[0], [int(number) for number in given.one[1:]])
        return
    lines = [line for line in read(RESULTS) if line["part"] not in given.parts]

    def keep(found: list[Line], **told: str) -> None:
        lines.extend({**told, **line} for line in found)
        RESULTS.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    if "bits" in given.parts:
        keep(bits(given.runs))
    if "clip" in given.parts:
        keep(clip_lines())
    here = Path(__file__).resolve().parents[1]
    versions = {} if given.before is None else {"before": given.before.resolve(), "now": here}
    if "use" in given.parts:
        numbers = [str(number) for number in (given.seeds, given.steps, given.fakes)]
        for version, checkout in versions.items():
            keep(apart(checkout, "--one", "use", *numbers), part="use", version=version)
    for _turn in range(given.turns if "cost" in given.parts else 0):
        for version, checkout in versions.items():
            _, few, many = apart(checkout, "--one", "cost", str(given.more))
            passed = float(str(many["seconds"])) - float(str(few["seconds"]))
            line: Line = {"milliseconds": 1000 * passed / given.more}
            keep([line], part="cost", version=version)
    print(tables(lines))


if __name__ == "__main__":
    main()
