"""Tables and pools that many cells share: each process makes them once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth import datasets, extensions
from dp_synth.attacks import Pool, split_pool
from dp_synth.benchmark.cell import Cell
from dp_synth.benchmark.grid import Grid
from dp_synth.benchmark.grid_types import TABLE_ENDINGS
from dp_synth.errors import DatasetUnavailable, GridError
from dp_synth.metrics import Binning, Estimate, RealTables, cliques_of, mean_total_variation

PURPOSES = ("pool", "fit", "sample", "attack")
# Names a column that no schema has, so that records can be told apart once they are in a pool.
ROW = "\x00row"


def child_seed(seed: int, purpose: str) -> int:
    """Return the seed of one purpose: independent of the others, the same for all synthesizers.

    >>> child_seed(0, "fit") == child_seed(0, "pool"), child_seed(0, "fit") == child_seed(0, "fit")
    (False, True)
    """
    children = np.random.SeedSequence(seed).spawn(len(PURPOSES))
    return int(children[PURPOSES.index(purpose)].generate_state(1, np.uint64)[0] >> np.uint64(1))


def dataset(name: str) -> datasets.Dataset:
    """Return the table of a name, of a path, or that ``module:function`` gives.

    DatasetUnavailable where it is not to be found.
    """
    given = extensions.given("datasets", name)
    return given if isinstance(given, datasets.Dataset) else _read(name)


@lru_cache(maxsize=2)
def _read(name: str) -> datasets.Dataset:
    if name in datasets.names():
        return datasets.load(name)
    if name.endswith(TABLE_ENDINGS):
        return datasets.from_file(name)
    makers: dict[str, object] = {}
    make = extensions.find("datasets", name, makers)
    made = make() if callable(make) else make
    if not isinstance(made, datasets.Dataset):
        raise DatasetUnavailable(f"dataset {name!r} must be a function that returns a Dataset")
    return made


def plan(grid: Grid) -> tuple[Cell, ...]:
    """Return the cells of ``grid`` on its tables as they are.

    DatasetUnavailable where a table is not to be found, GridError where one is too small.
    """
    if grid.leakage is not None:
        needed = 2 * grid.leakage.members
        for name in grid.dataset:
            here = len(dataset(name).train) + len(dataset(name).holdout)
            if here < needed:
                raise GridError(
                    f"leakage.members: at most {here // 2} for the dataset {name!r}, "
                    f"got {grid.leakage.members}"
                )
    return grid.cells({name: dataset(name).sha256 for name in grid.dataset})


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Real records whose marginals others are compared with, in cells cut on the training part."""

    binning: Binning
    codes: NDArray[np.int32]

    def total_variation(self, rows: pd.DataFrame, degrees: tuple[int, ...]) -> dict[int, Estimate]:
        """Return the mean total variation from ``rows`` of the marginals of each degree."""
        codes, sizes = self.binning.codes(rows), self.binning.sizes
        return {
            degree: mean_total_variation(self.codes, codes, sizes, cliques_of(len(sizes), degree))
            for degree in degrees
        }


def real_tables(name: str) -> RealTables:
    """Return the training and hold-out parts of the named table, as metrics take them."""
    return _real_tables(dataset(name))


@lru_cache(maxsize=2)
def _real_tables(data: datasets.Dataset) -> RealTables:
    return RealTables(data.train, data.holdout, data.schema)


@dataclass(frozen=True, eq=False)
class Game:
    """A pool of members and non-members, and the records of the same table outside of it."""

    pool: Pool
    yardstick: Yardstick
    fresh: pd.DataFrame  # from the training part
    tested: pd.DataFrame  # from the hold-out part


def game(name: str, seed: int, members: int, isolated: int) -> Game:
    """Return the game of one seed on the training and hold-out parts of the named table.

    It depends on nothing else, so that all synthesizers, budgets and attacks play the same one.
    """
    return _game(dataset(name), seed, members, isolated)


@lru_cache(maxsize=2)
def _game(data: datasets.Dataset, seed: int, members: int, isolated: int) -> Game:
    frame = pd.concat([data.train, data.holdout], ignore_index=True)
    rng = np.random.default_rng(child_seed(seed, "pool"))
    pool = split_pool(
        frame.assign(**{ROW: np.arange(len(frame))}),
        data.schema,
        data.reference,
        members=members,
        isolated=isolated,
        rng=rng,
    )
    outside = np.ones(len(frame), dtype=bool)
    outside[pd.concat([pool.members[ROW], pool.non_members[ROW]]).to_numpy()] = False
    in_train = np.arange(len(frame)) < len(data.train)
    targets = Pool(
        pool.members.drop(columns=ROW),
        pool.non_members.drop(columns=ROW),
        pool.member_isolated,
        pool.non_member_isolated,
    )
    binning = _real_tables(data).binning
    return Game(
        targets,
        Yardstick(binning, binning.codes(targets.members)),
        frame[outside & in_train].reset_index(drop=True),
        frame[outside & ~in_train].reset_index(drop=True),
    )
