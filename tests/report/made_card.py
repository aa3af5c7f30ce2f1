"""A release with a label, its card with an internal part, and cards that differ from it."""

from dataclasses import replace

from made_release import HOLDOUT, SCHEMA, TRAIN, people

import dp_synth as dps
from dp_synth.report.card import data_card
from dp_synth.report.internal import internal_part

LABELLED = dps.Schema.from_dict(
    {**SCHEMA.to_dict(), "label": "ill", "positive": "1", "bounds_from": "a public survey"}
)


def released(*, seed=None, adjacency="add_remove", epsilon=1.0):
    """Return a release of MST, without a seed unless one is given."""
    budget = dps.PrivacyBudget(epsilon, 1e-5, adjacency)
    return dps.MST().fit(TRAIN, LABELLED, budget, seed=seed)


RELEASE = released()
ROWS = RELEASE.sample(200, seed=1)
CARD = data_card(RELEASE)
FULL = CARD.with_internal(internal_part(TRAIN, HOLDOUT, ROWS, RELEASE))


def with_schema(**changes):
    """Return the release as if its schema had said something else."""
    fields = {**RELEASE.schema.to_dict(), **changes}
    return replace(RELEASE, schema=dps.Schema.from_dict(fields))


def in_floating_point(release):
    """Return the release as if its noise had been drawn in floating point."""
    entries = tuple(
        replace(one, sampler="float") if one.kind == "charge" else one
        for one in release.ledger.entries
    )
    return replace(release, ledger=replace(release.ledger, entries=entries))


def column(**fields):
    """Return a schema's column with these fields, one of two categories otherwise."""
    return {"name": "c", "type": "categorical", "categories": ["a", "b"], **fields}


__all__ = ["CARD", "FULL", "HOLDOUT", "LABELLED", "RELEASE", "ROWS", "TRAIN", "people"]
