"""Fits in a process of their own: CPU seconds, peak memory and scores, as lines of JSON.

A line is one fit with all its values, or with the error that came instead. The process has one
thread for linear algebra, calibrates from nothing, and fits all seeds before it scores any; memory
is the most that it held until the end of that fit, program and table included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from inputs import Parts, Source, load

import dp_synth as dps
from dp_synth.accounting import calibrate
from dp_synth.files import written_whole
from dp_synth.schema import DiscreteColumn

DELTA = 1e-9
BASELINES = ("held-out rows", "real rows", "independent without noise", "bootstrap")
SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
MOST_CPU_SECONDS = 60.0  # a fit that takes longer is the last one of its recipe
MOST_PROCESS_SECONDS = 600  # of CPU; a busy machine takes nothing from them
RECORDS = Path(__file__).with_name("results")

Record = dict[str, object]
Values = dict[str, float]
Fitted = dps.Release | pd.DataFrame | None


@dataclass(frozen=True)
class Fit:
    """One recipe, or baseline, at one epsilon with one seed."""

    synthesizer: str
    epsilon: float
    seed: int
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """Fits to one table, done one after another in one process, and what is wanted of them."""

    source: Source
    fits: Sequence[Fit]
    scored: bool = True
    classified: bool = False  # a classifier is trained on synthetic rows
    many_rows: int = 0  # so many are sampled beside, for the time that it takes
    columns: bool = False  # TV of single columns as well, and logistic regression where classified
    delta: float = DELTA

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Return the task that another process was asked for."""
        fields = json.loads(text)
        source = Source(**fields.pop("source"))
        return cls(source, [Fit(**fit) for fit in fields.pop("fits")], **fields)

    def record(self, fit: Fit, outcome: Mapping[str, object]) -> Record:
        """Return a line of results: what was done, and what came of it."""
        budget = {"delta": self.delta, "adjacency": "add_remove"}
        return {"table": self.source.label, **asdict(fit), **budget, **outcome}


def run(task: Task, results: Path) -> None:
    """Do a task in a process of its own, and keep a line a fit among ``results``."""
    command = [sys.executable, __file__, json.dumps(asdict(task))]
    environment = {**os.environ, **SINGLE_THREAD, "DP_SYNTH_CACHE": ""}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(command, stdout=out, stderr=err, env=environment, check=False)
        err.seek(0)
        last = " ".join(err.read().strip().splitlines()[-1:])
        out.seek(0)
        records = [json.loads(line) for line in out]
    if -done.returncode == signal.SIGXCPU:
        last = f"not done in {MOST_PROCESS_SECONDS} s of CPU"
    for fit in task.fits[len(records) :]:
        records.append(task.record(fit, {"error": last or f"exit code {done.returncode}"}))
    results.parent.mkdir(parents=True, exist_ok=True)
    others = [record for record in read(results) if not _is_of(task, record)]
    with written_whole(results) as passing:
        passing.write_text("".join(json.dumps(record) + "\n" for record in others + records))


def compute(tasks: Iterable[Task], results: Path, *, resume: bool) -> None:
    """Do all tasks and keep a line a fit; with ``resume`` only those that have no values yet."""
    if "DP_SYNTH_DATA" not in os.environ:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    if not resume:
        results.unlink(missing_ok=True)
    for task in tasks:
        if not is_done(task, read(results)):
            first = task.fits[0]
            print(f"{task.source.label}: {first.synthesizer} {first.epsilon:g}", file=sys.stderr)
            run(task, results)


def arguments() -> argparse.ArgumentParser:
    """Return what all measuring scripts are told: where to keep results, and how many seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=RECORDS, help="folder for lines of JSON")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resume", action="store_true", help="keep what is there already")
    return parser


def read(results: Path) -> list[Record]:
    """Return the lines of a file of results; none when it is not there."""
    return [json.loads(x) for x in results.read_text().splitlines()] if results.exists() else []


def is_done(task: Task, records: Sequence[Record]) -> bool:
    """Tell whether every fit of a task has its values."""
    done = [record for record in records if "values" in record and _is_of(task, record)]
    return len(done) == len(task.fits)


def _is_of(task: Task, record: Record) -> bool:
    return any(task.record(fit, {}).items() <= record.items() for fit in task.fits)


def outcomes(task: Task) -> Iterator[Record]:
    """Yield the record of each fit of a task, in order; scores are taken after all fits."""
    parts = load(task.source)
    memory = peak_megabytes()
    slow: set[str] = set()
    waiting: list[tuple[Fit, Values, Fitted, str]] = []
    for fit in task.fits:
        values, fitted, error = _attempted(parts, fit, task.delta, slow)
        if values.get("fit_seconds", 0.0) > MOST_CPU_SECONDS:
            slow.add(fit.synthesizer)
        waiting.append((fit, {**values, "megabytes_before": memory}, fitted, error))
        if not task.scored:  # nothing to wait for: what is done survives a process that is ended
            yield _outcome(task, parts, *waiting.pop())
    for one in waiting:
        yield _outcome(task, parts, *one)


def _outcome(
    task: Task, parts: Parts, fit: Fit, values: Values, fitted: Fitted, error: str
) -> Record:
    if error:
        return task.record(fit, {"error": error})
    found = dict(values)
    rows = fitted
    if isinstance(rows, dps.Release):
        rows = rows.sample(seed=fit.seed, kinds="written") if task.scored else None
    if isinstance(fitted, dps.Release) and task.many_rows:
        drawing = time.process_time()
        fitted.sample(task.many_rows, seed=fit.seed)
        found["many_rows_seconds"] = time.process_time() - drawing
    if rows is not None:
        found |= _scores(task, parts, rows)
    return task.record(fit, {"version": dps.__version__, "values": found})


def _attempted(parts: Parts, fit: Fit, delta: float, slow: set[str]) -> tuple[Values, Fitted, str]:
    """Return what a fit took and gave, or why there is nothing."""
    if fit.synthesizer in slow:
        return {}, None, f"left out: a fit takes more than {MOST_CPU_SECONDS:g} s of CPU"
    try:
        values, fitted = _fitted(parts, fit, delta)
    except dps.InputError as error:
        return {}, None, f"refused: {error}"
    return values, fitted, ""


def _fitted(parts: Parts, fit: Fit, delta: float) -> tuple[Values, dps.Release | pd.DataFrame]:
    """Return what a fit took, and its release; of a baseline its rows alone."""
    if fit.synthesizer in BASELINES:
        return {}, _baseline(fit.synthesizer, parts, np.random.default_rng(fit.seed))
    recipe = dps.SYNTHESIZERS[fit.synthesizer](**fit.settings)
    budget = dps.PrivacyBudget(fit.epsilon, delta)
    begun = time.process_time()
    calibrate({fit.synthesizer: (recipe.charges(parts.schema.domain), 1.0)}, budget)
    started, clock = time.process_time(), time.perf_counter()
    release = recipe.fit(parts.train, parts.schema, budget, seed=fit.seed)
    fitted, wall = time.process_time(), time.perf_counter() - clock
    values = {
        "records": float(len(parts.train)),
        "columns": float(len(parts.schema.names)),
        "calibration_seconds": started - begun,
        "fit_seconds": fitted - started,
        "wall_seconds": wall,
        "megabytes": peak_megabytes(),
        "epsilon_spent": release.epsilon,
    }
    return values, release


def _baseline(name: str, parts: Parts, rng: np.random.Generator) -> pd.DataFrame:
    if name in ("held-out rows", "real rows"):
        return parts.holdout if name == "held-out rows" else parts.train
    records = len(parts.train)
    if name == "bootstrap":
        return parts.train.iloc[rng.integers(records, size=records)].reset_index(drop=True)
    shuffled = {name: parts.train[name].array[rng.permutation(records)] for name in parts.train}
    return pd.DataFrame(shuffled)


def _scores(task: Task, parts: Parts, rows: pd.DataFrame) -> Values:
    train, holdout, schema = parts.train, parts.holdout, parts.schema
    scores = {"tv": dps.metrics.workload_error(train, rows, schema).value}
    if rows is holdout:  # a floor for TV; to be tested on what one was trained on says nothing
        return scores
    if len(holdout):
        away = dps.metrics.workload_error(holdout, rows, schema, cuts_from=train)
        scores["tv_holdout"] = away.value
    if task.classified:
        scores["auc"] = boosted_auc(
            numbers_of(rows, schema), numbers_of(holdout, schema), schema.label or ""
        )
    if task.columns:
        scores["tv1"] = dps.metrics.workload_error(train, rows, schema, degree=1).value
    if task.columns and task.classified:
        scores["auc_logistic"] = logistic_auc(rows, parts)
    return scores


def numbers_of(rows: pd.DataFrame, schema: dps.Schema) -> pd.DataFrame:
    """Return numbers as they are, and categories by their place in the schema; -1 where missing."""
    columns = {}
    for column in schema.columns:
        name = column.name
        if isinstance(column, DiscreteColumn):
            places = {text: place for place, text in enumerate(column.texts)}
            columns[name] = rows[name].astype(str).map(places).fillna(-1)
        else:
            columns[name] = pd.to_numeric(rows[name], errors="coerce").fillna(-1)
    return pd.DataFrame(columns)


def logistic_auc(rows: pd.DataFrame, parts: Parts) -> float:
    """Return the area under the ROC curve of logistic regression on the rows held out."""
    name = "logistic_regression"
    models = {name: dps.metrics.MODELS[name]}
    scores = dps.metrics.utility(rows, parts.holdout, parts.schema, models=models)
    return scores[name]["auc"].value


def boosted_auc(train: pd.DataFrame, holdout: pd.DataFrame, label: str) -> float:
    """Return the area under the ROC curve of LightGBM with 200 trees; 0.5 for a lone class."""
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    if train[label].nunique() < 2:
        return 0.5
    model = LGBMClassifier(n_estimators=200, verbose=-1, n_jobs=1)
    model.fit(train.drop(columns=label).to_numpy(), train[label].to_numpy())
    scores = np.asarray(model.predict_proba(holdout.drop(columns=label).to_numpy()))[:, 1]
    return float(roc_auc_score(holdout[label].to_numpy(), scores))


def peak_megabytes() -> float:
    """Return the most memory that this process ever held.

    Linux tells it by /proc; what ``getrusage`` tells there begins at the parent's own peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_PROCESS_SECONDS, MOST_PROCESS_SECONDS))
    for outcome in outcomes(Task.from_json(sys.argv[1])):
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()
