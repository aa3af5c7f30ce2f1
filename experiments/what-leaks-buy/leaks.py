"""MST with known faults, one at a time: how each fits Adult, and how each gives a record away.

Every leak breaks one rule and charges as if it did not. They live here and nowhere in the package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

import dp_synth as dps
from dp_synth.accounting import Gaussians, Plan
from dp_synth.audit import Worlds, worst_case
from dp_synth.domain import Domain
from dp_synth.inference import Compression
from dp_synth.mechanisms import measure
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers._one_shot import Measured
from dp_synth.types import Clique
from experiments.faults import noise_of, worlds_of

EPSILON, DELTA = 1.0, 1e-5
HONEST = "none"
OTHERS = 100  # records beside the target of a toy table
ONES, PAIRS = "ones", "pairs"

Rows = pd.DataFrame


@dataclass(frozen=True)
class Leak:
    """A fault: rows of a fit that has it, and scores of runs about tables with a target or not."""

    rows: Callable[[dps.datasets.Dataset, int], Rows]
    worlds: Callable[[int, int], Worlds]  # of runs a world, and a seed


def _budget() -> dps.PrivacyBudget:
    return dps.PrivacyBudget(EPSILON, DELTA)


# None


def honest_rows(data: dps.datasets.Dataset, seed: int) -> Rows:
    """Return rows of MST as published."""
    release = dps.PublishedMST().fit(data.train, data.schema, _budget(), seed=seed)
    return release.sample(seed=seed)


def honest_worlds(runs: int, seed: int) -> Worlds:
    """Return the likelihood ratios of all that MST releases: no attack on it is stronger."""
    entropy = np.random.SeedSequence(seed)
    return worlds_of(dps.PublishedMST(), worst_case(), _budget(), runs, entropy)


# Half of the noise


def rows_of_half_noise(data: dps.datasets.Dataset, seed: int) -> Rows:
    """Return rows of MST whose noise is half of what its ledger says."""
    with noise_of(0.5):
        return honest_rows(data, seed)


def worlds_of_half_noise(runs: int, seed: int) -> Worlds:
    """Return the likelihood ratios of releases with half of the noise."""
    with noise_of(0.5):
        return honest_worlds(runs, seed)


# Pairs chosen by exact counts


@dataclass(frozen=True)
class ExactChoice(dps.PublishedMST):
    """MST whose tree is that of the exact counts, uncharged: its share goes to the answers."""

    def plan(self, domain: Domain) -> Plan:
        """Columns and pairs alone."""
        return Plan({ONES: Gaussians(len(domain)), PAIRS: Gaussians(len(domain) - 1)})

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Measured:
        ones = measure(table, [(name,) for name in table.domain], plan.gaussians(ONES), rng)
        compression = Compression.of(table.domain, ones, coarseness=0.0)
        coarse = table.coarsen(compression.groups)
        pairs = measure(coarse, exact_tree(coarse), plan.gaussians(PAIRS), rng)
        return Measured(compression, ones, pairs)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        return exact_tree(table)


def exact_tree(table: PrivateTable) -> list[Clique]:
    """Return the maximum spanning tree of exact distances from independence."""
    pairs = list(combinations(table.domain, 2))
    distances = []
    for counts in table.exact_marginals(pairs):
        total = max(counts.sum(), 1.0)
        expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
        distances.append(float(np.abs(counts - expected).sum()))
    component = {name: name for name in table.domain}
    tree: list[Clique] = []
    for place in np.argsort(-np.array(distances), kind="stable"):
        a, b = pairs[place]
        if component[a] != component[b]:
            tree.append((a, b))
            merged, kept = component[b], component[a]
            component = {n: kept if c == merged else c for n, c in component.items()}
    return tree


def rows_of_exact_choice(data: dps.datasets.Dataset, seed: int) -> Rows:
    """Return rows of MST along the tree of exact counts."""
    return ExactChoice().fit(data.train, data.schema, _budget(), seed=seed).sample(seed=seed)


def worlds_of_exact_choice(runs: int, seed: int) -> Worlds:
    """Return whether the tree has the edge that is in it only where the target is.

    Three columns that all agree leave a tie between their pairs; the target agrees in two of them.
    """
    schema = _toy_schema(("a", "b", "c"), 2)
    others = pd.DataFrame([[code] * 3 for code in (0, 1)] * (OTHERS // 2), columns=list("abc"))
    target = pd.DataFrame([[0, 1, 1]], columns=list("abc"))
    scores = [
        [
            float(("b", "c") in tree)
            for tree in ExactChoice().select_only(frame, schema, _budget(), runs=runs, seed=seed)
        ]
        for frame in (pd.concat([others, target], ignore_index=True), others)
    ]
    return Worlds.of(*scores)


# A domain read from the data


def seen_schema(frame: Rows, schema: dps.Schema) -> dps.Schema:
    """Return the schema with the categories and bounds that occur among the records."""
    mapping = schema.to_dict()
    columns = mapping["columns"]
    assert isinstance(columns, list)
    mapping["columns"] = [_seen_column(column, frame[column["name"]]) for column in columns]
    return dps.Schema.from_dict(mapping)


def _seen_column(column: dict[str, object], values: pd.Series) -> dict[str, object]:
    found = dict(column)
    categories = column.get("categories")
    if isinstance(categories, list | tuple):
        seen = set(values.astype(str))
        found["categories"] = [text for text in categories if text in seen]
    elif not column.get("bins"):
        numbers = pd.to_numeric(values, errors="coerce").dropna()
        found["lower"], found["upper"] = numbers.min().item(), numbers.max().item()
    return found


def rows_of_seen_domain(data: dps.datasets.Dataset, seed: int) -> Rows:
    """Return rows of MST over the categories and bounds that the private records have."""
    seen = seen_schema(data.train, data.schema)
    release = dps.PublishedMST().fit(data.train, seen, _budget(), seed=seed)
    return release.sample(seed=seed)


def worlds_of_seen_domain(runs: int, seed: int) -> Worlds:
    """Return how many categories a release lists; nobody else has the target's."""
    schema = _toy_schema(("a",), 3)
    others = pd.DataFrame({"a": [0, 1] * (OTHERS // 2)}).astype(str)
    whole = pd.concat([others, pd.DataFrame({"a": ["2"]})], ignore_index=True)
    listed = [seen_schema(frame, schema).domain.sizes[0] for frame in (whole, others)]
    return Worlds.of(*([float(count)] * runs for count in listed))


# The exact number of records


def rows_of_exact_size(data: dps.datasets.Dataset, seed: int) -> Rows:
    """Return as many rows of MST as there are private records."""
    release = dps.PublishedMST().fit(data.train, data.schema, _budget(), seed=seed)
    return release.sample(len(data.train), seed=seed)


def worlds_of_exact_size(runs: int, seed: int) -> Worlds:
    """Return how many rows a release has."""
    return Worlds.of([OTHERS + 1.0] * runs, [float(OTHERS)] * runs)


def _toy_schema(names: Sequence[str], categories: int) -> dps.Schema:
    texts = [str(code) for code in range(categories)]
    columns = [{"name": name, "type": "categorical", "categories": texts} for name in names]
    return dps.Schema.from_dict({"name": "toy", "columns": columns})


LEAKS = {
    HONEST: Leak(honest_rows, honest_worlds),
    "half the noise": Leak(rows_of_half_noise, worlds_of_half_noise),
    "pairs chosen by exact counts": Leak(rows_of_exact_choice, worlds_of_exact_choice),
    "domain read from the data": Leak(rows_of_seen_domain, worlds_of_seen_domain),
    "exact number of records": Leak(rows_of_exact_size, worlds_of_exact_size),
}
