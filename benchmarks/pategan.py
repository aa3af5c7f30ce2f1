"""PATE-GAN, PATE-CTGAN and the marginal generator: utility, the study's protocol, planted leaks.

    python benchmarks/pategan.py adult [--synthesizer pategan] [--epsilon 1] [--seeds 5]
    python benchmarks/pategan.py protocol cervical_cancer|epileptic_seizure [--trainings 5]
        [--tables 5] [--teachers 1001] [--votes 1000]
    python benchmarks/pategan.py leaks [--runs 300]

``adult``: the coded table, its split, TV of pairs and boosting as in `deep_adult.py`, delta 1e-5.
``protocol``: that of the reproduction study (Ganev, Annamalai & De Cristofaro 2024,
arXiv:2406.13985): for each classifier the best of all trainings and tables, and the mean of that
over classifiers. A maximum flatters; the mean over tables is printed beside it. Teachers are not
2 or 11, as there, but as many as ``--teachers`` says.
``leaks``: known faults of public implementations, planted one by one: what each buys in AUC on
Adult, and the epsilon that an audit of its votes proves against a claim of 1. The leaks live
here and nowhere in the package.
Needs the folder that DP_SYNTH_DATA names, and the extra `deep`.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from cells import boosted_auc
from inputs import Source, load
from scipy import stats

import dp_synth as dps
from dp_synth.accounting import Plan, Votes
from dp_synth.accounting.closed_forms import gaussian_epsilon
from dp_synth.domain import Codes, Domain
from dp_synth.mechanisms import noisy_votes
from dp_synth.mechanisms.noisy_votes import Ballots, Integers, Questions, Teachers, winners
from dp_synth.table import PrivateTable

DELTA = 1e-5
COPIES = 10  # of every record, where partitions are shared
ASKED_AGAIN = 100  # times, where votes are not charged
TOY = Domain(("a", "b"), (3, 3))
TOY_REFERENCE = [np.full(3, 1 / 3)] * 2
TOY_VOTES, TOY_TEACHERS = 50, 101


class SharedParts(Teachers):
    """Leak: every record is seen by ten teachers; the charge stays that of one."""

    def _records(self) -> tuple[Codes, Integers]:
        if self._known is None:
            codes = super()._records()[0]
            repeated = np.repeat(codes, COPIES, axis=0)
            self._known = (
                repeated,
                self._sorting.integers(self._part.teachers, size=len(repeated)),
            )
        return self._known


class UnchargedVotes(Teachers):
    """Leak: each question is asked a hundred times, charged once, and the majority kept."""

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return the majority of many votes, of which one was charged."""
        won = super().vote(questions, why=why).astype(int)
        coins = np.indices((self._part.teachers, len(questions))).sum(axis=0) % 2 == 0
        votes = noisy_votes.ballots(*self._records(), questions, self._reference, coins)
        gaps = 2 * votes.sum(axis=0, dtype=np.int64) - self._part.teachers
        for _ in range(ASKED_AGAIN):
            won += winners(gaps, self._part.event(), self._bits)
        return 2 * won > ASKED_AGAIN + 1


class RealRows(Teachers):
    """Leak: the student reads the real rows, as one discriminator without a vote or noise."""

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return what all real rows together prefer."""
        super().vote(questions, why=why)
        codes = self._records()[0]
        alone = np.zeros(len(codes), dtype=np.int64)
        coins = np.zeros((1, len(questions)), dtype=bool)
        return noisy_votes.ballots(codes, alone, questions, self._reference, coins)[0]


class PrivateBounds(Teachers):
    """Leak: values that no record has are known to lose, as bounds read from the data tell."""

    def vote(self, questions: Questions, *, why: str = "votes") -> Ballots:
        """Return the winners, and values that were seen before those that were not."""
        won = super().vote(questions, why=why)
        codes, row = self._records()[0], np.arange(len(questions))
        seen = [np.bincount(column, minlength=size) > 0 for column, size in self._columns(codes)]
        own = questions.records[row, questions.attributes]
        first = np.array([seen[a][v] for a, v in zip(questions.attributes, own, strict=True)])
        other = np.array(
            [seen[a][v] for a, v in zip(questions.attributes, questions.others, strict=True)]
        )
        return np.where(first == other, won, first)

    def _columns(self, codes: Codes) -> list[tuple[Codes, int]]:
        sizes = [len(frequencies) for frequencies in self._reference]
        return list(zip(codes.T, sizes, strict=True))


LEAKS: dict[str, type[Teachers]] = {
    "none": Teachers,
    "shared partitions": SharedParts,
    "uncharged votes": UnchargedVotes,
    "student on real rows": RealRows,
    "private bounds": PrivateBounds,
}


def interval(values: list[float]) -> str:
    """Return the mean and its 95 % t-interval."""
    if len(values) < 2:
        return f"{np.mean(values):.4f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.4f} +- {half:.4f}"


def recipe_of(name: str, label: str | None) -> dps.Synthesizer:
    """Return the synthesizer with its defaults; those that vote are told the label."""
    kind = dps.SYNTHESIZERS[name]
    if not issubclass(kind, dps.PATEGAN | dps.PATECTGAN):
        return kind()
    return kind(label=label or "")


def adult_cell(recipe: dps.Synthesizer, epsilon: float, seed: int) -> dict[str, float]:
    """Return the TV of pairs, the AUC and the seconds of one fit."""
    parts = load(Source("adult_discrete"))
    schema, started = parts.schema, time.perf_counter()
    release = recipe.fit(parts.train, schema, dps.PrivacyBudget(epsilon, DELTA), seed=seed)
    seconds = time.perf_counter() - started
    rows = release.sample(seed=seed)
    codes = rows.astype(int), parts.holdout.astype(int)
    return {
        "tv": dps.metrics.workload_error(parts.train, rows, schema).value,
        "auc": boosted_auc(*codes, schema.label or ""),
        "seconds": seconds,
    }


def adult(name: str, epsilon: float, seeds: int) -> None:
    """Print each seed and the means."""
    recipe = recipe_of(name, load(Source("adult_discrete")).schema.label)
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        cell = adult_cell(recipe, epsilon, seed)
        print(f"{name} epsilon {epsilon} seed {seed}: {cell}", flush=True)
        for key, value in cell.items():
            found.setdefault(key, []).append(value)
    for key, values in found.items():
        print(f"  {key}: {interval(values)}")


def classifiers() -> dict[str, Callable[[], object]]:
    """Return the study's twelve; gradient boosting by histograms stands for XGBoost."""
    from sklearn import (
        discriminant_analysis,
        ensemble,
        linear_model,
        naive_bayes,
        neural_network,
        svm,
        tree,
    )

    return {
        "logistic": lambda: linear_model.LogisticRegression(max_iter=500),
        "forest": lambda: ensemble.RandomForestClassifier(random_state=0),
        "gaussian_nb": naive_bayes.GaussianNB,
        "bernoulli_nb": lambda: naive_bayes.BernoulliNB(binarize=0.5),
        "linear_svm": lambda: svm.LinearSVC(random_state=0),
        "tree": lambda: tree.DecisionTreeClassifier(random_state=0),
        "lda": discriminant_analysis.LinearDiscriminantAnalysis,
        "adaboost": lambda: ensemble.AdaBoostClassifier(random_state=0),
        "bagging": lambda: ensemble.BaggingClassifier(random_state=0),
        "boosting": lambda: ensemble.GradientBoostingClassifier(random_state=0),
        "mlp": lambda: neural_network.MLPClassifier(random_state=0),
        "hist_boosting": lambda: ensemble.HistGradientBoostingClassifier(random_state=0),
    }


def scores_of(rows: pd.DataFrame, test: pd.DataFrame, schema: dps.Schema) -> Codes:
    """Return AUROC and AUPRC of each classifier, shape (classifiers, 2)."""
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.preprocessing import MinMaxScaler

    label = schema.label or ""

    def parts(frame: pd.DataFrame) -> tuple[Codes, Codes]:
        numbers = frame.drop(columns=label).apply(pd.to_numeric, errors="coerce")
        positive = schema.typed(frame)[label].astype(str) == str(schema.positive)
        return numbers.astype(float).fillna(-1.0).to_numpy(), positive.to_numpy().astype(int)

    (inputs, labels), (held, truth) = parts(rows), parts(test)
    scale, found = MinMaxScaler().fit(inputs), []
    for make in classifiers().values():
        if labels.min() == labels.max():
            found.append((0.5, truth.mean()))
            continue
        model = make().fit(scale.transform(inputs), labels)  # type: ignore[attr-defined]
        ask = getattr(model, "predict_proba", None)
        points = scale.transform(held)
        given = model.decision_function(points) if ask is None else ask(points)[:, 1]
        found.append((roc_auc_score(truth, given), average_precision_score(truth, given)))
    return np.array(found)


def protocol(arguments: argparse.Namespace) -> None:
    """Print the study's maximum over tables, and the mean over them, of AUROC and AUPRC."""
    parts = load(Source(arguments.table))
    schema = parts.schema
    recipe = dps.PATEGAN(
        label=schema.label or "", teachers=arguments.teachers, votes=arguments.votes
    )
    everything = []
    for seed in range(arguments.trainings):
        budget = dps.PrivacyBudget(arguments.epsilon, DELTA)
        release = recipe.fit(parts.train, schema, budget, seed=seed)
        for table in range(arguments.tables):
            rows = release.sample(len(parts.train), seed=table)
            everything.append(scores_of(rows, parts.holdout, schema))
            print(seed, table, everything[-1].mean(axis=0).round(3), flush=True)
    best, mean = np.max(everything, axis=0).mean(axis=0), np.mean(everything, axis=(0, 1))
    print(f"maximum over tables, mean of 12: AUROC {best[0]:.3f} AUPRC {best[1]:.3f}")
    print(f"mean over tables, mean of 12: AUROC {mean[0]:.3f} AUPRC {mean[1]:.3f}")


def audited_epsilon(kind: type[Teachers], runs: int) -> float:
    """Return the epsilon that votes about one planted record prove, with 95 % confidence.

    The record holds values that no other has; half of the questions are whether they belong
    together. The lower end of the AUC between the two worlds becomes the least mu of Gaussian
    DP that allows it.
    """
    counts = [np.array([_votes_for(kind, world, run) for run in range(runs)]) for world in (0, 1)]
    auc = dps.Roc(counts[1].astype(float), counts[0].astype(float)).auc()
    mu = max(0.0, np.sqrt(2) * stats.norm.ppf(min(max(auc.low, 0.5), 1 - 1e-9)))
    return gaussian_epsilon(mu, DELTA) if mu else 0.0


def _votes_for(kind: type[Teachers], world: int, run: int) -> int:
    accountant = dps.Accountant(dps.PrivacyBudget(1.0, DELTA))
    plan = Plan({"votes": Votes(TOY_VOTES, TOY_TEACHERS)})
    payer = accountant.admit("audit", plan, randomness="seeded")
    codes = np.zeros((50 + world, 2), dtype=np.int32)
    codes[50:] = 2
    table = PrivateTable(codes, TOY, payer)
    rng = np.random.default_rng([world, run])
    teachers = kind(table, payer.plan.votes("votes"), TOY_REFERENCE, rng)
    records = np.full((TOY_VOTES, 2), 2, dtype=np.int32)
    attributes, others = np.zeros(TOY_VOTES, dtype=np.int64), np.ones(TOY_VOTES, dtype=np.int64)
    return int(teachers.vote(Questions(records, attributes, others)).sum())


def leaks(runs: int, seeds: int) -> None:
    """Print what each planted leak buys and what an audit proves of it."""
    from dp_synth.nn import teachers as lessons

    recipe = recipe_of("pategan", load(Source("adult_discrete")).schema.label)
    for name, kind in LEAKS.items():
        lessons.Teachers = kind  # type: ignore[misc]
        cells = [adult_cell(recipe, 1.0, seed) for seed in range(seeds)]
        auc, tv = ([cell[key] for cell in cells] for key in ("auc", "tv"))
        proved = audited_epsilon(kind, runs)
        line = f"{name}: AUC {interval(auc)}, TV {interval(tv)}, epsilon at least {proved:.2f}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("adult", "protocol", "leaks"))
    parser.add_argument("table", nargs="?", default="cervical_cancer")
    parser.add_argument("--synthesizer", default="pategan")
    parser.add_argument("--epsilon", type=float, default=1.0)
    for name, value in {"seeds": 5, "trainings": 5, "tables": 5, "runs": 300}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--teachers", type=int, default=1001)
    parser.add_argument("--votes", type=int, default=1000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of classifiers on one-sided tables
    if arguments.what == "adult":
        adult(arguments.synthesizer, arguments.epsilon, arguments.seeds)
    elif arguments.what == "protocol":
        protocol(arguments)
    else:
        leaks(arguments.runs, arguments.seeds)


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"pategan: {error}")
