"""The table of the formats that schemas and rows are read from and written to, from files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dp_synth.formats import READ, WRITTEN
from dp_synth.schema.foreign import EXPORTS, describe, detect
from paper.documents import markdown

FOREIGN = Path(__file__).parents[1] / "tests" / "data" / "foreign"
METADATA: Mapping[str, tuple[str, tuple[str, ...], str]] = {  # its title, its files, its validator
    "sdv": ("SDV Metadata V2 and V1", ("sdv_2.0.0_*", "sdv_1.24.0_*"), "sdv 2.0.0, by hand"),
    "table-schema": (
        "Table Schema, Data Package, 1 and 2.0",
        ("frictionless_*.json",),
        "frictionless, in the tests",
    ),
    "croissant": ("Croissant 1.0 and 1.1", ("croissant_1.*",), "mlcroissant, in the tests"),
    "spss": ("SPSS: `.sav`, `.zsav`, `.por`", ("*sav", "*.por"), "pyreadstat, in the tests"),
    "stata": ("Stata: `.dta`", ("*.dta",), "pyreadstat, in the tests"),
    "sas": ("SAS: `.xpt`, `.sas7bdat`", ("*.xpt", "*.sas7bdat"), "pyreadstat, in the tests"),
    "pandera": ("pandera, YAML and JSON", ("pandera_*",), "-"),
    "arrow": ("Arrow, Feather: types, dictionaries", (), "pyarrow and polars, in the tests"),
    "parquet": ("Parquet: types, dictionaries", (), "pyarrow, in the tests"),
    "duckdb": ("DuckDB: CHECK, ENUM, NOT NULL, keys", (), "DuckDB, in the tests"),
    "postgresql": (
        "PostgreSQL: CHECK, ENUM, domains, NOT NULL, keys",
        (),
        "a PostgreSQL server, in the tests",
    ),
}
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "spss": ("sav", "zsav", "por"),
    "stata": ("dta",),
    "sas": ("xpt", "sas7bdat"),
    "arrow": ("feather", "arrow"),
    "parquet": ("parquet",),
}
REFUSED = {"pyreadstat_simple_alltypes.sav"}
"""Whose labels do not cover its codes, as a test says."""


def table() -> str:
    """Return a row for each format: what is read and written, who looks at it, on which files."""
    head = ["format", "`schema import`", "`schema export`", "rows read", "rows written"]
    head += ["looked at by", "tested on"]
    rows = []
    for name, (title, patterns, validator) in METADATA.items():
        files = sorted({path for pattern in patterns for path in FOREIGN.glob(pattern)})
        known = [path for path in files if detect(path) == name]
        if known != files:
            raise ValueError(f"{name}: not all of {files} are told to be of this format")
        readable = [path for path in known if name != "croissant" and _reads(path)]
        endings = ENDINGS.get(name, ())
        rows.append(
            [
                title,
                "yes",
                "yes" if name in EXPORTS else "no",
                _listed(endings, READ),
                _listed(endings, WRITTEN),
                validator,
                _tested(known, len(readable) if name in ("spss", "stata", "sas") else None),
            ]
        )
    rows.append(["Excel: `.xlsx`", "no", "no", *["`.xlsx`"] * 2, "openpyxl, in the tests", "-"])
    plain = ", ".join(f"`.{ending}`" for ending in ("csv", "csv.gz"))
    rows.append(["CSV", "no", "no", plain, plain, "-", "-"])
    return markdown(head, rows)


def _reads(path: Path) -> bool:
    return path.name not in REFUSED and path.suffix != ".json" and bool(describe(path).columns)


def _listed(endings: tuple[str, ...], among: tuple[str, ...]) -> str:
    return ", ".join(f"`.{ending}`" for ending in endings if ending in among) or "-"


def _tested(files: list[Path], readable: int | None) -> str:
    if not files:
        return "files made in the tests"
    by = sorted({path.name.partition("_")[0] for path in files})
    refused = "" if readable in (None, len(files)) else f", {len(files) - (readable or 0)} refused"
    return f"{len(files)} files of {', '.join(by)}{refused}"
