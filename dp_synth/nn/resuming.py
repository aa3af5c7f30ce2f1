"""A fit that keeps a checkpoint beside its ledger, and goes on from it when it was stopped."""

from __future__ import annotations

from dataclasses import Field, asdict
from typing import Any, ClassVar, Protocol

import numpy as np

from dp_synth.accounting import Accountant, Plan, Portion, PrivacyBudget, Randomness, Slice
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import Model
from dp_synth.intake import Data, reason_of, records_of
from dp_synth.mechanisms.cells import by_cells, find_cells, own_parts
from dp_synth.nn.checkpoint import Checkpoint, Keeper, Kept, keeping
from dp_synth.schema import Schema
from dp_synth.table import PrivateTable
from dp_synth.transcript import Answer


class Recipe(Protocol):
    """What can be fitted here: a synthesizer, which may be resumable."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str:
        """What the ledger calls it."""

    @property
    def resumable(self) -> bool:
        """Whether its training keeps its state."""

    def charges(self, domain: Domain) -> Plan:
        """Return all that a fit over ``domain`` will charge."""

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        """Return a model made from mechanisms' answers alone."""


def on_disk(recipe: Recipe, payer: PrivacyBudget | Accountant | Portion) -> Accountant:
    """Return the payer, an accountant that a checkpoint can be kept beside; InputError else."""
    if not recipe.resumable:
        raise InputError(f"{recipe.name} keeps no checkpoints; leave checkpoint out")
    if not isinstance(payer, Accountant) or not payer.path or payer.currency or payer.planned:
        raise InputError(
            "a checkpoint needs a ledger on disk, planned for this one fit: Accountant(budget, "
            "ledger=path)"
        )
    return payer


def fit_resumable(
    recipe: Recipe,
    data: Data,
    schema: Schema,
    root: Accountant,
    *,
    seed: int | None,
    checkpoint: Checkpoint,
) -> tuple[Schema, Model, tuple[Answer, ...]]:
    """Return schema, model and transcript of a fit that keeps a checkpoint, or goes on from it.

    ``root`` is as `on_disk` gives it. Randomness is drawn as for a fit without a checkpoint, so
    that keeping one changes no result.
    """
    fit = {
        "synthesizer": recipe.name,
        "settings": asdict(recipe),
        "schema": schema.to_dict(),
        "seed": seed,
    }
    kept = Kept.read(checkpoint)
    if kept:
        kept.check(fit, root.ledger)
    own, drawn = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    with records_of(data, schema, root.budget, drawn) as records:
        piece = _slice(recipe, root, schema, "os" if seed is None else "seeded", kept)
        finest = PrivateTable(records.counts, records.counts.domain, piece)
        cells = kept.cells if kept else find_cells(finest, records, own)
        binned, groups = by_cells(records, cells)
        answers = list(kept.transcript) if kept else finest.transcript
        counts = records.counts.coarsened(groups) if groups else records.counts
        table = PrivateTable(counts, binned.domain, piece, transcript=answers)
        keeper = Keeper(checkpoint, fit, piece, cells, answers, kept.state if kept else None)
        with keeping(keeper):
            model = recipe._fit(table, own_parts(piece.plan), own)
    keeper.remove()
    return binned, model, tuple(answers)


def _slice(
    recipe: Recipe,
    root: Accountant,
    schema: Schema,
    randomness: Randomness,
    kept: Kept | None,
) -> Slice:
    """Return a reservation for this fit alone, or what is left of the one that it had."""
    if kept is None:
        charges = recipe.charges(schema.domain)
        return root.admit(recipe.name, charges, randomness=randomness, why=reason_of(schema))
    plan, at = kept.plan(recipe.charges(schema.domain)), kept.reserved_at
    return root.resume(
        recipe.name, plan, randomness=randomness, reserved_at=at, why=reason_of(schema)
    )
