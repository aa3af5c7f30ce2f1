"""Counts that several holders add: of each holder's records marginals come, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from dp_synth.counting.columns import MemoryColumns
from dp_synth.counting.kept_tables import DistantCounts, KeptTables
from dp_synth.counting.marginals import Counts
from dp_synth.counting.records import PrivateRecords, finest_domain
from dp_synth.domain import Domain
from dp_synth.errors import InputError, SchemaError
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


class SummedCounts(DistantCounts):
    """Exact counts of the records of all holders.

    Whole numbers are added, so that the counts are those of the union of the records.
    """

    where = "with their holders"

    def __init__(
        self,
        adder: Adder,
        domain: Domain,
        groups: Mapping[str, Codes] | None = None,
        kept: KeptTables | None = None,
    ) -> None:
        super().__init__(domain, groups or {}, KeptTables() if kept is None else kept)
        self._adder = adder

    def __len__(self) -> int:
        return int(self.marginal(()))

    def _asked(self, cliques: Sequence[Clique]) -> list[Floats]:
        return self._adder.sums(cliques, self._groups)

    def _over(self, domain: Domain, groups: Mapping[str, Codes]) -> SummedCounts:
        return SummedCounts(self._adder, domain, groups, self._kept)


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
