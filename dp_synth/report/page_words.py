"""What is measured, in words: the measures a page can show, and how each is drawn and ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dp_synth.errors import InputError
from dp_synth.figures.style import named
from dp_synth.figures.summary import RATES, attacks_of, without_attack

CEILING = "auc_ceiling"
HOLDOUT = "_holdout"

# How the scores that begin with a name are called.
SCORES = {
    "tv1": "total variation, single columns",
    "tv2": "total variation, pairs of columns",
    "tv3": "total variation, triples of columns",
    "kmarginal": "K-marginal score",
    "auc": "AUC on held-out rows",
    "average_precision": "average precision on held-out rows",
    "f1": "F1 on held-out rows",
}
SHARES = ("tv", "auc", "average_precision", "f1", RATES)  # lie between 0 and 1
ORDER = ("tv2", "auc:", "tv1", "tv3", "kmarginal")  # of what a reader looks for first


@dataclass(frozen=True)
class Measure:
    """One measure of one task.

    ``kind`` is its metric with ``{}`` in the place of the attack, and ``about`` what such a kind
    measures in words; both are empty where no attack is measured. ``better`` is "lower", "higher",
    or empty where nobody says. ``low`` and ``high`` are the least and largest value that it can
    take, None where there is no bound.
    """

    task: str
    metric: str
    label: str
    attack: str
    kind: str
    about: str
    better: str
    low: float | None
    high: float | None
    chance: float | None


def measures(pairs: Iterable[tuple[str, str]]) -> list[Measure]:
    """Return the measures of ``(task, metric)`` pairs, utility first, what matters most first."""
    found = sorted(set(pairs), key=_place)
    attacks = attacks_of(metric for task, metric in found if task == "leakage")
    return [_measure(task, metric, attacks) for task, metric in found]


def _place(pair: tuple[str, str]) -> tuple[bool, int, bool, str]:
    task, metric = pair
    first = next((i for i, name in enumerate(ORDER) if metric.startswith(name)), len(ORDER))
    return task == "leakage", first, HOLDOUT in metric, metric


def _measure(task: str, metric: str, attacks: Sequence[str]) -> Measure:
    name = metric.partition(":")[0]
    kind, attack = without_attack(metric, attacks if task == "leakage" else ())
    share = name.startswith(SHARES)
    high = 1.0 if share else 1000.0 if name.startswith("kmarginal") else None
    ends = (0.0 if high is not None else None, high)
    if not attack:
        label = _score(metric)
        return Measure(task, metric, label, "", "", "", _better(metric, task), *ends, None)
    targets = "isolated" if kind.endswith(":isolated") else "all"
    about = f"{_attacked(name)}, {targets} targets"
    label = f"{about}: {named(attack)}"
    way = _better(metric, task)
    return Measure(task, metric, label, attack, kind, about, way, *ends, _chance(name))


def _better(metric: str, task: str) -> str:
    """Return which end of a metric is good; nothing of metrics whose code is not here."""
    from dp_synth.benchmark.statistics import better

    try:
        return better(metric, task)
    except InputError:
        return ""


def _score(metric: str) -> str:
    """Return a score in words.

    >>> _score("tv2_holdout"), _score("auc:gradient_boosting"), _score("range_queries")
    ('total variation, pairs of columns, against hold-out rows', \
'AUC on held-out rows: gradient boosting', 'range queries')
    """
    if metric == CEILING:
        return "largest AUC that the ledger permits"
    name, *rest = metric.split(":")
    plain = name.removesuffix(HOLDOUT)
    words = SCORES.get(plain, plain.replace("_", " "))
    against = ", against hold-out rows" if plain != name else ""
    return ": ".join([words + against, *(named(part).replace("_", " ") for part in rest)])


def _attacked(name: str) -> str:
    if name.startswith(RATES):
        return f"TPR at {100 * float(name.removeprefix(RATES)):g} % FPR"
    return "attack AUC" if name == "auc" else name.replace("_", " ")


def _chance(name: str) -> float | None:
    """Return what an attack that knows nothing has: 0.5, or the rate at which it is read."""
    if name.startswith(RATES):
        return float(name.removeprefix(RATES))
    return 0.5 if name == "auc" else None
