"""Passports: each is valid by its official validator, and says what ledger, schema, card say."""

import json
import re
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from made_card import HOLDOUT, LABELLED, RELEASE, TRAIN
from pyarrow import parquet

import dp_synth as dps
from dp_synth.errors import InputError
from dp_synth.report.card import data_card
from dp_synth.report.passports import PASSPORTS, Inputs, Person, RowsFile
from dp_synth.report.passports.person import KEYS
from dp_synth.report.passports.registry import PEOPLES
from dp_synth.report.passports.sdv_columns import sdv_columns
from dp_synth.report.passports.table_fields import table_fields

REGISTRY = Path(__file__).parents[1] / "data" / "registry" / "deployments-schema.yaml"
WORDS = """
curators: [An Office, Another]
contact: data@example.org
description: Made-up people.
intended_use: Teaching statistics.
region: Portugal
sector: Government
licence: CC-BY-4.0
publication_date: 2026-05-01
url: https://example.org/people
language: en
authors: [Ada Lovelace]
actors: Analysts, of whom nothing is asked.
justification: A board has chosen them.
sources: "- a report: https://example.org/report"
"""
MIXED = dps.Schema.from_dict(
    {
        "name": "Mixed: all kinds",
        "columns": [
            {"name": "word", "type": "categorical", "categories": ["a, b", 'c"d', "|e|", "<f>"]},
            {"name": "grade", "type": "ordinal", "categories": ["low", "high"], "missing": ["?"]},
            {"name": "code", "type": "categorical", "size": 3},
            {"name": "true", "type": "categorical", "categories": ["True", "False"]},
            {"name": "whole", "type": "integer", "lower": -5, "upper": 90, "missing": ["", "N/A"]},
            {"name": "real", "type": "real", "lower": 0, "upper": 1.5, "decimals": 2},
            {"name": "price", "type": "integer", "lower": 0, "upper": 9, "format": {"prefix": "$"}},
            {"name": "day", "type": "datetime", "lower": "2020-01-01", "upper": "2020-12-31"},
            {
                "name": "minute",
                "type": "datetime",
                "lower": "2020-01-01T00:00:00",
                "upper": "2020-01-31T09:30:00",
            },
            {
                "name": "spelt",
                "type": "datetime",
                "format": "%d.%m.%Y",
                "lower": "2020-01-01",
                "upper": "2020-12-31",
            },
        ],
    }
)


def mixed():
    """Return a release over a column of each kind."""
    rows = {
        "word": ["a, b", 'c"d', "|e|", "<f>"] * 50,
        "grade": ["low", "high", "?", "low"] * 50,
        "code": ["0", "1", "2", "0"] * 50,
        "true": ["True", "False"] * 100,
        "whole": ["1", "", "N/A", "-5"] * 50,
        "real": ["0.25", "1.5"] * 100,
        "price": ["$3", "$4"] * 100,
        "day": ["2020-03-01", "2020-04-01"] * 100,
        "minute": ["2020-01-02T03:04:05", "2020-01-03T00:00:00"] * 100,
        "spelt": ["31.01.2020", "01.02.2020"] * 100,
    }
    frame = pd.DataFrame(rows)
    return dps.Independent().fit(frame, MIXED, dps.PrivacyBudget(5.0, 1e-5))


def odd():
    """Return a release over columns of odd names, marks, signs and moments."""
    marked = {"missing": ["NA"]}
    time = {"type": "datetime", "lower": "2020-01-01 00:00", "upper": "2020-01-31 09:30"}
    zoned = {k: v.replace(" ", "T") + "+01:00" if k != "type" else v for k, v in time.items()}
    grouped = {"format": {"thousands": " "}}
    columns = [
        {"name": "home town", "type": "categorical", "categories": ["a", "b"], **marked},
        {"name": "<b>", "type": "categorical", "categories": ["true", "false"], **marked},
        {"name": "![c](https://x.org)", "type": "categorical", "size": 2},
        {"name": "column-2", "type": "integer", "lower": 0, "upper": 2000, **marked},
        {"name": "a\\|b", "type": "integer", "lower": 0, "upper": 2000, **grouped},
        {"name": "time", **time},
        {"name": "zoned", **zoned},
        {"name": "day", "type": "datetime", "lower": "2020-01-01", "upper": "2020-12-31", **marked},
    ]
    title = "An <img src=x>\n---\nlicense: mit"
    schema = dps.Schema.from_dict({"name": title, "bounds_from": "a\n- list", "columns": columns})
    cells = (["a", "NA"], ["true", "NA"], ["0", "1"], ["7", "NA"], ["1 007", "8"])
    moments = (["2020-01-02 03:04:05"], ["2020-01-02T03:04:05+01:00"], ["2020-03-01", "NA"])
    names = [column["name"] for column in columns]
    rows = {n: c * (200 // len(c)) for n, c in zip(names, (*cells, *moments), strict=True)}
    return dps.Independent().fit(pd.DataFrame(rows), schema, dps.PrivacyBudget(5.0, 1e-5))


def keyed():
    """Return a release whose rows have new keys: a text, a whole number, an UUID."""
    patterns = {"key": r"P\.[A-F-]{6}", "number": "integer", "id": "uuid"}.items()
    columns = [{"name": name, "type": "id", "pattern": text} for name, text in patterns]
    columns.insert(1, {"name": "sex", "type": "categorical", "categories": ["f", "m"]})
    schema = dps.Schema.from_dict({"name": "people with keys", "columns": columns})
    rows = pd.DataFrame({"sex": ["f", "m"] * 50})
    return dps.Independent().fit(rows, schema, dps.PrivacyBudget(5.0, 1e-5))


RELEASES = {"people": RELEASE, "mixed": mixed(), "odd": odd(), "keyed": keyed()}


@pytest.fixture(params=list(RELEASES))
def release(request):
    """A release of a usual table, of a column of each kind, of odd names and cells, and of keys."""
    return RELEASES[request.param]


def inputs(release, folder, words=WORDS, name="rows.csv"):
    """Return what a passport is made of, its rows in a folder."""
    release.write_rows(folder / name, 60, 0)
    rows = RowsFile.of(folder / name, release.row_schema)
    return Inputs.of(release, person=Person.from_text(words), rows=rows)


def written(release, folder, format_name, words=WORDS, name="rows.csv"):
    """Return the place of a passport beside its rows."""
    kind = PASSPORTS[format_name]
    place = folder / f"{format_name}{kind.suffixes[0]}"
    place.write_text(kind.make(inputs(release, folder, words, name)).text, encoding="utf-8")
    return place


@pytest.mark.parametrize("words", [WORDS, ""], ids=["said", "nothing said"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_croissant_is_valid_and_gives_the_rows(release, tmp_path, words, name):
    mlcroissant = pytest.importorskip("mlcroissant")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = written(release, tmp_path, "croissant", words, name)
        dataset = mlcroissant.Dataset(jsonld=str(place))
        issues = dataset.metadata.ctx.issues
        assert not issues.errors
        assert bool(issues.warnings) == (not words)  # licence and date are wanted
        records = list(dataset.records("rows"))
    assert len(records) == 60
    fields = json.loads(place.read_text("utf-8"))["recordSet"][0]["field"]
    assert {field["@id"] for field in fields} == set(records[0])
    assert [field["name"] for field in fields] == list(release.row_schema.names)
    if release is RELEASE:
        assert set(records[0]) == {f"rows/{name}" for name in release.schema.domain.attributes}


def test_croissant_says_that_the_data_are_synthetic_and_from_what(tmp_path):
    said = json.loads(written(RELEASE, tmp_path, "croissant").read_text("utf-8"))
    assert said["rai:hasSyntheticData"] is True
    assert "people" in said["prov:wasDerivedFrom"]["prov:label"]
    assert "mst" in said["prov:wasGeneratedBy"]["prov:label"]
    assert said["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    assert RELEASE.ledger.statement() in said["rai:personalSensitiveInformation"]
    assert said["rai:dataUseCases"] == ["Teaching statistics."]


def test_croissant_writes_whole_bounds_whole(tmp_path):
    (said,) = json.loads(written(RELEASES["mixed"], tmp_path, "croissant").read_text())["recordSet"]
    words = {field["name"]: field["description"] for field in said["field"]}
    assert words["whole"].startswith("integer, from -5 to 90; missing is written")
    assert words["real"] == "real, from 0.0 to 1.5"


def test_datapackage_is_valid_down_to_every_cell(release, tmp_path):
    frictionless = pytest.importorskip("frictionless")
    place = written(release, tmp_path, "datapackage")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = frictionless.validate(str(place))
        assert report.valid, report.flatten(["fieldName", "type", "message"])
        (tmp_path / "rows.csv").write_text((tmp_path / "rows.csv").read_text("utf-8") + "x\n")
        assert not frictionless.validate(str(place)).valid  # it does look at the rows


def technical(schema, path=""):
    """Yield the fields of the registry's schema that have no fields within."""
    for name, node in schema["properties"].items():
        here = f"{path}.{name}".lstrip(".")
        if "properties" in node:
            yield from technical(node, here)
        else:
            yield here


def found_in(record, path):
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


@pytest.mark.parametrize("words", [WORDS, ""], ids=["said", "nothing said"])
def test_registry_is_valid_and_its_technical_fields_come_from_the_ledger(
    release, tmp_path, words, capsys
):
    jsonschema = pytest.importorskip("jsonschema")
    schema = yaml.safe_load(REGISTRY.read_text("utf-8"))
    record = yaml.safe_load(written(release, tmp_path, "registry", words).read_text("utf-8"))
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    validator = jsonschema.Draft7Validator(schema, format_checker=checker)
    assert [error.message for error in validator.iter_errors(record)] == []
    wanted = [p for p in technical(schema) if p.startswith("deployment.") and p not in PEOPLES]
    filled = [path for path in wanted if found_in(record, path) not in (None, "", "not stated")]
    with capsys.disabled():
        print(f"\nregistry: {len(filled)} of {len(wanted)} technical fields filled")
    assert len(wanted) >= 20
    assert len(filled) >= 0.9 * len(wanted)
    assert set(filled) == set(wanted)  # of methods by marginals, whose cost has a rho
    assert all(path in technical_paths(schema) for path in PEOPLES)
    if words:
        assert all(found_in(record, path) for path in PEOPLES)
    parameters = found_in(record, "deployment.privacy_loss.privacy_parameters")
    assert parameters["epsilon"] == release.ledger.epsilon
    assert parameters["delta"] == release.ledger.budget.delta


def technical_paths(schema):
    return set(technical(schema))


def test_registry_writes_texts_as_its_own_checks_ask(tmp_path):
    """A text is quoted, or one line after the other, or so short that its line does not break."""
    place = written(RELEASE, tmp_path, "registry")
    for token in yaml.scan(place.read_text("utf-8")):
        if isinstance(token, yaml.ScalarToken) and token.style is None:
            assert token.start_mark.line == token.end_mark.line


def test_sdv_metadata_have_the_ranges_of_the_schema():
    new, old = sdv_columns(MIXED, "V2"), sdv_columns(MIXED, "V1")
    assert new["whole"] == {
        "sdtype": "numerical",
        "range_min": -5,
        "range_max": 90,
        "decimal_places": 0,
        "range_is_nullable": True,
    }
    assert new["grade"]["sdtype"] == "ordinal"
    assert new["word"]["range_values"] == ["a, b", 'c"d', "|e|", "<f>"]
    assert new["true"] == {"sdtype": "boolean", "range_is_nullable": False}
    assert new["day"]["datetime_format"] == "%Y-%m-%d"
    assert old["whole"] == {"sdtype": "numerical", "computer_representation": "Int64"}
    assert not any(key.startswith("range") for column in old.values() for key in column)


def test_bounds_of_moments_are_written_as_cells_are():
    schema = RELEASES["odd"].schema
    ends = {"minimum": "2020-01-01 00:00:00", "maximum": "2020-01-31 09:30:00"}
    time = sdv_columns(schema, "V2")["time"]
    assert [time["range_min"], time["range_max"]] == list(ends.values())
    assert time["datetime_format"] == "%Y-%m-%d %H:%M:%S"
    (field,) = (one for one in table_fields(schema) if one["name"] == "time")
    assert field["constraints"] == {"required": True, **ends}


def test_new_keys_are_described_as_what_they_are(tmp_path):
    schema = RELEASES["keyed"].row_schema
    expression = {"unique": True, "pattern": r"P\.[A-F-]{6}"}
    key, _, number, _ = table_fields(schema)
    assert key == {
        "name": "key",
        "type": "string",
        "constraints": {"required": True, **expression},
    }
    assert number["constraints"]["minimum"] == 10**11
    assert sdv_columns(schema, "V2")["key"] == {
        "sdtype": "id",
        "regex_format": expression["pattern"],
    }
    said = RELEASES["keyed"].row_schema.column("key").keys.said
    for name in ("croissant", "huggingface"):
        page = written(RELEASES["keyed"], tmp_path, name).read_text("utf-8")
        assert "new keys of the pattern" in page
    assert data_card(RELEASES["keyed"]).publishable.public_inputs.columns[0].cells_from == said
    record = yaml.safe_load(written(RELEASES["keyed"], tmp_path, "registry").read_text("utf-8"))
    assert "cells found by the fit itself, within its budget: none" in str(record)
    (tmp_path / "old.csv").write_text("sex\nf\n")
    with pytest.raises(InputError, match="lacks column 'key'"):
        RowsFile.of(tmp_path / "old.csv", schema)


@pytest.mark.parametrize("version", ["sdv", "sdv-v1"])
def test_sdv_metadata_are_valid(release, tmp_path, version):
    sdv = pytest.importorskip("sdv.metadata")
    place = written(release, tmp_path, version)
    metadata = sdv.Metadata.load_from_json(str(place))
    metadata.validate()


def test_a_hub_card_has_a_head_that_its_search_reads(tmp_path):
    place = written(RELEASE, tmp_path, "huggingface")
    _, head, page = place.read_text("utf-8").split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["license"] == "cc-by-4.0"
    assert said["size_categories"] == ["n<1K"]
    assert said["dataset_info"]["splits"][0]["num_examples"] == 60
    names = [one["name"] for one in said["dataset_info"]["features"]]
    assert names == list(LABELLED.domain.attributes)
    assert RELEASE.ledger.statement() in page
    other = WORDS.replace("CC-BY-4.0", "https://example.org/terms")
    head = written(RELEASE, tmp_path, "huggingface", other).read_text("utf-8").split("---\n")[1]
    assert yaml.safe_load(head)["license"] == "other"
    assert yaml.safe_load(head)["license_link"] == "https://example.org/terms"


def test_a_hub_card_is_read_by_its_own_library(release, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.DatasetCard.load(str(written(release, tmp_path, "huggingface")))
    assert card.data.pretty_name == " ".join(release.schema.name.split())


def test_pages_take_texts_as_texts(tmp_path):
    page = written(RELEASES["mixed"], tmp_path, "huggingface").read_text("utf-8")
    assert "<f>" not in page.split("---\n", 2)[2]
    assert "\\|e\\|" in page


def test_a_hub_card_is_no_markup_of_names(tmp_path):
    head, page = read_hub_card(written(RELEASES["odd"], tmp_path, "huggingface", ""))
    assert head["pretty_name"] == "An <img src=x> --- license: mit"
    assert "license" not in head
    assert "<img" not in page
    assert "<b>" not in page
    assert "![c](" not in page
    cells = next(line for line in page.splitlines() if "a\\" in line).replace("\\\\", "")
    assert re.findall(r"(?<!\\)\|", cells) == ["|"] * 4  # three cells, whatever the name is


def read_hub_card(place):
    """Return head and page of a card, cut as the Hub's library does."""
    text = place.read_text("utf-8")
    found = re.match(r"^(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\r|\n|$))", text)
    return yaml.safe_load(found[2]), text[found.end() :]


def test_kinds_of_a_parquet_file_are_those_that_it_has(release, tmp_path):
    head, _ = read_hub_card(written(release, tmp_path, "huggingface", name="rows.parquet"))
    kinds = {one["name"]: one["dtype"] for one in head["dataset_info"]["features"]}
    spelt = {"double": "float64", "bool": "bool", "int64": "int64"}
    for field in parquet.read_schema(tmp_path / "rows.parquet"):
        kind = "string" if pa.types.is_dictionary(field.type) else str(field.type)
        assert kinds[field.name] == spelt.get(kind, kind)
    place = written(release, tmp_path, "croissant", name="rows.parquet")
    assert "is written" not in place.read_text("utf-8")


@pytest.mark.parametrize("name", ["croissant", "huggingface"])
@pytest.mark.parametrize("dialect", [{"separator": ";"}, {"encoding": "latin-1"}, {"names": ["a"]}])
def test_csv_in_a_dialect_that_a_format_cannot_tell_is_refused(name, dialect, tmp_path):
    fields = {"name": "a", "type": "categorical", "categories": ["x", "y"]}
    schema = dps.Schema.from_dict({"name": "t", "columns": [fields], "dialect": dialect})
    rows = pd.DataFrame({"a": ["x", "y"] * 50})
    one = dps.Independent().fit(rows, schema, dps.PrivacyBudget(5.0, 1e-5))
    with pytest.raises(dps.InputError, match=f"{name} has no words for the dialect .*[.]parquet"):
        written(one, tmp_path, name)
    assert written(one, tmp_path, name, name="rows.parquet").exists()


def registered(one, words=""):
    made = PASSPORTS["registry"].make(Inputs.of(one, person=Person.from_text(words)))
    return yaml.safe_load(made.text)["deployment"]


def test_the_record_says_when_nobody_has_stated_a_date():
    assert "nobody has stated one" in registered(RELEASE)["administrative"]["notes"]
    assert "publication_date" not in registered(RELEASE, WORDS)["administrative"]["notes"]


def test_the_record_names_both_tables_of_a_validation_with_a_hold_out():
    asked = dps.Validation(0.1).against(HOLDOUT)
    both = dps.Independent().fit(TRAIN, LABELLED, dps.PrivacyBudget(5.0, 1e-5), validation=asked)
    model = registered(both)["deployment_model"]
    assert model["data_source_type_details"].startswith("Two tables, the fitted one and a hold-out")
    assert registered(RELEASE)["deployment_model"]["data_source_type_details"].startswith("One tab")


def test_the_record_tells_in_which_cost_shares_are():
    accountant = dps.Accountant(dps.PrivacyBudget(5.0, 1e-5), adaptive="gdp")
    one = dps.Independent().fit(TRAIN, LABELLED, accountant)
    assert one.ledger.rule == "gdp"
    assert "of the cost in Gaussian DP" in registered(one)["accounting"]["composition"]
    assert "of the cost in zCDP" in registered(RELEASE)["accounting"]["composition"]


def test_categories_that_a_fit_has_found_are_not_called_unprotected():
    fields = {"name": "a", "type": "categorical", "categories": ["x"], "open": True}
    schema = dps.Schema.from_dict({"name": "t", "columns": [fields]})
    rows = pd.DataFrame({"a": ["x", "y"] * 200})
    said = registered(dps.Independent().fit(rows, schema, dps.PrivacyBudget(5.0, 1e-5)))
    declared = said["dp_variant"]["unprotected_quantities"]
    assert "- but of a the declared categories alone" in declared


def test_names_stay_in_their_lines_of_the_record():
    said = registered(RELEASES["odd"])["dp_variant"]["unprotected_quantities"]
    assert not any(line.startswith("- list") for line in said.splitlines())


@pytest.mark.parametrize("name", list(PASSPORTS))
def test_what_only_a_person_can_say_is_listed_when_absent(name, tmp_path):
    nothing = PASSPORTS[name].make(inputs(RELEASE, tmp_path, "")).absent
    assert set(nothing) <= set(KEYS)
    assert bool(nothing) == (not name.startswith("sdv"))
    assert PASSPORTS[name].make(inputs(RELEASE, tmp_path)).absent == ()
    some = PASSPORTS[name].make(inputs(RELEASE, tmp_path, "curators: [A]")).absent
    assert set(nothing) - set(some) == ({"curators"} if nothing else set())


@pytest.mark.parametrize("name", [n for n, kind in PASSPORTS.items() if kind.needs_rows])
def test_a_format_of_files_asks_for_the_rows(name):
    with pytest.raises(dps.InputError, match=f"{name} describes a file of rows; .*--synthetic"):
        PASSPORTS[name].make(Inputs.of(RELEASE))


def test_rows_of_another_table_are_refused(tmp_path):
    RELEASE.sample(5, seed=0).drop(columns="age").to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(dps.InputError, match="lacks column 'age'"):
        RowsFile.of(tmp_path / "r.csv", RELEASE.schema)
    with pytest.raises(dps.InputError, match=r"must be a \.csv or \.parquet file"):
        RowsFile.of(tmp_path / "r.txt", RELEASE.schema)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("region: Europe\nregoin: x", r"line 2: regoin: unknown key; did you mean 'region'\?"),
        ("\nregion: 3", "line 2: region: must be text, got 3"),
        ("curators: Ada", "line 1: curators: must be a list, got 'Ada'"),
        ("curators: []", "line 1: curators: must not be empty"),
        ("sector: Farming", "line 1: sector: must be 'Technology'"),
        ("publication_date: soon", "line 1: publication_date: "),
        ("publication_date: 0", "line 1: publication_date: must be a date such as .*, got 0"),
        ("licence: All rights reserved", "line 1: licence: must be an SPDX identifier, such as"),
        ("url: example.org", "line 1: url: "),
        ("- region", "must be a mapping with the keys curators"),
        ("region: [", "line "),
    ],
    ids=[
        "unknown",
        "number",
        "text",
        "none",
        "sector",
        "date",
        "seconds",
        "licence",
        "url",
        "list",
        "syntax",
    ],
)
def test_a_persons_file_is_refused_in_one_line(text, said):
    with pytest.raises(dps.InputError, match=f"^person: .*{said}") as raised:
        Person.from_text(text)
    assert "\n" not in str(raised.value)


def test_a_passport_says_what_the_card_says(tmp_path):
    made = inputs(RELEASE, tmp_path)
    card = data_card(RELEASE, intended=["Teaching statistics."])
    assert made.part == card.publishable
    assert [field["name"] for field in table_fields(RELEASE.schema)] == list(
        RELEASE.schema.domain.attributes
    )
