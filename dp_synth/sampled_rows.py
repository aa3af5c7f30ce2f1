"""Rows of a model: drawn as is asked of them, decoded in blocks; partial rows completed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.errors import InputError
from dp_synth.evidence import SHOWN, Given, attribute_of, read_given, read_given_rows
from dp_synth.inference import Model
from dp_synth.schema import Schema
from dp_synth.schema.kinds import Coded, Draw, Style, decoded

Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

DRAWN = 2**20
"""Records that are drawn at one time where rows come in blocks: no fewer than are by default."""

MOST_CODES = 2**26  # that are drawn at one time: of more than 64 columns fewer records than that


@dataclass(frozen=True, eq=False)
class Sampler:
    """A model of the records that are as given, with numbers drawn as given, and what to balance.

    ``model`` draws codes over ``columns``; the values of ``balance`` get as equal numbers of
    records as can be.
    """

    columns: tuple[Coded, ...]
    model: Model
    given: Mapping[str, Draw]
    balance: str | None = None

    @classmethod
    def of(
        cls, schema: Schema, model: Model, given: Mapping[str, Given], balance: str | None
    ) -> Sampler:
        """Return the sampler of what is given; InputError for what there is not, or cannot be."""
        evidence = read_given(schema, given)
        if evidence:
            model = _conditioned(model, {one.column: one.weights for one in evidence})
        draws = {one.column: one.drawn.draw for one in evidence if one.drawn is not None}
        column = None if balance is None else attribute_of(schema, balance)
        return cls(schema.synthesized(), model, draws, column)

    def frames(
        self, records: int, rng: np.random.Generator, size: int | None, style: Style
    ) -> Iterator[pd.DataFrame]:
        """Give records in frames of at most ``size``, one at least; without a size all in one.

        Without one all codes are drawn at once, else those of at most `DRAWN` records: memory
        does not grow with their number then.
        """
        most = max(records, 1) if size is None else self._drawn_at_once(records)
        for start in range(0, max(records, 1), most):
            codes = self._codes(min(records - start, most), rng)
            yield from decoded(
                self.columns, codes, rng, size or most, style=style, given=self.given
            )
            del codes  # before the next are drawn

    def _drawn_at_once(self, records: int) -> int:
        most = max(1, min(DRAWN, MOST_CODES // len(self.columns)))
        if self.balance is None or records <= most:
            return most
        return max(1, most - most % len(_possible(self.model, self.balance)))

    def _codes(self, records: int, rng: np.random.Generator) -> Codes:
        if self.balance is None:
            return self.model.sample(records, rng)
        return _balanced(self.model, self.balance, records, rng)


def completed(
    schema: Schema, model: Model, partial: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return each of the partial rows with its gaps drawn, given all else in it."""
    known = read_given_rows(schema, partial)
    codes, possible = model.completed(known, rng)
    impossible = np.flatnonzero(~possible).tolist()
    if impossible:
        raise InputError(
            f"no record of the release can have what is given in {_numbered(impossible)}; "
            "give less of them, or leave them out"
        )
    rows = schema.decode(codes, rng)
    for name in map(str, partial.columns):
        is_drawn = known[:, schema.domain.axis(name)] < 0
        column = schema.select([name]).typed(partial)[name]
        rows[name] = rows[name].where(is_drawn, column)
    return rows


def _conditioned(model: Model, weights: Mapping[str, Floats]) -> Model:
    try:
        return model.conditioned(weights)
    except ValueError as error:
        raise InputError(
            f"no record of the release can have what is given of "
            f"{', '.join(map(repr, weights))}; ask for less at once"
        ) from error


def _balanced(model: Model, column: str, records: int, rng: np.random.Generator) -> Codes:
    """Return rows of codes, as many for each code of a column that can occur, in random order."""
    size, possible = model.domain.size(column), _possible(model, column)
    counts = np.full(len(possible), records // len(possible))
    counts[rng.permutation(len(possible))[: records % len(possible)]] += 1
    parts = [
        model.conditioned({column: _single(size, int(code))}).sample(int(count), rng)
        for code, count in zip(possible, counts, strict=True)
        if count
    ]
    return rng.permutation(np.concatenate(parts)) if parts else model.sample(0, rng)


def _possible(model: Model, column: str) -> NDArray[np.intp]:
    return np.flatnonzero(model.marginal((column,)) > 0)


def _single(size: int, code: int) -> Floats:
    weights = np.zeros(size)
    weights[code] = 1.0
    return weights


def _numbered(places: list[int]) -> str:
    shown = ", ".join(str(place + 1) for place in sorted(places)[:SHOWN])
    return f"row{'s' * (len(places) > 1)} {shown}{', ...' * (len(places) > SHOWN)}"
