"""What fits give and take in this version, beside those of an earlier one with the same seeds.

    python -m benchmarks.beside dpctgan --before CHECKOUT [--table adult] [--set steps=1500]
        [--epsilon 1] [--delta 1e-5] [--seeds 5]

Distances of columns and pairs, AUC where the table has a label, and CPU seconds: each version's
mean with its 95 % interval over seeds, and the difference seed by seed, of seconds the ratio.
Fits of a version run in a process of its own, on one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.versions import ONE_THREAD, ROOT, lines_by
from paper.documents import markdown

DECIMALS = {"tv1": 4, "tv2": 4, "auc_logistic": 4, "auc_boosted": 4, "seconds": 1}
TITLES = {
    "tv1": "total variation of columns",
    "tv2": "total variation of pairs",
    "auc_logistic": "AUC of logistic regression",
    "auc_boosted": "AUC of gradient boosting",
    "seconds": "a fit, CPU s",
}


def fit(given: argparse.Namespace, seed: int) -> Mapping[str, float]:
    """Return what one fit gives, by whichever version this process imports."""
    import dp_synth as dps
    from benchmarks.inputs import boosted_auc, numbers_of

    data, budget = dps.datasets.load(given.table), dps.PrivacyBudget(given.epsilon, given.delta)
    recipe = dps.SYNTHESIZERS[given.synthesizer](**dict(given.set))
    started = time.process_time()
    accountant = dps.Accountant(budget, simulate=True)
    release = recipe.fit(data.train, data.schema, accountant, seed=seed)
    found = {"seconds": time.process_time() - started}
    rows = release.sample(len(data.train), seed=seed)
    for degree in (1, 2):
        error = dps.metrics.workload_error(data.train, rows, data.schema, degree=degree)
        found[f"tv{degree}"] = error.value
    if label := data.schema.label:
        models = {"logistic": dps.metrics.MODELS["logistic_regression"]}
        scores = dps.metrics.utility(rows, data.holdout, data.schema, models=models)
        found["auc_logistic"] = scores["logistic"]["auc"].value
        tables = (numbers_of(some, data.schema) for some in (rows, data.holdout))
        found["auc_boosted"] = boosted_auc(*tables, label)
    return found


def table(lines: Mapping[str, list[Mapping[str, float]]]) -> str:
    """Return a row a value: each version's mean, and the difference or the ratio."""
    from dp_synth.records import Spread

    rows = []
    for name, decimals in DECIMALS.items():
        if name not in lines["now"][0]:
            continue
        values = {version: np.array([one[name] for one in own]) for version, own in lines.items()}
        row = [TITLES[name], *(Spread.of(each).shown(decimals) for each in values.values())]
        if "before" in values:
            if name == "seconds":
                row.append(Spread.of(values["now"] / values["before"]).shown(3))
            else:
                row.append(Spread.of(values["now"] - values["before"]).shown(decimals, sign=True))
        rows.append(row)
    head = ["", *lines, *(["difference or ratio"] if "before" in lines else [])]
    return markdown(head, rows)


def setting(text: str) -> tuple[str, object]:
    """Return a field and its value, which is JSON or a text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> None:
    """Fit with each version, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("synthesizer")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--table", default="adult")
    parser.add_argument("--set", action="append", type=setting, default=[], metavar="FIELD=VALUE")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        for seed in range(given.seeds):
            print(json.dumps(fit(given, seed)), flush=True)
        return
    told = [given.synthesizer, "--here"]
    told += [f"--{name}={getattr(given, name)}" for name in ("table", "epsilon", "delta", "seeds")]
    told += [f"--set={name}={json.dumps(value)}" for name, value in given.set]
    versions = ({"before": given.before} if given.before else {}) | {"now": ROOT}
    lines = {
        version: [json.loads(x) for x in lines_by(place, "benchmarks.beside", *told, **ONE_THREAD)]
        for version, place in versions.items()
    }
    print(table(lines))


if __name__ == "__main__":
    main()
