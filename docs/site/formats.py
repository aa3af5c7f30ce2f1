"""The keys of the files that people write, and of those that the toolkit writes."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from commands import cell, first_line
from pydantic import BaseModel

from dp_synth.accounting import event_file, events
from dp_synth.accounting.ledger import Entry
from dp_synth.benchmark.grid import (
    Grid,
    LeakageTask,
    LimitsOfCells,
    SynthesizerSpec,
    UtilityTask,
)
from dp_synth.dialect import Dialect
from dp_synth.records import RECORD_COLUMNS
from dp_synth.report.gate import Policy, Required, sample_policy
from dp_synth.report.internal import InternalPart
from dp_synth.report.passports import PASSPORTS, Person
from dp_synth.report.publishable import Publishable
from dp_synth.report.scope import Cliques, DeclaredAnswer, Scope
from dp_synth.schema import DatetimeColumn, DiscreteColumn, IdColumn, NumericColumn, Schema
from dp_synth.schema.constraints import Constraint, Function
from dp_synth.schema.parsing import NumberFormat
from paper.documents import markdown

WORDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "a mapping",
}
Json = Mapping[str, Any]

GRID: Mapping[str, type[BaseModel]] = {
    "The file": Grid,
    "Each of `synthesizers`": SynthesizerSpec,
    "`utility`": UtilityTask,
    "`leakage`": LeakageTask,
    "`limits`": LimitsOfCells,
}
SCHEMA: Mapping[str, type[BaseModel]] = {
    "The file": Schema,
    "A column of type `categorical` or `ordinal`": DiscreteColumn,
    "A column of type `integer` or `real`": NumericColumn,
    "A column of type `datetime`": DatetimeColumn,
    "A column of type `id`": IdColumn,
    "`dialect`": Dialect,
    "`format` of a column of numbers": NumberFormat,
    "Each of `constraints`": Constraint,
    "`function` of a constraint": Function,
}
RECORDS = {
    "dataset": "the table's name or path",
    "task": "`utility` or `leakage`",
    "synthesizer": "its name; a baseline's; `peer/method` for another library",
    "settings": "every setting as canonical JSON, defaults included",
    "epsilon": "what was asked; missing for a baseline",
    "delta": "likewise",
    "adjacency": "`add_remove` or `replace_one`; missing for a baseline",
    "seed": "of the whole cell",
    "metric": "what was measured; empty in the one row of a failed cell",
    "value": "the measured value",
    "low": "lower end of its 95 % interval",
    "high": "upper end of it",
    "seconds": "processor time of the fit; of the whole process for a peer",
    "wall_seconds": "of the whole cell, its process and that one's children",
    "peak_mb": "the most memory that these held",
    "budget": "who vouches for epsilon: `ledger`, `peer-declared`, or empty for baselines",
    "version": "of dp_synth",
    "processor": "model of the processor that the cell ran on; empty in the first records",
    "torch": "version of torch, where the cell's process had loaded it; else empty",
    "kernels": "vector instructions that torch's kernels use, such as `AVX2`: sums depend on them",
    "error": "why the cell failed, in one line; else empty",
}


def grid() -> str:
    """Return the keys of a grid file."""
    return _sections(GRID)


def schema() -> str:
    """Return the keys of a schema file."""
    return _sections(SCHEMA)


def policy() -> str:
    """Return the keys of a policy file, and the sample that ships."""
    sample = f"## The sample policy\n\n```yaml\n{sample_policy()}```"
    return _sections({"The file": Policy, "Each of `signatures`": Required}) + "\n\n" + sample


def passports() -> str:
    """Return the formats of passports, and the keys of a person's file."""
    rows = [
        [
            f"`{name}`",
            kind.title,
            " or ".join(f"`{suffix}`" for suffix in kind.suffixes),
            "yes" if kind.needs_rows else "no",
            kind.validated_by + ("" if kind.validated_in_tests else ", where it is installed"),
        ]
        for name, kind in PASSPORTS.items()
    ]
    table = markdown(["`--as`", "what it is", "file", "needs rows", "validated by"], rows)
    return f"{table}\n\n" + _sections({"A person's file": Person})


def records() -> str:
    """Return the columns of benchmark records."""
    kinds = {str: "text", float: "number", int: "whole number"}
    rows = [[f"`{name}`", kinds[kind], RECORDS[name]] for name, kind in RECORD_COLUMNS.items()]
    return markdown(["column", "kind", "what it holds"], rows)


def ledger() -> str:
    """Return the fields of a ledger's entries and the events that they may hold."""
    fields = markdown(["field", "what it holds"], _annotations(Entry))
    events_table = _of_events("event", {kind.__name__: kind for kind in _events()})
    return f"## Fields of an entry\n\n{fields}\n\n## Events\n\n{events_table}"


def event_files() -> str:
    """Return the kinds of events that an event file may name."""
    return _of_events("kind", event_file.KINDS)


def _of_events(head: str, kinds: Mapping[str, type]) -> str:
    rows = [[f"`{name}`", _fields(kind), first_line(kind)] for name, kind in kinds.items()]
    return markdown([head, "fields", "what happened"], rows)


def card() -> str:
    """Return the fields of a card's two parts, and of the scope of inference in the first."""
    parts = {
        "`publishable`": Publishable,
        "`scope` of `publishable`": Scope,
        "Each list of columns or pairs in `scope`": Cliques,
        "Each of `declared` in `scope`": DeclaredAnswer,
        "`internal`": InternalPart,
    }
    texts = []
    for title, kind in parts.items():
        texts += [f"## {title}", first_line(kind), markdown(["field", "kind"], _annotations(kind))]
    return "\n\n".join(texts)


def _annotations(kind: type) -> list[list[str]]:
    return [[f"`{f.name}`", f"`{cell(str(f.type))}`"] for f in dataclasses.fields(kind)]


def _events() -> list[type]:
    found = [
        x for x in vars(events).values() if isinstance(x, type) and dataclasses.is_dataclass(x)
    ]
    return [kind for kind in found if kind.__module__ == events.__name__]


def _sections(kinds: Mapping[str, type[BaseModel]]) -> str:
    return "\n\n".join(
        f"## {title}\n\n{_about(kind)}\n\n{_keys(kind)}" for title, kind in kinds.items()
    )


def _about(kind: type) -> str:
    """Return what a class says of itself, its examples left out."""
    paragraphs = (kind.__doc__ or "").split(">>>", 1)[0].split("\n\n")
    return "\n\n".join(
        " ".join(text.split()).replace("``", "`") for text in paragraphs if text.strip()
    )


def _keys(kind: type[BaseModel]) -> str:
    """Return a table of the keys of a pydantic model, as its JSON schema has them."""
    shown = kind.model_json_schema(by_alias=True)
    parts, needed = shown.get("$defs", {}), shown.get("required", [])
    rows = []
    for name, what in shown.get("properties", {}).items():
        default = "must be given" if name in needed else _default(what)
        field = next(f for key, f in kind.model_fields.items() if name in (key, f.alias))
        limits = list(dict.fromkeys(_limits((field.annotation, *field.metadata))))
        rows.append([f"`{name}`", ", ".join([_kind(what, parts), *limits]), default])
    return markdown(["key", "what it takes", "default"], rows)


def _default(what: Json) -> str:
    default = what.get("default")
    return "" if default is None or default in ([], {}) else f"`{json.dumps(default)}`"


def _kind(what: Json, parts: Json) -> str:
    """Return a JSON schema in words."""
    if "$ref" in what:
        name = str(what["$ref"]).rsplit("/", 1)[-1]
        part = parts[name]
        return f"a mapping, see {_words(name)}" if "properties" in part else _kind(part, parts)
    if "enum" in what or "const" in what:
        values = what.get("enum", [what.get("const")])
        return (
            "one of " + ", ".join(f"`{value}`" for value in values)
            if values[1:]
            else f"`{values[0]}`"
        )
    for either in ("anyOf", "oneOf"):
        if either in what:
            kinds = what[either]
            assert isinstance(kinds, list)
            told = [_kind(kind, parts) for kind in kinds if kind.get("type") != "null"]
            return ", or ".join(dict.fromkeys(told))
    if what.get("type") == "array":
        inside = what.get("items", {})
        return f"a list: {_kind(inside, parts)}"
    return WORDS.get(str(what.get("type", "")), "a value")


def _limits(parts: tuple[object, ...]) -> Iterator[str]:
    """Yield the bounds that the parts of an annotation set on a number, outermost last."""
    for part in parts:
        match part:
            case Gt(least):
                yield f"above {least:g}"
            case Ge(least):
                yield f"at least {least:g}"
            case Lt(most):
                yield f"below {most:g}"
            case Le(most):
                yield f"at most {most:g}"
            case BaseModel():
                pass
            case _:
                inside = getattr(part, "metadata", ())
                yield from _limits((*get_args(part), *(inside if isinstance(inside, list) else ())))


def _words(name: str) -> str:
    return " ".join(re.findall(r"[A-Z][a-z]+", name)).lower() or name


def _fields(kind: type) -> str:
    named = [f"`{f.name}`" for f in dataclasses.fields(kind)]
    return ", ".join(named) or "none"


PARTS = {
    "grid": grid,
    "schema": schema,
    "policy": policy,
    "passports": passports,
    "records": records,
    "ledger": ledger,
    "events": event_files,
    "card": card,
}
