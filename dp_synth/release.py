"""What a fit returns: a model, its schema, its ledger and its transcript, all safe to publish."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth._version import __version__
from dp_synth.accounting import Ledger
from dp_synth.backends import OF_PANDAS, Frame, Output, require
from dp_synth.databases import ELSEWHERE
from dp_synth.datasets.codebooks import unwritable
from dp_synth.datasets.tables import BLOCK, lacking_signs, write_blocks
from dp_synth.errors import InputError, ReleaseError, warn
from dp_synth.estimates import Estimate, Question, Regression, read_question
from dp_synth.estimates.corrected import CorrectedAnswer, answers_to, corrected_answers
from dp_synth.estimates.estimate import LEVEL, check_level
from dp_synth.estimates.intervals import Answerer
from dp_synth.extensions import listed
from dp_synth.files import written_whole
from dp_synth.formats import ARROW, SHEETS, WRITTEN, kind_of
from dp_synth.formatting import ROWS, html_table
from dp_synth.frames import ArrowTable, as_frame
from dp_synth.inference import MixtureModel, Model
from dp_synth.inference.bootstrap import (
    REPLICAS,
    SEED,
    MarginalEstimate,
    Replica,
    has_replicas,
    replicas,
    standard_errors,
)
from dp_synth.inference.junction_tree import MAX_CELLS
from dp_synth.readers import LARGEST_ARRAYS, parse_json, read_arrays
from dp_synth.release_files import (
    FORMAT,
    KEYED_VERSION,
    VERSION,
    WEIGHTED_VERSION,
    Keys,
    keys_of_file,
    members_of_file,
    model_of_file,
    weights_of_file,
)
from dp_synth.sampling import Given, Sampler, attribute_of, completed
from dp_synth.schema import IdColumn, Kinds, Schema
from dp_synth.schema.kinds import Style
from dp_synth.transcript import Answer, from_fields, to_fields
from dp_synth.unit_weights import UnitWeights
from dp_synth.validation_bounds import ValidationBounds, bounds_of

MOST_BY_DEFAULT = 1_000_000
"""Records that `Release.sample` draws at most where nobody says how many."""

Wanted = Mapping[str, Given] | pd.DataFrame | ArrowTable | None
PARTIAL = "given is no mapping of columns to values, so it"


@dataclass(frozen=True, eq=False)
class _SampleRequest:
    """What is asked of `Release.sample` and its like: rows, their seed, what of them is given.

    Frames have at most ``size`` records; all come in one if None.
    """

    n: int | None
    seed: int | None
    given: Wanted
    balance: str | None
    kinds: Kinds | Style | ArrowTable | None
    size: int | None = None


@dataclass(frozen=True, eq=False)
class Release:
    """A fitted model with the public facts needed to sample it and to judge its promise.

    Nothing in it was computed from records except through a mechanism that the ledger lists.
    ``keys`` are columns that no model knows of: rows get new ones, drawn by their public patterns.
    With ``unit_weights`` the transcript is of weighted counts, and the model, which is of rows, has
    the column of their classes behind those of the schema: rows do without it. ``counted_by`` says
    who counted the records where they are, if exact counts crossed a wire.
    """

    synthesizer: str
    settings: Mapping[str, object]
    schema: Schema
    model: Model
    ledger: Ledger
    transcript: tuple[Answer, ...] = ()
    output: Output = OF_PANDAS
    keys: Keys = ()
    unit_weights: UnitWeights | None = None
    counted_by: str = ""

    def __repr__(self) -> str:
        return f"<Release: {'; '.join(f'{name} {value}' for name, value in self._facts())}>"

    def _repr_html_(self) -> str:
        return html_table(("", ""), self._facts()[:-1]) + self.ledger._repr_html_()

    def _facts(self) -> list[tuple[str, str]]:
        """Return what is to be known at a glance, all of it public."""
        keys = [("new keys", listed([one.name for _, one in self.keys], ROWS))]
        return [
            ("method", self.synthesizer),
            ("table", self.schema.name),
            ("columns", f"{len(self.schema.names)}: {listed(self.schema.names, ROWS)}"),
            *(keys if self.keys else ()),
            ("records", self._records()),
            ("promise", "; ".join(self.ledger.summary())),
        ]

    def _records(self) -> str:
        if self.ledger.budget.records_are_public:
            return f"{self.model.total:,.0f}, a public number"
        return f"about {self.model.total:,.0f}, a noisy number"

    @cached_property
    def row_schema(self) -> Schema:
        """The schema of rows: ``schema`` with the columns of new keys at their places."""
        return self.schema.with_keys(self.keys) if self.keys else self.schema

    @property
    def epsilon(self) -> float:
        """Certified upper bound on what was spent, at the budget's delta."""
        return self.ledger.epsilon

    @cached_property
    def validation(self) -> ValidationBounds | None:
        """How good the model is, with intervals, where the fit paid for saying so; else None."""
        return bounds_of(self.transcript, self.schema.domain)

    @cached_property
    def answers(self) -> tuple[CorrectedAnswer, ...]:
        """The corrected answers to the questions that the fit was asked; empty where none were."""
        return corrected_answers(self.transcript, self.schema, self.model)

    def estimate(
        self, question: Question | str, *, level: float = LEVEL
    ) -> Estimate | Mapping[str, Estimate]:
        """Return what the release says of a question, with an interval for the population's value.

        ``question`` is one of `estimates`, or its text as in `read_question`. Of a regression it is
        a mapping from terms to estimates. The value is the model's; its interval is made of the
        noise that was added, the sampling of the records from a population, and what the model may
        leave out of pairs of columns: this last part is judged and not known, and what is not
        covered the estimate says. A question that was declared in the fit has its corrected
        answer, which does not depend on what the model left out.

        All of it is post-processing. The first question takes as long as fifty refits.
        InputError for an unknown column or kind of question, a group that cannot occur, a level
        outside (0, 1), and, unless the question was declared, for a release without replicas: of
        a network, or without a transcript.

        >>> import dp_synth as dps
        >>> data = dps.datasets.load("adult")
        >>> budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
        >>> release = dps.Independent().fit(data.train, data.schema, budget, seed=0)
        >>> found = release.estimate("mean age where sex=Female", level=0.9)
        >>> found.low < found.value < found.high, found.not_covered
        (True, 'no distance of age and sex was measured')
        """
        level = check_level(level)
        if not isinstance(question, (Question, str)):
            raise InputError(f"a question is one of dp_synth.estimates or a text, got {question!r}")
        asked = read_question(question, self.schema) if isinstance(question, str) else question
        asked.check(self.schema)
        declared = answers_to(asked, self.answers, self.schema)
        found = tuple(one.estimate(level) for one in declared)
        found = found or self._answerer.answer(asked, level)
        if isinstance(asked, Regression):
            return MappingProxyType({one.name: one for one in found})
        return found[0]

    @cached_property
    def _answerer(self) -> Answerer:
        return Answerer(self)

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
        weight = self.counted_model.total / self.model.total if self.model.total else 1.0
        errors = standard_errors(counts, wanted, self._replicas, self.transcript, weight)
        return MarginalEstimate(counts, errors)

    @cached_property
    def _replicas(self) -> list[Model]:
        return [one.model for one in self.replicas(redraw=False)]

    @cached_property
    def counted_model(self) -> Model:
        """The model of what the transcript counts: of weighted rows where units have several."""
        weights = self.unit_weights
        return self.model if weights is None else weights.of_counts(self.model)

    def replicas(
        self, *, redraw: bool, count: int = REPLICAS, seed: int = SEED
    ) -> Iterator[Replica]:
        """Give models of rows as they might have come out, as in `bootstrap.replicas`.

        Records are drawn anew unit by unit.
        """
        weights, cluster = self.unit_weights, self.ledger.budget.max_rows
        drawn = replicas(
            self.counted_model,
            self.transcript,
            redraw=redraw,
            count=count,
            seed=seed,
            cluster=cluster,
        )
        for one in drawn:
            yield one if weights is None else replace(one, model=weights.of_rows(one.model))

    @cached_property
    def design_effect(self) -> float:
        """How many times the variance of a mean may be that of as many rows of units of their own.

        The mean number of rows that the unit of a row has: what it is where rows of a unit are all
        alike (Kish 1965, sect. 5.4). 1 where the unit is a record.
        """
        weights = self.unit_weights
        if weights is None:
            return float(self.ledger.budget.max_rows)
        counts = np.maximum(self.model.marginal((weights.attribute,)), 0.0)
        total = float(counts.sum())
        return float(counts @ weights.largest) / total if total else float(weights.max_rows)

    def sample(
        self,
        n: int | None = None,
        seed: int | None = None,
        *,
        given: Wanted = None,
        balance: str | None = None,
        kinds: Kinds | ArrowTable | None = None,
    ) -> Frame:
        """Return ``n`` synthetic records, in the kinds that the schema tells of its columns.

        They come back as frames of the library whose frame was fitted: see `with_output`.

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

        ``kinds`` are those of this call, as in `Schema.in_kinds`: "schema" for integers, real
        numbers, dates, truths and categoricals, in which missing cells are absent; "written" for
        cells as a CSV file has them, missing marks as text; a frame, or its ``dtypes``, for those
        of the table that was fitted, which are thereby declared public. Left out, they are those
        that `with_output` has declared, and else those of the schema.

        Columns of ``keys`` are new in every row, and in all rows of one call distinct; nothing is
        given of them. InputError where their pattern has fewer keys than there are rows.
        """
        return next(self._made(_SampleRequest(n, seed, given, balance, kinds)))

    def sample_blocks(
        self,
        n: int | None = None,
        seed: int | None = None,
        *,
        block: int = BLOCK,
        given: Wanted = None,
        balance: str | None = None,
        kinds: Kinds | ArrowTable | None = None,
    ) -> Iterator[Frame]:
        """Return the records of `sample` one frame after another, of at most ``block`` records.

        Memory does not grow with ``n``. Up to `sampling.DRAWN` records, 1,048,576, fewer of
        more than 64 columns, they are those of ``sample(n, seed)``. More are drawn so many at a
        time, each time stratified anew: they do not depend on ``block``, but are others than
        ``sample`` would draw at once. One empty frame where ``n`` is 0; completed rows are those
        of ``sample`` however many there are. InputError before the first frame is asked for.

        >>> import dp_synth as dps
        >>> data = dps.datasets.load("adult")
        >>> budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
        >>> release = dps.Independent().fit(data.train, data.schema, budget, seed=0)
        >>> [len(rows) for rows in release.sample_blocks(1_000, seed=1, block=400)]
        [400, 400, 200]
        """
        size = _whole("the number of records of a block", block)
        if not size:
            raise InputError("the number of records of a block must be 1 or more")
        return self._made(_SampleRequest(n, seed, given, balance, kinds, size))

    def sample_many(
        self,
        m: int,
        n: int | None = None,
        seed: int | None = None,
        *,
        kinds: Kinds | ArrowTable | None = None,
    ) -> Iterator[Frame]:
        """Return ``m`` tables of ``n`` records each, as `sample` has them, for combined estimates.

        One table of synthetic records hides how far it may be off: an estimate from it comes with
        the error that its rows alone would have, as if they had been observed. These tables are
        for computing the estimate once in each. Each is drawn from a model of its own, a replica
        of the parametric bootstrap: records are drawn from this release's model, counted and
        answered with fresh noise, and the model is fitted anew. The spread of the ``m`` estimates
        is therefore that of the noise and of the sampling of the records (Efron & Tibshirani
        1993, sect. 6.5), not that of structure which the model leaves out.

        All of it is post-processing of what was released: it costs nothing, however many tables
        are drawn. Left out, ``n`` is as in `sample`, from the total of this release for all
        tables. InputError, before the first table is asked for, where ``m`` is below 2, and for a
        release without replicas: of a network, or without a transcript.

        >>> import dp_synth as dps
        >>> data = dps.datasets.load("adult")
        >>> budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
        >>> release = dps.Independent().fit(data.train, data.schema, budget, seed=0)
        >>> [len(rows) for rows in release.sample_many(3, 1_000, seed=1)]
        [1000, 1000, 1000]
        """
        tables = _whole("the number of tables", m)
        if tables is None or tables < 2:
            raise InputError(f"the number of tables must be 2 or more, got {m}")
        if not has_replicas(self.model, self.transcript):
            lacking = "a network" if isinstance(self.model, MixtureModel) else "no transcript"
            raise InputError(
                f"this release has {lacking}, and so no replicas to draw several tables from; "
                "draw one with sample"
            )
        rng = np.random.default_rng(_whole("the seed", seed))
        records = self._records_asked(n)
        self._check_room(records)
        first, *seeds = rng.integers(2**63, size=tables + 1).tolist()
        redrawn = self.replicas(redraw=True, count=tables, seed=first)
        return (
            replace(self, model=replica.model).sample(records, own, kinds=kinds)
            for replica, own in zip(redrawn, seeds, strict=True)
        )

    def with_output(self, backend: str | None = None, *, dtypes: object = None) -> Release:
        """Return the release, which from now on gives rows of another library or other dtypes.

        ``backend`` is "pandas", "pandas_nullable", "pandas_pyarrow", "polars", "pyarrow", "modin"
        or "cudf". ``dtypes`` are a frame, its dtypes, or a mapping that leaves columns to the
        schema: they are thereby declared public, and are written into a saved release. A frame
        brings its library with it. Categories are those of the schema whatever is given.
        InputError for a library that is not installed, and for a dtype that cannot hold its
        column, by the bounds and categories of the schema.

        >>> import dp_synth as dps
        >>> data = dps.datasets.load("adult")
        >>> budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
        >>> release = dps.Independent().fit(data.train, data.schema, budget, seed=0)
        >>> release = release.with_output("pyarrow", dtypes={"age": "int8"})
        >>> str(release.sample(10, seed=1).schema.field("age").type)
        'int8'
        """
        output = self.output
        if dtypes is not None:
            output = output.declared(dtypes, self.schema, self._key_columns)
        if backend is not None:
            output = replace(output, backend=backend)
        require(output.backend)
        return replace(self, output=output)

    def write_rows(
        self,
        path: str | Path,
        n: int | None = None,
        seed: int | None = None,
        *,
        given: Wanted = None,
        balance: str | None = None,
    ) -> None:
        """Write the records of `sample_blocks` to a table file, whole or not at all.

        CSV holds texts in the dialect of the schema, missing marks as they are written, and ``-``
        is standard output; Parquet, Arrow and spreadsheets hold values of the kinds of the schema,
        files of SPSS, Stata and SAS its codes, labels and titles. Of texts that only the fit has
        found, signs that the encoding lacks are written as "?". InputError, before anything is
        drawn, where it lacks signs of others, or the file cannot hold such columns.
        """
        if reason := unwritable(self.schema, path):
            raise InputError(f"{path}: {reason}")
        lacking = [
            name for name in lacking_signs(self.schema, path) if name not in self.schema.open
        ]
        if lacking:
            raise InputError(
                f"{path}: its encoding has no sign for a text of column {lacking[0]!r}"
            )
        typed = str(path) != "-" and kind_of(path, WRITTEN) in ("parquet", *ARROW, *SHEETS)
        style: Style = "schema" if typed else "listed"
        rows = self._frames(_SampleRequest(n, seed, given, balance, style, BLOCK))
        write_blocks(rows, path, self.schema.dialect, lossy=True, schema=self.schema)

    @property
    def _version(self) -> int:
        if self.unit_weights is not None:
            return WEIGHTED_VERSION
        return KEYED_VERSION if self.keys else VERSION

    @property
    def _key_columns(self) -> list[IdColumn]:
        return [column for _, column in self.keys]

    def _made(self, asked: _SampleRequest) -> Iterator[Frame]:
        """Return what `_frames` does as frames of the output's library."""
        output, kinds = self.output, asked.kinds
        plain = isinstance(kinds, str)
        if plain and kinds not in get_args(Style):
            raise InputError(f"kinds must be 'schema', 'written', a frame or dtypes, got {kinds!r}")
        if not (kinds is None or plain):
            output = output.declared(kinds, self.schema, self._key_columns)
        chosen: Kinds = cast(Kinds, kinds) if plain else output.kinds or "schema"
        if plain:
            output = replace(output, dtypes={})
        rows = self._frames(replace(asked, kinds=chosen))
        as_written = isinstance(kinds, str) and kinds == "written"
        return (output.made(frame, as_written=as_written) for frame in rows)

    def _frames(self, asked: _SampleRequest) -> Iterator[pd.DataFrame]:
        """Return what is asked for in frames of at most ``asked.size`` records, or all in one."""
        return self._with_keys(asked) if self.keys else self._without_keys(asked)

    def _with_keys(self, asked: _SampleRequest) -> Iterator[pd.DataFrame]:
        """Return the same with new keys, of a stream of their own: other cells stay as they are."""
        names = [column.name for _, column in self.keys]
        given, n = asked.given, asked.n
        if isinstance(given, Mapping) and (stated := [name for name in names if name in given]):
            raise InputError(f"column {stated[0]!r} holds new keys, of which nothing can be given")
        if asked.balance in names:
            raise InputError(f"column {asked.balance!r} holds new keys, a row each: no balance")
        if given is not None and not isinstance(given, Mapping):
            given = as_frame(given, PARTIAL)
            given = given.drop(columns=[name for name in given.columns if str(name) in names])
            records = len(given)
        else:
            n = records = self._records_asked(n)
        self._check_room(records)
        kinds, dtypes = asked.kinds, dict[str, object]()
        if isinstance(kinds, Mapping):
            dtypes = {name: kind for name, kind in kinds.items() if name in names}
            kinds = {name: kind for name, kind in kinds.items() if name not in names}
        rows = self._without_keys(replace(asked, n=n, given=given, kinds=kinds))
        return self._keyed(rows, np.random.SeedSequence(asked.seed), dtypes)

    def _records_asked(self, n: object) -> int:
        """Return how many records are asked for, the noisy total where nobody says."""
        records = _whole("the number of records", n)
        return _default_rows(self.model.total) if records is None else records

    def _check_room(self, records: int) -> None:
        """Raise InputError where a pattern has fewer keys than so many records."""
        for _, column in self.keys:
            column.keys.check_room(column.name, records)

    def _keyed(
        self,
        rows: Iterator[pd.DataFrame],
        entropy: np.random.SeedSequence,
        dtypes: dict[str, object],
    ) -> Iterator[pd.DataFrame]:
        """Give the frames with their keys at their places."""
        streams, start = entropy.spawn(len(self.keys)), 0
        for frame in rows:
            for (place, column), stream in zip(self.keys, streams, strict=True):
                keys = column.keys.draw(len(frame), stream, start)
                cells = column.keys.column(column.name, keys)
                if column.name in dtypes:
                    cells = column.as_kind(cells, dtypes[column.name])
                frame.insert(
                    place,
                    column.name,
                    cells.to_numpy() if column.name not in dtypes else cells,
                )
            start += len(frame)
            yield frame

    def _without_keys(self, asked: _SampleRequest) -> Iterator[pd.DataFrame]:
        rng = np.random.default_rng(_whole("the seed", asked.seed))
        given, kinds = asked.given, asked.kinds
        n = _whole("the number of records", asked.n)
        if given is None or isinstance(given, Mapping):
            sampler = Sampler.of(self.schema, self.model, given or {}, asked.balance)
            records = _default_rows(sampler.model.total) if n is None else n
            if isinstance(kinds, str) and kinds in get_args(Style):
                return sampler.frames(records, rng, asked.size, kinds)
            rows = sampler.frames(records, rng, asked.size, "written")
        else:
            partial = as_frame(given, PARTIAL)
            if n is not None or asked.balance is not None:
                raise InputError("partial rows are completed once each; give no n and no balance")
            rows = _cut(completed(self.schema, self.model, partial, rng), asked.size)
        if isinstance(kinds, str) and kinds in ("written", "listed"):
            return rows
        return (self.schema.in_kinds(frame, cast(Kinds, kinds)) for frame in rows)

    def save(self, path: str | Path) -> None:
        """Write the release to an .npz file, whole or not at all; nothing in it is pickled.

        ReleaseError, and no file, for what ``load`` would refuse.
        """
        answers, answered = to_fields(self.transcript)
        shape: dict[str, object] = {"kind": MixtureModel.kind}
        if not isinstance(self.model, MixtureModel):
            shape = {"kind": "tree", "cliques": self.model.tree.cliques}
        header = {
            "format": FORMAT,
            "version": self._version,
            "dp_synth": __version__,
            "synthesizer": self.synthesizer,
            "settings": dict(self.settings),
            "schema": self.schema.to_dict(),
            "ledger": self.ledger.to_fields(),
            **shape,
            "total": self.model.total,
            "transcript": answers,
        }
        if self.output != OF_PANDAS:
            header["output"] = self.output.to_fields()
        if self.counted_by:
            header["counted_by"] = self.counted_by
        if self.unit_weights is not None:
            header["unit_weights"] = asdict(self.unit_weights)
        if self.keys:
            header["keys"] = [
                [place, one.model_dump(mode="json", exclude_unset=True)] for place, one in self.keys
            ]
        text = json.dumps(header)
        tables: dict[str, Any] = {**self.model.to_arrays(), **answered}
        try:
            header = parse_json(text)
            members_of_file(header)
            self._of(header, tables, source=str(path))
        except (KeyError, ValueError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it is damaged"
            raise ReleaseError(f"{path}: not written, as it could not be read: {reason}") from error
        size = sum(8 * np.size(table) for table in tables.values())
        write = np.savez if size > LARGEST_ARRAYS else np.savez_compressed  # as it can be read
        with written_whole(path) as passing, passing.open("wb") as file:
            write(file, header=np.array(text), **tables)

    @classmethod
    def load(cls, path: str | Path) -> Release:
        """Return the release that ``save`` wrote; ReleaseError for anything else."""
        try:
            header, arrays = read_arrays(path, members_of_file)
            return cls._of(header, arrays, source=str(path))
        except (KeyError, ValueError) as error:
            reason = str(error) if isinstance(error, InputError) else "it is damaged or no release"
            raise ReleaseError(f"{path}: cannot be read as a release: {reason}") from error

    @classmethod
    def _of(
        cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]], *, source: str
    ) -> Release:
        """Return the release of a file's header, as `members_of_file` accepts it, and its arrays.

        KeyError or ValueError where they do not fit together.
        """
        schema = Schema.from_dict(header["schema"], source=source)
        ledger = Ledger.from_fields(header["ledger"])
        weights = weights_of_file(header.get("unit_weights"), schema, ledger)
        model = model_of_file(schema, weights, header, arrays)
        fields = header["transcript"] if header["version"] > 1 else []
        transcript = from_fields(fields, arrays)
        keys = keys_of_file(header.get("keys", ()), schema)
        output = Output.from_fields(header.get("output", {}), schema, [one for _, one in keys])
        made = header["synthesizer"], header["settings"], schema, model, ledger, transcript
        engine = header.get("counted_by", "")
        if engine not in ("", *ELSEWHERE):
            raise ValueError("it was counted nowhere that is known")
        return cls(*made, output, keys, weights, engine)


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


def _cut(rows: pd.DataFrame, size: int | None) -> Iterator[pd.DataFrame]:
    """Give rows in frames of at most ``size``, one at least."""
    for start in range(0, max(len(rows), 1), size or max(len(rows), 1)):
        yield rows if size is None else rows.iloc[start : start + size].reset_index(drop=True)
