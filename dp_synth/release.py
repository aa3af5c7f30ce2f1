"""What a fit returns: a model, its schema and its ledger, all safe to publish."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dp_synth._version import __version__
from dp_synth.accounting import Ledger
from dp_synth.errors import InputError, ReleaseError
from dp_synth.files import written_whole
from dp_synth.inference import JunctionTreeModel
from dp_synth.schema import Schema

FORMAT, VERSION = "dp_synth.release", 1

# What reading a damaged archive raises: numpy's, json's, zipfile's and zlib's own errors.
_DAMAGES = (
    AttributeError,
    EOFError,
    KeyError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class Release:
    """A fitted model with the public facts needed to sample it and to judge its promise.

    Nothing in it was computed from records except through a mechanism that the ledger lists.
    """

    synthesizer: str
    settings: Mapping[str, object]
    schema: Schema
    model: JunctionTreeModel
    ledger: Ledger

    @property
    def epsilon(self) -> float:
        """Certified upper bound on what was spent, at the budget's delta."""
        return self.ledger.epsilon

    def largest_auc(self) -> float:
        """Return the largest area under the ROC curve that the ledger permits any attack.

        For membership of one record, under the ledger's adjacency; an upper bound.
        """
        return self.ledger.curve.largest_auc()

    def sample(self, n: int | None = None, seed: int | None = None) -> pd.DataFrame:
        """Return ``n`` synthetic records with the columns and kinds of the schema.

        Left out, ``n`` is the noisy total: the true number of records is private. Sampling is
        post-processing and costs nothing, however often it is done.
        """
        records = round(self.model.total) if n is None else n
        if records < 0:
            raise ValueError(f"the number of records must be 0 or more, got {records}")
        rng = np.random.default_rng(seed)
        return self.schema.decode(self.model.sample(records, rng), rng)

    def save(self, path: str | Path) -> None:
        """Write the release to an .npz file, whole or not at all; nothing in it is pickled."""
        header = {
            "format": FORMAT,
            "version": VERSION,
            "dp_synth": __version__,
            "synthesizer": self.synthesizer,
            "settings": dict(self.settings),
            "schema": self.schema.to_dict(),
            "ledger": self.ledger.to_fields(),
            "cliques": self.model.tree.cliques,
            "total": self.model.total,
        }
        arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), **self.model.to_arrays()}
        with written_whole(path) as passing, passing.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Release:
        """Return the release that ``save`` wrote; ReleaseError for anything else."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                _check_head(header)
                schema = Schema.from_dict(header["schema"], source=str(path))
                tables = {name: arrays[name] for name in arrays.files if name != "header"}
                cliques = [tuple(clique) for clique in header["cliques"]]
                model = JunctionTreeModel.from_arrays(
                    schema.domain, cliques, tables, float(header["total"])
                )
                ledger = Ledger.from_fields(header["ledger"])
                return cls(header["synthesizer"], header["settings"], schema, model, ledger)
        except _DAMAGES as error:
            reason = str(error) if isinstance(error, InputError) else "it is damaged or no release"
            raise ReleaseError(f"{path}: cannot be read as a release: {reason}") from error


def _check_head(header: object) -> None:
    if not isinstance(header, dict):
        raise ReleaseError(f"its head must be an object, got {type(header).__name__}")
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise ReleaseError(
            f"it is {header.get('format')!r} of version {header.get('version')!r}, not "
            f"{FORMAT!r} of version {VERSION}"
        )
