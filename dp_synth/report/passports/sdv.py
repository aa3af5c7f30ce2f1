"""Metadata of SDV, the Synthetic Data Vault: what its synthesizers are to know of the columns."""

from __future__ import annotations

import json

from dp_synth.report.passports.inputs import Inputs, Passport
from dp_synth.report.passports.sdv_columns import sdv_columns


def sdv(inputs: Inputs, version: str = "V2") -> Passport:
    """Return the metadata of one table, a JSON text, in version V2 or V1."""
    table = {"columns": sdv_columns(inputs.schema, version)}
    found = {
        "tables": {inputs.slug: table},
        "relationships": [],
        "METADATA_SPEC_VERSION": version,
    }
    return Passport(json.dumps(found, indent=2, ensure_ascii=False) + "\n", ())


def sdv_v1(inputs: Inputs) -> Passport:
    """Return the metadata in version V1, as sdv 1.x reads it."""
    return sdv(inputs, "V1")
