"""The rows-ratio attack: synthetic rows in the place of the transcript they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pandas as pd

from dp_synth.attacks.base import Attack
from dp_synth.attacks.marginal_ratio import Fit, Same
from dp_synth.attacks.transcript_ratio import Compared, Table, tables_of
from dp_synth.attacks.view import AttackerView
from dp_synth.metrics.fidelity import cells_of
from dp_synth.schema import DiscreteColumn, Schema
from dp_synth.synthesizers import SYNTHESIZERS
from dp_synth.types import Codes, Floats

MOST_ADAPTIVE = 2  # rehearsals of methods that fit a model in every round, which takes seconds

CELLS = 50  # of a column whose cells a fit chooses
REMEMBERED = 8  # rehearsals on the rows of a view: members and non-members share them


@dataclass(frozen=True)
class RowsRatio(Attack):
    """Score by the likelihood ratio of the noisy marginals that the rows were made from.

    Of a method that fits a model to noisy marginals, rows without end tell the model, and the
    model tells the marginals, so that `TranscriptRatio` needs no transcript. What the rows do not
    show is which marginals were measured, over which groups of codes, under how much noise. It is
    rehearsed: the synthesizer with its budget is run ``runs`` times on samples of the rows, as
    many records as were fitted, up to its last answer and without a model. In rows of a tree the
    pairs that were measured are the most dependent ones, so that a rehearsal on the rows mostly
    chooses them again, and a rehearsal on the reference less often. Each rehearsal's counts are
    then those of all rows, scaled to the number of fitted records, with the noise of its own
    answers and what the drawing of rows adds; the score is the mean over rehearsals, of methods
    that fit in rounds over two at most. The test is that of Neyman & Pearson 1933, under the
    approximation of ``density.log_odds``.

    Needs the reference (what to expect of a cell) and the synthesizer with its budget. A number
    of ``records`` that is not known is that of the rows. Its control are records that were not
    fitted: they score as if drawn from the population, an area of 0.5. Cells and categories that
    a fit finds by itself are taken from the rows.
    """

    runs: int = 20
    smoothing: float = 0.5
    seed: int = 0
    name = "rows_ratio"
    figure_label = "ratio of the rows"
    question = "Do the counts of all rows tell who was fitted, under the noise of the method?"
    cites = ("neyman1933",)
    needs_reference = True
    needs_synthesizer = True
    uses = ("records",)
    LEAST: ClassVar = {"runs": 1}
    ABOVE: ClassVar = {"smoothing": 0}

    def missing(self, view: AttackerView) -> str | None:
        """Return in one line what ``view`` lacks; None where the attack can be run."""
        lacking = super().missing(view)
        if lacking is None and not is_of_marginals(view):
            return (
                f"attack {self.name!r} needs a synthesizer that fits noisy marginals, as "
                f"{', '.join(measuring())} do; got {view.algorithm!r}"
            )
        return lacking

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        assert view.synthesizer is not None  # else it is `missing`
        assert view.budget is not None
        rows, reference = view.synthetic, self._reference(view)
        schema = as_released(view.schema, rows)
        records = len(rows) if view.records is None else view.records
        compared = Compared.of(targets, reference, schema, self.smoothing)
        scores = np.zeros(len(targets))
        if not (len(targets) and len(reference) and len(rows) and records):
            return scores
        fit = (view.synthesizer, view.budget, schema, records)
        runs = min(self.runs, MOST_ADAPTIVE) if view.synthesizer.adaptive else self.runs
        for tables in _rehearsed(fit, Same(rows), runs, self.seed):
            scores += compared.log_ratios(
                tables, records, directed=view.is_directed, drawn=records / len(rows)
            )
        return scores / runs


def is_of_marginals(view: AttackerView) -> bool:
    """Tell whether the view's synthesizer draws its rows from a model of noisy marginals."""
    return view.synthesizer is not None and bool(view.synthesizer.measures)


def measuring() -> list[str]:
    """Return the names of the package's synthesizers that do."""
    return [name for name, one in SYNTHESIZERS.items() if one.measures]


def as_released(schema: Schema, rows: pd.DataFrame) -> Schema:
    """Return the schema of a release as far as its rows tell it.

    Columns whose cells a fit chooses have some 50 of equally many rows; open columns list the
    texts that stand in the rows. A schema that declares everything is itself.
    """
    if schema.open:
        schema = schema.opened({name: _unlisted(schema, name, rows) for name in schema.open})
    if not schema.fine:
        return schema
    codes = schema.encode_finely(rows)
    sizes = schema.fine_domain.shape(tuple(schema.fine))
    return schema.binned(
        {
            name: _quantile_groups(codes[:, place], sizes[place])
            for place, name in enumerate(schema.fine)
        }
    )


def _unlisted(schema: Schema, name: str, rows: pd.DataFrame) -> list[str]:
    column = schema.column(name)
    assert isinstance(column, DiscreteColumn)
    return sorted({str(text) for text in cells_of(rows, column).unique()} - set(column.texts))


def _quantile_groups(codes: Codes, size: int) -> Codes:
    """Return a group for each fine code, so that groups hold about equally many rows."""
    below = np.cumsum(np.bincount(codes, minlength=size)) - 1
    share = np.maximum(below, 0) / max(len(codes), 1)
    return np.floor(share * CELLS).astype(np.int32)


@lru_cache(maxsize=REMEMBERED)
def _rehearsed(fit: Fit, rows: Same, runs: int, seed: int) -> tuple[Sequence[Table], ...]:
    """Return the tables of each rehearsal, with the counts of all rows among fitted records."""
    synthesizer, budget, schema, records = fit
    codes, found = schema.encode(rows.frame), []
    for stream in np.random.SeedSequence(seed).spawn(runs):
        rng = np.random.default_rng(stream)
        drawn = rng.choice(len(codes), records, replace=records > len(codes))
        sample = rows.frame.iloc[drawn]
        answers = synthesizer.release_only(sample, schema, budget, seed=int(rng.integers(2**63)))
        tables = tables_of(answers[0], schema)
        found.append([_counted(table, codes, schema, records) for table in tables])
    return tuple(found)


def _counted(table: Table, codes: Codes, schema: Schema, records: int) -> Table:
    """Return the table with the counts of records that have ``codes``, as if of ``records``."""
    counts = np.bincount(table.cells(codes, schema), minlength=table.values.size)
    values: Floats = counts.reshape(table.values.shape) * np.float64(records / len(codes))
    return replace(table, values=values)
