"""The rows that a cell measures: of a synthesizer, of a peer, or of a baseline."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.benchmark.baselines import (
    LEAKAGE_BASELINES,
    SAMPLE_OF_ROWS,
    UTILITY_BASELINES,
    sample_of_rows,
)
from dp_synth.benchmark.cell import Cell
from dp_synth.benchmark.peers import PeerRequest, names_peer, run_peer, split_name
from dp_synth.benchmark.sources import child_seed, dataset
from dp_synth.readers import parse_json
from dp_synth.release import Release
from dp_synth.synthesizers import Synthesizer, synthesizer_named


@dataclass(frozen=True, eq=False)
class Fit:
    """A synthesizer's release, under which recipe and budget."""

    recipe: Synthesizer
    budget: PrivacyBudget
    release: Release


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that a cell measures; a baseline's come from no fit, and a peer's from its own.

    ``seconds`` is the processor time of the fit, ``budget`` who vouches for epsilon, ``peak_mb``
    the memory of a peer's process, ``ledger`` the text of a fit's ledger.
    """

    frame: pd.DataFrame
    fit: Fit | None = None
    seconds: float | None = None
    budget: str = ""
    peak_mb: float | None = None
    ledger: str = ""


def rows_of(cell: Cell, fitted: pd.DataFrame, fresh: pd.DataFrame) -> Rows:
    """Return rows of the cell's baseline, peer or synthesizer, as many as were ``fitted``."""
    if cell.epsilon is None or cell.delta is None or cell.adjacency is None:
        return _baseline(cell, fitted, fresh)
    budget = PrivacyBudget(cell.epsilon, cell.delta, cell.adjacency)
    if names_peer(cell.synthesizer):
        return _from_peer(cell, budget, fitted)
    return _fitted(cell, budget, fitted)


def _baseline(cell: Cell, fitted: pd.DataFrame, fresh: pd.DataFrame) -> Rows:
    rng = np.random.default_rng(child_seed(cell.seed, "sample"))
    if cell.synthesizer == SAMPLE_OF_ROWS:
        return Rows(sample_of_rows(fitted, parse_json(cell.settings)["share"], rng))
    baselines = LEAKAGE_BASELINES if cell.task == "leakage" else UTILITY_BASELINES
    return Rows(baselines[cell.synthesizer](fitted, fresh, rng))


def _from_peer(cell: Cell, budget: PrivacyBudget, fitted: pd.DataFrame) -> Rows:
    settings = parse_json(cell.settings)
    command = tuple(settings.pop("command", ()))
    peer, method = split_name(cell.synthesizer)
    answer = run_peer(
        PeerRequest(
            peer=peer,
            method=method,
            table=fitted,
            schema=dataset(cell.dataset).schema,
            budget=budget,
            rows=len(fitted),
            seed=child_seed(cell.seed, "fit"),
            settings=settings,
            command=command,
        )
    )
    return Rows(
        answer.rows,
        seconds=answer.seconds,
        budget=answer.budget,
        peak_mb=answer.peak_mb,
        ledger=answer.ledger,
    )


def _fitted(cell: Cell, budget: PrivacyBudget, fitted: pd.DataFrame) -> Rows:
    kind = synthesizer_named(cell.synthesizer)
    recipe: Synthesizer = TypeAdapter(kind).validate_json(cell.settings)
    accountant = Accountant(budget, simulate=True)
    started = time.process_time()
    release = recipe.fit(
        fitted, dataset(cell.dataset).schema, accountant, seed=child_seed(cell.seed, "fit")
    )
    seconds = time.process_time() - started
    # A benchmark's tables are public, so the number of their rows may be used.
    frame = release.sample(len(fitted), seed=child_seed(cell.seed, "sample"), kinds="written")
    ledger = json.dumps(release.ledger.to_fields())
    return Rows(frame, Fit(recipe, budget, release), seconds, "ledger", ledger=ledger)
