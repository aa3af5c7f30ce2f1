"""Table Schema, and Data Packages and Resources that hold one: versions 1 and 2.0.

It is written by people, but for two kinds of drafts: pandas lists the categories that a frame has,
and an export of a draft says so in ``bounds_from``. Keys: datapackage.org/standard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dp_synth.errors import SchemaError
from dp_synth.schema.columns import DiscreteColumn, IdColumn
from dp_synth.schema.constraints import Column
from dp_synth.schema.foreign.dates import bound_text, iso_text, plain_format
from dp_synth.schema.foreign.described import (
    Described,
    Known,
    Part,
    column_part,
    key_pattern,
    whole_end,
)
from dp_synth.schema.foreign.sdv import chosen
from dp_synth.schema.numeric import NumericColumn
from dp_synth.schema.parsing import NumberFormat
from dp_synth.schema.schema import Schema, is_draft

PROFILE = "https://datapackage.org/profiles/2.0/tableschema.json"
_PROFILE = re.compile(r"/profiles/(\d+)\.")
_NAMED = {"data-package", "tabular-data-package", "data-resource", "tabular-data-resource"}
_DATES = {"date": None, "datetime": None, "time": "%H:%M:%S", "yearmonth": "%Y-%m"}
_IDENTIFIERS = ("email", "uri", "uuid", "binary")
_NO_COLUMN = ("object", "array", "list", "geopoint", "geojson", "duration")


def is_table_schema(content: object) -> bool:
    """Tell whether the content of a JSON file is a Table Schema, or a package that holds one."""
    if not isinstance(content, Mapping):
        return False
    lists = any(isinstance(content.get(key), list) for key in ("fields", "resources"))
    return lists or (isinstance(content.get("schema"), Mapping) and "fields" in content["schema"])


def read(content: object, source: str, table: str | None, name: str) -> Described:
    """Return what a Table Schema says, of the resource ``table`` where there are several."""
    whole = Part(content, source)
    for key in ("$schema", "profile"):
        said = whole.text(key)
        found = _PROFILE.search(said or "")
        if found and found[1] not in ("1", "2"):
            whole.refuse(key, f"must be of version 1 or 2.0, got {said!r}")
    dialect: dict[str, object] = {}
    part = whole
    resources = whole.items("resources")
    if resources is not None:
        parts = [Part(one, source, "field 'resources'") for one in resources]
        tables = {one.text("name") or "": one for one in parts if "schema" in one.content}
        name = chosen(list(tables), table, source)
        part = tables[name]
        part.where = f"resource {name!r}"
    if "schema" in part.content:
        dialect = _dialect(part)
        inner = part.part("schema", part.where)
        assert inner is not None
        part = inner
    fields = part.items("fields")
    if not fields:
        raise SchemaError(f"{source}: field 'fields': must name at least one column")
    keys = part.content.get("primaryKey")
    listed = keys if isinstance(keys, list) else [keys]
    primary = listed[0] if len(listed) == 1 else None
    marks, labels = _marks(part) if "missingValues" in part.content else (("",), {})
    columns = []
    for place, said in enumerate(fields, 1):
        unnamed = Part(said, source, f"field {place}")
        column = unnamed.text("name") or unnamed.refuse("name", "is required")
        one = column_part(said, source, column)
        columns.append(_known(one, column, marks, labels, is_key=column == primary))
    if is_draft(part.text("bounds_from")):
        columns = [replace(one, detected=_said(one)) for one in columns]
    elif "pandas_version" in part.content:
        columns = [replace(one, detected=_listed(one)) for one in columns]
    return Described(name, f"Table Schema of {name}", columns, dialect or None)


def _said(known: Known) -> tuple[str, ...]:
    """Return the words for what a draft says of a column."""
    has_bounds = known.lower is not None or known.upper is not None
    return () if known.type == "id" else ("bounds",) if has_bounds else ("categories",)


def _listed(known: Known) -> tuple[str, ...]:
    """Return the words for categories, which pandas takes from a frame; its truths are a type."""
    return ("categories",) if known.categories not in (None, ("false", "true")) else ()


def _dialect(part: Part) -> dict[str, object]:
    said = part.content.get("dialect")
    found: dict[str, object] = {}
    if isinstance(said, Mapping):
        if said.get("delimiter") not in (None, ","):
            found["separator"] = "tab" if said["delimiter"] == "\t" else said["delimiter"]
        if said.get("header") is False:
            found["names"] = []
    encoding = part.text("encoding")
    if encoding and encoding.lower().replace("-", "") not in ("utf8", "ascii"):
        found["encoding"] = encoding
    return found


def _marks(part: Part) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the texts of missing cells, and what the labels of some say."""
    marks, labels = [], {}
    for one in part.items("missingValues") or []:
        if isinstance(one, Mapping):
            mark = part.cell("missingValues", one.get("value"))
            if isinstance(one.get("label"), str) and one["label"]:
                labels[mark] = one["label"]
        else:
            mark = part.cell("missingValues", one)
        marks.append(mark)
    return tuple(marks), labels


def _known(
    part: Part, name: str, marks: tuple[str, ...], labels: Mapping[str, str], *, is_key: bool
) -> Known:
    rules = part.part("constraints") or Part({}, part.source, part.where)
    if "missingValues" in part.content:
        marks, labels = _marks(part)
    if rules.truth("required"):
        marks, labels = (), {}
    kind = part.text("type") or "any"
    title = part.text("title") or ""
    codes, code_labels, ordered = _categories(part, rules)
    base: dict[str, Any] = {"missing": marks, "title": title, "labels": {**code_labels, **labels}}
    unique = is_key or bool(rules.truth("unique"))
    if unique and kind in ("string", "integer", "any", "number") and codes is None:
        pattern, notes = key_pattern(rules.text("pattern") if kind == "string" else None)
        return Known(name, "id", title=title, pattern=pattern, notes=notes)
    if codes is not None:
        if both := next((code for code in codes if code in marks), None):
            key = "enum" if rules.content.get("enum") else "categories"
            (rules if key == "enum" else part).refuse(key, f"{both!r} is also in missingValues")
        return Known(name, "ordinal" if ordered else "categorical", categories=codes, **base)
    if kind == "boolean":
        texts = part.texts("falseValues") or ("false",), part.texts("trueValues") or ("true",)
        return Known(name, "categorical", categories=(texts[0][0], texts[1][0]), **base)
    if kind in ("integer", "number", "year"):
        return _number(part, rules, name, kind, base)
    if kind in _DATES:
        return _date(part, rules, name, kind, base)
    if kind in _NO_COLUMN or (part.text("format") or "") in _IDENTIFIERS:
        what = kind if kind in _NO_COLUMN else part.text("format")
        return Known(name, "id", title=title, notes=(f"of type {what!r}: left out",))
    if kind not in ("string", "any"):
        part.refuse("type", f"must be a type of Table Schema, got {kind!r}")
    return Known(name, "categorical" if kind == "string" else None, **base)


def _categories(part: Part, rules: Part) -> tuple[tuple[str, ...] | None, dict[str, str], bool]:
    """Return the codes of a column, their labels, and whether they have an order."""
    labels: dict[str, str] = {}
    listed = part.items("categories")
    if listed is not None:
        if not listed:
            part.refuse("categories", "must name at least one value")
        codes = []
        for one in listed:
            value = one.get("value") if isinstance(one, Mapping) else one
            codes.append(part.cell("categories", value))
            if isinstance(one, Mapping) and isinstance(one.get("label"), str):
                labels[codes[-1]] = one["label"]
        return tuple(codes), labels, bool(part.truth("categoriesOrdered"))
    return rules.texts("enum"), labels, False


def _number(part: Part, rules: Part, name: str, kind: str, base: Mapping[str, Any]) -> Known:
    ends: list[float | None] = []
    for key, step in (("minimum", 1), ("maximum", -1)):
        end = _bound(rules, key)
        open_end = _bound(rules, f"exclusive{key.title()}")
        if kind != "number":
            end = None if end is None else whole_end(end, step, is_open=False)
        if open_end is not None:
            open_end = whole_end(open_end, step, is_open=True) if kind != "number" else open_end
            end = open_end if end is None else max(end * step, open_end * step) * step
        ends.append(end)
    lower, upper = ends
    if lower is not None and upper is not None and lower > upper:
        rules.refuse("maximum", f"must be at least minimum ({lower:g}), got {upper:g}")
    signs = {"decimal": part.text("decimalChar"), "thousands": part.text("groupChar")}
    form = {key: sign for key, sign in signs.items() if sign and (key, sign) != ("decimal", ".")}
    whole = "real" if kind == "number" else "integer"
    notes = () if part.truth("bareNumber") is not False else ("say its prefix and suffix",)
    return Known(name, whole, lower, upper, format=form or None, notes=notes, **base)


def _bound(rules: Part, key: str) -> float | None:
    said = rules.content.get(key)
    if not isinstance(said, str):
        return rules.number(key)
    try:
        number = float(said)
    except ValueError:
        number = float("nan")
    if number != number or abs(number) == float("inf"):
        rules.refuse(key, f"must be a number, got {said!r}")
    return number


def _date(part: Part, rules: Part, name: str, kind: str, base: Mapping[str, Any]) -> Known:
    pattern = part.text("format")
    pattern = _DATES[kind] if pattern in (None, "default", "any") else pattern
    notes = ("any format of dates is allowed: say which",) if part.text("format") == "any" else ()
    form, more = plain_format(pattern)
    ends: list[str | None] = []
    for key in ("minimum", "maximum"):
        said = rules.text(key)
        text = None if said is None else iso_text(said, pattern)
        if said is not None and text is None:
            rules.refuse(key, f"must be a date, got {said!r}")
        ends.append(text)
    lower, upper = ends
    if lower is not None and upper is not None and lower > upper:
        rules.refuse("maximum", f"must be at least minimum ({lower}), got {upper}")
    return Known(name, "datetime", lower, upper, format=form, notes=(*notes, *more), **base)


def written(schema: Schema) -> tuple[dict[str, object], list[str]]:
    """Return a schema as a Table Schema 2.0, and a line for each thing that it cannot hold."""
    lost = []
    for column in schema.columns:
        for key in ("bins", "scale", "decimals", "note"):
            if getattr(column, key, None) is not None:
                lost.append(f"column {column.name!r}: Table Schema has no {key}")
        form = getattr(column, "format", None)
        if isinstance(form, NumberFormat) and (form.prefix or form.suffix):
            lost.append(f"column {column.name!r}: Table Schema has no prefix and no suffix")
    if schema.constraints:
        lost.append("constraints: Table Schema has none over several columns")
    fields = [_field(column) for column in schema.columns]
    made: dict[str, object] = {"$schema": PROFILE, "name": schema.name}
    if schema.is_draft:
        made["bounds_from"] = schema.bounds_from
    return {**made, "fields": fields, "missingValues": []}, lost


def _field(column: Column) -> dict[str, object]:
    labels = dict(column.labels)
    made: dict[str, object] = {"name": column.name, **_typed(column, labels)}
    if column.title:
        made["title"] = column.title
    if isinstance(column, IdColumn):
        return made
    if column.missing:
        marks = [{"value": m, "label": labels[m]} if m in labels else m for m in column.missing]
        plain = not any(isinstance(mark, dict) for mark in marks)
        made["missingValues"] = marks if plain else [_as_object(mark) for mark in marks]
    else:
        made["constraints"] = {**made.get("constraints", {}), "required": True}  # type: ignore[dict-item]
    return made


def _as_object(mark: object) -> object:
    return mark if isinstance(mark, dict) else {"value": mark, "label": ""}


def _typed(column: Column, labels: Mapping[str, str]) -> dict[str, object]:
    if isinstance(column, IdColumn):
        new = {"pattern": column.keys.expression} if column.pattern else {}
        return {"type": "string", "constraints": {"unique": True, **new}}
    if isinstance(column, DiscreteColumn):
        if column.texts == ("false", "true") and not labels:
            return {"type": "boolean"}
        codes: list[object] = list(column.texts)
        if any(text in labels for text in column.texts):
            codes = [{"value": text, "label": labels.get(text, text)} for text in column.texts]
        ordered = {"categoriesOrdered": True} if column.type == "ordinal" else {}
        return {"type": "string", "categories": codes, **ordered}
    if isinstance(column, NumericColumn):
        whole = column.type == "integer"
        ends = [int(end) if whole else end for end in (column.lower, column.upper)]
        form = column.format
        signs = {"decimalChar": form and form.decimal, "groupChar": form and form.thousands}
        return {
            "type": "integer" if whole else "number",
            **{key: sign for key, sign in signs.items() if sign},
            "constraints": {"minimum": ends[0], "maximum": ends[1]},
        }
    kind = {"D": "date", "M": "date", "Y": "date"}.get(column.step, "datetime")
    pattern = column.format and column.format.replace("%-", "%")
    if pattern and not ("%Y" in pattern or "%y" in pattern):
        kind = "time"
    ends_of = [bound_text(end, pattern) if pattern else end for end in (column.lower, column.upper)]
    rules = {"minimum": ends_of[0], "maximum": ends_of[1]}
    return {"type": kind, **({"format": pattern} if pattern else {}), "constraints": rules}
