"""Rows by mechanisms written here from their papers, on the inference of mbi.

The released package is the inference alone. MST: McKenna, Miklau and Sheldon 2021, "Winning the
NIST Contest", section 3. AIM: McKenna, Mullins, Sheldon and Miklau 2022, Algorithms 1 to 4.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import jax
import numpy as np
import pandas as pd
from folder import Request, serve

jax.config.update("jax_enable_x64", True)  # as mbi advises when it is imported

from mbi import Dataset, Domain, LinearMeasurement, MarkovRandomField  # noqa: E402
from mbi.estimation import MirrorDescent  # noqa: E402
from mbi.junction_tree import hypothetical_model_size  # noqa: E402

Clique = tuple[str, ...]

THRESHOLD = 3.0  # MST: counts below so many standard deviations are merged into one code
MEASURED = 0.9  # AIM: the part of a round's budget that measures, alpha of the paper


@dataclass(frozen=True)
class Settings:
    """What a grid may set of both mechanisms."""

    iterations: int = 10_000  # of the last estimate of MST
    steps: int = 2_500  # of the estimate from which MST selects, and of 1,000 each in AIM
    degree: int = 2  # AIM: the workload is all marginals of so many columns
    max_cells: int = 10_000  # AIM: of at most so many cells each
    max_model_size: float = 80.0  # AIM: megabytes of the whole model


def make_rows(request: Request) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of codes, and what is known of how they were made."""
    request.only_add_remove("the mechanisms of this driver")
    settings = replace(Settings(), **request.settings)
    np.random.seed(request.short_seed)  # noqa: NPY002 - mbi draws rows from no other generator
    rng = np.random.default_rng(request.seed)
    table = request.codes()
    domain = Domain(list(request.sizes), list(request.sizes.values()))
    data = Dataset({name: table[name].to_numpy() for name in table.columns}, domain)
    rho = rho_of(request.epsilon, request.delta)
    mechanism = {"mst": mst, "aim": aim}[request.method]
    rows = mechanism(data, rho, request.rows, settings, rng)
    notes = ["the mechanism is this driver's own, from the paper: mbi 2 ships the inference alone"]
    return pd.DataFrame({name: rows[name] for name in table.columns}), notes


def rho_of(epsilon: float, delta: float) -> float:
    """Return the largest rho for which rho-zCDP implies (epsilon, delta), found from below.

    Canonne, Kamath and Steinke 2020, Proposition 12.
    """
    low, high = 0.0, epsilon + 1.0
    orders = 1.0 + np.geomspace(1e-3, 1e7, 4_000)

    def smallest_delta(rho: float) -> float:
        powers = (orders - 1) * (orders * rho - epsilon) + orders * np.log1p(-1 / orders)
        return float(np.exp(np.min(powers - np.log(orders - 1))))

    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if smallest_delta(middle) <= delta else (low, middle)
    return low


def measure(
    data: Dataset, cliques: list[Clique], rho: float, rng: np.random.Generator
) -> list[LinearMeasurement]:
    """Return noisy marginals that cost ``rho`` together, of equal noise."""
    stddev = math.sqrt(len(cliques) / (2 * rho))
    return [_noisy(data, clique, stddev, rng) for clique in cliques]


def _noisy(
    data: Dataset, clique: Clique, stddev: float, rng: np.random.Generator
) -> LinearMeasurement:
    counts = np.asarray(data.project(clique).datavector())
    return LinearMeasurement(counts + rng.normal(0, stddev, counts.size), clique, stddev)


def choose(scores: np.ndarray, epsilon: float, sensitivity: float, rng: np.random.Generator) -> int:
    """Return one place by the exponential mechanism: the Gumbel-max form."""
    return int(np.argmax(epsilon * scores / (2 * sensitivity) + rng.gumbel(size=scores.size)))


def estimate(
    domain: Domain,
    measurements: list[LinearMeasurement],
    iterations: int,
    *,
    start: MarkovRandomField | None = None,
) -> MarkovRandomField:
    """Return mbi's model of the measurements, the total estimated from them."""
    return MirrorDescent().estimate(domain, measurements, iters=iterations, warm_start=start)


def mst(
    data: Dataset, rho: float, rows: int, settings: Settings, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return rows by MST: a third of the budget each for columns, the tree, and its pairs."""
    ones = measure(data, [(name,) for name in data.domain.attributes], rho / 3, rng)
    merged = {m.clique[0]: found for m in ones if (found := _merging(m)) is not None}
    ones = [m.compress(merged, data.domain) for m in ones]
    small = data.compress(merged)
    tree = _select_tree(small, estimate(small.domain, ones, settings.steps), rho / 3, rng)
    pairs = measure(small, tree, rho / 3, rng) if tree else []
    model = estimate(small.domain, ones + pairs, settings.iterations)
    return model.synthetic_data(rows=rows).decompress(merged).to_dict()


def _merging(one: LinearMeasurement) -> np.ndarray | None:
    """Return the new code of each code of a column, None where all are kept."""
    kept = np.asarray(one.noisy_measurement) >= THRESHOLD * one.stddev
    return None if kept.all() else np.where(kept, np.cumsum(kept) - 1, kept.sum())


def _select_tree(
    data: Dataset, model: MarkovRandomField, rho: float, rng: np.random.Generator
) -> list[Clique]:
    """Return a spanning tree, each edge chosen for what the model misses of its marginal."""
    names = list(data.domain.attributes)
    errors = {pair: _error(data, model, pair) for pair in itertools.combinations(names, 2)}
    part = {name: name for name in names}  # the connected part that each column is in
    tree: list[Clique] = []
    epsilon = math.sqrt(8 * rho / max(len(names) - 1, 1))
    while len(tree) < len(names) - 1:
        open_pairs = [(a, b) for a, b in errors if part[a] != part[b]]
        scores = np.array([errors[pair] for pair in open_pairs])
        a, b = open_pairs[choose(scores, epsilon, 1.0, rng)]
        tree.append((a, b))
        joined = part[b]
        part = {name: part[a] if here == joined else here for name, here in part.items()}
    return tree


def _error(data: Dataset, model: MarkovRandomField, clique: Clique) -> float:
    return float(np.abs(_counts(data, clique) - _counts(model, clique)).sum())


def _counts(source: Dataset | MarkovRandomField, clique: Clique) -> np.ndarray:
    return np.asarray(source.project(clique).datavector())


def aim(
    data: Dataset, rho: float, rows: int, settings: Settings, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return rows by AIM: one marginal a round, chosen for its error beyond its noise."""
    domain, weights = data.domain, _workload(data.domain, settings)
    rounds = 16 * len(domain.attributes)
    stddev = math.sqrt(rounds / (2 * MEASURED * rho))
    epsilon = math.sqrt(8 * (1 - MEASURED) * rho / rounds)
    found = [_noisy(data, clique, stddev, rng) for clique in weights if len(clique) == 1]
    spent = len(found) / (2 * stddev**2)
    model = estimate(domain, found, 1_000)
    last = False
    while not last:
        last = rho - spent < 2 * (1 / (2 * stddev**2) + epsilon**2 / 8)
        if last:  # the rest is spent whole
            stddev = math.sqrt(1 / (2 * MEASURED * (rho - spent)))
            epsilon = math.sqrt(8 * (1 - MEASURED) * (rho - spent))
        spent += 1 / (2 * stddev**2) + epsilon**2 / 8
        allowed = _small(model, weights, settings.max_model_size * spent / rho)
        clique = _worst(data, model, allowed, (stddev, epsilon), rng)
        before = _counts(model, clique)
        found.append(_noisy(data, clique, stddev, rng))
        model = estimate(domain, found, 1_000, start=model)
        noise = math.sqrt(2 / math.pi) * stddev * domain.size(clique)
        if np.abs(_counts(model, clique) - before).sum() <= noise:
            stddev, epsilon = stddev / 2, 2 * epsilon
    return model.synthetic_data(rows=rows).to_dict()


def _workload(domain: Domain, settings: Settings) -> dict[Clique, float]:
    """Return every clique that lies in one of the workload, with its weight."""
    sets = itertools.combinations(domain.attributes, min(settings.degree, len(domain.attributes)))
    wanted = [clique for clique in sets if domain.size(clique) <= settings.max_cells]
    wanted += [(name,) for name in domain.attributes if not any(name in c for c in wanted)]
    parts = {
        part
        for clique in wanted
        for size in range(1, len(clique) + 1)
        for part in itertools.combinations(clique, size)
    }
    order = sorted(parts, key=lambda clique: (len(clique), clique))
    return {part: float(sum(len({*part} & {*clique}) for clique in wanted)) for part in order}


def _small(
    model: MarkovRandomField, weights: dict[Clique, float], megabytes: float
) -> dict[Clique, float]:
    """Return the cliques that the model has room for, or holds already."""
    cliques = [tuple(clique) for clique in model.cliques]
    return {
        clique: weight
        for clique, weight in weights.items()
        if any({*clique} <= {*held} for held in cliques)
        or hypothetical_model_size(model.domain, [*cliques, clique]) <= megabytes
    }


def _worst(
    data: Dataset,
    model: MarkovRandomField,
    weights: dict[Clique, float],
    scales: tuple[float, float],
    rng: np.random.Generator,
) -> Clique:
    stddev, epsilon = scales
    cliques = list(weights)
    noise = math.sqrt(2 / math.pi) * stddev
    scores = np.array(
        [
            weights[clique] * (_error(data, model, clique) - noise * data.domain.size(clique))
            for clique in cliques
        ]
    )
    return cliques[choose(scores, epsilon, max(weights.values()), rng)]


if __name__ == "__main__":
    serve(make_rows, packages=("mbi", "jax", "numpy"))
