"""Passports: the same release as catalogues, venues, registries and other programs ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dp_synth.report.passports.croissant import croissant
from dp_synth.report.passports.datapackage import datapackage
from dp_synth.report.passports.huggingface import huggingface
from dp_synth.report.passports.inputs import Inputs, Passport, RowsFile
from dp_synth.report.passports.person import Person
from dp_synth.report.passports.registry import registry
from dp_synth.report.passports.sdv import sdv, sdv_v1


@dataclass(frozen=True)
class PassportFormat:
    """A format of passports: what it is, how it is made, and what says that one is valid."""

    title: str
    suffixes: tuple[str, ...]
    make: Callable[[Inputs], Passport]
    needs_rows: bool
    validated_by: str
    validated_in_tests: bool = True


PASSPORTS: dict[str, PassportFormat] = {
    "croissant": PassportFormat(
        "Croissant 1.1 with RAI and PROV", (".json",), croissant, True, "mlcroissant 1.1.1"
    ),
    "registry": PassportFormat(
        "record of the registry of DP deployments",
        (".yaml", ".yml"),
        registry,
        False,
        "the registry's own JSON schema",
    ),
    "datapackage": PassportFormat(
        "Data Package 2.0 with Table Schema", (".json",), datapackage, True, "frictionless 5.21"
    ),
    "sdv": PassportFormat("SDV metadata V2", (".json",), sdv, False, "sdv 2.0.0", False),
    "sdv-v1": PassportFormat("SDV metadata V1", (".json",), sdv_v1, False, "sdv 1.x", False),
    "huggingface": PassportFormat(
        "Hugging Face dataset card", (".md",), huggingface, True, "huggingface_hub", False
    ),
}
"""Formats of passports, by name."""

__all__ = [
    "PASSPORTS",
    "Inputs",
    "Passport",
    "PassportFormat",
    "Person",
    "RowsFile",
]
