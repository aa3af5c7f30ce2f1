"""What every synthesizer is: public settings, a plan, and one fit that its plan pays for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from dp_synth.accounting import Accountant, Plan, Portion, PrivacyBudget, Randomness, Slice
from dp_synth.domain import Domain
from dp_synth.errors import SchemaError
from dp_synth.inference import JunctionTreeModel
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.table import PrivateTable

Payer = PrivacyBudget | Accountant | Portion


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
        budget: Payer,
        *,
        seed: int | None = None,
    ) -> Release:
        """Return a release of the records in ``frame``, charged to ``budget``.

        A bare budget opens an accountant of its own, and the whole of it is used; of an
        accountant with planned recipes the next turn is taken; of an adaptive one, or a portion
        of it, all that is left. With a ``seed`` the result can be repeated, so that its noise
        protects nobody who may guess the seed: the ledger says "seeded: not for release".
        Without one, randomness is fresh from the operating system. SchemaError when the frame
        does not fit the schema; BudgetExceeded, before any value is read, when the budget does
        not allow it.
        """
        payer = Accountant(budget) if isinstance(budget, PrivacyBudget) else budget
        return fit_jointly({self: 1.0}, frame, schema, payer, seed=seed)[self]


def fit_jointly(
    weights: Mapping[Synthesizer, float],
    frame: pd.DataFrame,
    schema: Schema,
    accountant: Accountant | Portion,
    *,
    seed: int | None = None,
) -> dict[Synthesizer, Release]:
    """Return one release a synthesizer, all paid from one budget.

    Their plans are calibrated together, so that the composition of all of them meets the
    budget; ``weights`` say how the zCDP cost is shared. No epsilon is split: two recipes of
    equal cost get about 0.72 of the noise that half of epsilon and delta each would need.
    """
    root = accountant.root if isinstance(accountant, Portion) else accountant
    domain = schema.domain
    streams = np.random.SeedSequence(seed).spawn(len(weights) + 1)
    kept = keep_rows_of_units(frame, root.budget, np.random.default_rng(streams[-1]))
    codes = schema.encode(kept)
    slices = _slices(weights, accountant, domain, "os" if seed is None else "seeded")
    models = {
        synthesizer: synthesizer._fit(
            PrivateTable(codes, domain, payer), payer.plan, np.random.default_rng(stream)
        )
        for synthesizer, payer, stream in zip(weights, slices, streams, strict=False)
    }
    ledger = root.ledger_so_far
    return {
        synthesizer: Release(synthesizer.name, asdict(synthesizer), schema, model, ledger)
        for synthesizer, model in models.items()
    }


def keep_rows_of_units(
    frame: pd.DataFrame, budget: PrivacyBudget, rng: np.random.Generator
) -> pd.DataFrame:
    """Return at most ``max_rows`` records of each unit, chosen at random, in their order.

    The choice within a unit does not depend on other units, so that one unit more or less
    changes no other one's records. Records that name no unit are one. SchemaError when the frame
    lacks the unit's column.
    """
    if budget.unit is None:
        return frame
    if budget.unit not in frame.columns:
        raise SchemaError(f"the table lacks column {budget.unit!r}, which names the unit")
    order = rng.permutation(len(frame))
    shuffled = frame[budget.unit].astype(str).to_numpy()[order]
    before = pd.Series(shuffled).groupby(shuffled, sort=False, dropna=False).cumcount().to_numpy()
    return frame.iloc[np.sort(order[before < budget.max_rows])]


def _slices(
    weights: Mapping[Synthesizer, float],
    accountant: Accountant | Portion,
    domain: Domain,
    randomness: Randomness,
) -> list[Slice]:
    if isinstance(accountant, Accountant) and accountant.planned:
        return [
            accountant.turn(synthesizer, domain, randomness=randomness) for synthesizer in weights
        ]
    plans = {
        _label(i, synthesizer, len(weights)): (synthesizer.plan(domain), weight)
        for i, (synthesizer, weight) in enumerate(weights.items())
    }
    return list(accountant.admit_jointly(plans, randomness=randomness).values())


def _label(position: int, synthesizer: Synthesizer, of: int) -> str:
    return synthesizer.name if of == 1 else f"{position + 1}-{synthesizer.name}"
