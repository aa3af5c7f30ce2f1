"""Reconstruction: secret bits from synthetic counts, private records from a metric oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from dp_synth.attacks.article_29 import Secret, secret_of
from dp_synth.attacks.base import AttackedTables, ExcessRisk, Guess, cites
from dp_synth.errors import InputError
from dp_synth.frames import Table, as_frame
from dp_synth.metrics import Binning
from dp_synth.metrics.estimate import share
from dp_synth.settings import check_settings
from dp_synth.types import Codes, Floats, Integers

if TYPE_CHECKING:
    from scipy.sparse import csr_array


PRIOR_WEIGHT = 0.1  # how strongly a bit is drawn to the overall share, in queries of stddev 1
LEAST_STDDEV = 0.5  # of a query: synthetic counts are whole numbers
ITERATIONS = 300
STRANGERS = 5  # one in so many of the known records was not fitted


@cites("annamalai2024")
def linear_reconstruction(
    members: pd.DataFrame,
    controls: pd.DataFrame,
    secret: Secret,
    *,
    value: int = 1,
    degree: int = 2,
) -> ExcessRisk:
    """Return how much oftener a secret bit is reconstructed for fitted records than fresh ones.

    The bit is whether the secret has ``value``; both groups are attacked as if they had been
    fitted. The baseline guesses the commoner bit of the synthetic table. What a ledger bounds is
    the success on one record whether it was fitted or not, all others known and fitted: close to
    that is the success on a fifth of fresh records among fitted ones, `ExcessRisk.unfitted`.
    """
    right, truths = [], []
    for frame in (members, controls):
        truth = secret.values(frame) == value
        right.append((reconstruct(frame, secret, value=value, degree=degree) > 0.5) == truth)
        truths.append(truth)
    common = np.mean(secret.values(secret.synthetic) == value) > 0.5
    baseline = float(np.mean(truths[0] == common)) if len(members) else 0.0
    risk = ExcessRisk.of(right[0], right[1], baseline)
    few = controls.head(max(len(members) // STRANGERS, 1))
    among = pd.concat([few, members.iloc[len(few) :]], ignore_index=True)
    known = reconstruct(among, secret, value=value, degree=degree)[: len(few)] > 0.5
    return replace(risk, unfitted=share(int((known == truths[1][: len(few)]).sum()), len(few)))


def reconstruct(known: Table, secret: Secret, *, value: int = 1, degree: int = 2) -> Floats:
    """Return for each known record how likely its secret is ``value``, in [0, 1].

    The attack of Annamalai, Gadotti & Rocher 2024 (USENIX Security): each cell of ``degree``
    known columns is a noisy linear query on the bits of the records in it. Theirs takes the
    synthetic counts of cell and bit; here the query's answer is the number of known records in
    the cell times the synthetic share of the bit, so that the sampling of cells cancels. All
    bits are found together by weighted least squares in [0, 1].
    """
    if degree not in (1, 2, 3):
        raise InputError(f"degree must be 1, 2 or 3, got {degree}")
    if not 0 <= value < secret.size:
        raise InputError(f"value must be one of the secret's {secret.size} codes, got {value}")
    known = as_frame(known, "known")
    if not len(known) or not len(secret.synthetic):
        return np.full(len(known), 0.5)
    bits = (secret.values(secret.synthetic) == value).astype(np.float64)
    queries, answers, weights = _system(known, secret, bits, degree)
    return _solve(queries, answers, weights, prior=float(bits.mean()))


def _system(
    known: pd.DataFrame, secret: Secret, bits: Floats, degree: int
) -> tuple[csr_array, Floats, Floats]:
    """Return the 0/1 matrix (queries, records), the answers and their weights."""
    from scipy.sparse import csr_array, vstack

    binning = Binning.from_frame(secret.known, secret.synthetic)
    mine, theirs = binning.codes(known), binning.codes(secret.synthetic)
    blocks, answers, weights = [], [], []
    for clique in combinations(range(mine.shape[1]), min(degree, mine.shape[1])):
        shape = tuple(binning.sizes[axis] for axis in clique)
        my_cells, their_cells = (
            np.ravel_multi_index(tuple(codes[:, axis] for axis in clique), shape)
            for codes in (mine, theirs)
        )
        cells, place = np.unique(my_cells, return_inverse=True)
        held = np.bincount(place)
        found = np.searchsorted(cells, their_cells)
        hit = cells[np.minimum(found, len(cells) - 1)] == their_cells
        seen = np.bincount(found[hit], minlength=len(cells))
        ones = np.bincount(found[hit], weights=bits[hit], minlength=len(cells))
        asked = seen > 0
        rows = np.cumsum(asked) - 1
        kept = asked[place]
        records = np.flatnonzero(kept)
        entries = (np.ones(len(records)), (rows[place[kept]], records))
        blocks.append(csr_array(entries, shape=(int(asked.sum()), len(mine))))
        answers.append(held[asked] * ones[asked] / seen[asked])
        spread = held[asked] / (2 * np.sqrt(seen[asked]))
        weights.append(1 / (spread**2 + LEAST_STDDEV**2))
    return csr_array(vstack(blocks)), np.concatenate(answers), np.concatenate(weights)


def _solve(queries: csr_array, answers: Floats, weights: Floats, *, prior: float) -> Floats:
    """Return the weighted least-squares bits in [0, 1], drawn a little to ``prior``.

    Accelerated projected gradients (Beck & Teboulle 2009): the sparse product is the whole cost,
    where a general bounded solver takes minutes.
    """
    if not queries.nnz:  # no cell of the known records has a synthetic one: nothing was answered
        return np.full(queries.shape[1], prior)
    scaled = queries.multiply(np.sqrt(weights)[:, None]).tocsr()
    goal = answers * np.sqrt(weights)
    vector = np.ones(scaled.shape[1])
    for _ in range(20):  # the largest eigenvalue, by powers; raised by 5 % to be above it
        vector = scaled.T @ (scaled @ (vector / np.linalg.norm(vector)))
    step = 1 / (1.05 * float(np.linalg.norm(vector)) + PRIOR_WEIGHT)
    bits = np.full(scaled.shape[1], prior)
    ahead, momentum = bits, 1.0
    for _ in range(ITERATIONS):
        gradient = scaled.T @ (scaled @ ahead - goal) + PRIOR_WEIGHT * (ahead - prior)
        moved = np.clip(ahead - step * gradient, 0.0, 1.0)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = moved + (momentum - 1) / following * (moved - bits)
        bits, momentum = moved, following
    return bits


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

    def _distances(self, records: Codes) -> Integers:
        unequal = records[:, None, :] != self._private[None, :, :]
        distances: Integers = unequal.sum(axis=2).min(axis=1)
        return distances


@dataclass(frozen=True)
class ReconSyn:
    """Recovers private records from a generator and two metrics alone.

    The attack of Ganev & De Cristofaro 2023 (arXiv:2312.05114): `sample` keeps the generated
    records that the exact-match share betrays as copies, and `search` walks from near misses to
    the private record beside them, one attribute at a time, by the mean distance. Both submit
    tables of their own making, as any user of such metrics may.
    """

    name: ClassVar[str] = "reconsyn"
    cites: ClassVar[tuple[str, ...]] = ("ganev2023",)

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


def _run(tables: AttackedTables) -> ExcessRisk | None:
    secret = secret_of(tables)
    if secret is None:
        return None
    given = (tables.members, tables.controls, secret)
    return linear_reconstruction(*given, value=secret.commonest())


RECONSTRUCTION = Guess(
    "reconstruction",
    "reconstruction",
    "Do all counts together tell every fitted person's secret?",
    "The secret of a {who} record was reconstructed from counts",
    _run,
    sees="the synthetic table, all records without the secret",
    cites=("annamalai2024",),
)
