"""Run of one cell: its table and rows, and what these are good for or what they leak.

Rows come from a synthesizer, from a peer, or from a baseline: a table that gives every curve its
floor or its ceiling. No baseline is private.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import pandas as pd

from dp_synth import datasets, extensions
from dp_synth.accounting import Accountant, PrivacyBudget, calibrate
from dp_synth.attacks import AttackerView, Pool, attack_named, has_marginals, split_pool
from dp_synth.audit import Roc
from dp_synth.benchmark.cell import SAMPLE_OF_ROWS, Cell, Measured, Outcome, measured
from dp_synth.benchmark.executor import peak_mb
from dp_synth.benchmark.grid import TABLE_ENDINGS, Grid
from dp_synth.benchmark.peers import PeerRequest, names_peer, run_peer, split_name
from dp_synth.errors import DatasetUnavailable, GridError
from dp_synth.metrics import (
    METRICS,
    MODELS,
    Binning,
    Compared,
    Estimate,
    RealTables,
    cliques_of,
    mean_total_variation,
    utility,
)
from dp_synth.readers import parse_json
from dp_synth.release import Release
from dp_synth.settings import made_of
from dp_synth.synthesizers import Synthesizer, synthesizer_named

Baseline = Callable[[pd.DataFrame, pd.DataFrame, np.random.Generator], pd.DataFrame]

PURPOSES = ("pool", "fit", "sample", "attack")
FALSE_POSITIVE_RATES = (0.01, 0.1)
LEAKAGE_MODEL = "gradient_boosting"
# Names a column that no schema has, so that records can be told apart once they are in a pool.
ROW = "\x00row"


def child_seed(seed: int, purpose: str) -> int:
    """Return the seed of one purpose: independent of the others, the same for all synthesizers.

    >>> child_seed(0, "fit") == child_seed(0, "pool"), child_seed(0, "fit") == child_seed(0, "fit")
    (False, True)
    """
    children = np.random.SeedSequence(seed).spawn(len(PURPOSES))
    return int(children[PURPOSES.index(purpose)].generate_state(1, np.uint64)[0] >> np.uint64(1))


def dataset(name: str) -> datasets.Dataset:
    """Return the table of a name, of a path, or that ``module:function`` gives.

    DatasetUnavailable where it is not to be found.
    """
    given = extensions.given("datasets", name)
    return given if isinstance(given, datasets.Dataset) else _read(name)


@lru_cache(maxsize=2)
def _read(name: str) -> datasets.Dataset:
    if name in datasets.names():
        return datasets.load(name)
    if name.endswith(TABLE_ENDINGS):
        return datasets.from_file(name)
    makers: dict[str, object] = {}
    make = extensions.find("datasets", name, makers)
    made = make() if callable(make) else make
    if not isinstance(made, datasets.Dataset):
        raise DatasetUnavailable(f"dataset {name!r} must be a function that returns a Dataset")
    return made


def plan(grid: Grid) -> tuple[Cell, ...]:
    """Return the cells of ``grid`` on its tables as they are.

    DatasetUnavailable where a table is not to be found, GridError where one is too small.
    """
    if grid.leakage is not None:
        needed = 2 * grid.leakage.members
        for name in grid.dataset:
            here = len(dataset(name).train) + len(dataset(name).holdout)
            if here < needed:
                raise GridError(
                    f"leakage.members: at most {here // 2} for the dataset {name!r}, "
                    f"got {grid.leakage.members}"
                )
    return grid.cells({name: dataset(name).sha256 for name in grid.dataset})


@lru_cache(maxsize=2)
def real_tables(data: datasets.Dataset) -> RealTables:
    """Return the training and hold-out parts of a table, as metrics take them."""
    return RealTables(data.train, data.holdout, data.schema)


@dataclass(frozen=True, eq=False)
class Game:
    """A pool of members and non-members, and the records of the same table outside of it."""

    pool: Pool
    binning: Binning  # of cells cut on the training part
    fresh: pd.DataFrame  # from the training part
    tested: pd.DataFrame  # from the hold-out part

    def pairs_apart(self, rows: pd.DataFrame) -> Estimate:
        """Return the mean total variation between ``rows`` and members over pairs of columns."""
        members, codes = self.binning.codes(self.pool.members), self.binning.codes(rows)
        cliques = cliques_of(len(self.binning.sizes), 2)
        return mean_total_variation(members, codes, self.binning.sizes, cliques)


@lru_cache(maxsize=2)
def game(data: datasets.Dataset, seed: int, members: int, isolated: int) -> Game:
    """Return the game of one seed on the training and hold-out parts of a table.

    It depends on nothing else, so that all synthesizers, budgets and attacks play the same one.
    """
    frame = pd.concat([data.train, data.holdout], ignore_index=True)
    rng = np.random.default_rng(child_seed(seed, "pool"))
    pool = split_pool(
        frame.assign(**{ROW: np.arange(len(frame))}),
        data.schema,
        data.reference,
        members=members,
        isolated=isolated,
        rng=rng,
    )
    outside = np.ones(len(frame), dtype=bool)
    outside[pd.concat([pool.members[ROW], pool.non_members[ROW]]).to_numpy()] = False
    in_train = np.arange(len(frame)) < len(data.train)
    return Game(
        replace(
            pool,
            members=pool.members.drop(columns=ROW),
            non_members=pool.non_members.drop(columns=ROW),
        ),
        real_tables(data).binning,
        frame[outside & in_train].reset_index(drop=True),
        frame[outside & ~in_train].reset_index(drop=True),
    )


def real_rows(fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the fitted records themselves: what a model learns from real data."""
    return fitted


def fresh_rows(fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return other real records, at most as many: the error that is left to sampling alone."""
    size = min(len(fitted), len(fresh))
    return fresh.iloc[rng.choice(len(fresh), size, replace=False)].reset_index(drop=True)


def independent_without_noise(
    fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return each fitted column in an order of its own: exact columns, no dependence."""
    return pd.DataFrame(
        {name: fitted[name].array[rng.permutation(len(fitted))] for name in fitted.columns}
    )


def bootstrap_of_members(
    fitted: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return fitted records drawn with replacement: what an attack finds without any privacy."""
    rows = rng.integers(max(len(fitted), 1), size=len(fitted))
    return fitted.iloc[rows].reset_index(drop=True)


def sample_of_rows(fitted: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return a random ``share`` of the fitted records, at least one: a scale for utility."""
    size = max(1, round(share * len(fitted)))
    return fitted.iloc[rng.permutation(len(fitted))[:size]].reset_index(drop=True)


# Functions of the records that a synthesizer would have been fitted on, of fresh records of the
# same population that are neither there nor among those that scores are tested on, and of a seed.
BASELINES: MappingProxyType[str, Baseline] = MappingProxyType(
    {
        "real_rows": real_rows,
        "fresh_rows": fresh_rows,
        "independent_without_noise": independent_without_noise,
        "no_privacy": bootstrap_of_members,
    }
)


@dataclass(frozen=True, eq=False)
class Fit:
    """A synthesizer's release, under which recipe and budget."""

    recipe: Synthesizer
    budget: PrivacyBudget
    release: Release


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that a cell measures; a baseline's come from no fit, and a peer's from its own.

    ``spent`` is an outcome without values: time and memory of the fit, who vouches for epsilon,
    and the text of its ledger. ``costs`` is what a fit took, where that was asked.
    """

    frame: pd.DataFrame
    fit: Fit | None = None
    spent: Outcome = field(default_factory=Outcome)
    costs: Mapping[str, float] = field(default_factory=dict)


def rows_of(cell: Cell, fitted: pd.DataFrame, fresh: pd.DataFrame) -> Rows:
    """Return rows of the cell's baseline, peer or synthesizer, as many as were ``fitted``."""
    if cell.epsilon is None or cell.delta is None or cell.adjacency is None:
        rng = np.random.default_rng(child_seed(cell.seed, "sample"))
        if cell.synthesizer == SAMPLE_OF_ROWS:
            return Rows(sample_of_rows(fitted, parse_json(cell.settings)["share"], rng))
        return Rows(BASELINES[cell.synthesizer](fitted, fresh, rng))
    budget = PrivacyBudget(cell.epsilon, cell.delta, cell.adjacency)
    if names_peer(cell.synthesizer):
        return _from_peer(cell, budget, fitted)
    return _fitted(cell, budget, fitted)


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
    spent = Outcome(
        seconds=answer.seconds, peak_mb=answer.peak_mb, budget=answer.budget, ledger=answer.ledger
    )
    return Rows(answer.rows, spent=spent)


def _fitted(cell: Cell, budget: PrivacyBudget, fitted: pd.DataFrame) -> Rows:
    kind = synthesizer_named(cell.synthesizer)
    recipe = made_of(kind, parse_json(cell.settings))
    accountant, schema = Accountant(budget, simulate=True), dataset(cell.dataset).schema
    asked, drawing = parse_json(cell.options), child_seed(cell.seed, "sample")
    before, started = peak_mb(), time.process_time()
    if asked.get("costs"):  # found in memory by the fit, whose time is then its own
        calibrate({recipe.name: (recipe.charges(schema.domain), 1.0)}, budget)
    calibrated = time.process_time()
    release = recipe.fit(fitted, schema, accountant, seed=child_seed(cell.seed, "fit"))
    ended, costs = time.process_time(), {}
    if asked.get("costs"):
        costs = {
            "calibration_seconds": calibrated - started,
            "fit_seconds": ended - calibrated,
            "mb_before_fit": before,
            "fit_peak_mb": peak_mb(),
        }
    if asked.get("drawn"):
        release.sample(asked["drawn"], seed=drawing)
        costs["draw_seconds"] = time.process_time() - ended
    # A benchmark's tables are public, so the number of their rows may be used.
    frame = release.sample(len(fitted), seed=drawing, kinds="written")
    ledger = json.dumps(release.ledger.to_fields())
    spent = Outcome(seconds=ended - started, budget="ledger", ledger=ledger)
    return Rows(frame, Fit(recipe, budget, release), spent, costs)


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

    What a metric cannot measure on the table it leaves out. ``cost:fit_seconds`` and so on are what
    the fit took, where that was asked: processor time, and megabytes of the process.
    """
    data = dataset(cell.dataset)
    rows = rows_of(cell, data.train, data.reference)
    compared = Compared(real_tables(data), rows.frame, cell.seed)
    values = [
        _named(name, estimate)
        for metric in parse_json(cell.options)["metrics"]
        for name, estimate in extensions.find("metrics", metric, METRICS)(compared).items()
    ]
    values += [Measured(f"cost:{name}", cost, None, None) for name, cost in rows.costs.items()]
    return replace(rows.spent, measured=tuple(values))


def run_leakage(cell: Cell) -> Outcome:
    """Fit on the members of the seed's game, sample as many rows, and attack these.

    The attacker has the reference part and knows the synthesizer and its budget; to an attack
    that needs a transcript the release is given too. An attack gives no value where a cell has
    not what it needs: a baseline has no transcript and no method to rehearse, and a network's
    transcript holds no marginal.
    ``auc:<attack>`` and ``tpr_at_fpr_0.01:<attack>`` and so on are over all targets,
    ``auc:<attack>:isolated`` over the isolated ones; ``auc_ceiling`` is the largest AUC that the
    ledger permits. ``tv2`` (against the members) and ``auc:gradient_boosting`` (on hold-out rows
    outside of the game) say what the same rows are good for.
    """
    options = parse_json(cell.options)
    data = dataset(cell.dataset)
    played = game(data, cell.seed, options["members"], options["isolated"])
    rows = rows_of(cell, played.pool.members, played.fresh)
    values = [
        value
        for name in options["attacks"]
        if (view := _view(name, cell, rows)) is not None
        for value in _attacked(name, played.pool, view, child_seed(cell.seed, "attack"))
    ]
    values.append(_named("tv2", played.pairs_apart(rows.frame)))
    models = {LEAKAGE_MODEL: MODELS[LEAKAGE_MODEL]}
    scores = utility(rows.frame, played.tested, data.schema, models=models, seed=cell.seed)
    values += [_named(f"auc:{model}", of_model["auc"]) for model, of_model in scores.items()]
    if rows.fit is not None:
        values.append(measured("auc_ceiling", *[rows.fit.release.largest_auc()] * 3))
    return replace(rows.spent, measured=tuple(values))


def _view(attack: str, cell: Cell, rows: Rows) -> AttackerView | None:
    """Return what an attacker sees of a cell's rows, None where the attack needs more."""
    data, fit = dataset(cell.dataset), rows.fit
    view, asked = AttackerView(rows.frame, data.schema, data.reference), attack_named(attack)
    if not asked.needs_transcript:
        if fit is None:
            view = replace(view, algorithm=cell.synthesizer)
        else:
            view = replace(view, synthesizer=fit.recipe, budget=fit.budget)
        unfit = asked.needs_synthesizer and asked.missing(view) is not None
        return None if unfit else view
    if fit is None or not has_marginals(fit.release.transcript):
        return None
    known, told = fit.release.schema, fit.release.transcript
    return replace(view, schema=known, algorithm=fit.recipe.name, transcript=told)


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
