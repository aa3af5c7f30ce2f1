"""The measured tables of the networks: on coded Adult, on the default figure, and one beside other.

``deep_adult.jsonl`` holds a line a fit (`synthesizers.py`), ``deep.jsonl`` the exported records of
`deep.yaml`. What has no record yet has no row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from benchmarks.measured import Record, Results, read, shown
from dp_synth.benchmark import read_record_file
from dp_synth.metrics import Estimate
from paper.documents import markdown

CODED, RAW = "adult_discrete", "adult_raw"
STEP = "critic step"  # a line of coded results that is no fit
METHODS = ("dpctgan", "dpgan", "marginal_generator", "patectgan", "pategan")
EPSILONS = (0.3, 1.0, 3.0, 10.0)
BOOSTING, LOGISTIC = "auc:gradient_boosting", "auc:logistic_regression"
RAW_METRICS = (
    ("TV of pairs", "tv2", 4),
    ("boosting AUC", BOOSTING, 3),
    ("logistic AUC", LOGISTIC, 3),
)
PAIRED = {"tv": 4, "auc": 3, "auc_logistic": 3}  # what lines call the same, and decimals
RANKED = (("boosting AUC", BOOSTING, 1), ("logistic AUC", LOGISTIC, 1), ("-TV of pairs", "tv2", -1))
TUNING_SEEDS = (0, 1)  # of `experiments/warm-start`
RESAMPLES = 10_000
NEARLY = 1 - 1e-9  # a correlation whose transform is finite

Values = NDArray[np.float64]


def raw(folder: Path) -> pd.DataFrame:
    """Return the exported utility records of fits; empty where there are none."""
    path = folder / "deep.jsonl"
    if not path.exists():
        return pd.DataFrame(columns=["synthesizer", "epsilon", "seed", "metric", "value"])
    records = read_record_file(path)
    fitted = (records["task"] == "utility") & records["epsilon"].notna()
    return records[fitted & records["value"].notna()]


def by_seed(records: pd.DataFrame, method: str, epsilon: float, metric: str) -> dict[int, float]:
    """Return one value of every raw fit that gave it."""
    wanted = {"synthesizer": method, "epsilon": epsilon, "metric": metric}
    one = records[records[list(wanted)].eq(pd.Series(wanted)).all(axis=1)]
    return dict(zip(one["seed"].astype(int), one["value"].astype(float), strict=True))


def coded(folder: Path) -> str:
    """Return what the networks reach on coded Adult and what they cost."""
    results = Results(read(folder / "deep_adult.jsonl"))
    head = ["synthesizer", "epsilon", "TV of pairs", "boosting AUC", "logistic AUC"]
    rows = []
    for method, epsilon in product(METHODS, EPSILONS):
        key = (CODED, method, epsilon)
        if results.by_seed(*key, "tv"):
            cells = results.cells(*key, {**PAIRED, "fit_seconds": 1, "megabytes": None})
            rows.append([method, f"{epsilon:g}", *cells])
    return markdown([*head, "fit, CPU s", "peak MB"], rows)


def step(folder: Path) -> str:
    """Return what a critic's step costs with privacy, beside the same step without."""
    results = Results(read(folder / "deep_adult.jsonl"))
    key = (CODED, STEP, 0.0)
    values = ("plain_step_milliseconds", "step_milliseconds", "step_ratio")
    known = results.by_seed(*key, "step_ratio")
    rows = [results.cells(*key, dict.fromkeys(values, 2))] if known else []
    return markdown(["without privacy, CPU ms", "with privacy, CPU ms", "ratio"], rows)


def standing(folder: Path) -> str:
    """Return what each network reaches on the table of the default figure."""
    records = raw(folder)
    rows = []
    for method, epsilon in product(METHODS, EPSILONS):
        found = [by_seed(records, method, epsilon, name) for _, name, _ in RAW_METRICS]
        if any(found):
            places = [decimals for *_, decimals in RAW_METRICS]
            cells = [shown([*one.values()], n) for one, n in zip(found, places, strict=True)]
            rows.append([method, f"{epsilon:g}", str(max(map(len, found))), *cells])
    return markdown(["synthesizer", "epsilon", "seeds", *[says for says, *_ in RAW_METRICS]], rows)


def beside(folder: Path) -> str:
    """Return raw and coded Adult beside each other, where both are measured."""
    results = Results(read(folder / "deep_adult.jsonl"))
    head = [f"{says}, {kind}" for says, *_ in RAW_METRICS for kind in ("raw", "coded")]
    rows = []
    for method, epsilon in product(METHODS, (1.0, 3.0)):
        if all(results.by_seed(table, method, epsilon, "tv") for table in (RAW, CODED)):
            both = [results.cells(table, method, epsilon, PAIRED) for table in (RAW, CODED)]
            cells = [cell for pair in zip(*both, strict=True) for cell in pair]
            rows.append([method, f"{epsilon:g}", *cells])
    return markdown(["synthesizer", "epsilon", *head], rows)


def start(folder: Path) -> str:
    """Return what noisy gradients add to a start from marginals, on tuning seeds and on others."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for line in read(folder / "warm_start.jsonl"):
        says = ", ".join(f"{name} {value}" for name, value in line["settings"].items()) or "-"
        kind = "tuning" if line["seed"] in TUNING_SEEDS else "other"
        where = (line["table"], f"{line['epsilon']:g}", line["synthesizer"], says, kind)
        groups.setdefault(where, []).append(line["values"])
    decimals = {**PAIRED, "seconds": 1}
    rows = [
        [*where, str(len(own))]
        + [shown([one[name] for one in own if name in one], n) for name, n in decimals.items()]
        for where, own in sorted(groups.items())
    ]
    head = ["table", "epsilon", "synthesizer", "settings", "seeds", "how many"]
    return markdown([*head, "TV of pairs", "boosting AUC", "logistic AUC", "fit, CPU s"], rows)


def growth(folder: Path) -> str:
    """Return the rank correlation of what a release is good for with its epsilon."""
    records = raw(folder)
    head = ["synthesizer", "what", "seeds", "rank correlation with epsilon"]
    head += ["lower limit, points drawn again", "lower limit, seeds left out"]
    rows = []
    for method in METHODS:
        for says, metric, sign in RANKED:
            values = _rectangle(records, method, metric)
            if len(values) < 2:
                continue
            limits = [f"{limit:.2f}" for limit in lower_limits(sign * values)]
            found = f"{_correlation(sign * values):.2f}"
            rows.append([method, says, str(len(values)), found, *limits])
    return markdown(head, rows)


def _rectangle(records: pd.DataFrame, method: str, metric: str) -> Values:
    """Return a row for each seed that has a value at every epsilon."""
    found = [by_seed(records, method, epsilon, metric) for epsilon in EPSILONS]
    seeds = sorted(set.intersection(*(set(one) for one in found)))
    return np.array([[one[seed] for one in found] for seed in seeds])


def correlations(values: Values, chosen: NDArray[np.intp]) -> Values:
    """Return Spearman's rank correlation of values with epsilon, one for each row of indices.

    ``values`` has shape (seeds, epsilons), ``chosen`` (resamples, points) into it laid flat. Ties
    take their mean rank. NaN where all points drawn are of one epsilon.

    >>> correlations(np.array([[1.0, 2.0, 3.0, 5.0]]), np.array([[0, 1, 2, 3], [3, 3, 3, 3]]))
    array([ 1., nan])
    """
    epsilons = np.tile(EPSILONS, len(values))
    one, other = (stats.rankdata(x[chosen], axis=1) for x in (values.ravel(), epsilons))
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (one, other))
    scale = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    found: Values = np.full(len(one), np.nan)
    np.divide((one * other).sum(axis=1), scale, out=found, where=scale > 0)
    return found


def lower_limits(values: Values, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return two lower ends of 95 % intervals of the rank correlation of ``values``.

    The bootstrap's over points, widened for few seeds; and where a jackknife over whole seeds
    says less, its own: Student's, after Fisher's transform of the share of what ties permit.
    """
    seeds, epsilons = values.shape
    drawn = np.random.default_rng(0).integers(values.size, size=(resamples, values.size))
    found, whole = correlations(values, drawn), _correlation(values)
    points = Estimate.bootstrap(whole, found[~np.isnan(found)], seeds, least=-1.0, most=1.0).low
    without = [_correlation(np.delete(values, seed, axis=0)) for seed in range(seeds)]
    most = [_correlation(np.tile(np.arange(float(epsilons)), (n, 1))) for n in (seeds, seeds - 1)]
    shares = np.array([whole / most[0], *(one / most[1] for one in without)])
    z = np.arctanh(np.clip(shares, -NEARLY, NEARLY))
    half = stats.t.ppf(0.975, seeds - 1) * np.sqrt((seeds - 1) * z[1:].var())
    return points, min(points, float(np.tanh(z[0] - half) * most[0]))


def _correlation(values: Values) -> float:
    return float(correlations(values, np.arange(values.size)[np.newaxis])[0])


DRAWN: Mapping[str, Callable[[Path], str]] = {
    "networks coded": coded,
    "networks step": step,
    "networks raw": standing,
    "networks start": start,
    "networks growth": growth,
    "networks beside": beside,
}
