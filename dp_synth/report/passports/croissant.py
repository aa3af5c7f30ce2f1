"""Croissant 1.1 (mlcommons.org), with its vocabulary for responsible AI and PROV's for origins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from dp_synth._version import __version__
from dp_synth.report.passports.inputs import NOT_STATED, Inputs, Passport
from dp_synth.report.passports.person import Person
from dp_synth.schema import Column, DiscreteColumn, IdColumn, NumericColumn
from dp_synth.schema.kinds import is_logical
from dp_synth.schema.numeric import DatetimeColumn

CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
CROISSANT_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field"),
    *("fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset"),
    *("jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
CONTEXT: dict[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in CROISSANT_TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
"""The words of the standard, each with the vocabulary that it is of."""

ROWS, FILE = "rows", "rows-file"

WANTED = ("curators", "intended_use", "licence", "publication_date", "url")


def croissant(inputs: Inputs) -> Passport:
    """Return the description, a JSON-LD text.

    InputError without a file of rows, and for a CSV file that needs a dialect.
    """
    person, rows = inputs.person, inputs.plain_rows("croissant")
    file = {
        "@type": "cr:FileObject",
        "@id": FILE,
        "name": FILE,
        "contentUrl": rows.name,
        "contentSize": f"{rows.size} B",
        "encodingFormat": rows.media_type,
        "sha256": rows.sha256,
    }
    record_set = {
        "@type": "cr:RecordSet",
        "@id": ROWS,
        "name": ROWS,
        "field": list(_fields(inputs)),
    }
    found: dict[str, object] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": inputs.part.title,
        "description": inputs.description,
        "conformsTo": CONFORMS_TO,
        "version": "1.0.0",
        "citeAs": _citation(inputs),
        "isLiveDataset": False,
        "keywords": ["synthetic data", "differential privacy", "tabular"],
        **_of_person(person),
        "distribution": [file],
        "recordSet": [record_set],
        **_responsible(inputs),
    }
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return Passport(text, inputs.absent(*WANTED))


def _of_person(person: Person) -> dict[str, object]:
    found: dict[str, object] = {}
    if person.licence_url is not None:
        found["license"] = person.licence_url
    if person.url is not None:
        found["url"] = person.url
    if person.publication_date is not None:
        found["datePublished"] = person.publication_date.isoformat()
    if person.curators is not None:
        found["creator"] = [{"@type": "Organization", "name": name} for name in person.curators]
    if person.language is not None:
        found["inLanguage"] = person.language
    return found


def _citation(inputs: Inputs) -> str:
    year = inputs.person.publication_date
    who = " and ".join(inputs.person.curators or (NOT_STATED,))
    when = "" if year is None else f" ({year.year})"
    return f"{who}{when}. {inputs.part.title}: synthetic records. Made by dp_synth {__version__}."


def _fields(inputs: Inputs) -> Iterator[dict[str, object]]:
    """Yield a field for each column; of whole kinds those whose cells always are of that kind."""
    parquet = inputs.rows is not None and inputs.rows.is_parquet
    columns = inputs.schema.in_rows()
    for column, own in zip(columns, _ids([c.name for c in columns]), strict=True):
        yield {
            "@type": "cr:Field",
            "@id": f"{ROWS}/{own}",
            "name": column.name,
            "description": _words(column, parquet=parquet),
            "dataType": _kind(column, parquet=parquet),
            "source": {"fileObject": {"@id": FILE}, "extract": {"column": column.name}},
        }


def _ids(names: Sequence[str]) -> list[str]:
    """Return what stands for each column in an ``@id``: its name where that is fit, or its place.

    The standard's readers refuse spaces there, and signs that no address has.

    >>> _ids(["age", "home town", "column-2"])
    ['age', 'column-2-', 'column-2']
    """
    found = []
    for place, name in enumerate(names, 1):
        own = name if re.fullmatch(r"[\w.~-]+", name) else f"column-{place}"
        while own != name and own in names:
            own += "-"
        found.append(own)
    return found


def _kind(column: Column, *, parquet: bool) -> str:
    if isinstance(column, IdColumn):
        return "sc:Integer" if column.keys.text == "integer" else "sc:Text"
    if parquet:
        return _kind_in_parquet(column)
    if any(column.missing):  # marks that are words stand among the values
        return "sc:Text"
    if isinstance(column, DiscreteColumn):
        if is_logical(column):
            return "sc:Boolean"
        return "sc:Text" if column.categories is not None else "sc:Integer"
    if isinstance(column, NumericColumn):
        if column.format is not None:
            return "sc:Text"
        return "sc:Integer" if column.type == "integer" else "sc:Float"
    return "sc:Date" if column.step == "D" and column.format is None else "sc:Text"


def _kind_in_parquet(column: DiscreteColumn | NumericColumn | DatetimeColumn) -> str:
    """Return the kind of cells that are values, not texts; missing ones are absent there."""
    if isinstance(column, DatetimeColumn):
        return "sc:DateTime"
    if isinstance(column, DiscreteColumn):
        return "sc:Boolean" if is_logical(column) else "sc:Text"
    return "sc:Integer" if column.type == "integer" else "sc:Float"


def _words(column: Column, *, parquet: bool) -> str:
    """Return what is public of a column, in words."""
    said = [column.note] if column.note else []
    if isinstance(column, IdColumn):
        said.append(column.keys.said)
    elif isinstance(column, DiscreteColumn):
        shown = ", ".join(column.texts[:10])
        more = f" and {len(column.texts) - 10} more" if len(column.texts) > 10 else ""
        said.append(f"{column.type}: {shown}{more}")
    else:
        whole = isinstance(column, NumericColumn) and column.type == "integer"
        lower, upper = (int(b) if whole else b for b in (column.lower, column.upper))
        said.append(f"{column.type}, from {lower} to {upper}")
    if column.missing and parquet:
        said.append("missing cells are absent")
    elif column.missing:
        said.append(f"missing is written {', '.join(map(repr, column.missing))}")
    return "; ".join(said)


def _responsible(inputs: Inputs) -> dict[str, object]:
    """Return what the data are made from, how, and with which limits."""
    part = inputs.part
    origin: dict[str, object] = {
        "@type": "prov:Entity",
        "prov:label": f"the private table {part.title}",
    }
    found: dict[str, object] = {
        "rai:hasSyntheticData": True,
        "rai:dataCollection": "No person was asked for these records: they are drawn from a model.",
        "rai:dataCollectionType": ["Synthetic"],
        "rai:dataManipulationProtocol": f"{inputs.method}: {part.method.reference}",
        "rai:dataLimitations": list(inputs.limits),
        "rai:personalSensitiveInformation": [inputs.guarantee],
        "rai:dataReleaseMaintenancePlan": "The data card keeps what happened after the release.",
        "prov:wasDerivedFrom": origin,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"differentially private synthesis by {part.method.name}",
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "prov:label": f"dp_synth {__version__}",
            },
        },
    }
    if part.intended:
        found["rai:dataUseCases"] = list(part.intended)
    return found
