"""What a cell does: fit, sample, and measure what the rows are good for or what they leak."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.attacks import ATTACKS, AttackerView, Pool, has_marginals
from dp_synth.audit import Roc
from dp_synth.benchmark.baselines import LEAKAGE_BASELINES, UTILITY_BASELINES
from dp_synth.benchmark.cell import Cell, Measured, Outcome, measured
from dp_synth.benchmark.sources import child_seed, dataset, game, yardstick
from dp_synth.metrics import MODELS, Estimate, kmarginal, utility
from dp_synth.release import Release
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer

FALSE_POSITIVE_RATES = (0.01, 0.1)
SCORES = ("auc", "average_precision", "f1")
LEAKAGE_MODEL = "gradient_boosting"


@dataclass(frozen=True, eq=False)
class Fit:
    """A synthesizer's release, and what it took."""

    recipe: Synthesizer
    budget: PrivacyBudget
    release: Release
    seconds: float


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that a cell measures; a baseline has no fit that they came from."""

    frame: pd.DataFrame
    fit: Fit | None = None

    @property
    def seconds(self) -> float | None:
        """The processor time of the fit."""
        return None if self.fit is None else self.fit.seconds


def run_cell(cell: Cell) -> Outcome:
    """Return what the cell measures; whatever its synthesizer raises goes through."""
    return {"utility": run_utility, "leakage": run_leakage}[cell.task](cell)


def run_utility(cell: Cell) -> Outcome:
    """Fit on the training part, sample as many rows, and score them.

    ``tv1``, ``tv2``, ``tv3`` and ``kmarginal`` compare with the training part and ``tv2_holdout``
    and so on with the hold-out part; ``auc:<model>`` and so on train on the rows and test on the
    hold-out part.
    """
    data = dataset(cell.dataset)
    metrics: list[str] = json.loads(cell.options)["metrics"]
    rows = _rows(cell, data.train, data.reference)
    values = [*_fidelity(cell, rows.frame, metrics), *_usefulness(cell, rows.frame, metrics)]
    return Outcome(tuple(values), rows.seconds)


def run_leakage(cell: Cell) -> Outcome:
    """Fit on the members of the seed's game, sample as many rows, and attack these.

    The attacker has the reference part and knows the synthesizer and its budget; to an attack
    that needs a transcript the release is given too. An attack gives no value where a cell has
    not what it needs: a baseline has no transcript, and a network's holds no marginal.
    ``auc:<attack>`` and ``tpr_at_fpr_0.01:<attack>`` and so on are over all targets,
    ``auc:<attack>:isolated`` over the isolated ones; ``auc_ceiling`` is the largest AUC that the
    ledger permits. ``tv2`` (against the members) and ``auc:gradient_boosting`` (on hold-out rows
    outside of the game) say what the same rows are good for.
    """
    options = json.loads(cell.options)
    played = game(cell.dataset, cell.seed, options["members"], options["isolated"])
    rows = _rows(cell, played.pool.members, played.fresh)
    values = [
        value
        for name in options["attacks"]
        if (view := _view(name, cell, rows)) is not None
        for value in _attacked(name, played.pool, view, child_seed(cell.seed, "attack"))
    ]
    values.append(_named("tv2", played.yardstick.total_variation(rows.frame, (2,))[2]))
    models = {LEAKAGE_MODEL: MODELS[LEAKAGE_MODEL]}
    scores = utility(
        rows.frame, played.tested, dataset(cell.dataset).schema, models=models, seed=cell.seed
    )
    values += [_named(f"auc:{model}", of_model["auc"]) for model, of_model in scores.items()]
    if rows.fit is not None:
        values.append(measured("auc_ceiling", *[rows.fit.release.largest_auc()] * 3))
    return Outcome(tuple(values), rows.seconds)


def _rows(cell: Cell, fitted: pd.DataFrame, fresh: pd.DataFrame) -> Rows:
    """Return rows of the cell's baseline or synthesizer, as many as were fitted."""
    sample_seed = child_seed(cell.seed, "sample")
    if cell.epsilon is None or cell.delta is None or cell.adjacency is None:
        baselines = LEAKAGE_BASELINES if cell.task == "leakage" else UTILITY_BASELINES
        rng = np.random.default_rng(sample_seed)
        return Rows(baselines[cell.synthesizer](fitted, fresh, rng))
    recipe = TypeAdapter(SYNTHESIZERS[cell.synthesizer]).validate_json(cell.settings)
    budget = PrivacyBudget(cell.epsilon, cell.delta, cell.adjacency)
    accountant = Accountant(budget, simulate=True)
    started = time.process_time()
    release = recipe.fit(
        fitted, dataset(cell.dataset).schema, accountant, seed=child_seed(cell.seed, "fit")
    )
    seconds = time.process_time() - started
    # A benchmark's tables are public, so the number of their rows may be used.
    rows = release.sample(len(fitted), seed=sample_seed)
    return Rows(rows, Fit(recipe, budget, release, seconds))


def _view(attack: str, cell: Cell, rows: Rows) -> AttackerView | None:
    """Return what an attacker sees of a cell's rows, None where the attack needs more."""
    data = dataset(cell.dataset)
    if not ATTACKS[attack].needs_transcript:
        view = AttackerView(rows.frame, data.schema, data.reference, cell.synthesizer)
        if rows.fit is None:
            return view
        return replace(view, synthesizer=rows.fit.recipe, budget=rows.fit.budget)
    if rows.fit is None or not has_marginals(rows.fit.release.transcript):
        return None
    release = rows.fit.release
    return AttackerView(
        rows.frame,
        release.schema,
        data.reference,
        cell.synthesizer,
        transcript=release.transcript,
    )


def _fidelity(cell: Cell, rows: pd.DataFrame, metrics: Sequence[str]) -> Iterator[Measured]:
    wanted = {f"tv{degree}": degree for degree in (1, 2, 3)}
    degrees = {degree for name, degree in wanted.items() if name in metrics}
    if "kmarginal" in metrics:
        degrees.add(2)
    for part, ending in (("train", ""), ("holdout", "_holdout")):
        found = yardstick(cell.dataset, part).total_variation(rows, tuple(sorted(degrees)))
        for name, degree in wanted.items():
            if name in metrics:
                yield _named(name + ending, found[degree])
        if "kmarginal" in metrics:
            yield _named("kmarginal" + ending, kmarginal(found[2]))


def _usefulness(cell: Cell, rows: pd.DataFrame, metrics: Sequence[str]) -> Iterator[Measured]:
    wanted = [name for name in SCORES if name in metrics]
    if not wanted:
        return
    holdout = dataset(cell.dataset).holdout
    for model, scores in utility(
        rows, holdout, dataset(cell.dataset).schema, seed=cell.seed
    ).items():
        for name in wanted:
            yield _named(f"{name}:{model}", scores[name])


def _attacked(name: str, pool: Pool, view: AttackerView, seed: int) -> Iterator[Measured]:
    attack = ATTACKS[name]()
    of_members = attack.scores(pool.members, view)
    of_others = attack.scores(pool.non_members, view)
    roc = Roc(of_members, of_others, seed=seed)
    yield _named(f"auc:{name}", roc.auc())
    for rate in FALSE_POSITIVE_RATES:
        yield _named(f"tpr_at_fpr_{rate:g}:{name}", roc.tpr_at_fpr(rate))
    if pool.member_isolated.any() and pool.non_member_isolated.any():
        isolated = Roc(
            of_members[pool.member_isolated], of_others[pool.non_member_isolated], seed=seed
        )
        yield _named(f"auc:{name}:isolated", isolated.auc())


def _named(metric: str, estimate: Estimate) -> Measured:
    return measured(metric, estimate.value, estimate.low, estimate.high)
