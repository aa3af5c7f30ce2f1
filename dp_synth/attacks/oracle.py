"""What privacy metrics give away when they are reported beside a synthetic table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.errors import InputError
from dp_synth.settings import check_settings

Codes = NDArray[np.int32]


class MetricOracle:
    """Reports similarity of submitted records to private ones, as review tools do, without noise.

    Records are codes of shape (records, attributes). ``calls`` counts the reports. None of this
    is differentially private: that is the point.
    """

    def __init__(self, private: Codes) -> None:
        self._private = np.asarray(private)
        self.calls = 0

    def exact_match_share(self, records: Codes) -> float:
        """Return which share of the submitted records are copies of private ones."""
        self.calls += 1
        return float(np.mean(self._distances(records) == 0)) if len(records) else 0.0

    def mean_distance(self, records: Codes) -> float:
        """Return the mean number of attributes that differ from the closest private record."""
        self.calls += 1
        return float(np.mean(self._distances(records))) if len(records) else 0.0

    def _distances(self, records: Codes) -> NDArray[np.int64]:
        unequal = records[:, None, :] != self._private[None, :, :]
        distances: NDArray[np.int64] = unequal.sum(axis=2).min(axis=1)
        return distances


@dataclass(frozen=True)
class ReconSyn:
    """Recovers private records from a generator and two metrics alone.

    The attack of Ganev & De Cristofaro 2023 (arXiv:2312.05114): `sample` keeps the generated
    records that the exact-match share betrays as copies, and `search` walks from near misses to
    the private record beside them, one attribute at a time, by the mean distance. Both submit
    tables of their own making, as any user of such metrics may.
    """

    sizes: tuple[int, ...]  # of the attributes, public
    furthest: int = 4  # near misses at most so many attributes away are walked from

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.sizes or min(self.sizes) < 1 or self.furthest < 1:
            raise InputError("sizes must name attributes of 1 value or more, furthest be 1 or more")

    def sample(
        self, generate: Callable[[int], Codes], oracle: MetricOracle, *, records: int, rounds: int
    ) -> Codes:
        """Return the distinct copies of private records among ``rounds`` generated tables.

        Copies are found by halving: a part of a table without any is dropped by one report.
        """
        found = np.empty((0, len(self.sizes)), dtype=np.int32)
        for _ in range(rounds):
            table = np.unique(generate(records), axis=0)
            found = np.concatenate([found, _copies(table, oracle)])
        return np.unique(found, axis=0)

    def search(self, starts: Codes, oracle: MetricOracle) -> Codes:
        """Return the distinct private records to which walks from ``starts`` lead.

        A record at distance d has d attributes whose right value lowers the reported distance
        by 1, so every walk ends at a private record after at most as many reports as the
        attributes have values.
        """
        ends = [self._walk(start, oracle) for start in starts]
        kept = [end for end in ends if end is not None]
        return np.unique(kept, axis=0) if kept else np.empty((0, len(self.sizes)), dtype=np.int32)

    def _walk(self, start: Codes, oracle: MetricOracle) -> Codes | None:
        here = start.copy()
        distance = oracle.mean_distance(here[None])
        if distance > self.furthest:
            return None
        for attribute, size in enumerate(self.sizes):
            if not distance:
                break
            for value in range(size):
                tried = here.copy()
                tried[attribute] = value
                if (closer := oracle.mean_distance(tried[None])) < distance:
                    here, distance = tried, closer
                    break
        return here if not distance else None


def _copies(table: Codes, oracle: MetricOracle) -> Codes:
    if not len(table) or not (share := oracle.exact_match_share(table)):
        return table[:0]
    if share == 1:
        return table
    middle = len(table) // 2
    return np.concatenate([_copies(table[:middle], oracle), _copies(table[middle:], oracle)])
