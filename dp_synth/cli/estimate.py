"""`dp-synth estimate`: what a release says of questions, and how sure that is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.outputs import aligned, delivered, write_each
from dp_synth.files import check_writable
from dp_synth.formatting import one_line

if TYPE_CHECKING:
    from dp_synth.estimates import Estimate

PARTS = ("noise", "sampling", "drawing", "misfit")
HEAD = ("question", "estimate", "low", "high", *PARTS)
NOT_COVERED = "*: the interval does not cover all that may be wrong; its sentence says what"
OF_LOGARITHM = "parts of ratios are standard errors of their logarithm"


def estimate(
    release: Annotated[Path, typer.Argument(help="A release that `synthesize` kept (.npz).")],
    questions: Annotated[
        list[str],
        typer.Argument(
            metavar="QUESTION",
            help="What is asked, each in quotes: 'mean age where sex=F', 'linear wage ~ age'.",
        ),
    ],
    level: Annotated[float, typer.Option(help="Confidence of the intervals, below 1.")] = 0.95,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the answers here; - for stdout alone.")
    ] = None,
) -> None:
    """Answer questions from a kept release, each with an interval; costs nothing.

    An interval is for the value in the population that the records were drawn from. Beside it
    stand the standard errors that it is made of: noise, sampling of the records, drawing of rows,
    and what the model may leave out. A question that the fit was asked has its corrected answer.
    """
    from dp_synth.estimates import read_question
    from dp_synth.estimates.estimate import check_level
    from dp_synth.release import Release

    check_writable(json_file, read=(release,))
    check_level(level)
    kept = Release.load(release)
    asked = [read_question(text, kept.schema) for text in questions]
    found: list[Estimate] = []
    for question in asked:
        answered = kept.estimate(question, level=level)
        found += answered.values() if isinstance(answered, Mapping) else [answered]
    result = {"release": str(release), "level": level, "estimates": [_fields(one) for one in found]}
    text = json.dumps(result, indent=2) + "\n"
    write_each(delivered(partial(_show, found), text, json_file, private=False))


def _fields(one: Estimate) -> dict[str, object]:
    """Return what is known of an estimate, as JSON has it: what is infinite is null."""
    known = {field.name: getattr(one, field.name) for field in fields(one)}
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in known.items()
    }
    return {**finite, "sentence": one.sentence}


def _show(found: Sequence[Estimate]) -> None:
    """Print a table, then a sentence for each answer."""
    for line in aligned([HEAD, *map(_row, found)]):
        print(line)
    if any(one.scale == "log" for one in found):
        print(OF_LOGARITHM)
    if any(one.not_covered for one in found):
        print(NOT_COVERED)
    print()
    for one in found:
        print(one_line(one.sentence))


def _row(one: Estimate) -> tuple[str, ...]:
    from dp_synth.estimates.estimate import written

    numbers = written(one.value, one.low, one.high)
    parts = (f"{getattr(one, name):.2g}" for name in PARTS)
    return f"{one.asked}{' *' if one.not_covered else ''}", *numbers, *parts
