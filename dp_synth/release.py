"""What a fit returns: a model, its schema, its ledger and its transcript, all safe to publish.

A release file is a zip archive of .npy arrays (numpy's .npz), none of them pickled:

- ``header``: one text, a JSON object with ``format``, ``version``, ``dp_synth`` (the version that
  wrote it), ``synthesizer``, ``settings``, ``schema`` (as in a schema file), ``ledger``, ``total``
  (the noisy number of records), ``transcript`` (a JSON object for each answer, as the classes of
  `transcript`) and ``kind``: "tree" or "mixture". Of a tree also ``cliques``: a list of attribute
  names for each table of the model.
- ``weights`` and ``attribute_<j>``: of a mixture, the probability of each component, and a row of
  probabilities of the j-th attribute's codes for each component, in which it is independent.
- ``clique_<i>``: of a tree, probabilities over the i-th of ``cliques``, one axis an attribute,
  summing to 1. The cliques form a junction tree; tables that share attributes agree on them.
- ``group_<j>`` and ``share_<j>``: of the j-th attribute, for each code, the group that stands for
  it in the tables and its part of that group. Left out where tables are over the codes
  themselves.
- ``answer_<k>``: the noisy values of the k-th answer of the transcript; a choice has none.
- ``answer_<k>_records``, ``_attributes``, ``_others``, ``_winners``: of an answer of votes, the
  made-up records that were asked about, the number of the attribute in which the twin of each
  differs, the twin's code there, and whether the record won; codes are bytes where they fit.
- ``answer_groups_<m>``: the new code of each code, named by the answers that were given over it.

Codes count the categories, or the cells of a numeric column, in the order of the schema; missing
marks come after them. Version 1 had no transcript, and its tables were over the codes; version 2
had no votes in its transcript, version 3 no histograms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth._version import __version__
from dp_synth.accounting import Ledger
from dp_synth.display import ROWS, html_table
from dp_synth.errors import InputError, ReleaseError, warn
from dp_synth.evidence import SHOWN, Given, attribute_of, read_given, read_given_rows
from dp_synth.extensions import listed
from dp_synth.files import DAMAGES, written_whole
from dp_synth.frames import ArrowTable, as_frame
from dp_synth.inference import MixtureModel, Model, RefinedModel
from dp_synth.inference.junction_tree import MAX_CELLS
from dp_synth.schema import Kinds, Schema
from dp_synth.standard_errors import MarginalEstimate, replicas, standard_errors
from dp_synth.transcript import Answer, from_fields, to_fields
from dp_synth.validation_bounds import ValidationBounds, bounds_of

Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

MOST_BY_DEFAULT = 1_000_000
"""Records that `Release.sample` draws at most where nobody says how many."""

FORMAT, VERSION = "dp_synth.release", 4
READABLE = (1, 2, 3, VERSION)


@dataclass(frozen=True, eq=False)
class Release:
    """A fitted model with the public facts needed to sample it and to judge its promise.

    Nothing in it was computed from records except through a mechanism that the ledger lists.
    """

    synthesizer: str
    settings: Mapping[str, object]
    schema: Schema
    model: Model
    ledger: Ledger
    transcript: tuple[Answer, ...] = ()

    def __repr__(self) -> str:
        return f"<Release: {'; '.join(f'{name} {value}' for name, value in self._facts())}>"

    def _repr_html_(self) -> str:
        return html_table(("", ""), self._facts()[:-1]) + self.ledger._repr_html_()

    def _facts(self) -> list[tuple[str, str]]:
        """Return what is to be known at a glance, all of it public."""
        return [
            ("method", self.synthesizer),
            ("table", self.schema.name),
            ("columns", f"{len(self.schema.names)}: {listed(self.schema.names, ROWS)}"),
            ("records", self._records()),
            ("promise", "; ".join(self.ledger.summary())),
        ]

    def _records(self) -> str:
        if self.ledger.budget.records_are_public:
            return f"{self.model.total:,.0f}, a public number"
        return f"about {self.model.total:,.0f}, a noisy number"

    @property
    def epsilon(self) -> float:
        """Certified upper bound on what was spent, at the budget's delta."""
        return self.ledger.epsilon

    @cached_property
    def validation(self) -> ValidationBounds | None:
        """How good the model is, with intervals, where the fit paid for saying so; else None."""
        return bounds_of(self.transcript, self.schema.domain)

    def largest_auc(self) -> float:
        """Return the largest area under the ROC curve that the ledger permits any attack.

        For membership of one record, under the ledger's adjacency; an upper bound.
        """
        return self.ledger.curve.largest_auc()

    def marginal(self, clique: Sequence[str]) -> MarginalEstimate:
        """Return the expected counts over any attributes, with standard errors.

        Counts have one axis an attribute, in the order of ``clique``. The errors come from a
        parametric bootstrap (`standard_errors`): how far the model moves when the noise of all
        that was measured is drawn anew. They cover that noise alone, not the sampling of the
        records, nor what the model leaves out: structure that was not measured, or that was
        merged away. They take seconds the first time, and are NaN where a release holds no
        transcript. InputError for an unknown attribute and for too many cells.
        """
        wanted = tuple(attribute_of(self.schema, name) for name in clique)
        if len(set(wanted)) != len(wanted):
            raise InputError("a marginal names each column once")
        if (cells := self.model.domain.cells(wanted)) > MAX_CELLS:
            raise InputError(
                f"the marginal over {', '.join(map(repr, wanted))} has {cells:,} cells, at most "
                f"{MAX_CELLS:,} are allowed"
            )
        counts = self.model.marginal(wanted)
        if not self._replicas:
            return MarginalEstimate(counts, np.full(counts.shape, np.nan))
        errors = standard_errors(counts, wanted, self._replicas, self.transcript)
        return MarginalEstimate(counts, errors)

    @cached_property
    def _replicas(self) -> list[Model]:
        return replicas(self.model, self.transcript)

    def sample(
        self,
        n: int | None = None,
        seed: int | None = None,
        *,
        given: Mapping[str, Given] | pd.DataFrame | ArrowTable | None = None,
        balance: str | None = None,
        kinds: Kinds = "schema",
    ) -> pd.DataFrame:
        """Return ``n`` synthetic records, in the kinds that the schema tells of its columns.

        Left out, ``n`` is the noisy total, since the true number of records is private; of more
        than ``MOST_BY_DEFAULT`` so many are drawn, and a warning says what the total was. Sampling
        is post-processing and costs nothing, however often it is done.

        With ``given`` all records are as it says, and the rest follows exactly as the model has
        it: ``{"sex": "F", "age": (30, 39), "job": ["a", "b"]}`` for one value, a closed range of
        numbers or dates, and any of several values. A table of partial rows is completed instead,
        each row once and in their order: its missing and empty cells, and the columns that it
        lacks, are drawn. ``balance`` names a column whose values that can occur (the cells of a
        numeric column; missing marks as well) get as equal numbers of records as ``n`` allows.
        InputError for an unknown column or value, and when no record can be as given.

        ``kinds`` are as in `Schema.in_kinds`: by default integers, real numbers, dates, truths and
        categoricals, in which missing cells are absent; "written" for cells as a CSV file has
        them, missing marks as text; a frame, or its ``dtypes``, for those of the table that was
        fitted, which are thereby declared public.
        """
        rng = np.random.default_rng(_whole("the seed", seed))
        n = _whole("the number of records", n)
        if given is None or isinstance(given, Mapping):
            rows = self._drawn(n, rng, given or {}, balance)
        else:
            partial = as_frame(given, "given is no mapping of columns to values, so it")
            if n is not None or balance is not None:
                raise InputError("partial rows are completed once each; give no n and no balance")
            rows = self._completed(partial, rng)
        if isinstance(kinds, str) and kinds == "written":
            return rows
        return self.schema.in_kinds(rows, kinds)

    def _drawn(
        self,
        n: int | None,
        rng: np.random.Generator,
        given: Mapping[str, Given],
        balance: str | None,
    ) -> pd.DataFrame:
        evidence = read_given(self.schema, given)
        model = self._conditioned({one.column: one.weights for one in evidence})
        records = _default_rows(model.total) if n is None else n
        codes = (
            model.sample(records, rng)
            if balance is None
            else _balanced(model, attribute_of(self.schema, balance), records, rng)
        )
        rows = self.schema.decode(codes, rng)
        for one in evidence:
            if one.drawn is not None:
                own = codes[:, self.schema.domain.axis(one.column)]
                rows[one.column] = one.drawn.decode(own, rng)
        return rows

    def _completed(self, partial: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """Return each of the partial rows with its gaps drawn, given all else in it."""
        known = read_given_rows(self.schema, partial)
        codes, possible = self.model.completed(known, rng)
        impossible = np.flatnonzero(~possible).tolist()
        if impossible:
            raise InputError(
                f"no record of the release can have what is given in {_numbered(impossible)}; "
                "give less of them, or leave them out"
            )
        rows = self.schema.decode(codes, rng)
        for name in map(str, partial.columns):
            is_drawn = known[:, self.schema.domain.axis(name)] < 0
            column = self.schema.select([name]).typed(partial)[name]
            rows[name] = rows[name].where(is_drawn, column)
        return rows

    def _conditioned(self, weights: Mapping[str, Floats]) -> Model:
        if not weights:
            return self.model
        try:
            return self.model.conditioned(weights)
        except ValueError as error:
            raise InputError(
                f"no record of the release can have what is given of "
                f"{', '.join(map(repr, weights))}; ask for less at once"
            ) from error

    def save(self, path: str | Path) -> None:
        """Write the release to an .npz file, whole or not at all; nothing in it is pickled.

        ReleaseError, and no file, for what ``load`` would refuse.
        """
        answers, answered = to_fields(self.transcript)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "dp_synth": __version__,
            "synthesizer": self.synthesizer,
            "settings": dict(self.settings),
            "schema": self.schema.to_dict(),
            "ledger": self.ledger.to_fields(),
            **_shape_of(self.model),
            "total": self.model.total,
            "transcript": answers,
        }
        text = json.dumps(header)
        tables: dict[str, Any] = {**self.model.to_arrays(), **answered}
        try:
            self._of(json.loads(text), tables, source=str(path))
        except DAMAGES as error:
            reason = str(error) if isinstance(error, ValueError) else "it is damaged"
            raise ReleaseError(f"{path}: not written, as it could not be read: {reason}") from error
        with written_whole(path) as passing, passing.open("wb") as file:
            np.savez_compressed(file, header=np.array(text), **tables)

    @classmethod
    def load(cls, path: str | Path) -> Release:
        """Return the release that ``save`` wrote; ReleaseError for anything else."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                _check_head(header)
                tables = {name: arrays[name] for name in arrays.files if name != "header"}
                return cls._of(header, tables, source=str(path))
        except DAMAGES as error:
            reason = str(error) if isinstance(error, InputError) else "it is damaged or no release"
            raise ReleaseError(f"{path}: cannot be read as a release: {reason}") from error

    @classmethod
    def _of(
        cls,
        header: Mapping[str, Any],
        arrays: Mapping[str, NDArray[np.generic]],
        *,
        source: str,
    ) -> Release:
        """Return the release of a file's header and arrays; one of DAMAGES where it is none."""
        schema = Schema.from_dict(header["schema"], source=source)
        ledger = Ledger.from_fields(header["ledger"])
        model = _model_of(schema, header, arrays)
        fields = header["transcript"] if header["version"] > 1 else []
        transcript = from_fields(fields, arrays)
        return cls(header["synthesizer"], header["settings"], schema, model, ledger, transcript)


def _default_rows(total: float) -> int:
    """Return how many records are drawn where nobody says how many: the noisy total, up to a bound.

    At a small epsilon noise alone can make that total thousands of times the true number.
    """
    if total <= MOST_BY_DEFAULT:
        return round(total)
    warn(
        f"the noisy number of records is {total:,.0f}; {MOST_BY_DEFAULT:,} are drawn, unless you "
        "ask for a number",
        UserWarning,
    )
    return MOST_BY_DEFAULT


def _whole(what: str, number: object) -> int | None:
    """Return a whole number from 0, or None; InputError for anything else."""
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise InputError(f"{what} must be a whole number from 0, got {number!r}")
    if number < 0:
        raise InputError(f"{what} must be 0 or more, got {number}")
    return int(number)


def _numbered(places: list[int]) -> str:
    shown = ", ".join(str(place + 1) for place in sorted(places)[:SHOWN])
    return f"row{'s' * (len(places) > 1)} {shown}{', ...' * (len(places) > SHOWN)}"


def _single(size: int, code: int) -> Floats:
    weights = np.zeros(size)
    weights[code] = 1.0
    return weights


def _balanced(model: Model, column: str, records: int, rng: np.random.Generator) -> Codes:
    """Return rows of codes, as many for each code of a column that can occur, in random order."""
    size = model.domain.size(column)
    possible = np.flatnonzero(model.marginal((column,)) > 0)
    counts = np.full(len(possible), records // len(possible))
    counts[rng.permutation(len(possible))[: records % len(possible)]] += 1
    parts = [
        model.conditioned({column: _single(size, int(code))}).sample(int(count), rng)
        for code, count in zip(possible, counts, strict=True)
        if count
    ]
    return rng.permutation(np.concatenate(parts)) if parts else model.sample(0, rng)


def _shape_of(model: Model) -> dict[str, object]:
    """Return what the arrays of a model need beside them."""
    if isinstance(model, MixtureModel):
        return {"kind": model.kind}
    return {"kind": "tree", "cliques": model.tree.cliques}


def _model_of(
    schema: Schema, header: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
) -> Model:
    total = float(header["total"])
    if header.get("kind") == MixtureModel.kind:
        return MixtureModel.from_arrays(schema.domain, arrays, total)
    cliques = [tuple(clique) for clique in header["cliques"]]
    model = RefinedModel.from_arrays(schema.domain, cliques, arrays, total)
    return model if model.groups else model.coarse


def _check_head(header: object) -> None:
    if not isinstance(header, dict):
        raise ReleaseError(f"its head must be an object, got {type(header).__name__}")
    if header.get("format") != FORMAT or header.get("version") not in READABLE:
        raise ReleaseError(
            f"it is {header.get('format')!r} of version {header.get('version')!r}, not "
            f"{FORMAT!r} of version {' or '.join(map(str, READABLE))}"
        )
