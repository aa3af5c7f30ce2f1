"""A release of two tables: rows of both, whose keys are new and fit together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.accounting import Ledger
from dp_synth.errors import InputError, ReleaseError
from dp_synth.inference import Model
from dp_synth.readers import read_json
from dp_synth.relational.schema import NUMBER, TablesSchema
from dp_synth.release import Release
from dp_synth.types import Codes

SCHEMA, ROOTS, CHILDREN = "schema.json", "roots.npz", "children.npz"  # files of a folder


@dataclass(frozen=True, eq=False)
class TablesRelease:
    """The models of roots and of children, paid from one ledger; see `fit_tables`.

    Nothing in it was computed from records except through mechanisms that the ledger lists.
    """

    schema: TablesSchema
    roots: Release
    children: Release

    @property
    def ledger(self) -> Ledger:
        """What was spent, of which both models are."""
        return self.roots.ledger

    @property
    def epsilon(self) -> float:
        """Certified upper bound on what was spent, at the budget's delta."""
        return self.ledger.epsilon

    def sample(self, roots: int | None = None, seed: int | None = None) -> dict[str, pd.DataFrame]:
        """Return so many synthetic roots and their children, by the names of the tables.

        Left out, ``roots`` is their noisy number. Keys are numbers from 1, new in every call's
        roots; those of children are their root's. InputError for a number below 0.
        """
        number = round(self.roots.model.total) if roots is None else roots
        if number < 0:
            raise InputError(f"the number of roots must be a whole number from 0, got {roots!r}")
        rng, schema = np.random.default_rng(seed), self.schema
        above = self.roots.model.sample(int(number), rng)[:, : len(schema.roots.domain)]
        counts = above[:, schema.roots.domain.axis(NUMBER)]
        owners, own = self._children(above[:, :-1], counts, rng)
        keys = np.arange(1, number + 1)
        upper = schema.own_root.decode(above[:, :-1], rng)
        lower = schema.own_child.decode(own, rng)
        upper.insert(_place(schema.root.names, schema.key), schema.key, keys)
        lower.insert(
            _place(schema.child.names, schema.foreign_key), schema.foreign_key, keys[owners]
        )
        return {schema.root_name: upper, schema.child_name: lower}

    def _children(
        self, roots: Codes, counts: Codes, rng: np.random.Generator
    ) -> tuple[NDArray[np.intp], Codes]:
        """Return the root of each child, by its place, and the codes of children, root by root."""
        schema, model = self.schema, self.children.model
        width = len(schema.own_child.domain)
        start = roots.shape[1] + 1  # behind the root's columns and the number
        before = np.broadcast_to(schema.own_child.domain.sizes, (len(roots), width))
        owners, found = [np.empty(0, dtype=np.intp)], [np.empty((0, width), dtype=np.int32)]
        for turn in range(schema.max_children):
            here = np.flatnonzero(counts > turn)
            if not len(here):
                break
            known = np.full((len(here), len(model.domain)), -1, dtype=np.int32)
            known[:, : start - 1], known[:, start - 1] = roots[here], counts[here] - 1
            known[:, start : start + width] = before[here]
            drawn = _completed(model, known, (start, start + width), rng)
            own = drawn[:, start + width : start + 2 * width]
            owners.append(here)
            found.append(own)
            before = np.array(before)
            before[here] = own
        every, codes = np.concatenate(owners), np.concatenate(found)
        order = np.argsort(every, kind="stable")
        return every[order], codes[order].astype(np.int32)

    def save(self, folder: str | Path) -> None:
        """Write the schema and both releases into a new folder, whole or not at all.

        InputError where something of that name is there.
        """
        place = Path(folder)
        if place.exists():
            raise InputError(f"{folder}: is there already; give a folder that is not")
        passing = place.with_name(f".{place.name}.passing")
        shutil.rmtree(passing, ignore_errors=True)
        try:
            passing.mkdir()
            text = json.dumps(self.schema.to_dict())
            (passing / SCHEMA).write_text(text, encoding="utf-8")
            self.roots.save(passing / ROOTS)
            self.children.save(passing / CHILDREN)
            passing.rename(place)
        except OSError:
            raise InputError(f"{folder}: cannot be written") from None
        finally:
            shutil.rmtree(passing, ignore_errors=True)

    @classmethod
    def load(cls, folder: str | Path) -> TablesRelease:
        """Return the release that ``save`` wrote; ReleaseError for anything else."""
        place = Path(folder)
        schema = TablesSchema.from_dict(read_json(place / SCHEMA, ReleaseError), str(place))
        roots, children = (Release.load(place / name) for name in (ROOTS, CHILDREN))
        for one, own in ((roots, schema.roots), (children, schema.children)):
            if one.schema != own:
                raise ReleaseError(f"{folder}: its releases are not of its schema")
        return cls(schema, roots, children)


def _place(names: Sequence[str], column: str) -> int:
    """Return where a key stands among the columns that come back."""
    return list(names).index(column)


def _completed(
    model: Model, known: Codes, before: tuple[int, int], rng: np.random.Generator
) -> Codes:
    """Return rows with their gaps drawn; those that cannot occur by less of what stands before.

    First without the child before, then without the root.
    """
    drawn, possible = model.completed(known, rng)
    for stop, begin in ((before[1], before[0]), (before[1], 0)):
        lost = np.flatnonzero(~possible)
        if not len(lost):
            break
        known[lost, begin:stop] = -1
        again, found = model.completed(known[lost], rng)
        drawn[lost], possible[lost] = again, found
    return drawn
