"""What fits are worth and what they take: numbers of the standing comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from experiments.many_tables import run as many_tables

from paper.number import Number
from paper.records import RESULTS, chosen, lines, number_of

ADULT, TABLES = f"{RESULTS}/adult.jsonl", "experiments/many-tables/records.jsonl"
NIST, SCALING = f"{RESULTS}/nist.jsonl", f"{RESULTS}/scaling.jsonl"
NETWORKS = f"{RESULTS}/deep_adult.jsonl"
K_MARGINAL = 1000.0  # the score of a perfect match

METHODS: dict[str, dict[str, object]] = {  # name in the text: what its lines have
    "clique_tree": {"synthesizer": "clique_tree", "settings": {}},
    "aim": {"synthesizer": "aim", "settings": {}},
    "mst": {"synthesizer": "mst", "settings": {}},
    "mst_published": {"synthesizer": "published_mst", "settings": {}},
    "privbayes": {"synthesizer": "privbayes", "settings": {}},
    "mwem": {"synthesizer": "mwem", "settings": {}},
    "independent": {"synthesizer": "independent", "settings": {}},
}
BASELINES = {
    "noiseless": "independent without noise",
    "fresh": "held-out rows",
    "real": "real rows",
}
EPSILONS = (0.1, 0.3, 1.0, 10.0)
VALUES = {"tv": 4, "tv_holdout": 4, "auc": 3, "fit_seconds": 2}  # decimals that are shown
OF_NETWORKS = ("dpctgan", "marginal_generator", "patectgan", "pategan", "dpgan")


def utility() -> Iterator[tuple[str, Number]]:
    """Yield names and numbers of all comparisons of utility, time and memory."""
    for part in (_adult, _setting, _never_worse, _nist, _scaling, _networks):
        yield from part()


def suffix(epsilon: float) -> str:
    """Return what a name ends with at an epsilon; nothing at 1.

    >>> suffix(0.3), suffix(1.0)
    ('_at_0_3', '')
    """
    return "" if epsilon == 1 else f"_at_{epsilon:g}".replace(".", "_")


def _mean(name: str, value: str, decimals: int, **wanted: object) -> Number:
    found = [number_of(line, value) for line in chosen(name, **wanted) if "values" in line]
    said = ", ".join(f"{k} {v}" for k, v in wanted.items() if v != {})
    return Number.over_seeds(found, decimals, name, f"{value} of lines with {said}")


def _largest(name: str, value: str, **wanted: object) -> Number:
    found = max(number_of(line, value) for line in chosen(name, **wanted))
    said = ", ".join(f"{k} {v}" for k, v in wanted.items() if v != {})
    return Number(found, 0, name, f"largest {value} of lines with {said}")


def _adult() -> Iterator[tuple[str, Number]]:
    for (method, wanted), epsilon in product(METHODS.items(), EPSILONS):
        for value, decimals in VALUES.items():
            name = f"{method}_{value.removeprefix('fit_')}_adult{suffix(epsilon)}"
            yield name, _mean(ADULT, value, decimals, epsilon=epsilon, **wanted)
        memory = f"{method}_megabytes_adult{suffix(epsilon)}"
        yield memory, _largest(ADULT, "megabytes", epsilon=epsilon, **wanted)
    for short, baseline in BASELINES.items():
        for value in ("tv", "tv_holdout", "auc"):
            if all(value in line["values"] for line in chosen(ADULT, synthesizer=baseline)):  # type: ignore[operator]
                mean = _mean(ADULT, value, VALUES[value], synthesizer=baseline)
                yield f"{short}_{value}_adult", mean


def _setting() -> Iterator[tuple[str, Number]]:
    one = chosen(ADULT, synthesizer="clique_tree", epsilon=1.0)
    for value in ("records", "columns"):
        yield f"adult_{value}", Number(number_of(one[0], value), 0, ADULT, f"{value} of a fit")
    yield "adult_seeds", Number(len(one), 0, ADULT, "lines of clique_tree at epsilon 1")
    yield "adult_epsilon", Number(number_of(one[0], "epsilon"), 0, ADULT, "epsilon of those lines")
    yield "adult_delta", Number(number_of(one[0], "delta"), None, ADULT, "delta of those lines")
    ours, tree = (chosen(ADULT, epsilon=1.0, **METHODS[name]) for name in ("clique_tree", "aim"))
    faster = np.mean([number_of(x, "fit_seconds") for x in tree]) / np.mean(
        [number_of(x, "fit_seconds") for x in ours]
    )
    said = "mean fit_seconds of aim over that of clique_tree, epsilon 1"
    yield "clique_tree_faster_than_aim", Number(float(faster), 1, ADULT, said)


def _never_worse() -> Iterator[tuple[str, Number]]:
    tables = {str(line["dataset"]) for line in lines(TABLES)}
    epsilons = sorted({number_of(line, "epsilon") for line in lines(TABLES) if line["epsilon"]})
    yield "many_tables", Number(len(tables), 0, TABLES, "different tables")
    yield "many_epsilons", Number(len(epsilons), 0, TABLES, "different epsilons")
    yield "many_epsilon_least", Number(epsilons[0], 1, TABLES, "least epsilon")
    yield "many_epsilon_most", Number(epsilons[-1], 0, TABLES, "largest epsilon")
    found = many_tables.records()
    for method in ("mst", "clique_tree"):
        comparisons = many_tables.compared_with_columns(found, method)
        worse = sum(map(many_tables.is_worse, comparisons))
        said = f"comparisons of {method} with independent, by table and epsilon"
        yield f"{method}_compared", Number(len(comparisons), 0, TABLES, said)
        yield f"{method}_worse", Number(worse, 0, TABLES, f"{said}, whose interval is above 0")
        better = sum(one.high is not None and one.high < 0 for one in comparisons)
        yield f"{method}_better", Number(better, 0, TABLES, f"{said}, whose interval is below 0")


def _nist() -> Iterator[tuple[str, Number]]:
    rows = {
        "clique_tree": ("clique_tree", 1.0),
        "aim": ("aim", 1.0),
        "mst": ("mst", 1.0),
        "independent": ("independent", 1.0),
        "bootstrap": ("bootstrap", 0.0),
    }
    for short, (method, epsilon) in rows.items():
        found = chosen(NIST, synthesizer=method, epsilon=epsilon)
        scores = [K_MARGINAL * (1 - number_of(line, "tv")) for line in found]
        said = f"1000 (1 - tv) of {method} at epsilon {epsilon:g}"
        yield f"{short}_kmarginal_nist", Number.over_seeds(scores, 1, NIST, said)
    one = chosen(NIST, synthesizer="clique_tree")[0]
    for value in ("records", "columns"):
        yield f"nist_{value}", Number(number_of(one, value), 0, NIST, f"{value} of a fit")


def _scaling() -> Iterator[tuple[str, Number]]:
    long = max(lines(SCALING), key=lambda x: number_of(x, "records") if "values" in x else 0)
    wide = max(lines(SCALING), key=lambda x: number_of(x, "columns") if "values" in x else 0)
    for short, line, size in (("long", long, "records"), ("wide", wide, "columns")):
        table = line["table"]
        yield f"{short}_{size}", Number(number_of(line, size), 0, SCALING, f"{size} of {table}")
        for method in ("clique_tree", "mst"):
            wanted = {"table": table, "synthesizer": method}
            taken = _mean(SCALING, "fit_seconds", 1, **wanted)
            yield f"{method}_seconds_{short}", taken
            yield f"{method}_megabytes_{short}", _largest(SCALING, "megabytes", **wanted)


def _dpctgan() -> dict[str, object]:
    return {"table": "adult_discrete", "synthesizer": "dpctgan", "epsilon": 1.0}


def _networks() -> Iterator[tuple[str, Number]]:
    coded = "adult_discrete"
    for method in OF_NETWORKS:
        for epsilon in (1.0, 3.0):
            wanted = {"table": coded, "synthesizer": method, "epsilon": epsilon}
            if not chosen(NETWORKS, **wanted):
                continue
            for value, decimals in {"tv": 4, "auc": 3, "fit_seconds": 1}.items():
                name = f"{method}_{value.removeprefix('fit_')}_coded{suffix(epsilon)}"
                yield name, _mean(NETWORKS, value, decimals, **wanted)
    one = chosen(NETWORKS, synthesizer="dpctgan")[0]
    ours = [
        number_of(x, "fit_seconds") for x in chosen(ADULT, epsilon=1.0, **METHODS["clique_tree"])
    ]
    theirs = [number_of(x, "fit_seconds") for x in chosen(NETWORKS, **_dpctgan())]
    slower = float(np.mean(theirs) / np.mean(ours))
    said = "mean fit_seconds of dpctgan at epsilon 1 over that of clique_tree on coded Adult"
    yield "dpctgan_slower", Number(slower, 0, NETWORKS, said)
    delta = Number(number_of(one, "delta"), None, NETWORKS, "delta of dpctgan's lines")
    yield "networks_delta", delta
