"""What a cell does: take its rows, and measure what they are good for or what they leak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from dp_synth import extensions
from dp_synth.attacks import AttackerView, Pool, attack_named, has_marginals
from dp_synth.audit import Roc
from dp_synth.benchmark.cell import Cell, Measured, Outcome, measured
from dp_synth.benchmark.fits import Rows, rows_of
from dp_synth.benchmark.sources import child_seed, dataset, game, real_tables
from dp_synth.errors import DatasetUnavailable
from dp_synth.metrics import METRICS, MODELS, Compared, Estimate, utility
from dp_synth.readers import parse_json

FALSE_POSITIVE_RATES = (0.01, 0.1)
LEAKAGE_MODEL = "gradient_boosting"


def run_cell(cell: Cell) -> Outcome:
    """Return what the cell measures; whatever its synthesizer raises goes through.

    DatasetUnavailable where the table here is another than that which the cell was planned on.
    """
    if dataset(cell.dataset).sha256 != cell.dataset_sha256:
        raise DatasetUnavailable(
            f"table {cell.dataset!r} is not the one that the cell was planned on: its SHA-256 "
            f"must be {cell.dataset_sha256}"
        )
    return {"utility": run_utility, "leakage": run_leakage}[cell.task](cell)


@dataclass(frozen=True)
class SessionCells:
    """`run_cell` for cells that name objects of another process, which come along ``packed``."""

    packed: bytes

    def __call__(self, cell: Cell) -> Outcome:
        """Return what the cell measures."""
        _unpack(self.packed)
        return run_cell(cell)


@lru_cache(maxsize=1)
def _unpack(packed: bytes) -> None:
    extensions.unpack(packed)


def run_utility(cell: Cell) -> Outcome:
    """Take rows of the training part, as many as it has, and measure them by each metric asked.

    What a metric cannot measure on the table it leaves out.
    """
    data = dataset(cell.dataset)
    rows = rows_of(cell, data.train, data.reference)
    compared = Compared(real_tables(cell.dataset), rows.frame, cell.seed)
    values = [
        _named(name, estimate)
        for metric in parse_json(cell.options)["metrics"]
        for name, estimate in extensions.find("metrics", metric, METRICS)(compared).items()
    ]
    return _outcome(values, rows)


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
    options = parse_json(cell.options)
    played = game(cell.dataset, cell.seed, options["members"], options["isolated"])
    rows = rows_of(cell, played.pool.members, played.fresh)
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
    return _outcome(values, rows)


def _outcome(values: list[Measured], rows: Rows) -> Outcome:
    return Outcome(
        tuple(values),
        seconds=rows.seconds,
        peak_mb=rows.peak_mb,
        budget=rows.budget,
        ledger=rows.ledger,
    )


def _view(attack: str, cell: Cell, rows: Rows) -> AttackerView | None:
    """Return what an attacker sees of a cell's rows, None where the attack needs more."""
    data = dataset(cell.dataset)
    if not attack_named(attack).needs_transcript:
        view = AttackerView(rows.frame, data.schema, data.reference)
        if rows.fit is None:
            return replace(view, algorithm=cell.synthesizer)
        return replace(view, synthesizer=rows.fit.recipe, budget=rows.fit.budget)
    if rows.fit is None or not has_marginals(rows.fit.release.transcript):
        return None
    release = rows.fit.release
    return AttackerView(
        rows.frame,
        release.schema,
        data.reference,
        rows.fit.recipe.name,
        transcript=release.transcript,
    )


def _attacked(name: str, pool: Pool, view: AttackerView, seed: int) -> Iterator[Measured]:
    attack = attack_named(name)
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
