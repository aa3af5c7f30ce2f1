"""Croissant 1.0 and 1.1: record sets of machine-learning data sets.

Types and enumerations are documentation. Bounds and missing cells have no place in it.
Keys: docs.mlcommons.org/croissant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dp_synth.errors import SchemaError
from dp_synth.schema.foreign.described import Described, Known, Part, cell_text, column_part
from dp_synth.schema.foreign.sdv import chosen

VERSIONS = ("1.0", "1.1")
_CONFORMS = re.compile(r"mlcommons\.org/croissant/(\d+\.\d+)")
_INTEGER = re.compile(r"(?:sc:)?Integer|cr:U?Int\d+")
_REAL = re.compile(r"(?:sc:)?(?:Float|Number)|cr:Float\d+")
_ENUMERATION = ("sc:Enumeration", "Enumeration", "https://schema.org/Enumeration")


def is_croissant(content: object) -> bool:
    """Tell whether the content of a JSON file is Croissant, of any version."""
    if not isinstance(content, Mapping) or "@context" not in content:
        return False
    return "recordSet" in content or "croissant" in str(content.get("conformsTo", ""))


def read(content: object, source: str, table: str | None, name: str) -> Described:
    """Return what Croissant says of the record set ``table``, or of the only one."""
    whole = Part(content, source)
    said = whole.content.get("conformsTo")
    found = _CONFORMS.search(str(said))
    if not found or found[1] not in VERSIONS:
        whole.refuse(
            "conformsTo", f"must be Croissant {' or '.join(VERSIONS)}, got {str(said)[:80]!r}"
        )
    sets = [Part(one, source, "field 'recordSet'") for one in whole.items("recordSet") or []]
    by_name = {str(one.content.get("@id") or one.text("name")): one for one in sets}
    tables = [key for key, one in by_name.items() if not _is_enumeration(one)]
    key = chosen(tables or list(by_name), table, source)
    fields = _listed(by_name[key].content.get("field"))
    if not fields:
        raise SchemaError(f"{source}: record set {key!r}: field 'field': must name columns")
    columns = [_known(field, source, key, by_name) for field in fields]
    title = re.sub(r"\W+", "_", key) or name
    return Described(title, f"Croissant {found[1]}, record set {key}", columns)


def _is_enumeration(part: Part) -> bool:
    return any(kind in _ENUMERATION for kind in _listed(part.content.get("dataType")))


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _known(content: object, source: str, key: str, sets: Mapping[str, Part]) -> Known:
    unnamed = Part(content, source, f"record set {key!r}")
    name = unnamed.text("name") or str(unnamed.content.get("@id") or "")
    if not name:
        unnamed.refuse("name", "is required")
    name = _column_of(unnamed) or name.removeprefix(f"{key}/")
    part = column_part(content, source, name)
    title = (part.text("description") or "").strip()
    kinds = [str(kind) for kind in _listed(part.content.get("dataType"))]
    base: dict[str, Any] = {"title": title, "missing": ("",)}
    if part.content.get("repeated") or part.content.get("isArray") or "subField" in part.content:
        return Known(name, "id", title=title, notes=("holds several values: left out",))
    codes, labels = _codes(part, sets)
    if codes is not None:
        return Known(name, "categorical", categories=codes, labels=labels, **base)
    for kind in kinds:
        short = kind.removeprefix("https://schema.org/").removeprefix("sc:")
        if _INTEGER.fullmatch(kind) or short == "Integer":
            return Known(name, "integer", **base)
        if _REAL.fullmatch(kind) or short in ("Float", "Number"):
            return Known(name, "real", **base)
        if short in ("Boolean",) or kind == "cr:Bool":
            logical = ("false", "true")
            return Known(name, "categorical", categories=logical, **base)
        if short in ("Date", "DateTime", "Time"):
            return Known(name, "datetime", **base)
        if short in ("URL", "ImageObject", "AudioObject", "VideoObject"):
            return Known(name, "id", title=title, notes=(f"of type {short}: left out",))
    return Known(name, "categorical" if "sc:Text" in kinds else None, **base)


def _column_of(part: Part) -> str | None:
    """Return the name that a field's column has in its file."""
    source = part.content.get("source")
    extract = source.get("extract") if isinstance(source, Mapping) else None
    column = extract.get("column") if isinstance(extract, Mapping) else None
    return column if isinstance(column, str) else None


def _codes(part: Part, sets: Mapping[str, Part]) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """Return the values, with labels, that the enumeration of a field lists in the file."""
    refers = part.content.get("references")
    target = refers.get("field", refers) if isinstance(refers, Mapping) else None
    key = str(target.get("@id", "")) if isinstance(target, Mapping) else ""
    one = next((found for name, found in sets.items() if key.startswith(f"{name}/")), None)
    if one is None or not _is_enumeration(one):
        return None, {}
    rows = [row for row in _listed(one.content.get("data")) if isinstance(row, Mapping)]
    codes = [cell_text(row[key]) for row in rows if isinstance(row.get(key), (str, int, float))]
    if not codes:
        return None, {}
    if len(set(codes)) < len(codes):
        part.refuse("references", f"{key!r} lists a value twice")
    others = [name for name in rows[0] if name != key]
    word = next((name for name in others if name.endswith(("/name", "/label"))), None)
    labels = {cell_text(row[key]): str(row[word]) for row in rows if word in row} if word else {}
    return tuple(codes), labels
