"""Two tables beside one flattened table: households and persons, at the same promise.

    python -m benchmarks.two_tables [--households N] [--epsilons E ...] [--methods NAME ...]

Households are made of the bundled table: a seeded recipe draws a first person, and others of like
age, race and country; the household has an area that follows its education, and is owned or rented
by age and income. Each method is fitted to the two tables (`dp_synth.relational.fit_tables`), and,
as one would without, to one *flat* table of persons with their household's columns, the unit of
privacy a household of up to six rows. Printed over five seeds, with 95 % t-intervals: the mean
total variation of all pairs of a column of persons and one of households (*across*), of pairs of
persons' columns, of the same column of two persons of one household (*siblings*, which a flat table
does not tell), and of the number of persons; beside the floor, of as many fresh households.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

import dp_synth as dps
from dp_synth.records import Spread
from dp_synth.relational import TablesSchema, fit_tables

DELTA, MOST = 1e-9, 6
PERSONS = ("age", "education", "marital-status", "sex", "race", "hours-per-week", "income")
SIZES = (0.28, 0.34, 0.16, 0.13, 0.06, 0.03)  # shares of households of 1 to 6 persons
Tables = dict[str, pd.DataFrame]


def schema() -> TablesSchema:
    """Return what is public of the two tables."""
    known = dps.datasets.load("adult").schema.select(list(PERSONS)).to_dict()
    columns: list[object] = list(known["columns"])  # type: ignore[call-overload]
    for column in columns:
        if column["name"] in ("age", "hours-per-week"):  # type: ignore[index]
            column["bins"] = 12  # type: ignore[index]
    areas = [f"area {number}" for number in range(8)]
    root = {
        "name": "households",
        "bounds_from": "made",
        "columns": [
            {"name": "household", "type": "id"},
            {"name": "area", "type": "categorical", "categories": areas},
            {"name": "tenure", "type": "categorical", "categories": ["owned", "rented"]},
        ],
    }
    child = {"name": "persons", "bounds_from": "made"}
    link = {"table": "persons", "column": "of", "references": "households", "key": "household"}
    return TablesSchema.from_dict(
        {
            "tables": {
                "households": root,
                "persons": {**child, "columns": [{"name": "of", "type": "id"}, *columns]},
            },
            "foreign_key": link,
            "max_children": MOST,
        }
    )


def households(number: int, seed: int) -> Tables:
    """Return so many households and their persons."""
    data = dps.datasets.load("adult")
    people = pd.concat([data.train, data.holdout], ignore_index=True)[list(PERSONS)]
    ages = pd.to_numeric(people["age"]).to_numpy()
    order = np.lexsort((ages, people["race"].astype(str).to_numpy()))
    people, ages = people.iloc[order].reset_index(drop=True), ages[order]
    rng = np.random.default_rng(seed)
    first = rng.integers(len(people), size=number)
    sizes = 1 + rng.choice(MOST, size=number, p=SIZES)
    owner = np.repeat(np.arange(number), sizes)
    near = first[owner] + np.rint(rng.normal(0, 300, len(owner))).astype(int)
    begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    near[begins] = first  # persons beside the first are of like race and age
    persons = people.iloc[np.clip(near, 0, len(people) - 1)].reset_index(drop=True)
    levels = pd.factorize(people["education"], sort=True)[0]
    area = (levels[first] // 3 + rng.integers(0, 4, number)) % 8
    rich = people["income"].iloc[first].astype(str).str.contains(">").to_numpy()
    owned = rng.random(number) < np.clip(ages[first] / 90 + 0.3 * rich, 0.05, 0.95)
    roots = pd.DataFrame(
        {
            "household": np.arange(number),
            "area": [f"area {one}" for one in area],
            "tenure": np.where(owned, "owned", "rented"),
        }
    )
    persons.insert(0, "of", owner)
    return {"households": roots, "persons": persons}


def flattened(tables: Tables) -> pd.DataFrame:
    """Return persons with their household's columns."""
    both = tables["persons"].merge(tables["households"], left_on="of", right_on="household")
    return both.drop(columns="household")


def flat_schema() -> dps.Schema:
    """Return the schema of `flattened` without its key."""
    known = schema()
    fields = known.own_child.to_dict()
    columns: list[object] = list(fields["columns"])  # type: ignore[call-overload]
    columns += list(known.own_root.to_dict()["columns"])  # type: ignore[call-overload]
    return dps.Schema.from_dict({**fields, "name": "flat", "columns": columns})


def _shares(first: np.ndarray, second: np.ndarray, sizes: tuple[int, int]) -> np.ndarray:
    cells = np.bincount(first * sizes[1] + second, minlength=sizes[0] * sizes[1])
    return cells / max(cells.sum(), 1)


def errors(real: Tables, made: Tables | pd.DataFrame) -> dict[str, float]:
    """Return the mean total variations between two pairs of tables; nan where one cannot tell."""
    public, known = flat_schema(), schema()
    flat = [flattened(real), made if isinstance(made, pd.DataFrame) else flattened(made)]
    codes = [public.encode(one).astype(np.int64) for one in flat]
    sizes, width = public.domain.sizes, len(known.own_child.domain)

    def between(i: int, j: int) -> float:
        one, other = (_shares(c[:, i], c[:, j], (sizes[i], sizes[j])) for c in codes)
        return float(np.abs(one - other).sum()) / 2

    found = {
        "across": np.mean([between(i, j) for i in range(width) for j in range(width, len(sizes))]),
        "persons": np.mean([between(i, j) for i in range(width) for j in range(i)]),
        "siblings": np.nan,
        "number": np.nan,
    }
    if not isinstance(made, pd.DataFrame):
        tables = (real["persons"], made["persons"])
        pairs = [_siblings(one, known.own_child) for one in tables]
        apart = []
        for place in range(width):
            one, other = (
                _shares(p[0][:, place], p[1][:, place], (sizes[place],) * 2) for p in pairs
            )
            apart.append(np.abs(one - other).sum() / 2)
        found["siblings"] = np.mean(apart)
        counts = [np.bincount(one["of"].value_counts(), minlength=MOST + 1) for one in tables]
        one, other = (c / c.sum() for c in counts)
        found["number"] = np.abs(one - other).sum() / 2
    return {name: float(value) for name, value in found.items()}


def _siblings(persons: pd.DataFrame, own: dps.Schema) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of all ordered pairs of two persons of one household."""
    codes = own.encode(persons).astype(np.int64)
    owner = persons["of"].to_numpy()
    order = np.argsort(owner, kind="stable")
    codes, owner = codes[order], owner[order]
    one, other = [], []
    for step in range(1, MOST):
        same = np.flatnonzero(owner[step:] == owner[:-step])
        one += [codes[same], codes[same + step]]
        other += [codes[same + step], codes[same]]
    return np.concatenate(one), np.concatenate(other)


def measured(
    work: Callable[[int], Tables | pd.DataFrame], real: Tables, seeds: Sequence[int]
) -> tuple[dict[str, np.ndarray], float]:
    """Return the errors of each seed, and the mean processor seconds."""
    found, before = [], time.process_time()
    made = [work(seed) for seed in seeds]
    seconds = (time.process_time() - before) / len(seeds)
    found = [errors(real, one) for one in made]
    return {name: np.array([one[name] for one in found]) for name in found[0]}, seconds


def joined(real: Tables, name: str, epsilon: float, seed: int) -> Tables:
    """Return rows of two tables, as many households as there are."""
    budget = dps.PrivacyBudget(epsilon=epsilon, delta=DELTA)
    recipe = None if name == "clique_tree" else dps.SYNTHESIZERS[name]()  # its default is smaller
    release = fit_tables(real, schema(), budget, synthesizer=recipe, seed=seed)
    return release.sample(len(real["households"]), seed=seed)


def flat(real: Tables, name: str, epsilon: float, seed: int) -> pd.DataFrame:
    """Return rows of one flat table, as many persons as there are."""
    budget = dps.PrivacyBudget(epsilon, DELTA, unit="of", max_rows=MOST)
    release = dps.SYNTHESIZERS[name]().fit(flattened(real), flat_schema(), budget, seed=seed)
    return release.sample(len(real["persons"]), seed=seed, kinds="written")


def main() -> None:
    """Print a line a method and epsilon, below that of the floor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--households", type=int, default=20_000)
    parser.add_argument("--epsilons", nargs="+", type=float, default=(1.0,))
    parser.add_argument("--methods", nargs="+", default=("clique_tree", "mst"))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    real, seeds = households(given.households, 0), range(given.seeds)

    def line(name: str, found: dict[str, np.ndarray], seconds: float) -> None:
        cells = "  ".join(
            f"{what} {Spread.of(values).shown(4) if not np.isnan(values).any() else '-'}"
            for what, values in found.items()
        )
        print(f"{name:<30}{cells}  CPU {seconds:.1f} s", flush=True)

    line("floor", *measured(lambda seed: households(given.households, 1 + seed), real, seeds))
    for epsilon in given.epsilons:
        for name in given.methods:
            work = partial(joined, real, name, epsilon)
            line(f"{name}, epsilon {epsilon:g}, two", *measured(work, real, seeds))
            work = partial(flat, real, name, epsilon)
            line(f"{name}, epsilon {epsilon:g}, flat", *measured(work, real, seeds))


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"two_tables: {error}")
