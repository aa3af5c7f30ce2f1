"""Membership games: coins decide who is fitted, over many runs, and attacks see what comes out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Generic, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dp_synth.accounting import Accountant, Adjacency, PrivacyBudget
from dp_synth.attacks.base import Aimed, Attack
from dp_synth.attacks.distance import isolation
from dp_synth.attacks.scores import Scores
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.frames import Table, as_frame, hold_frames, overlap
from dp_synth.schema import Schema
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.types import Flags, Floats

Generate = Callable[[pd.DataFrame, int], pd.DataFrame]
"""What is attacked: the records to fit and a seed in, a synthetic table out."""

Seen = TypeVar("Seen")
Runs = list[tuple[Flags, Seen | None, str | None, float]]
Other = TypeVar("Other")

# What numerical libraries read when they are loaded.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# What the fit of a table may raise. It is an outcome of the run: not retried, and not passed on.
FAILURES = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class Pool:
    """Equally many members, to be fitted, and non-members of one population, split at random.

    The flags say which records are among the most isolated ones.
    """

    members: pd.DataFrame
    non_members: pd.DataFrame
    member_isolated: Flags
    non_member_isolated: Flags


def split_pool(
    frame: Table,
    schema: Schema,
    reference: Table,
    *,
    members: int,
    isolated: int,
    rng: np.random.Generator,
) -> Pool:
    """Return a pool of 2 x ``members`` records of ``frame``, one half of them members.

    The pool holds the ``isolated`` records that lie farthest from ``reference`` (see
    ``isolation``) and others drawn at random. Keep ``reference`` apart from ``frame``: an attack
    may then use it. InputError when ``frame`` has too few records.
    """
    if members < 1 or not 0 <= isolated <= 2 * members:
        raise InputError(
            "members must be at least 1 and isolated between 0 and 2 x members, "
            f"got {members} and {isolated}"
        )
    frame = as_frame(frame)
    if len(frame) < 2 * members:
        raise InputError(f"{members} members need a table of at least {2 * members} records")
    chosen = np.empty(0, dtype=np.intp)
    if isolated:
        ties = rng.random(len(frame))
        chosen = np.lexsort((ties, -isolation(frame, schema, reference)))[:isolated]
    others = np.setdiff1d(np.arange(len(frame)), chosen)
    pool = np.concatenate([chosen, rng.choice(others, 2 * members - isolated, replace=False)])
    order = rng.permutation(2 * members)
    inside, outside = order[:members], order[members:]
    return Pool(
        frame.iloc[pool[inside]].reset_index(drop=True),
        frame.iloc[pool[outside]].reset_index(drop=True),
        inside < isolated,
        outside < isolated,
    )


@dataclass(frozen=True, eq=False)
class Fitted:
    """A synthesizer at a budget as a game plays against it; all its tables have equal size.

    That size is public: the number of fitted records must not show in it.
    """

    synthesizer: Synthesizer
    schema: Schema
    budget: PrivacyBudget
    records: int

    def __call__(self, members: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Return the synthetic table of a simulated fit to ``members``."""
        accountant = Accountant(self.budget, simulate=True)
        fit_seed, sample_seed = _seeds(seed, 2)
        release = self.synthesizer.fit(members, self.schema, accountant, seed=fit_seed)
        rows: pd.DataFrame = release.sample(self.records, seed=sample_seed, kinds="written")
        return rows


@dataclass(frozen=True, eq=False)
class Played(Generic[Seen]):
    """What came out of the runs, and what the attacker may not know: members and seeds.

    ``member`` has shape (runs, targets). ``seen`` holds what was looked at in each run, None
    where its fit failed; ``failures`` then names the error. ``seconds`` are those of the fits:
    they are an outcome too.
    """

    member: Flags
    seen: tuple[Seen | None, ...]
    failures: tuple[str | None, ...]
    seconds: tuple[float, ...]
    seeds: tuple[int, ...]

    def looked_at(self, look: Callable[[Seen], Other]) -> Played[Other]:
        """Return the same runs seen through ``look``: tables that were kept serve many attacks."""
        seen = tuple(None if one is None else look(one) for one in self.seen)
        return Played(self.member, seen, self.failures, self.seconds, self.seeds)


@dataclass(frozen=True, eq=False)
class MembershipGame:
    """Each run flips coins over ``targets``, fits those that are in, and shows the result.

    ``groups`` numbers the target's household or set: its members are in or out together, and a
    claim that scores are held against is then about groups. ``fixed`` records are always fitted.

    Under "add_remove" each group has a fair coin of its own, so that given all other coins its
    two worlds differ by that group. Under "replace_one" a group that is out is replaced by as
    many random ``stand_ins``, or, without these, exactly half of the groups are in: given the
    others, its two worlds then differ by a group of the same pool in its place.
    """

    generate: Generate
    targets: pd.DataFrame
    adjacency: Adjacency = "replace_one"
    groups: ArrayLike | None = None
    fixed: pd.DataFrame | None = None
    stand_ins: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        hold_frames(self, "targets", "fixed", "stand_ins")
        if not len(self.targets):
            raise InputError("a game needs at least one target")
        if self.groups is not None and np.shape(self.groups) != (len(self.targets),):
            raise InputError("groups must be one number for each target")
        if self.stand_ins is not None:
            if self.adjacency != "replace_one":
                raise InputError("stand_ins belong to the adjacency 'replace_one'")
            if len(self.stand_ins) < len(self.targets):
                raise InputError("stand_ins must be at least as many records as targets")
        elif self.adjacency == "replace_one" and self._groups[1] < 2:
            raise InputError("to replace a single target or set the game needs stand_ins")
        for others, name in ((self.fixed, "fixed records"), (self.stand_ins, "stand-ins")):
            if others is not None and overlap(self.targets, others):
                raise InputError(
                    f"targets also stand among the {name}: they would be fitted while they are out"
                )

    def play(
        self,
        look: Callable[[pd.DataFrame], Seen],
        runs: int,
        *,
        seed: int | None = None,
        jobs: int = 1,
    ) -> Played[Seen]:
        """Return ``runs`` runs seen through ``look``, which is given the synthetic table alone.

        Coins and noise are fresh in each run; without a ``seed`` their entropy is the operating
        system's. ``look`` may be an attack panel, features, or ``keep``. ``jobs`` processes
        share the runs.
        """
        from joblib import effective_n_jobs

        if runs < 1:
            raise InputError(f"the number of runs must be at least 1, got {runs}")
        seeds = _seeds(seed, runs)
        workers = min(effective_n_jobs(jobs), runs)
        # One batch a process: what a look remembers from run to run is not sent to and fro.
        batches = [seeds[worker::workers] for worker in range(workers)]
        parts = _shared(partial(_runs, self, look), batches)
        results = [parts[run % workers][run // workers] for run in range(runs)]
        member, seen, failures, seconds = zip(*results, strict=True)
        return Played(np.array(member), seen, failures, seconds, tuple(seeds))

    def draw(self, rng: np.random.Generator) -> tuple[Flags, pd.DataFrame]:
        """Return which targets are in, and the records to fit, in random order."""
        group, count = self._groups
        if self.adjacency == "replace_one" and self.stand_ins is None:
            inside = np.isin(np.arange(count), rng.permutation(count)[: count // 2])
        else:
            inside = rng.random(count) < 0.5
        member = inside[group]
        parts = [self.targets[member]]
        if self.fixed is not None:
            parts.append(self.fixed)
        if self.stand_ins is not None:
            out = int((~member).sum())
            parts.append(self.stand_ins.iloc[rng.permutation(len(self.stand_ins))[:out]])
        records = pd.concat(parts, ignore_index=True)
        return member, records.iloc[rng.permutation(len(records))].reset_index(drop=True)

    @property
    def _groups(self) -> tuple[NDArray[np.intp], int]:
        if self.groups is None:
            return np.arange(len(self.targets)), len(self.targets)
        names, places = np.unique(np.asarray(self.groups), return_inverse=True)
        return places, len(names)


@dataclass(frozen=True, eq=False)
class Panel:
    """Attacks that score the same targets in each run of a game.

    ``view`` is what they see besides the synthetic table, which each run puts in its place.
    ``bystanders`` are further records to be scored, none of them ever fitted.
    """

    attacks: Mapping[str, Attack]
    targets: pd.DataFrame
    view: AttackerView
    bystanders: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        hold_frames(self, "targets", "bystanders")
        if self.bystanders is not None and overlap(self.targets, self.bystanders):
            raise InputError("targets also stand among the bystanders, who must never be fitted")

    def __call__(self, synthetic: pd.DataFrame) -> Floats:
        """Return scores of shape (attacks, targets and then bystanders)."""
        return np.array([score(synthetic) for score in self._aimed])

    @cached_property
    def _aimed(self) -> list[Aimed]:
        scored = self.targets
        if self.bystanders is not None:
            scored = pd.concat([self.targets, self.bystanders], ignore_index=True)
        return [attack.aimed(scored, self.view) for attack in self.attacks.values()]

    def __getstate__(self) -> dict[str, object]:
        """Return the fields alone: another process aims anew, which is faster than sending."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def scores(self, played: Played[Floats]) -> dict[str, Scores]:
        """Return each attack's scores of the targets; NaN in failed runs."""
        targets = len(self.targets)
        of_all = self._of_all(played)
        return {n: Scores.of_runs(s[:, :targets], played.member) for n, s in of_all.items()}

    def bystander_scores(self, played: Played[Floats]) -> dict[str, Floats]:
        """Return each attack's scores of the bystanders, of shape (runs, bystanders)."""
        if self.bystanders is None:
            raise InputError("the panel has no bystanders")
        return {name: s[:, len(self.targets) :] for name, s in self._of_all(played).items()}

    def _of_all(self, played: Played[Floats]) -> dict[str, Floats]:
        """Return each attack's scores of targets and bystanders, of shape (runs, both)."""
        records = len(self.targets) + (0 if self.bystanders is None else len(self.bystanders))
        missing = np.full((len(self.attacks), records), np.nan)
        seen = np.array([missing if one is None else one for one in played.seen])
        return {name: seen[:, place] for place, name in enumerate(self.attacks)}


def keep(synthetic: pd.DataFrame) -> pd.DataFrame:
    """Return the synthetic table itself: the look that keeps tables for other looks."""
    return synthetic


def _shared(play: Callable[[list[int]], Runs[Seen]], batches: list[list[int]]) -> list[Runs[Seen]]:
    """Return what each batch of seeds gives, each in a process of its own that ends with it.

    joblib's own pool would be left behind, and with it names of semaphores that are looked for
    when this process ends.
    """
    if len(batches) == 1:
        return [play(batches[0])]
    from joblib import cpu_count
    from joblib.externals.loky import ProcessPoolExecutor

    each = str(max(1, cpu_count() // len(batches)))
    threads = {name: os.environ.get(name, each) for name in THREADS}
    with ProcessPoolExecutor(len(batches), env=threads) as pool:
        return list(pool.map(play, batches))


def _runs(
    game: MembershipGame, look: Callable[[pd.DataFrame], Seen], seeds: Sequence[int]
) -> Runs[Seen]:
    found: Runs[Seen] = []
    for seed in seeds:
        coins_seed, fit_seed = _seeds(seed, 2)
        member, records = game.draw(np.random.default_rng(coins_seed))
        started, failure = time.process_time(), None
        try:
            synthetic = game.generate(records, fit_seed)
        except FAILURES as error:
            failure = type(error).__name__
        seconds = time.process_time() - started
        found.append((member, None if failure else look(synthetic), failure, seconds))
    return found


def _seeds(seed: int | None, count: int) -> list[int]:
    children = np.random.SeedSequence(seed).spawn(count)
    return [int(child.generate_state(1, np.uint64)[0] >> np.uint64(1)) for child in children]
