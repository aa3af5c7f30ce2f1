"""What a fit finds before its synthesizer's own parts: categories and cells, paid for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dp_synth.accounting import Plan
from dp_synth.counting import Records
from dp_synth.domain import Codes
from dp_synth.mechanisms.binning import bin_columns
from dp_synth.mechanisms.partitions import release_texts
from dp_synth.schema import Schema
from dp_synth.table import PrivateTable
from dp_synth.validation_bounds import PARTS

CATEGORIES, BINS = "categories", "bins"  # parts that come before a synthesizer's own


@dataclass(frozen=True, eq=False)
class Cells:
    """Categories of open columns, and the group of each fine code of others.

    Public, since they were paid for: the texts that were released, and what noisy counts say.
    """

    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bins: Mapping[str, Codes] = field(default_factory=dict)


def find_cells(finest: PrivateTable, records: Records, rng: np.random.Generator) -> Cells:
    """Return what the schema of the records leaves to be found in ``finest``, their counts.

    Part "categories" of the payer's plan pays for texts, part "bins" for cells; errors as in
    `release_texts` and `bin_columns`.
    """
    schema, plan = records.schema, finest.payer.plan
    texts, bins = dict[str, tuple[str, ...]](), dict[str, Codes]()
    if schema.open:
        texts = release_texts(finest, records.unlisted, plan.thresholded(CATEGORIES), rng)
    if schema.fine:
        bins = bin_columns(finest, schema.fine, plan.gaussians(BINS), rng)
    return Cells(texts, bins)


def by_cells(records: Records, cells: Cells) -> tuple[Schema, dict[str, Codes]]:
    """Return the schema that lists ``cells``, and by it the code of each code of a column.

    The codes of open columns are private: their codes count texts that only the records tell.
    """
    schema, groups = records.schema, dict[str, Codes]()
    if cells.texts:
        schema, groups = records.opened(cells.texts)
    if cells.bins:
        schema, groups = schema.binned(cells.bins), {**groups, **cells.bins}
    return schema, groups


def own_parts(plan: Plan) -> Plan:
    """Return the plan without the parts that find categories and cells, and those that validate."""
    others = (CATEGORIES, BINS, *PARTS)
    return Plan({name: part for name, part in plan.parts.items() if name not in others})
