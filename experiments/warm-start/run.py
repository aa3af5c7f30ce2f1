"""What noisy gradients add to a generator that starts from marginals: TV of pairs, AUC, CPU time.

Fits coded Adult (four fifths, as `benchmarks.synthesizers` splits it) at epsilon 1 and delta 1e-5:
DP-CTGAN with several shares of the cost for the marginals it starts from and several numbers of
steps after that, on two seeds; then, on five other seeds, what was chosen of these beside the
start alone, the clique tree whose model it starts from, and the marginal generator with both of
its objectives; DP-CTGAN as it is without a start on fewer seeds, since it takes long. Every line
is kept in ``warm_start.jsonl``; with ``--resume`` what stands there is not fitted again.
``--epsilon`` and ``--table`` fit another budget or table, ``--seeds`` other seeds. A quarter of
an hour of one core. Needs the extra `deep` and the folder that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.inputs import Source, boosted_auc, load, numbers_of
from benchmarks.measured import RESULTS, Record, keep, read, shown
from paper.documents import markdown

LINES = RESULTS / "warm_start.jsonl"
DELTA = 1e-5
TABLE, EPSILON = "adult_discrete", 1.0
TUNING, FINAL, LONG = (0, 1), (2, 3, 4, 5, 6), (2, 3)  # seeds
CHOSEN = {"marginals": 0.75, "steps": 100}
GRID = (
    *({"marginals": share, "steps": 100} for share in (0.25, 0.5, 0.75, 0.9)),
    {"marginals": 0.5, "steps": 200},
    {"marginals": 0.5, "steps": 400},
    {"marginals": 0.5, "steps": 0},
)
BESIDE = (
    ("dpctgan", CHOSEN),
    ("dpctgan", {"marginals": 0.75, "steps": 0}),
    ("clique_tree", {}),
    ("marginal_generator", {}),
    ("marginal_generator", {"objective": "likelihood"}),
)
DECIMALS = {"tv": 4, "auc": 3, "auc_logistic": 3, "seconds": 1}


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
        """Return its line, of a fit in this process; seconds are the CPU time of the fit alone."""
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
    """Yield every fit of the study, the quick ones first."""
    for settings in GRID:
        yield from (Task("dpctgan", settings, seed) for seed in TUNING)
    for name, settings in BESIDE:
        yield from (Task(name, settings, seed) for seed in FINAL)
    yield from (Task("dpctgan", {}, seed) for seed in LONG)


def table(lines: list[Record]) -> str:
    """Return a row for each way and group of seeds: means with 95 % t-intervals over seeds."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for line in lines:
        says = ", ".join(f"{name} {value}" for name, value in line["settings"].items())
        kind = "tuning" if line["seed"] in TUNING else "final"
        where = (line["table"], f"{line['epsilon']:g}", line["synthesizer"], says, kind)
        groups.setdefault(where, []).append(line["values"])
    rows = [
        [*where, str(len(own)), *(_cell(own, *each) for each in DECIMALS.items())]
        for where, own in groups.items()
    ]
    head = ["table", "epsilon", "synthesizer", "settings", "seeds are", "seeds"]
    return markdown([*head, "TV of pairs", "boosting AUC", "logistic AUC", "fit, CPU s"], rows)


def _cell(values: list[Record], name: str, decimals: int) -> str:
    return shown([one[name] for one in values if name in one], decimals)


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--resume", action="store_true", help="keep the lines that are there")
    told.add_argument("--table", default=TABLE)
    told.add_argument("--epsilon", type=float, default=EPSILON)
    told.add_argument("--seeds", type=int, help="of what stands beside each other, the first")
    given = told.parse_args()
    wanted = list(tasks())
    if (given.table, given.epsilon) != (TABLE, EPSILON) or given.seeds:
        seeds = FINAL[: given.seeds]
        place = given.table, given.epsilon
        wanted = [Task(name, some, seed, *place) for name, some in BESIDE for seed in seeds]
    lines = read(LINES) if given.resume else []
    done = [{name: line[name] for name in wanted[0].fields()} for line in lines]
    for task in wanted:
        if task.fields() not in done:
            lines.append(task.fit())
            keep(LINES, lines)
    print(table(lines))


if __name__ == "__main__":
    main()
