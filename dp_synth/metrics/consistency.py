"""Records that cannot be: outside of bounds, unknown categories, broken rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.estimate import Estimate, share
from dp_synth.metrics.fidelity import Attribute, cells_of
from dp_synth.schema import DiscreteColumn, NumericColumn, Schema
from dp_synth.schema.parsing import Cells
from dp_synth.types import Flags

MOST_VALUES = 2_000  # columns of more distinct cells are in no dependency
FEWEST_SURPRISES = 20  # records that would break a dependency if the columns were independent
SLACK = 1e-9  # of a bound or a whole number


@dataclass(frozen=True, eq=False)
class Dependency:
    """A column that gives another: in all real records that hold one, the other is the same.

    ``gives`` maps the texts of the first column's cells to those of the second.
    """

    of: str
    to: str
    gives: Mapping[str, str]

    def broken(self, frame: pd.DataFrame, schema: Schema) -> Flags:
        """Return which records of ``frame`` hold a known cell, but not the other that it gives."""
        first, second = (_texts(frame, _attribute(schema, name)) for name in (self.of, self.to))
        expected = first.map(self.gives)
        return np.asarray(expected.notna() & (expected != second), dtype=bool)


def consistency(compared: Compared) -> Mapping[str, Estimate]:
    """Return the share of synthetic records that break what holds for every real one.

    ``consistency:bounds``
        a cell that is no number or date of its column, or lies outside its bounds.
    ``consistency:categories``
        a category that the schema does not name, in a column that is not open to others.
    ``consistency:constraints``
        a combination that the schema's constraints call impossible.
    ``consistency:dependencies``
        a functional dependency, found in the data: all training and hold-out records with the
        same cell in one column have the same cell in another, and at least 20 of them would not
        if the two were independent. Columns of up to 2,000 distinct cells are looked at.

    ``consistency`` is the share that breaks any. A kind that has no column or no rule is left
    out. Intervals are exact (Clopper & Pearson 1934). A table that came from a `Release` breaks
    none of the first three.
    """
    frame, schema = compared.synthetic, compared.real.schema
    attributes = compared.real.binning.attributes
    broken: dict[str, list[Flags]] = {
        "bounds": [
            _off_the_line(c, frame) for c in attributes if not isinstance(c, DiscreteColumn)
        ],
        "categories": [_unseen(c, frame) for c in attributes if isinstance(c, DiscreteColumn)],
        "constraints": _impossible(schema, frame),
        "dependencies": [one.broken(frame, schema) for one in dependencies(compared.real)],
    }
    counts = {kind: _any(masks) for kind, masks in broken.items() if masks}
    every = [mask for masks in broken.values() for mask in masks]
    found = {"consistency": share(_any(every), len(frame))}
    return found | {f"consistency:{kind}": share(n, len(frame)) for kind, n in counts.items()}


def dependencies(real: RealTables) -> tuple[Dependency, ...]:
    """Return the functional dependencies that hold in the training and hold-out records."""
    return real.remembered("dependencies", lambda: _found(real))


def _found(real: RealTables) -> tuple[Dependency, ...]:
    both = [real.train, real.holdout]
    texts = {
        column.name: pd.concat([_texts(frame, column) for frame in both], ignore_index=True)
        for column in real.binning.attributes
    }
    coded = {name: pd.factorize(cells) for name, cells in texts.items()}
    narrow = [name for name, (_, cells) in coded.items() if 1 < len(cells) <= MOST_VALUES]
    found = []
    for first, second in permutations(narrow, 2):
        (of, given), (to, others) = coded[first], coded[second]
        # So many records repeat a cell, and would then hold another by chance.
        surprises = (len(of) - len(given)) * _impurity(to)
        if surprises < FEWEST_SURPRISES or not _follows(of, to):
            continue
        gives = np.empty(len(given), dtype=object)
        gives[of] = np.asarray(others, dtype=object)[to]
        found.append(Dependency(first, second, dict(zip(given, gives, strict=True))))
    return tuple(found)


def _follows(of: NDArray[np.intp], to: NDArray[np.intp]) -> bool:
    given = np.zeros(int(of.max(initial=0)) + 1, dtype=np.intp)
    given[of] = to
    return bool((given[of] == to).all())


def _impurity(codes: NDArray[np.intp]) -> float:
    """Return the chance that two records drawn at random hold different cells (Gini)."""
    shares = np.bincount(codes) / max(len(codes), 1)
    return float(1 - (shares**2).sum())


def _attribute(schema: Schema, name: str) -> Attribute:
    column = schema.column(name)
    assert isinstance(column, Attribute)
    return column


def _texts(frame: pd.DataFrame, column: Attribute) -> pd.Series:
    """Return each cell as text, the same for two spellings of one value; missing ones alike."""
    cells = Cells.of(cells_of(frame, column))
    texts = np.array(cells.texts(), dtype=object)
    if isinstance(column, DiscreteColumn):
        by_code = np.array([*column.texts, *("" for _ in column.missing)], dtype=object)
        for place, code in enumerate(column.lookup(cells)):
            texts[place] = texts[place] if code is None else by_code[code]
    else:
        numbers = column.numbers(cells)
        read = ~np.isnan(numbers)
        is_mark = np.isin(texts, column.missing) | np.isin(numbers, column.mark_numbers)
        texts[read] = [repr(number) for number in numbers[read].tolist()]
        texts[is_mark] = ""
    return pd.Series(texts[cells.positions], dtype=object)


def _unseen(column: DiscreteColumn, frame: pd.DataFrame) -> Flags:
    cells = Cells.of(cells_of(frame, column))
    unseen = [code is None and not column.open for code in column.lookup(cells)]
    flags = np.array([*unseen, True])
    flags[_empty(column, cells)] = not column.missing
    return np.asarray(flags[cells.positions], dtype=bool)


def _empty(column: Attribute, cells: Cells) -> Flags:
    """Return which distinct cells are absent, or an empty text that is no category.

    A missing cell of a typed table is read as one or the other from a file, whatever the marks.
    """
    texts = np.array(cells.texts(), dtype=object)
    is_category = isinstance(column, DiscreteColumn) and "" in column.texts
    empty = np.asarray((texts == "") & (not is_category), dtype=bool)
    empty[-1] = True
    return empty


def _off_the_line(column: Attribute, frame: pd.DataFrame) -> Flags:
    assert not isinstance(column, DiscreteColumn)
    cells = Cells.of(cells_of(frame, column))
    numbers = column.numbers(cells)
    low, high = column.grid.lower, column.grid.upper
    off = ~((numbers >= low - SLACK) & (numbers <= high + SLACK))
    if isinstance(column, NumericColumn) and column.type == "integer":
        off |= np.abs(cells.numbers() - numbers) > SLACK
    off &= ~(np.isin(cells.texts(), column.missing) | np.isin(numbers, column.mark_numbers))
    off[_empty(column, cells)] = not column.missing
    return np.asarray(off[cells.positions], dtype=bool)


def _impossible(schema: Schema, frame: pd.DataFrame) -> list[Flags]:
    columns = {column.name: column for column in schema.columns}
    masks = []
    for rule in schema.constraints:
        codes = tuple(
            _attribute(schema, name).encode(cells_of(frame, _attribute(schema, name)))
            for name in rule.names
        )
        masks.append(np.asarray(~rule.possible(columns)[codes], dtype=bool))
    return masks


def _any(masks: list[Flags]) -> int:
    return int(np.logical_or.reduce(masks).sum()) if masks else 0


CONSISTENCY = Metric(
    "consistency",
    "share of records that break a bound, a category list, a constraint or a dependency",
    "lower",
    consistency,
)
