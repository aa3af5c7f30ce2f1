"""Data Package 2.0 (datapackage.org): a descriptor of the file of rows, with its Table Schema."""

from __future__ import annotations

import json

from dp_synth._version import __version__
from dp_synth.errors import InputError
from dp_synth.report.passports.inputs import Inputs, Passport
from dp_synth.report.passports.person import Person
from dp_synth.report.passports.table_fields import table_fields

PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
RESOURCE = "https://datapackage.org/profiles/2.0/dataresource.json"
TABLE = "https://datapackage.org/profiles/2.0/tableschema.json"

WANTED = ("curators", "contact", "licence", "publication_date", "url")


def datapackage(inputs: Inputs) -> Passport:
    """Return the descriptor, a JSON text; InputError without a CSV file of rows."""
    part = inputs.part
    found: dict[str, object] = {
        "$schema": PROFILE,
        "name": inputs.slug,
        "title": part.title,
        "description": inputs.description,
        "version": "1.0.0",
        "resources": [_resource(inputs)],
        "dp_synth": {
            "version": __version__,
            "statement": inputs.guarantee,
            "epsilon": part.promise.epsilon,
            "delta": part.promise.delta,
            "adjacency": part.promise.adjacency,
            "unit": part.promise.unit,
            "method": part.method.name,
            "limits": list(inputs.limits),
        },
        **_of_person(inputs.person),
    }
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return Passport(text, inputs.absent(*WANTED))


def _resource(inputs: Inputs) -> dict[str, object]:
    """Return what describes the file of rows."""
    rows, dialect = inputs.rows_file("datapackage"), inputs.schema.dialect
    if rows.is_parquet:  # whose absent cells the standard's constraints do not know
        raise InputError("datapackage describes a .csv file of rows; give one by --synthetic")
    schema = {"$schema": TABLE, "fields": table_fields(inputs.schema), "missingValues": []}
    return {
        "$schema": RESOURCE,
        "name": f"{inputs.slug}-rows",
        "path": rows.name,
        "type": "table",
        "format": "csv",
        "mediatype": rows.media_type,
        "bytes": rows.size,
        "hash": f"sha256:{rows.sha256}",
        "encoding": (dialect.encoding if dialect else None) or "utf-8",
        "dialect": {
            "delimiter": dialect.delimiter if dialect else ",",
            "header": dialect is None or dialect.has_header,
        },
        "schema": schema,
    }


def _of_person(person: Person) -> dict[str, object]:
    found: dict[str, object] = {}
    if person.url is not None:
        found["homepage"] = person.url
    if person.publication_date is not None:
        found["created"] = f"{person.publication_date.isoformat()}T00:00:00Z"
    if person.licence is not None:
        found["licenses"] = [{"title": person.licence, "path": person.licence_url}]
    if person.curators is not None:
        found["contributors"] = [
            {"title": name, "roles": ["publisher"]} for name in person.curators
        ]
    if person.contact is not None:
        found["contact"] = person.contact
    return found
