"""What noisy gradients add to a generator that starts from marginals: TV of pairs, AUC, CPU time.

Fits coded Adult (four fifths, as `benchmarks.synthesizers` splits it) at epsilon 1 and delta 1e-5.
On two seeds DP-CTGAN with several shares of the cost for the marginals that it starts from, and
several numbers of steps after that. On five other seeds one of these beside the start alone, the
clique tree whose model it starts from, the marginal generator with both of its objectives, and
DP-CTGAN without a start. Every line is kept in ``warm_start.jsonl`` as it comes, so that a study
that was stopped goes on with ``--resume``. With ``--epsilon`` or ``--table`` another budget or
table is fitted, on ``--seeds`` of the five. Half an hour of one core; seconds are of one thread
where OMP_NUM_THREADS is 1. Needs the extra `deep` and the folder that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.deep_tables import TUNING_SEEDS, start
from benchmarks.inputs import Source, boosted_auc, load, numbers_of
from benchmarks.measured import RESULTS, Record, keep, read

LINES = RESULTS / "warm_start.jsonl"
DELTA = 1e-5
TABLE, EPSILON = "adult_discrete", 1.0
SEEDS = (2, 3, 4, 5, 6)  # of what stands beside each other
CHOSEN = {"marginals": 0.75, "steps": 100}
BESIDE: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("dpctgan", {"marginals": 0.75, "steps": 0}),
    ("clique_tree", {}),
    ("marginal_generator", {"objective": "likelihood"}),
    ("marginal_generator", {}),
    ("dpctgan", CHOSEN),
    ("dpctgan", {}),
)
GRID = (
    *({"marginals": share, "steps": 100} for share in (0.25, 0.5, 0.75, 0.9)),
    *({"marginals": 0.5, "steps": steps} for steps in (0, 200, 400)),
)


@dataclass(frozen=True)
class Task:
    """One fit of a synthesizer with some settings, to a table at an epsilon."""

    synthesizer: str
    settings: Mapping[str, object]
    seed: int
    table: str = TABLE
    epsilon: float = EPSILON

    def fields(self) -> Record:
        """Return what tells its line from any other."""
        return {**self.__dict__, "settings": dict(self.settings)}

    def fit(self) -> Record:
        """Return its line; seconds are the CPU time of the fit alone."""
        import dp_synth as dps

        data, budget = load(Source(self.table)), dps.PrivacyBudget(self.epsilon, DELTA)
        recipe = dps.SYNTHESIZERS[self.synthesizer](**self.settings)
        started = time.process_time()
        accountant = dps.Accountant(budget, simulate=True)
        release = recipe.fit(data.train, data.schema, accountant, seed=self.seed)
        values = {"seconds": round(time.process_time() - started, 1)}
        rows = release.sample(len(data.train), seed=self.seed)
        values["tv"] = dps.metrics.workload_error(data.train, rows, data.schema, degree=2).value
        if label := data.schema.label:
            models = {"logistic": dps.metrics.MODELS["logistic_regression"]}
            scores = dps.metrics.utility(rows, data.holdout, data.schema, models=models)
            values["auc_logistic"] = scores["logistic"]["auc"].value
            frames = (numbers_of(some, data.schema) for some in (rows, data.holdout))
            values["auc"] = boosted_auc(*frames, label)
        return {**self.fields(), "delta": DELTA, "version": dps.__version__, "values": values}


def tasks() -> Iterator[Task]:
    """Yield every fit of the study on coded Adult."""
    yield from (Task(name, settings, seed) for seed in SEEDS for name, settings in BESIDE)
    yield from (Task("dpctgan", settings, seed) for seed in TUNING_SEEDS for settings in GRID)


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--resume", action="store_true", help="keep the lines that are there")
    told.add_argument("--table", default=TABLE)
    told.add_argument("--epsilon", type=float, default=EPSILON)
    told.add_argument("--seeds", type=int, default=len(SEEDS), help="of another table or budget")
    given = told.parse_args()
    wanted = list(tasks())
    if (given.table, given.epsilon) != (TABLE, EPSILON):
        place = given.table, given.epsilon
        seeds = SEEDS[: given.seeds]
        wanted = [Task(name, some, seed, *place) for seed in seeds for name, some in BESIDE]
    lines = read(LINES) if given.resume else []
    done = [{name: line[name] for name in wanted[0].fields()} for line in lines]
    for task in wanted:
        if task.fields() not in done:
            lines.append(task.fit())
            keep(LINES, lines)
    print(start(RESULTS))


if __name__ == "__main__":
    main()
