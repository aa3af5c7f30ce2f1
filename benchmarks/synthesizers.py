"""All synthesizers on real tables: what rows are worth, what fits take, as tables grow, networks.

    python -m benchmarks.synthesizers [adult] [nist] [scaling] [deep_adult] [--resume]

Writes one line a fit to a file of each part's name and prints the tables that are drawn from them
(``tables.py``): means with 95 % t-intervals over seeds. TV is the mean total variation of all
pairs, wide ordinal columns cut at the fitted records' 20-quantiles; AUC is that of LightGBM (200
trees) trained on synthetic codes and tested on held-out records.

**adult**: every method on coded Adult. **nist**: 1000 x (1 - TV of all 45 pairs) of ten demographic
features, age cut into its 20 quantile bins, on all records of nist_ma2019 at epsilon 1, and what
bounds it: MST as published at an epsilon of 10,000, and the records themselves drawn with
replacement. **scaling**: coded Adult with its records repeated, copies of it side by side, each in
an order of its own, and two tables that are wide by themselves; a process that is not done in ten
minutes is a line that says so. **deep_adult**: the networks at delta 1e-5, and what a critic's step
costs beside the same step without privacy; needs the extra `deep`. Needs the folder that
DP_SYNTH_DATA names. More tables, and whether any is worse off: ``experiments/many-tables``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

import dp_synth as dps
from benchmarks import tables
from benchmarks.fits import Fits, Method, compute
from benchmarks.inputs import Source, load
from benchmarks.measured import Record, arguments, chosen, keep, read

EPSILONS = (0.1, 0.3, 1.0, 10.0)
METHODS: Sequence[Method] = (
    ("independent", {}),
    ("mst", {}),
    ("published_mst", {}),
    ("clique_tree", {}),
    ("privbayes", {}),
    ("mwem", {}),
    ("aim", {}),
    ("aim", {"all_gaussian": True}),
)
PLAIN: Sequence[Method] = [(name, {}) for name in ("independent", "mst", "clique_tree")]
MANY_ROWS = 1_000_000
SAMPLED_OFTEN = ("mst", "clique_tree")  # at epsilon 1
CODED, RAW, NIST = Source("adult_discrete"), Source("adult_raw"), Source("nist_ma2019", whole=True)
GROWING = (
    *(Source("adult_discrete", times=times) for times in (1, 10, 100)),
    *(Source("adult_discrete", columns=columns) for columns in (10, 25, 50, 100, 200)),
    Source("spambase"),
    Source("epileptic_seizure"),
)
LABEL = {"label": "income>50K"}
NETWORKS: Sequence[tuple[Method, Sequence[float]]] = (
    (("dpctgan", {}), (1.0, 3.0)),
    (("marginal_generator", {}), (1.0,)),
    (("pategan", LABEL), (1.0,)),
    (("patectgan", LABEL), (1.0,)),
    (("dpgan", {}), (1.0,)),
)
ON_RAW: Sequence[Method] = [("dpctgan", {}), ("marginal_generator", {})]
TIMED_STEPS = 200


def adult(seeds: int) -> Iterator[Fits]:
    """Yield every method at every epsilon on coded Adult, and what bounds them all."""
    often: list[Method] = [(name, {}) for name in SAMPLED_OFTEN]
    others = [epsilon for epsilon in EPSILONS if epsilon != 1]
    rest = [method for method in METHODS if method not in often]
    yield Fits(CODED, METHODS, others, range(seeds), classified=True, baselines=True)
    yield Fits(CODED, rest, [1.0], range(seeds), classified=True)
    yield Fits(CODED, often, [1.0], range(seeds), classified=True, many_rows=MANY_ROWS)


def nist(seeds: int) -> Iterator[Fits]:
    """Yield each method at its epsilon; columns without noise are a baseline beside them."""
    yield Fits(NIST, [*PLAIN, ("aim", {})], [1.0], range(seeds), baselines=True)
    yield Fits(NIST, [("published_mst", {})], [tables.NOISELESS], range(seeds))


def scaling(seeds: int) -> Iterator[Fits]:
    """Yield each method on each table."""
    for source in GROWING:
        yield Fits(source, PLAIN, [1.0], range(seeds))


def networks(seeds: int) -> Iterator[Fits]:
    """Yield each network at its epsilons on coded Adult, and two of them on raw Adult."""
    for method, epsilons in NETWORKS:
        yield Fits(CODED, [method], epsilons, range(seeds), classified=True, delta=1e-5)
    yield Fits(RAW, ON_RAW, [1.0], range(seeds), classified=True, delta=1e-5)


def bootstrap(seed: int) -> Record:
    """Return the line of the records themselves, drawn with replacement."""
    data = load(NIST)
    places = np.random.default_rng(seed).integers(len(data.train), size=len(data.train))
    rows = data.train.iloc[places].reset_index(drop=True)
    return {"tv": dps.metrics.workload_error(data.train, rows, data.schema).value}


def critic_step(seed: int, rows: int = 1024, inputs: int = 320, width: int = 128) -> Record:
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

    without, ours = _milliseconds(plain), _milliseconds(private)
    names = ("step_milliseconds", "plain_step_milliseconds", "step_ratio")
    return dict(zip(names, (ours, without, ours / without), strict=True))


def _milliseconds(step: Callable[[], None]) -> float:
    """Return the CPU time of one call, once it is warm."""
    step()
    started = time.process_time()
    for _ in range(TIMED_STEPS):
        step()
    return 1000 * (time.process_time() - started) / TIMED_STEPS


PARTS = {
    "adult": adult,
    "nist": nist,
    "scaling": scaling,
    "deep_adult": networks,
}
BESIDE = {  # what is no fit, a line a seed: of which table, its name, its values
    "nist": (NIST, "bootstrap", bootstrap),
    "deep_adult": (CODED, tables.STEP, critic_step),
}


def main() -> None:
    """Measure the parts that are asked for, those without networks when none is named."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}")
    given = parser.parse_args()
    for part in given.parts or [name for name in PARTS if name != "deep_adult"]:
        if part not in PARTS:
            parser.error(f"no part {part!r}; there are {', '.join(PARTS)}")
        results = given.results / f"{part}.jsonl"
        before = read(results)
        compute(PARTS[part](given.seeds), results, resume=given.resume)
        if part in BESIDE:
            source, name, measure = BESIDE[part]
            what = {"table": source.label, "synthesizer": name, "settings": {}, "epsilon": 0.0}
            lines = chosen(before, **what)
            if not given.resume or len(lines) != given.seeds:
                what["version"] = dps.__version__
                lines = [{**what, "seed": s, "values": measure(s)} for s in range(given.seeds)]
            keep(results, [*read(results), *lines])
        for name in tables.OF_FILE[part]:
            print(f"\n{tables.draw(name, given.results)}")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"synthesizers: {error}")
