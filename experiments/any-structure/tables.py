"""Made-up tables, each with one structure that rows must hold, and the score that tells.

A table is three parts of one law: records to be fitted, fresh ones to be tested on, and fresh ones
whose own score is the ceiling. Independent columns are the floor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm

from dp_synth.datasets import Dataset
from dp_synth.metrics import Compared, Estimate, mean_total_variation
from dp_synth.schema import Schema
from dp_synth.types import Codes

RECORDS, TESTED = 20_000, 20_000  # of a table to be fitted, and fresh ones that a score is taken on
BITS, MOST_BITS = 20, 7
NOISE = 0.05  # share of labels that do not obey their rule
TERNARY = 12
LEVELS = 8  # of a column that is a function of two others, and of those
FUNCTION = np.random.default_rng(1).integers(LEVELS, size=(LEVELS, LEVELS))
CLASSES, ANSWERS, CHOICES = (0.35, 0.25, 0.2, 0.15, 0.05), 12, 4
LAWS = np.random.default_rng(2).dirichlet([0.3] * CHOICES, size=(ANSWERS, len(CLASSES)))
UPPER = 10_000.0  # the public bound of heavy-tailed columns, far beyond most values
SPREAD, TAIL_INDEX = 1.5, 1.5  # of the log-normal columns, of those of Pareto's law
WIDE, BLOCK, COPY_NOISE, FEW = 600, 3, 0.1, 5_000
SMALL, LINKS, KEPT = 500, 8, 0.75
RARE, AT_BOTH, FIRST = 0.002, 0.9, 0.045  # positives: of all, where two codes are 0; those codes

Drawn = Sequence[np.ndarray] | np.ndarray
Rule = Callable[[Codes], np.ndarray]
Cliques = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class Structure:
    """A law of tables, and what is asked of rows; ``meaning`` is of the score called ``held``.

    ``draw`` gives columns of so many records. ``sizes`` are how many codes each column has, None
    for one of real numbers up to ``UPPER``.
    """

    name: str
    title: str
    meaning: str
    sizes: Sequence[int | None]
    draw: Callable[[int, np.random.Generator], Drawn]
    score: Callable[[Compared], Mapping[str, float]]
    records: int = RECORDS
    tested: int = TESTED

    def schema(self) -> Schema:
        """Return what is public: codes of categories, bounds of numbers."""
        number = {"type": "real", "lower": 0.0, "upper": UPPER, "decimals": 2}
        columns: list[dict[str, object]] = [
            {
                "name": f"x{place}",
                **(number if size is None else {"type": "categorical", "size": size}),
            }
            for place, size in enumerate(self.sizes)
        ]
        return Schema.from_dict({"name": self.name, "columns": columns})

    def dataset(self) -> Dataset:
        """Return the table: its parts are drawn one after the other, always the same."""
        rng, schema = np.random.default_rng(0), self.schema()
        digest = hashlib.sha256(schema.model_dump_json().encode())
        parts = []
        for size in (self.records, self.tested, self.records):
            columns = dict(zip(schema.names, self.draw(size, rng), strict=True))
            parts.append(schema.typed(pd.DataFrame(columns).astype(str)))
            digest.update(parts[-1].to_csv(index=False).encode())
        return Dataset(self.name, *parts, schema, "made up", "none needed", digest.hexdigest())


def held(compared: Compared) -> Mapping[str, Estimate]:
    """Return the scores of the structure that the schema names: a metric of grids."""
    scores = STRUCTURES[compared.real.schema.name].score(compared)
    return {name: Estimate(value, value, value) for name, value in scores.items()}


# Scores


def obeyed(compared: Compared, rule: Rule, inputs: Sequence[int]) -> Mapping[str, float]:
    """Return how often the last column of rows obeys a rule, and what is learned from them.

    ``accuracy`` is that on fresh records of the commonest label of each cell of the inputs.
    """
    share = float((rule(compared.codes) == compared.codes[:, -1]).mean())
    rows, fresh = (
        label_counts(codes, inputs, compared.real.binning.sizes)
        for codes in (compared.codes, compared.real.holdout_codes)
    )
    said = fresh[np.arange(len(rows)), rows.argmax(axis=1)]
    return {"held": share, "accuracy": float(said.sum() / fresh.sum())}


def average_precision(compared: Compared, inputs: Sequence[int]) -> Mapping[str, float]:
    """Return that on fresh records of the share of label 1 in each cell of the rows' inputs."""
    from sklearn.metrics import average_precision_score

    rows, fresh = (
        label_counts(codes, inputs, compared.real.binning.sizes)
        for codes in (compared.codes, compared.real.holdout_codes)
    )
    rate = rows[:, 1].sum() / max(rows.sum(), 1)
    shares = (rows[:, 1] + rate) / (rows.sum(axis=1) + 1)  # a cell without rows has that of all
    cells, labels = np.nonzero(fresh)
    weights = fresh[cells, labels]
    found = average_precision_score(labels == 1, shares[cells], sample_weight=weights)
    return {"held": float(found)}


def variation(compared: Compared, cliques: Cliques) -> Mapping[str, float]:
    """Return the mean total variation of these marginals from those of fresh records."""
    real = compared.real
    found = mean_total_variation(real.holdout_codes, compared.codes, real.binning.sizes, cliques)
    return {"held": found.value}


def label_counts(codes: Codes, inputs: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
    """Return how often each label, the last column, comes with each cell of the inputs."""
    places = [*inputs, len(sizes) - 1]
    shape = [sizes[place] for place in places]
    cells = np.ravel_multi_index(tuple(codes[:, place] for place in places), shape)
    return np.bincount(cells, minlength=int(np.prod(shape))).reshape(-1, shape[-1])


# Laws


def noise(count: int, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return by how much a label is off its rule, modulo its size: mostly 0."""
    return np.where(rng.random(count) < NOISE, rng.integers(1, size, size=count), 0)


def ruled(
    count: int, rng: np.random.Generator, columns: int, size: int, rule: Rule
) -> list[np.ndarray]:
    """Return columns of codes that are equally likely, and a label that mostly obeys a rule."""
    codes = rng.integers(size, size=(columns, count))
    return [*codes, (rule(codes.T) + noise(count, rng, size)) % size]


def parity(codes: Codes, bits: int) -> np.ndarray:
    """Return the parity of the first few columns."""
    return np.asarray(codes[:, :bits].sum(axis=1) % 2)


def modulo(codes: Codes) -> np.ndarray:
    """Return the sum of the first two columns modulo 3."""
    return np.asarray(codes[:, :2].sum(axis=1) % 3)


def function(codes: Codes) -> np.ndarray:
    """Return a drawn function of the first two columns."""
    return np.asarray(FUNCTION[codes[:, 0], codes[:, 1]])


def clusters(count: int, rng: np.random.Generator) -> Drawn:
    """Return columns that depend on a latent class alone."""
    hidden = rng.choice(len(CLASSES), size=count, p=CLASSES)
    ends = LAWS.cumsum(axis=2)[:, :, :-1]
    return [(rng.random((count, 1)) > of_column[hidden]).sum(axis=1) for of_column in ends]


def tails(count: int, rng: np.random.Generator) -> Drawn:
    """Return numbers of correlated ranks: four log-normal columns and two of Pareto's law."""
    normal = list(rng.standard_normal((6, count)))
    for place in range(1, 6):
        normal[place] = 0.8 * normal[place - 1] + 0.6 * normal[place]
    heavy = [np.exp(SPREAD * z) for z in normal[:4]]
    heavy += [norm.sf(z) ** (-1 / TAIL_INDEX) for z in normal[4:]]
    return [np.minimum(column, UPPER).round(2) for column in heavy]


def wide(count: int, rng: np.random.Generator) -> Drawn:
    """Return bits in blocks, of which all but the first are noisy copies of it."""
    first = rng.integers(2, size=(WIDE // BLOCK, 1, count))
    wrong = rng.random((WIDE // BLOCK, BLOCK, count)) < COPY_NOISE
    wrong[:, 0] = False
    return (first ^ wrong).reshape(WIDE, count)


def chain(count: int, rng: np.random.Generator) -> Drawn:
    """Return columns each of which is the one before, or drawn anew."""
    codes = [rng.integers(CHOICES, size=count)]
    for _ in range(LINKS - 1):
        anew = rng.integers(CHOICES, size=count)
        codes.append(np.where(rng.random(count) < KEPT, codes[-1], anew))
    return codes


def rare(count: int, rng: np.random.Generator) -> Drawn:
    """Return categories, and a label that is 1 nearly only where the first two are both 0."""
    codes = rng.choice(6, size=(9, count), p=[FIRST, *[(1 - FIRST) / 5] * 5])
    both = (codes[0] == 0) & (codes[1] == 0)
    elsewhere = (RARE - AT_BOTH * FIRST**2) / (1 - FIRST**2)
    return [*codes, (rng.random(count) < np.where(both, AT_BOTH, elsewhere)).astype(int)]


def _xor(bits: int) -> Structure:
    rule, title = partial(parity, bits=bits), f"XOR of {bits}" if bits > 1 else "a bit copied"
    draw = partial(ruled, columns=BITS, size=2, rule=rule)
    score = partial(obeyed, rule=rule, inputs=range(bits))
    return Structure(f"xor_{bits}", title, "rule obeyed", [2] * (BITS + 1), draw, score)


def _of_two(name: str, title: str, columns: int, size: int, rule: Rule) -> Structure:
    draw = partial(ruled, columns=columns, size=size, rule=rule)
    score = partial(obeyed, rule=rule, inputs=range(2))
    return Structure(name, title, "rule obeyed", [size] * (columns + 1), draw, score)


def _pairs(columns: int) -> Cliques:
    return list(combinations(range(columns), 2))


_TRIPLES = list(combinations(range(ANSWERS), 3))
_PLANTED = [p for at in range(0, WIDE, BLOCK) for p in combinations(range(at, at + BLOCK), 2)]
_TV = "TV of pairs"
STRUCTURES: Mapping[str, Structure] = {
    one.name: one
    for one in (
        *map(_xor, range(1, MOST_BITS + 1)),
        _of_two("modulo", "sum modulo 3", TERNARY, 3, modulo),
        _of_two("function", "a function of two columns", LEVELS, LEVELS, function),
        Structure(
            *("clusters", "latent classes", "TV of triples", [CHOICES] * ANSWERS, clusters),
            score=partial(variation, cliques=_TRIPLES),
        ),
        Structure(
            *("tails", "heavy tails", _TV, [None] * 6, tails),
            score=partial(variation, cliques=_pairs(6)),
        ),
        Structure(
            *("wide", f"{WIDE} columns", "TV of planted pairs", [2] * WIDE, wide),
            score=partial(variation, cliques=_PLANTED),
            records=FEW,
            tested=FEW,
        ),
        Structure(
            *("small", f"{SMALL} records", _TV, [CHOICES] * LINKS, chain),
            score=partial(variation, cliques=_pairs(LINKS)),
            records=SMALL,
        ),
        Structure(
            *("rare", f"{100 * RARE:g} % positives", "average precision", [*[6] * 9, 2], rare),
            score=partial(average_precision, inputs=range(2)),
        ),
    )
}
"""By name: parities first, then one table a structure."""
