"""What is cited is in the references, under its own authors and year, and can be looked up."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
import yaml

import dp_synth
from dp_synth.attacks import ATTACKS
from dp_synth.citation import TITLE, YEAR, cite, methods
from dp_synth.datasets import names
from dp_synth.errors import InputError
from dp_synth.synthesizers import SYNTHESIZERS

ROOT = Path(__file__).parents[2]

PACKAGE = ROOT / "dp_synth"
TEXT = (PACKAGE / "references.bib").read_text(encoding="utf-8")
ENTRIES = {
    found[1]: found[0] for found in re.finditer(r"@\w+\{(\w+),\n.*?\n\}", TEXT, flags=re.DOTALL)
}
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
AUTHOR = re.compile(r"author = \{+(?:van |de )?([^,}]+)")


def field(entry: str, name: str) -> str:
    found = re.search(rf"^  {name} = \{{(.*)\}},$", entry, flags=re.MULTILINE)
    return found[1] if found else ""


def plain(text: str) -> str:
    """Letters without accents, be they Unicode's or TeX's."""
    bare = unicodedata.normalize("NFKD", re.sub(r"\\[\'\"`v^]|[{}]", "", text))
    return "".join(letter for letter in bare if not unicodedata.combining(letter)).lower()


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_a_key_is_the_first_author_and_the_year(key: str) -> None:
    found = AUTHOR.search(ENTRIES[key])
    assert found is not None
    letters = re.sub(r"[^a-z]", "", plain(found[1]))
    assert re.match(rf"{letters}{field(ENTRIES[key], 'year')}[a-z]*$", key)


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_every_reference_can_be_looked_up(key: str) -> None:
    entry = ENTRIES[key]
    assert field(entry, "title")
    assert field(entry, "doi") or field(entry, "url").startswith("https://")
    doi, eprint = field(entry, "doi"), field(entry, "eprint")
    assert re.match(r"10\.\d{4,5}/\S+$|^$", doi)
    if doi.startswith("10.48550"):
        assert doi == f"10.48550/arXiv.{eprint}"
    if eprint:
        assert int(eprint[:2]) + 2000 <= int(field(entry, "year"))


def test_what_the_docstrings_cite_by_number_is_in_the_references() -> None:
    known = {field(entry, "eprint") for entry in ENTRIES.values()}
    known |= {field(entry, "doi") for entry in ENTRIES.values()}
    missing = set()
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "datasets":  # cited by their own sentence
            continue
        text = path.read_text(encoding="utf-8")
        cited = set(ARXIV.findall(text))
        cited |= {doi.rstrip(".);,\"'") for doi in re.findall(r"doi:(10\.\S+)", text)}
        missing |= {(path.name, one) for one in cited - known}
    assert not missing


def test_what_the_docstrings_cite_by_number_is_by_whom_they_say() -> None:
    """The name before a year and a number is an author of that reference, in that year."""
    by_number = {field(entry, "eprint"): entry for entry in ENTRIES.values()}
    said = re.compile(
        r"(\w+)(?: et al\.)?,? (\d{4}),?\s*\(?(?:PoPETs \d+\), )?\(?arXiv:(\d{4}\.\d{4,5})"
    )
    seen = 0
    for path in PACKAGE.rglob("*.py"):
        for author, year, number in said.findall(path.read_text(encoding="utf-8")):
            entry = by_number[number]
            assert plain(author) in plain(field(entry, "author")), (path.name, author, number)
            assert year == field(entry, "year"), (path.name, year, number)
            seen += 1
    assert seen > 15


@pytest.mark.parametrize("name", ["paper", "report"])
def test_every_citation_of_the_text_is_known(name: str) -> None:
    text = (ROOT / "paper" / "templates" / f"{name}.md").read_text(encoding="utf-8")
    cited = set(re.findall(r"@([a-z]+\d{4}\w*)", text))
    assert cited
    assert cited <= set(ENTRIES)


def test_each_synthesizer_attack_and_table_can_be_cited() -> None:
    for name in [*SYNTHESIZERS, *ATTACKS, *names()]:
        text = cite(name)
        assert "@misc{dp_synth," in text, name
        assert text.count("{") == text.count("}"), name
    for name, method in methods().items():
        assert set(method.cites) <= set(ENTRIES), name


def test_a_citation_holds_the_method_first_and_the_version() -> None:
    text = cite("mst")
    assert text.startswith("@article{mckenna2021,")
    assert f"Version {dp_synth.__version__}" in text
    assert text.count("@") == 2


def test_a_name_that_nothing_has_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match="nothing to cite is called 'mts'; did you mean 'mst'"):
        cite("mts")


def citation_file(added: str = "") -> dict[str, object]:
    """The citation file, checked against the schema that its format publishes."""
    jsonschema = pytest.importorskip("jsonschema")
    schemas = pytest.importorskip("check_jsonschema.builtin_schemas")
    schema = schemas.get_builtin_schema("vendor.citation-file-format")
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8") + added
    read = json.loads(json.dumps(yaml.safe_load(text), default=str))
    jsonschema.validate(read, schema)
    return dict(read)


def test_the_citation_file_is_valid_and_says_what_the_package_says() -> None:
    read = citation_file()
    assert read["cff-version"] == "1.2.0"
    assert read["title"] == TITLE
    assert read["version"] == dp_synth.__version__
    assert str(read["date-released"]).startswith(YEAR)


def test_a_citation_file_with_an_unknown_field_is_found_invalid() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError, match="wrong-field"):
        citation_file("wrong-field: 1\n")


def test_the_archive_is_told_the_same_as_the_citation_file() -> None:
    archive = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    read = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert archive["title"] == read["title"]
    assert archive["version"] == read["version"]
    assert archive["license"] == read["license"]
    assert archive["keywords"] == read["keywords"]
    assert [one["name"] for one in archive["creators"]] == [one["name"] for one in read["authors"]]
