"""Likelihood ratios of answers between neighbouring tables. Private: for auditors, who hold both.

Each comparison holds the answer about the table that was asked, ``here``, which later answers may
depend on, and fresh ones that the same mechanism gave after the same earlier answers, about the
other table, ``there``, too: nothing depends on these.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from dp_synth.accounting import Ledger, PrivacyBudget, Reservation
from dp_synth.accounting.pate import log_chances
from dp_synth.audit.laplace_shifts import LaplaceComparison
from dp_synth.counting import CachedCounts, Data
from dp_synth.counting.units import UnitRows
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.mechanisms.exponential import ChoiceLaw
from dp_synth.mechanisms.gaussian import GaussianLaw
from dp_synth.mechanisms.laplace import LaplaceLaw
from dp_synth.mechanisms.pate import VoteLaw
from dp_synth.mechanisms.table import Law, PrivateTable, X, Y
from dp_synth.schema import Schema
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.synthesizers.fitting import Request, draws_units, simulated
from dp_synth.synthesizers.reading import records_of
from dp_synth.types import Codes, Flags, Floats, Integers

if TYPE_CHECKING:
    from torch import Tensor

    from dp_synth.mechanisms.dp_sgd import SampledSumLaw


@dataclass(frozen=True, eq=False)
class GaussianComparison:
    """Numbers with Gaussian noise of ``stddev``: exact ones of both tables, and noisy ones."""

    part: str
    why: str
    here: Floats
    there: Floats
    values: Floats
    values_there: Floats
    stddev: float

    @property
    def distance(self) -> float:
        """How far the tables are apart in this answer, in standard deviations of its noise."""
        return float(np.linalg.norm(self.here - self.there)) / self.stddev

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the answer."""
        return self._log_ratio(self.values)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given a fresh answer: the noise of ``values_there`` on either table."""
        moved = 0.0 if there else self.here - self.there
        return self._log_ratio(self.values_there + moved)

    def _log_ratio(self, values: Floats) -> float:
        middle = (self.here + self.there) / 2
        return float(np.sum((self.here - self.there) * (values - middle))) / self.stddev**2


@dataclass(frozen=True, eq=False)
class ChoiceComparison:
    """A choice by an exponential mechanism: every candidate's log odds, and which was chosen.

    ``chosen_there`` and ``chosen_again``, about ``here``, are fresh choices.
    """

    part: str
    why: str
    here: Floats
    there: Floats
    chosen: int
    chosen_there: int
    chosen_again: int

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the choice."""
        return self._log_ratio(self.chosen)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given a fresh choice about either table."""
        return self._log_ratio(self.chosen_there if there else self.chosen_again)

    def _log_ratio(self, chosen: int) -> float:
        return float(log_softmax(self.here)[chosen] - log_softmax(self.there)[chosen])


@dataclass(frozen=True, eq=False)
class VoteComparison:
    """Winners of noisy votes, and the log chance that the first class wins in either table.

    All of shape (votes,), in the order of the questions, of which both tables were asked the same.
    """

    part: str
    why: str
    here: Floats
    there: Floats
    won: Flags
    won_again: Flags
    won_there: Flags

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the winners."""
        return self._log_ratio(self.won)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given fresh winners about either table."""
        return self._log_ratio(self.won_there if there else self.won_again)

    def _log_ratio(self, won: Flags) -> float:
        wins, losses = self.here - self.there, _log_less(self.here) - _log_less(self.there)
        return float(np.where(won, wins, losses).sum())


@dataclass(frozen=True, eq=False)
class SampledComparison:
    """A noisy sum over records that toss coins, of two tables of which one has one record more.

    ``shift`` is the size of what that record adds when its coin of chance ``rate`` falls so, in
    standard deviations of the noise; ``along`` is the noisy sum, less what all other records
    add, in its direction. An attacker who knew the others' coins would see just that.
    ``coin`` is that record's in a fresh sum, whose noise is ``fresh``. ``low_bits`` is 1 where
    floating-point noise (`reached`) leads to all numbers that left from the sum with the record
    alone, -1 from the sum without it alone, 0 from both or from neither.
    """

    part: str
    why: str
    rate: float
    shift: float
    along: float
    coin: bool
    fresh: float
    here_has_it: bool
    low_bits: int = 0

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the sum."""
        return self._log_ratio(self.along)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given a fresh sum over either table."""
        has_it = self.here_has_it != there
        return self._log_ratio(self.fresh + self.shift * (self.coin and has_it))

    def _log_ratio(self, along: float) -> float:
        with_it = self.shift * (along - self.shift / 2)
        ratio = float(np.logaddexp(np.log1p(-self.rate), np.log(self.rate) + with_it))
        return ratio if self.here_has_it else -ratio


Comparison = (
    GaussianComparison | LaplaceComparison | ChoiceComparison | VoteComparison | SampledComparison
)


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """One simulated run: how every answer compares two tables, and the charges."""

    comparisons: tuple[Comparison, ...]
    ledger: Ledger


def compare(
    synthesizer: Synthesizer,
    tables: tuple[Data, Data],
    schema: Schema,
    budget: PrivacyBudget,
    *,
    runs: int = 1,
    seed: int | None = None,
) -> list[ComparedRun]:
    """Return what a fit to the first table would say between it and the second, run by run.

    As `Synthesizer.release_only`: each run is a simulated release of its own. What comes out is
    private. Nothing that the fit does depends on the second table. InputError for open columns.
    """
    return compared(Request.of_simulation(synthesizer, schema, budget, seed), tables, runs=runs)


def compared(request: Request, tables: tuple[Data, Data], *, runs: int) -> list[ComparedRun]:
    """Return the runs of `compare` for a request of a single recipe, whoever pays for it."""
    (recipe,), schema, (here, there) = request.recipes, request.schema, tables
    if schema.open:
        raise InputError(f"an audit needs listed categories: column {schema.open[0]!r} is open")
    request.check()
    found: list[ComparedRun] = []
    rng = np.random.default_rng(request.seed)
    with records_of(there, schema, request.root.budget, rng) as records:
        counts, heard = CachedCounts(request.counts_of(recipe, records)), list[LikelihoodRatios]()

        def auditor(payer: Reservation) -> LikelihoodRatios:
            neighbour = PrivateTable(counts, counts.domain, payer)
            if draws_units(payer.plan):
                neighbour.keep_units(records.unit_rows)
            heard.append(LikelihoodRatios(neighbour))
            return heard[-1]

        for table, plan, own in simulated(request, here, runs=runs, auditor=auditor):
            recipe._release(table, plan, own)
            ledger = table.payer.accountant.ledger
            found.append(ComparedRun(tuple(heard.pop().comparisons), ledger))
    return found


class LikelihoodRatios:
    """An auditor who holds a neighbouring table, and compares each answer by its two laws.

    ``comparisons`` grows with the answers, those of tables of changed codes as well.
    """

    def __init__(
        self, neighbour: PrivateTable, comparisons: list[Comparison] | None = None
    ) -> None:
        self._neighbour = neighbour
        self.comparisons = [] if comparisons is None else comparisons
        self._voters: tuple[Codes, Integers] | None = None
        self._more: tuple[Codes, bool] | None = None

    def follow(self, change: Callable[[PrivateTable], PrivateTable]) -> LikelihoodRatios:
        """Return the auditor who holds the neighbour after the same change of its codes."""
        return LikelihoodRatios(change(self._neighbour), self.comparisons)

    def answer(
        self, table: PrivateTable, read: Callable[[PrivateTable], X], draw: Callable[[X], Y]
    ) -> tuple[X, Y]:
        """Return what is read of the table that was asked, and a fresh answer."""
        exact = read(table)
        return exact, draw(exact)

    def hear(self, law: Law) -> None:
        """Compare an answer between the two tables."""
        self.comparisons.extend(self._compared(law))

    def _compared(self, law: Law) -> Iterator[Comparison]:
        if isinstance(law, GaussianLaw):
            there = law.exact(self._neighbour)
            arrays = zip(law.here, there, law.values, law.draw(there), strict=True)
            for own, other, values, fresh in arrays:
                yield GaussianComparison(law.part, law.why, own, other, values, fresh, law.stddev)
        elif isinstance(law, LaplaceLaw):
            there = law.exact(self._neighbour)
            arrays = zip(law.here, there, law.values, law.draw(there), strict=True)
            for own, other, values, fresh in arrays:
                yield LaplaceComparison(law.part, law.why, own, other, values, fresh, law.scale)
        elif isinstance(law, ChoiceLaw):
            odds = law.log_odds(self._neighbour)
            again, other_choice = law.draw(law.here), law.draw(odds)
            yield ChoiceComparison(
                law.part, law.why, law.here, odds, law.chosen, other_choice, again
            )
        elif isinstance(law, VoteLaw):
            yield self._of_votes(law)
        else:
            from dp_synth.mechanisms.dp_sgd import SampledSumLaw

            if not isinstance(law, SampledSumLaw):
                raise UnsupportedEvent(f"answers of part {law.part!r} are not compared")
            yield self._of_sum(law)

    def _of_votes(self, law: VoteLaw) -> VoteComparison:
        """Compare votes; records that both tables have are with the same teachers in both."""
        codes, teacher = law.voters
        if self._voters is None:
            fewer, more = _differing(codes, law.records(self._neighbour))
            if max(len(fewer), len(more)) > 1:
                raise UnsupportedEvent("votes are compared between tables that differ by a record")
            place = [int(np.flatnonzero((codes == record).all(axis=1))[0]) for record in fewer]
            self._voters = (
                np.concatenate([np.delete(codes, place, axis=0), more]),
                np.concatenate([np.delete(teacher, place), law.assign(len(more))]),
            )
        there = law.leads(*self._voters)
        return VoteComparison(
            law.part,
            law.why,
            log_chances(law.event, law.here.astype(np.float64)),
            log_chances(law.event, there.astype(np.float64)),
            law.won,
            law.draw(law.here),
            law.draw(there),
        )

    def _record_apart(self, law: SampledSumLaw) -> tuple[Codes, bool]:
        """Return what only one of the two tables has, and whether it is this one.

        One record; where units are drawn, all records of one unit.
        """
        if self._more is None and law.units is not None:
            self._more = _unit_apart(law.units, law.units_of(self._neighbour))
        if self._more is None:
            every, counts = law.known
            others, often = law.records(self._neighbour)
            fewer, more = _differing(np.repeat(every, counts, 0), np.repeat(others, often, 0))
            if len(fewer) + len(more) != 1:
                raise UnsupportedEvent(
                    "sampled sums are compared between tables that differ by one record"
                )
            self._more = (fewer, True) if len(fewer) else (more, False)
        return self._more

    def _of_sum(self, law: SampledSumLaw) -> SampledComparison:
        """Compare a noisy sum by the one record that only one of the two tables has."""
        import torch

        record, here_has_it = self._record_apart(law)
        target = torch.from_numpy(record).to(law.batch.device, torch.int64)
        alike, equal = _drawn_alike(law, record)
        # Which of several equal ones is meant is a coin: each was drawn with the same chance.
        drawn = here_has_it and law.uniform() * equal < len(alike)
        kept = torch.ones(len(law.batch), dtype=torch.bool, device=law.batch.device)
        if drawn:
            kept[torch.from_numpy(alike[0]).to(kept.device)] = False
        own = law.encoded.where(~kept) if drawn else law.encode(target)
        step, base = law.summed(own), law.summed(law.encoded.where(kept))
        size = math.sqrt(sum(float(part.times(1.0).square().sum()) for part in step))

        def along(parts: Iterable[Tensor]) -> float:
            inner = sum(float((a * b.times(1.0)).sum()) for a, b in zip(parts, step, strict=True))
            return inner / max(size, 1e-30) / law.noise_multiplier

        fresh = law.noise(step)
        starts = [
            [total.times(law.clip) for total in base],
            [a.times(law.clip) + b.times(law.clip) for a, b in zip(base, step, strict=True)],
        ]
        without, with_it = (
            all(
                bool(reached(value.cpu().numpy(), start.float().cpu().numpy()).all())
                for value, start in zip(law.released, sums, strict=True)
            )
            for sums in starts
        )
        return SampledComparison(
            law.part,
            law.why,
            law.rate,
            size / law.noise_multiplier,
            along(a.times(1.0) - b.times(1.0) for a, b in zip(law.noisy, base, strict=True)),
            bool(law.uniform() < law.rate),
            along(noise.times(1.0) for noise in fresh),
            here_has_it,
            int(with_it) - int(without),
        )


def _unit_apart(here: UnitRows, there: UnitRows) -> tuple[Codes, bool]:
    """Return the records of the unit that one of the tables lacks, and whether it is here."""
    first, second = (Counter(_as_units(rows)) for rows in (here, there))
    fewer, more = list((first - second).elements()), list((second - first).elements())
    if len(fewer) + len(more) != 1:
        raise UnsupportedEvent(
            "sums over units are compared between tables that differ by one unit"
        )
    return np.array((fewer or more)[0], dtype=np.int32), bool(fewer)


def _as_units(rows: UnitRows) -> list[tuple[tuple[int, ...], ...]]:
    """Return each unit as its records, in their order."""
    codes, _ = rows.of_units(np.arange(len(rows)))
    ends = pairwise([0, *rows.ends.tolist()])
    return [tuple(sorted(map(tuple, codes[start:end].tolist()))) for start, end in ends]


def _drawn_alike(law: SampledSumLaw, record: Codes) -> tuple[list[Integers], int]:
    """Return where in the batch are those that equal what is apart, and how many all are.

    Each is the places of its records.
    """
    batch = law.batch.cpu().numpy()
    if law.units is None or law.owners is None:
        every, counts = law.known
        alike = np.flatnonzero((batch == record).all(axis=1))
        return [alike[[at]] for at in range(len(alike))], int((every == record).all(1) @ counts)
    wanted = tuple(map(tuple, record.tolist()))
    equal = [place for place, unit in enumerate(_as_units(law.units)) if unit == wanted]
    drawn = (np.flatnonzero(law.owners == place) for place in equal)
    return [places for places in drawn if len(places)], len(equal)


def _differing(here: Codes, there: Codes) -> tuple[Codes, Codes]:
    """Return the records that are only here, and those that are only there.

    A record as often as it is more frequent.
    """
    first, second = (Counter(map(tuple, codes.tolist())) for codes in (here, there))
    only = ((first - second).elements(), (second - first).elements())
    fewer, more = (np.array(list(some), dtype=np.int32) for some in only)
    return fewer.reshape(-1, here.shape[1]), more.reshape(-1, here.shape[1])


def reached(released: NDArray[np.float32], start: NDArray[np.float32]) -> Flags:
    """Return for each number whether noise in single precision leads to it from ``start``.

    Whether there is a number z with float32(start + z) == released: that nearest to the difference
    or one of three neighbours to either side. From some starts some numbers are out of reach
    (Mironov 2012; Jin et al. 2022, arXiv:2112.05307).

    >>> reached(np.float32([0.1, 0.1]), np.float32([0.0, 3.7])).tolist()
    [True, False]
    """
    noise = (released.astype(np.float64) - start).astype(np.float32)
    found = start + noise == released
    for side in (np.float32(-np.inf), np.float32(np.inf)):
        tried = noise
        for _ in range(3):
            tried = np.nextafter(tried, side)
            found |= start + tried == released
    return np.asarray(found)


def _log_less(log_chances: Floats) -> Floats:
    """Return the log of one less each chance."""
    return np.asarray(np.log(-np.expm1(np.minimum(log_chances, -1e-300))))
