"""The publishable part of a card: what a release says of itself, and nothing that it was not told.

Everything here is a function of the release and of what its publisher declares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dp_synth._version import __version__
from dp_synth.datasets.sources import Source
from dp_synth.readers import parse_json
from dp_synth.release import Release
from dp_synth.report.card_ledger import Step, steps_of
from dp_synth.report.card_measured import Measured
from dp_synth.report.card_promise import Promise, promise_of
from dp_synth.report.card_validation import validation_of
from dp_synth.report.card_warnings import Finding, findings_of
from dp_synth.schema import DiscreteColumn, IdColumn, Schema
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer
from dp_synth.transcript import Answer, MarginalAnswer

BINS = "bins"  # the part that pays for the cells that a fit finds

LIMITS = (
    "Rows are drawn from a model: none of them is a person's record, and none is proof of anything "
    "about a person.",
    "Small counts, rare combinations and extreme values are noise more than data.",
    "Standard errors and p-values computed as if the rows had been observed are too small: the "
    "noise of the release comes on top.",
    "What the model does not measure (relations of many columns at once) is not in the rows.",
)
"""What holds of every table that was made in this way."""


@dataclass(frozen=True)
class Method:
    """How the rows were made: a synthesizer, its settings, and where it was described."""

    name: str
    title: str
    reference: str
    settings: Mapping[str, object]
    dp_synth: str


@dataclass(frozen=True)
class PublicColumn:
    """What was declared about one column; ``cells_from`` tells who cut it into its cells."""

    name: str
    type: str
    categories: tuple[str, ...] | None
    lower: int | float | str | None
    upper: int | float | str | None
    missing: tuple[str, ...]
    open: bool
    cells: int | None
    cells_from: str


@dataclass(frozen=True)
class PublicInputs:
    """What was declared public, and where it comes from."""

    bounds_from: str | None
    label: str | None
    unit_of_privacy: str | None
    columns: tuple[PublicColumn, ...]
    constraints: tuple[str, ...]


@dataclass(frozen=True)
class Publishable:
    """The publishable part of a card: it holds nothing that the release does not.

    ``validation`` is what the fit paid for to say how good the model is (`card_validation`);
    files leave it out where it is empty.
    """

    title: str
    source: Source | None
    intended: tuple[str, ...]
    not_intended: tuple[str, ...]
    limits: tuple[str, ...]
    promise: Promise
    steps: tuple[Step, ...]
    public_inputs: PublicInputs
    method: Method
    findings: tuple[Finding, ...]
    validation: tuple[Measured, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that must be mended before anything is released."""
        return tuple(finding for finding in self.findings if finding.severity == "blocking")


def publishable_part(
    release: Release,
    *,
    title: str | None = None,
    source: Source | None = None,
    intended: Sequence[str] = (),
    not_intended: Sequence[str] = (),
) -> Publishable:
    """Return what may be published about a release, with what its publisher declares."""
    return Publishable(
        title=release.schema.name if title is None else title,
        source=source,
        intended=tuple(intended),
        not_intended=tuple(not_intended),
        limits=LIMITS,
        promise=promise_of(release.ledger),
        steps=steps_of(release),
        public_inputs=_inputs(release.schema, release.transcript),
        method=_method(release),
        findings=findings_of(release),
        validation=validation_of(release),
    )


def _method(release: Release) -> Method:
    known = SYNTHESIZERS.get(release.synthesizer, Synthesizer)
    settings = parse_json(json.dumps(dict(release.settings)))  # as a kept release has them
    return Method(release.synthesizer, known.title, known.reference, settings, __version__)


def _inputs(schema: Schema, transcript: Sequence[Answer]) -> PublicInputs:
    found = {
        name
        for answer in transcript
        if isinstance(answer, MarginalAnswer) and answer.part == BINS
        for name in answer.clique
    }
    declared = schema.to_dict()
    columns, rules = declared["columns"], declared.get("constraints", [])
    assert isinstance(columns, list)
    assert isinstance(rules, list)
    return PublicInputs(
        bounds_from=schema.bounds_from,
        label=schema.label,
        unit_of_privacy=schema.unit_of_privacy,
        columns=tuple(_column(schema, fields, found=fields["name"] in found) for fields in columns),
        constraints=tuple(_rule(rule) for rule in rules),
    )


def _column(schema: Schema, fields: Mapping[str, object], *, found: bool) -> PublicColumn:
    column = schema.column(str(fields["name"]))
    lower, upper = (_end(fields.get(end)) for end in ("lower", "upper"))
    return PublicColumn(
        name=column.name,
        type=column.type,
        categories=column.texts if isinstance(column, DiscreteColumn) else None,
        lower=lower,
        upper=upper,
        missing=column.missing,
        open=isinstance(column, DiscreteColumn) and column.open,
        cells=None if isinstance(column, IdColumn) else column.size - len(column.missing),
        cells_from=_origin(fields, found=found),
    )


def _origin(fields: Mapping[str, object], *, found: bool) -> str:
    if found:
        return "found by the fit from noisy counts that it paid for"
    if fields.get("open"):
        return "declared, and more found by the fit with a threshold that it paid for"
    return "declared"


def _end(value: object) -> int | float | str | None:
    return value if isinstance(value, (int, float, str)) else None


def _rule(rule: Mapping[str, object]) -> str:
    """Return a constraint in words.

    >>> _rule({"impossible": {"age": {"below": 15}, "job": ["manager", "clerk"]}})
    'never together: age below 15, job manager or clerk'
    """
    impossible, function = rule.get("impossible"), rule.get("function")
    if isinstance(impossible, Mapping):
        parts = [f"{name} {_condition(given)}" for name, given in impossible.items()]
        return f"never together: {', '.join(parts)}"
    assert isinstance(function, Mapping)
    cases = [
        f"{_condition(case['when'])} gives {_condition(case['then'])}" for case in function["where"]
    ]
    return f"{function['gives']} follows {function['of']}: {'; '.join(cases)}"


def _condition(given: object) -> str:
    if isinstance(given, Mapping):
        if "missing" in given:
            return "missing"
        return " ".join(f"{end} {value}" for end, value in given.items() if value is not None)
    if isinstance(given, (list, tuple)):
        return " or ".join(map(str, given))
    return str(given)
