"""Random small tables, and the slow obvious way to count them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.counting.duckdb import Block
from dp_synth.domain import Domain
from dp_synth.types import Clique, Codes

NAMES = ("a", "b", "c", "d", "e")


def made_table(rng: np.random.Generator, records: int, largest: int = 6) -> tuple[Codes, Domain]:
    """Uniform codes over five attributes of at most ``largest`` codes each."""
    sizes = tuple(int(size) for size in rng.integers(1, largest + 1, size=len(NAMES)))
    return rng.integers(0, sizes, (records, len(NAMES)), dtype=np.int32), Domain(NAMES, sizes)


def some_cliques(rng: np.random.Generator, count: int = 12) -> list[Clique]:
    """Cliques of any length, the empty one included, axes in any order."""
    return [
        tuple(str(name) for name in rng.permutation(NAMES)[: rng.integers(0, len(NAMES) + 1)])
        for _ in range(count)
    ]


def slow_marginal(codes: Codes, domain: Domain, clique: Clique) -> NDArray[np.float64]:
    """Count the records one by one."""
    counts = np.zeros(domain.shape(clique))
    for record in codes:
        counts[tuple(record[domain.axis(attribute)] for attribute in clique)] += 1
    return counts


def halved(domain: Domain, attribute: str) -> Codes:
    """Groups of two neighbouring codes each."""
    return (np.arange(domain.size(attribute)) // 2).astype(np.int32)


def frame_of(block: Block) -> pd.DataFrame:
    """The cells of a block as text."""
    cells = {name: np.array(texts.distinct, dtype=object) for name, texts in block.items()}
    return pd.DataFrame({name: cells[name][texts.places] for name, texts in block.items()})
