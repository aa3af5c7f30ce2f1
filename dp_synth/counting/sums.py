"""Counts that several holders add: of each holder's records marginals come, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import Column, MemoryColumns
from dp_synth.counting.kept_tables import KeptTables
from dp_synth.counting.marginals import Counts, dense_shape
from dp_synth.counting.records import PrivateRecords, finest_domain
from dp_synth.domain import Domain
from dp_synth.errors import InputError, RowsNeeded, SchemaError
from dp_synth.schema import Schema
from dp_synth.types import Clique, Codes, Floats


class Adder(Protocol):
    """Who asks all holders for marginals, and adds what they answer."""

    def sums(self, cliques: Sequence[Clique], groups: Mapping[str, Codes]) -> list[Floats]:
        """Return the marginal over each clique of all records, codes relabelled by ``groups``.

        Exact, whole numbers. InputError where a holder does not answer, or not as it should.
        """

    def close(self) -> None:
        """Tell the holders that nothing more will be asked."""


class OneLine:
    """A block in which any fault of who counts is one line without its words: they may quote."""

    def __init__(self, who: str) -> None:
        self._who = who

    def __enter__(self) -> None:
        """Begin to count."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise InputError in place of the fault."""
        if isinstance(error, Exception) and not isinstance(error, InputError):
            raise InputError(
                f"{self._who} did not count ({type(error).__name__}): what a ledger was charged "
                "stays charged"
            ) from None


class LocalAdder:
    """Adds the counts of records that are all read in this process, holder by holder."""

    def __init__(self, parts: Sequence[PrivateRecords]) -> None:
        self._parts = parts
        self._coarse: tuple[Mapping[str, Codes], list[Counts]] | None = None

    def sums(self, cliques: Sequence[Clique], groups: Mapping[str, Codes]) -> list[Floats]:
        """Return the marginal over each clique; errors as those of the holders' counts."""
        if self._coarse is None or self._coarse[0] is not groups:
            self._coarse = groups, [part.counts.coarsened(groups) for part in self._parts]
        found = [counts.marginals(cliques) for counts in self._coarse[1]]
        return [np.sum(tables, axis=0) for tables in zip(*found, strict=True)]

    def close(self) -> None:
        """Leave the records to those who opened them."""


class SummedCounts:
    """Exact counts of the records of all holders; what they have told is not asked again.

    Whole numbers are added, so that the counts are those of the union of the records.
    """

    def __init__(
        self,
        adder: Adder,
        domain: Domain,
        groups: Mapping[str, Codes] | None = None,
        kept: KeptTables | None = None,
    ) -> None:
        self.domain = domain
        self._adder = adder
        self._groups = dict(groups or {})
        self._kept = KeptTables() if kept is None else kept

    def __len__(self) -> int:
        return int(self.marginal(()))

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``, axes in its order; errors as `dense_shape`."""
        return self.marginals([clique])[0]

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique; those not known are asked for together.

        Errors as `dense_shape`, before a holder is asked, and as `Adder.sums`.
        """
        for clique in cliques:
            dense_shape(self.domain, clique)
        known = {c: self._kept.find(c, self._groups) for c in dict.fromkeys(cliques)}
        new = [clique for clique, found in known.items() if found is None]
        found = self._adder.sums(new, self._groups) if new else []
        for clique, table in zip(new, found, strict=True):
            self._kept.keep(clique, self._groups, table)
            known[clique] = table
        return [np.array(known[clique]) for clique in cliques]

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the numbers of the cells with records, in C order, and their counts.

        RowsNeeded where the cells are too many for a marginal: they would be the records.
        """
        try:
            dense_shape(self.domain, clique)
        except ValueError:
            raise RowsNeeded("records stay with their holders: only marginals come") from None
        table = self.marginal(clique).reshape(-1)
        numbers = np.flatnonzero(table).astype(np.int64)
        return numbers, table[numbers]

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records, and their counts; errors as above."""
        numbers, counts = self.sparse_marginal(clique)
        shape = self.domain.shape(clique)
        codes = np.stack(np.unravel_index(numbers, shape), axis=1) if clique else numbers[:, None]
        return codes[:, : len(clique)].astype(np.int32), counts

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of the cells with records, and their counts; errors as above."""
        codes, counts = self.occupied(clique)
        yield list(codes.T), counts

    def coarsened(self, groups: Mapping[str, Codes]) -> SummedCounts:
        """Return the records with codes of some attributes relabelled: see Domain.coarsened."""
        both = dict(self._groups)
        for name, group in groups.items():
            known = both.get(name)
            both[name] = group if known is None else group[known]
        return SummedCounts(self._adder, self.domain.coarsened(groups), both, self._kept)


class SummedRecords(PrivateRecords):
    """Private records that stay with their holders, who count them."""

    def __init__(self, schema: Schema, adder: Adder) -> None:
        super().__init__(schema, MemoryColumns([], 0))
        self._adder = adder

    @cached_property
    def counts(self) -> SummedCounts:  # type: ignore[override]
        """The records of all holders, counted over `finest_domain`."""
        return SummedCounts(self._adder, finest_domain(self.schema))

    def close(self) -> None:
        """Tell the holders that nothing more will be asked."""
        self._adder.close()


def check_of_holders(schema: Schema, unit: str | None) -> None:
    """Raise SchemaError for what takes the records of all holders at one place."""
    if schema.open:
        raise SchemaError(
            f"column {schema.open[0]!r} is open, and texts that the schema does not list never "
            "leave where they are; list them"
        )
    if unit is not None:
        raise SchemaError(
            f"unit {unit!r}: one unit may have records with several holders, or in several parts, "
            "which do not see each other's; fit tables of one record a unit"
        )
