"""Private table: records, the reservation that pays for every answer, and scores of marginals.

With each score how far one unit moves it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Adjacency, Reservation
from dp_synth.counting import CachedCounts, CodeCounts, Counts, dense_shape
from dp_synth.counting.all_pairs import count_all_pairs, first_codes
from dp_synth.counting.marginals import in_passes
from dp_synth.counting.parities import count_parities
from dp_synth.counting.units import UnitRows
from dp_synth.domain import Domain, ParitySets
from dp_synth.errors import InputError, RowsNeeded
from dp_synth.mechanisms.simulation import door_of
from dp_synth.transcript import Answer
from dp_synth.types import Clique, Codes, Floats

X = TypeVar("X")
Y = TypeVar("Y")

LARGEST_KEPT, MOST_KEPT = 2**14, 2**11  # cells of an expectation that is kept, and of how many
LARGEST_SCORE = 2.0**30  # larger distances count as this; nothing moves further by being cut


class Law(Protocol):
    """How a mechanism drew its answer from a table, by which it could draw one from another."""

    @property
    def part(self) -> str:
        """The part of the plan that paid."""

    @property
    def why(self) -> str:
        """What the answer was for."""


class Auditor(Protocol):
    """Who holds a neighbouring table in a simulation, and is told the law of every answer."""

    def answer(
        self, table: PrivateTable, read: Callable[[PrivateTable], X], draw: Callable[[X], Y]
    ) -> tuple[X, Y]:
        """Return what `PrivateTable.answered` returns: read and drawn, or as it once was."""

    def hear(self, law: Law) -> None:
        """Take note of an answer about the table that is audited."""

    def follow(self, change: Callable[[PrivateTable], PrivateTable]) -> Auditor:
        """Return the auditor of that table after a public change of its codes."""


class PrivateTable:
    """Private records over a domain, and the reservation that pays for every answer about them.

    ``codes`` are integers of shape (records, attributes), or a store that counts. Only mechanisms
    may call ``exact_marginal`` and ``exact_marginals``, and only after their charge; ``reads``
    counts the marginals that were handed out. They record in ``transcript`` what they answered;
    coarsened copies share it, and ``groups`` are the codes' group numbers in such a copy.
    ``wanted`` are pairs, in the domain's order, which are to be measured before others, ``idle``
    such as need not be: public wishes, that a synthesizer may follow.

    ``auditor`` hears by what law each answer was drawn. ValueError for one outside of a
    simulation: what is told between two tables is private.
    """

    def __init__(
        self,
        codes: Codes | Counts,
        domain: Domain,
        payer: Reservation,
        *,
        transcript: list[Answer] | None = None,
        groups: Mapping[str, Codes] | None = None,
        auditor: Auditor | None = None,
    ) -> None:
        counts = CodeCounts.of(codes, domain) if isinstance(codes, np.ndarray) else codes
        known = counts.domain
        if (known.attributes, known.sizes) != (domain.attributes, domain.sizes):
            raise ValueError("the store must count the attributes of the domain, in its sizes")
        if auditor is None and (door := door_of(payer)) is not None:
            counts, auditor = door.watch(counts, payer)
        self._private_counts = counts
        self.domain = domain
        self.payer = payer
        self.transcript = [] if transcript is None else transcript
        self.groups = groups or {}
        self.wanted: frozenset[Clique] = frozenset()
        self.idle: frozenset[Clique] = frozenset()
        self.reads = 0
        self._private_units: UnitRows | None = None
        if auditor is not None and not payer.accountant.ledger.simulation:
            raise ValueError("only a simulation may be watched: comparisons are private")
        self._auditor = auditor

    @property
    def adjacency(self) -> Adjacency:
        """The adjacency under which sensitivities must be stated."""
        return self.payer.adjacency

    @property
    def public_records(self) -> float | None:
        """The number of records where the budget makes it public, else None."""
        if not self.payer.budget.records_are_public:
            return None
        return float(self._private_counts.marginals([()])[0])

    def shapes(self, cliques: Sequence[Clique]) -> list[tuple[int, ...]]:
        """Return the shapes of marginals; errors as `dense_shape`, before a record is read."""
        return [dense_shape(self.domain, clique) for clique in cliques]

    def exact_marginal(self, clique: Clique) -> NDArray[np.float64]:
        """Return the private counts of the marginal over ``clique``: for mechanisms alone."""
        return self.exact_marginals([clique])[0]

    def exact_marginals(self, cliques: Sequence[Clique]) -> list[NDArray[np.float64]]:
        """Return several private marginals, counted together: for mechanisms alone."""
        self.reads += len(cliques)
        return self._private_counts.marginals(cliques)

    def exact_pairs(self, pairs: int) -> NDArray[np.float32] | None:
        """Return the private counts of all pairs, where so many are wanted: for mechanisms alone.

        None where these are counted faster one by one; see `count_all_pairs`.
        """
        try:
            found = count_all_pairs(self._private_counts, pairs)
        except RowsNeeded:
            return None
        self.reads += pairs if found is not None else 0
        return found

    def exact_records(self) -> tuple[Codes, NDArray[np.int64]]:
        """Return the distinct private records and how often each occurs: for mechanisms alone.

        Codes have shape (distinct records, attributes).
        """
        self.reads += 1
        codes, counts = self._private_counts.occupied(self.domain.attributes)
        return codes, counts.astype(np.int64)

    def keep_units(self, rows: UnitRows) -> None:
        """Keep which of the table's records are of one unit, for mechanisms that draw units.

        ``rows`` are the table's records, over its codes.
        """
        if tuple(rows.columns) != self.domain.attributes:
            raise ValueError("units must have the attributes of the table")
        self._private_units = rows

    @property
    def has_units(self) -> bool:
        """Whether it is known which records are of one unit."""
        return self._private_units is not None

    def exact_units(self) -> UnitRows:
        """Return the private records by their units: for mechanisms alone."""
        self.reads += 1
        return self._known_units()

    def of_units(self) -> PrivateTable:
        """Return a table of one record of each unit, which the same reservation pays for.

        A unit has one record in it where it has up to ``max_rows`` here, so that sensitivities
        stated for those hold. Its answers go into a transcript of its own: they are not about the
        table's records.
        """
        auditor = None if self._auditor is None else self._auditor.follow(PrivateTable.of_units)
        return PrivateTable(self._known_units().last(), self.domain, self.payer, auditor=auditor)

    def _known_units(self) -> UnitRows:
        if self._private_units is None:
            raise InputError("nobody has said which records of this table are of one unit")
        return self._private_units

    def exact_parities(self, asked: ParitySets) -> Floats:
        """Return the private parities of sets of bits, shape (sets,): for mechanisms alone."""
        self.reads += 1
        return count_parities(self._private_counts, asked)

    def exact_blocks(self, clique: Clique) -> Iterator[tuple[Codes, NDArray[np.int64]]]:
        """Yield the private records, and how often each line occurs: for mechanisms alone.

        Codes of ``clique`` have shape (lines, attributes), and come in blocks.
        """
        self.reads += 1
        for columns, weights in self._private_counts.blocks(clique):
            codes = np.stack(columns, axis=1).astype(np.int32)
            whole = np.ones(len(codes)) if weights is None else weights
            yield codes, whole.astype(np.int64)

    def answered(self, read: Callable[[PrivateTable], X], draw: Callable[[X], Y]) -> tuple[X, Y]:
        """Return what ``read`` finds in the table, and the answer that ``draw`` makes of it.

        For mechanisms alone, after their charge: all that they read, they read here, so that an
        auditor can hand out the answer of another run instead, and compare what is read.
        """
        if self._auditor is not None:
            return self._auditor.answer(self, read, draw)
        exact = read(self)
        return exact, draw(exact)

    def record_answers(self, law: Law, answers: Sequence[Answer] = ()) -> None:
        """Append answers to the transcript, and tell an auditor by what law they were drawn."""
        self.transcript.extend(answers)
        if self._auditor is not None:
            self._auditor.hear(law)

    def coarsen(self, groups: Mapping[str, Codes]) -> PrivateTable:
        """Return the table with codes of some attributes relabelled by public group numbers.

        ``groups[attribute][code]`` is the new code, from 0 without gaps. The same reservation pays.
        """
        coarse = self._private_counts.coarsened(groups)
        changed = {a: g for a, g in groups.items() if not np.array_equal(g, np.arange(len(g)))}
        both = {a: g for a, g in self.groups.items() if a not in changed}
        for attribute, group in changed.items():
            known = self.groups.get(attribute)
            both[attribute] = group if known is None else group[known]
        same = self._private_counts.domain is self.domain
        domain = coarse.domain if same else self.domain.coarsened(groups)
        other = self._with_counts(coarse, domain, both, lambda other: other.coarsen(groups))
        other._private_units = (
            None if self._private_units is None else self._private_units.relabelled(groups)
        )
        return other

    def remembering(self) -> PrivateTable:
        """Return the same table, which counts each marginal once however often it is read.

        Each answer about it is charged as before: what is kept are private counts, never noise.
        """
        counts = CachedCounts(self._private_counts)
        return self._with_counts(
            counts, self.domain, self.groups, lambda other: other.remembering()
        )

    def recoded(self, groups: Mapping[str, Codes], domain: Domain) -> PrivateTable:
        """Return the table over ``domain``, whose code ``groups`` give for each code of some.

        These are codes of their own, which no answer is said to be coarser than.
        """
        counts = self._private_counts.coarsened(groups) if groups else self._private_counts
        other = self._with_counts(counts, domain, {}, lambda other: other.recoded(groups, domain))
        other._private_units = (
            None if self._private_units is None else self._private_units.relabelled(groups)
        )
        return other

    def _with_counts(
        self,
        counts: Counts,
        domain: Domain,
        groups: Mapping[str, Codes],
        change: Callable[[PrivateTable], PrivateTable],
    ) -> PrivateTable:
        auditor = None if self._auditor is None else self._auditor.follow(change)
        shared = self.transcript
        other = PrivateTable(
            counts, domain, self.payer, transcript=shared, groups=groups, auditor=auditor
        )
        other.wanted, other.idle = self.wanted, self.idle
        other._private_units = self._private_units
        return other

    def __repr__(self) -> str:
        return f"PrivateTable({len(self.domain)} attributes, paid by {self.payer.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private table cannot be pickled: its copy would leave its payer behind")


def marginal_sensitivity(adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return the L2 sensitivity of one marginal's counts, for units of so many records.

    A record added or removed moves one cell by one; a record replaced moves two cells. All
    records of a unit may lie in one cell.

    >>> marginal_sensitivity("add_remove"), marginal_sensitivity("replace_one") ** 2
    (1.0, 2.0000000000000004)
    """
    return max_rows * (1.0 if adjacency == "add_remove" else math.sqrt(2.0))


def parity_sensitivity(sets: int, adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return the L2 sensitivity of the parities of so many sets of bits.

    A record adds 1 or -1 to the parity of each set. Added or removed it moves each by one, and
    all of them by sqrt(sets). Replaced by another it moves each by zero or two: by two where the
    records differ in an odd number of the set's bits, as they may in all sets at once, such as by
    a bit that all share. The records of a unit may all move the same way.

    >>> parity_sensitivity(9, "add_remove"), parity_sensitivity(9, "replace_one", max_rows=2)
    (3.0, 12.0)
    """
    return max_rows * (1.0 if adjacency == "add_remove" else 2.0) * math.sqrt(sets)


def sum_sensitivity(bound: float, adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return the L2 sensitivity of a sum over records of vectors of norm up to ``bound``.

    A record added or removed moves the sum by its own vector. One that is replaced moves it by
    the difference of two, which may point in opposite directions. The records of a unit may all
    move it the same way.

    >>> sum_sensitivity(8, "add_remove"), sum_sensitivity(8, "replace_one", max_rows=3)
    (8.0, 48.0)
    """
    return max_rows * (1.0 if adjacency == "add_remove" else 2.0) * bound


def l1_distance_sensitivity(adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return how far the L1 distance of one marginal's counts from fixed numbers can move.

    At most the L1 distance between the two tables' counts (triangle inequality).

    >>> l1_distance_sensitivity("add_remove"), l1_distance_sensitivity("replace_one")
    (1.0, 2.0)
    """
    return max_rows * (1.0 if adjacency == "add_remove" else 2.0)


def dependence_sensitivity(adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return how far the L1 distance of a table from the product of its parts can move.

    For counts C of n records with row sums r and column sums c, the distance of C from r c / n.
    Write p = r / n and q = c / n. A record added to cell (i, j) moves C by e_i e_j and the
    product by e_i e_j - n / (n + 1) u v, where u = e_i - p and v = e_j - q, so that their
    difference moves by n / (n + 1) u v, of L1 norm at most |u| |v| <= 2 * 2. A record replaced
    is one removed and one added; the records of a unit come one by one. The number of records
    need not be public, as it must be for frequencies (PrivBayes, Zhang et al. 2017).

    >>> dependence_sensitivity("add_remove"), dependence_sensitivity("replace_one")
    (4.0, 8.0)
    """
    return max_rows * (4.0 if adjacency == "add_remove" else 8.0)


@dataclass(frozen=True, eq=False)
class ColumnProducts:
    """Public expectations of pairs of columns that are independent: products of their counts.

    ``columns`` are those of all attributes of ``domain``, and add up to ``total`` each.
    """

    domain: Domain
    columns: Mapping[str, Floats]
    total: float

    def __call__(self, pair: Clique) -> Floats:
        """Return the expected counts of one pair."""
        first, second = pair
        return np.multiply.outer(self.columns[first], self.columns[second] / self.total)

    def distances(self, counts: NDArray[np.float32], fineness: int) -> Floats:
        """Return the distance of each pair, shape (attributes, attributes), zero from the diagonal.

        ``counts`` are those of `count_all_pairs`. Expected counts are rounded to whole multiples
        of 1 / ``fineness``, so that sums are exact and the same as those of single pairs.
        """
        first = first_codes(self.domain)
        all_columns = [self.columns[attribute] for attribute in self.domain]
        shares = np.concatenate([column / self.total for column in all_columns])
        found = np.zeros((len(self.domain), len(self.domain)))
        for axis, column in enumerate(all_columns[:-1]):
            own, others = slice(first[axis], first[axis + 1]), slice(first[axis + 1], None)
            expected = np.multiply.outer(column, shares[others])
            off = np.abs(counts[own, others] - np.rint(expected * fineness) / fineness).sum(axis=0)
            found[axis, axis + 1 :] = np.add.reduceat(off, first[axis + 1 : -1] - first[axis + 1])
        return found


class Distances:
    """How badly public expectations fit: the L1 distance of each marginal from its expectation.

    Expected counts are rounded to whole multiples of 1 / ``fineness``, a power of two.
    ``penalties``, rounded to whole numbers, are taken off the distances and ``weights`` multiply
    what is left, each relative to the largest weight among the candidates. The distances are
    private; they are computed when a choice has been charged for, kept for the next choice, and
    never handed out.
    """

    def __init__(
        self,
        table: PrivateTable,
        expected: Callable[[Clique], Floats],
        *,
        weights: Mapping[Clique, float] | None = None,
        penalties: Mapping[Clique, float] | None = None,
        fineness: int = 1,
    ) -> None:
        if not all(0 < weight < math.inf for weight in (weights or {}).values()):
            raise ValueError("weights must be finite numbers above 0")
        if fineness < 1 or fineness & (fineness - 1):
            raise ValueError(f"fineness must be a power of two from 1, got {fineness}")
        self.table = table
        self.fineness = fineness
        self._expected = expected
        self._weights = weights
        self._penalties = penalties
        self._known: dict[Clique, float] = {}
        self._kept: dict[Clique, Floats] | None = None  # rounded expectations, of other tables

    def __repr__(self) -> str:
        return f"Distances({self.table!r})"

    @property
    def sensitivity(self) -> float:
        """How far one unit moves a score of the largest weight."""
        payer = self.table.payer
        return l1_distance_sensitivity(payer.adjacency, payer.budget.max_rows)

    def refuse_foreign(self, cliques: Sequence[Clique]) -> None:
        """Raise KeyError for an unknown attribute, ValueError for too many cells; reads nothing."""
        self.table.shapes([clique for clique in cliques if clique not in self._known])

    def _about(self, table: PrivateTable) -> Distances:
        """Return the same expectations about any table."""
        if table is self.table:
            return self
        other = Distances(
            table,
            self._expected,
            weights=self._weights,
            penalties=self._penalties,
            fineness=self.fineness,
        )
        self._kept = other._kept = {} if self._kept is None else self._kept
        return other

    def _qualities(self, cliques: Sequence[Clique]) -> Floats:
        self._learn([clique for clique in dict.fromkeys(cliques) if clique not in self._known])
        distances = np.minimum([self._known[clique] for clique in cliques], LARGEST_SCORE)
        if self._penalties is not None:
            penalties = np.rint([self._penalties[clique] for clique in cliques])
            distances = np.clip(distances - penalties, -LARGEST_SCORE, LARGEST_SCORE)
        if self._weights is not None:
            weights = np.array([self._weights[clique] for clique in cliques], dtype=float)
            distances = weights / weights.max() * distances
        return np.asarray(distances)

    def _learn(self, cliques: Sequence[Clique]) -> None:
        if not self._learnt_together(cliques):
            self._learn_each(cliques)

    def _learnt_together(self, cliques: Sequence[Clique]) -> bool:
        """Learn all distances from one product, where that is faster: the same numbers."""
        expected, domain = self._expected, self.table.domain
        if not isinstance(expected, ColumnProducts) or expected.domain.sizes != domain.sizes:
            return False
        places = [tuple(map(domain.axis, clique)) for clique in cliques]
        if not all(len(place) == 2 and place[0] < place[1] for place in places):
            return False
        counts = self.table.exact_pairs(len(cliques))
        if counts is None:
            return False
        first, second = np.array(places).T
        found = expected.distances(counts, self.fineness)[first, second]
        self._known.update(zip(cliques, found.tolist(), strict=True))
        return True

    def _learn_each(self, cliques: Sequence[Clique]) -> None:
        for batch in in_passes(cliques, self.table.domain.cells):
            # Whole multiples: sums are exact and the sensitivity is what it is said to be.
            expected = [self._rounded(clique) for clique in batch]
            for clique, table in zip(batch, expected, strict=True):
                if table.shape != self.table.domain.shape(clique):  # would be counted twice
                    raise ValueError(f"expected {clique} has the wrong shape, {table.shape}")
            exact = self.table.exact_marginals(batch)
            for clique, counts, table in zip(batch, exact, expected, strict=True):
                self._known[clique] = float(np.abs(counts - table).sum())

    def _rounded(self, clique: Clique) -> Floats:
        """Return the expectation in whole multiples; kept where several tables are compared."""
        kept = {} if self._kept is None else self._kept
        if clique not in kept:
            found = np.asarray(np.rint(self._expected(clique) * self.fineness) / self.fineness)
            if found.size > LARGEST_KEPT or len(kept) >= MOST_KEPT:
                return found
            kept[clique] = found
        return kept[clique]


class Dependences:
    """How far the first attribute of a clique is from independent of all its others together.

    The L1 distance between the marginal's counts and the product of its two parts over the
    number of records: twice that number times the score R of PrivBayes. Kept and never handed
    out, like ``Distances``. ``dependence_sensitivity`` has the proof of how far one unit moves
    it; up to 2**30 records what rounding adds stays within ``DEPENDENCE_MARGIN``.
    """

    def __init__(self, table: PrivateTable) -> None:
        self.table = table
        self._known: dict[Clique, float] = {}

    def __repr__(self) -> str:
        return f"Dependences({self.table!r})"

    @property
    def sensitivity(self) -> float:
        """How far one unit moves a score."""
        payer = self.table.payer
        return dependence_sensitivity(payer.adjacency, payer.budget.max_rows)

    def refuse_foreign(self, cliques: Sequence[Clique]) -> None:
        """Raise KeyError for an unknown attribute, ValueError for too many cells; reads nothing."""
        self.table.shapes([clique for clique in cliques if clique not in self._known])

    def _about(self, table: PrivateTable) -> Dependences:
        """Return the same scores of any table."""
        return self if table is self.table else Dependences(table)

    def _qualities(self, cliques: Sequence[Clique]) -> Floats:
        return np.minimum([self._of(clique) for clique in cliques], 2 * LARGEST_SCORE)

    def _of(self, clique: Clique) -> float:
        if clique not in self._known:
            exact = self.table.exact_marginal(clique)
            counts = exact.reshape(len(exact), -1)
            first, others = counts.sum(axis=1), counts.sum(axis=0)
            product = np.outer(first, others) / max(first.sum(), 1.0)
            self._known[clique] = float(np.abs(counts - product).sum())
        return self._known[clique]
