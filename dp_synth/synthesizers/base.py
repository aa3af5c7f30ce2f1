"""What every synthesizer is: public settings, a plan, and one fit that its plan pays for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, Randomness, Slice
from dp_synth.domain import Domain
from dp_synth.inference import JunctionTreeModel
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.table import PrivateTable


@dataclass(frozen=True)
class Synthesizer(ABC):
    """Frozen public settings and one private fit; holds no data.

    A subclass states its ``name``, its ``plan`` and ``_fit``, which may charge only what the
    plan names.
    """

    name: ClassVar[str]

    @abstractmethod
    def plan(self, domain: Domain) -> Plan:
        """Return what a fit over ``domain`` will charge, up to one noise scale."""

    @abstractmethod
    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> JunctionTreeModel:
        """Return a model made from mechanisms' answers alone."""

    def fit(
        self,
        frame: pd.DataFrame,
        schema: Schema,
        budget: PrivacyBudget | Accountant,
        *,
        seed: int | None = None,
    ) -> Release:
        """Return a release of the records in ``frame``, charged to ``budget``.

        A bare budget opens an accountant of its own, and the whole of it is used. With a
        ``seed`` the result can be repeated, so that its noise protects nobody who may guess
        the seed: the ledger says "seeded: not for release". Without one, randomness is fresh
        from the operating system. SchemaError when the frame does not fit the schema;
        BudgetExceeded, before any value is read, when the accountant cannot pay.
        """
        accountant = budget if isinstance(budget, Accountant) else Accountant(budget)
        return fit_jointly({self: 1.0}, frame, schema, accountant, seed=seed)[self]


def fit_jointly(
    weights: Mapping[Synthesizer, float],
    frame: pd.DataFrame,
    schema: Schema,
    accountant: Accountant,
    *,
    seed: int | None = None,
) -> dict[Synthesizer, Release]:
    """Return one release a synthesizer, all paid from one budget.

    Their plans are calibrated together, so that the composition of all of them meets the
    budget; ``weights`` say how the zCDP cost is shared. No epsilon is split: two
    synthesizers of equal weight get about 0.72 of the noise that half of epsilon and delta each
    would need. ValueError when a weight is not a finite number above 0.
    """
    for weight in weights.values():
        if not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"a weight must be a finite number above 0, got {weight}")
    domain = schema.domain
    codes = schema.encode(frame)
    plans = {
        _label(i, synthesizer, len(weights)): (synthesizer.plan(domain), weight)
        for i, (synthesizer, weight) in enumerate(weights.items())
    }
    randomness: Randomness = "os" if seed is None else "seeded"
    slices = accountant.admit_jointly(plans, randomness=randomness)
    streams = np.random.SeedSequence(seed).spawn(len(weights))
    models = {
        synthesizer: _fit_one(synthesizer, PrivateTable(codes, domain, payer), payer, stream)
        for synthesizer, payer, stream in zip(weights, slices.values(), streams, strict=True)
    }
    return {
        synthesizer: Release(
            synthesizer.name, asdict(synthesizer), schema, model, accountant.ledger
        )
        for synthesizer, model in models.items()
    }


def _fit_one(
    synthesizer: Synthesizer, table: PrivateTable, payer: Slice, stream: np.random.SeedSequence
) -> JunctionTreeModel:
    return synthesizer._fit(table, payer.plan, np.random.default_rng(stream))


def _label(position: int, synthesizer: Synthesizer, of: int) -> str:
    return synthesizer.name if of == 1 else f"{position + 1}-{synthesizer.name}"
