"""Reading of questions: from the text of a command line to a question of a schema."""

from __future__ import annotations

import re

from dp_synth.errors import InputError
from dp_synth.estimates.grammar import QUOTED, Alternatives, Reader, given_of
from dp_synth.estimates.groups import Conditions
from dp_synth.estimates.questions import (
    Correlation,
    Count,
    Difference,
    Mean,
    OddsRatio,
    Quantile,
    Question,
    RiskRatio,
    Share,
)
from dp_synth.estimates.regressions import Regression
from dp_synth.extensions import unknown
from dp_synth.schema import Schema

KINDS = (
    "count", "share", "mean", "median", "quantile", "risk ratio", "odds ratio", "correlation",
    "linear", "logistic",
)  # fmt: skip
"""What a question begins with."""

WHERE = re.compile(rf"{QUOTED.pattern}|(?P<where>(?<!\S)where(?!\S))|[^`]")


def read_question(text: str, schema: Schema) -> Question:
    """Return the question in ``text``, of columns of a schema.

    Names and values with spaces or signs of the grammar stand in backticks; a value that is left
    out is an absent cell. InputError for an unknown word or column, one of another kind, or a
    value that it does not have::

        count [where C=V, ...]                      share C=V [where ...]
        mean C [where ...]                          median C [where ...]
        quantile .9 C [where ...]                   mean C between C2=V and C2=W [where ...]
        risk ratio C=V between C2=V and C2=W        odds ratio C=V between C2=V and C2=W
        correlation A B [where ...]                 linear Y ~ A + B [where ...]
        logistic Y=V ~ A + B [where ...]

    ``C=30..39`` is a range, and ``C=a|b`` has alternatives.
    """
    reader = Reader(text)
    if not reader.rest:
        raise InputError(f"a question is empty; it begins with one of {', '.join(KINDS)}")
    kind = reader.word()
    if kind in ("risk", "odds"):
        if not reader.takes("ratio"):
            raise reader.failure("'ratio'")
        kind = f"{kind} ratio"
    if kind not in KINDS:
        raise InputError(unknown("question", kind or reader.rest.split()[0], KINDS))
    question = _read(kind, reader, schema)
    question.check(schema)
    return question


def _read(kind: str, reader: Reader, schema: Schema) -> Question:
    if kind in ("linear", "logistic"):
        return _regression(kind, reader.rest, schema)
    if kind == "count":
        return Count(given_of(schema, _where(reader)))
    if kind == "correlation":
        first, second = reader.name(), reader.name()
        return Correlation(first, second, given_of(schema, _where(reader)))
    if kind in ("risk ratio", "odds ratio"):
        event = given_of(schema, reader.conditions())
        if not reader.takes("between"):
            raise reader.failure("'between' and two groups")
        groups = [given_of(schema, group) for group in _groups(reader)]
        where = given_of(schema, _where(reader))
        of = RiskRatio if kind == "risk ratio" else OddsRatio
        return of(event, groups[0], groups[1], where)
    return _comparable(kind, reader, schema)


def _comparable(kind: str, reader: Reader, schema: Schema) -> Question:
    """Return a share, mean or quantile, or the difference of two."""
    event: Conditions = {}
    name, level = "", 0.5
    if kind == "share":
        event = given_of(schema, reader.conditions())
    else:
        level = _level(reader) if kind == "quantile" else level
        name = reader.name()
    groups = _groups(reader) if reader.takes("between") else ()
    where = given_of(schema, _where(reader, "'between', 'where' or the end"))
    of: Share | Mean | Quantile
    if kind == "share":
        of = Share(event, where)
    else:
        of = Mean(name, where) if kind == "mean" else Quantile(name, level, where)
    if not groups:
        return of
    first, second = (given_of(schema, group) for group in groups)
    return Difference(of, first, second)


def _groups(reader: Reader) -> tuple[dict[str, Alternatives], dict[str, Alternatives]]:
    first = reader.conditions()
    if not reader.takes("and"):
        raise reader.failure("'and' and the second group")
    return first, reader.conditions()


def _where(reader: Reader, expected: str = "'where' or the end") -> dict[str, Alternatives]:
    """Return what stands behind ``where``, with which a question ends."""
    given = reader.conditions() if reader.takes("where") else {}
    if reader.rest:
        raise reader.failure("',' or the end" if given else expected)
    return given


def _level(reader: Reader) -> float:
    word = reader.word()
    try:
        return float(word)
    except ValueError:
        raise InputError(
            f"question {reader.text!r}: a quantile names its level, as in 'quantile .9 C', "
            f"got {word!r}"
        ) from None


def _regression(kind: str, text: str, schema: Schema) -> Question:
    """Return a regression, whose formula goes to the first ``where`` outside of backticks."""
    places = [found.start() for found in WHERE.finditer(text) if found.group("where")]
    formula = text[: places[0]] if places else text
    where = given_of(schema, _where(Reader(text[places[0] :]))) if places else {}
    return Regression(formula, where, logistic=kind == "logistic")
