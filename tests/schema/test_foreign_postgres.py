"""What a PostgreSQL database declares of a table is its schema, and no record is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import postgres_server

from dp_synth.cli import main
from dp_synth.databases import Address, is_address
from dp_synth.errors import InputError, SchemaError
from dp_synth.schema.foreign import import_schema, questions
from dp_synth.schema.foreign.described import columns_of

TABLES = """
CREATE TYPE answer AS ENUM ('yes', 'no', 'won''t say');
CREATE DOMAIN share AS numeric(4, 3) NOT NULL CHECK (VALUE >= 0 AND VALUE <= 1);
CREATE TABLE homes (home integer PRIMARY KEY);
CREATE TABLE people (
    id integer PRIMARY KEY,
    home integer REFERENCES homes,
    "Age" integer NOT NULL CHECK ("Age" BETWEEN 0 AND 120),
    ok answer NOT NULL,
    sex varchar(1) CHECK (sex IN ('F', 'M')),
    kind text CHECK (kind = ANY (ARRAY['a', 'b', 'c'])),
    grade smallint CHECK (grade IN (1, 2, 3)),
    height numeric(5, 2) CHECK (height > 0.3 AND 3 >= height),
    heat double precision CHECK (heat >= -40 AND heat < 60),
    born date CHECK (born >= DATE '1900-01-01' AND born < '2030-01-01'),
    paid bigint,
    part share,
    nick varchar(9) CHECK (nick > '5'),
    tags text[],
    member boolean NOT NULL,
    CHECK (paid < "Age")
);
COMMENT ON COLUMN people.heat IS 'degrees Celsius';
INSERT INTO homes VALUES (1);
INSERT INTO people VALUES
    (1, 1, 77, 'no', 'F', 'a', 1, 1.7, 20, '1950-01-01', 5, 0.5, '6', NULL, true);
CREATE SCHEMA old;
CREATE TABLE old.people (id integer);
CREATE TABLE old.visits (nights integer CHECK (nights > 5), CHECK (nights < 2));
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_server() as address:
        import psycopg

        with psycopg.connect(address) as database:
            database.execute(TABLES)
        yield address


def test_what_is_declared_becomes_bounds_categories_keys_and_missing_marks(url: str) -> None:
    content = import_schema(f"{url}?table=public.people")
    by_name = {str(one["name"]): one for one in columns_of(content)}
    ends = {name: (one.get("lower"), one.get("upper")) for name, one in by_name.items()}
    assert content["name"] == "people"
    assert by_name["id"]["type"] == by_name["home"]["type"] == "id"
    assert "refers to table 'homes'" in str(by_name["home"]["note"])
    assert ends["Age"] == (0, 120)
    assert by_name["ok"]["categories"] == ["yes", "no", "won't say"]
    assert "missing" not in by_name["ok"]
    assert by_name["sex"]["categories"] == ["F", "M"]
    assert by_name["sex"]["missing"] == [""]
    assert by_name["kind"]["categories"] == ["a", "b", "c"]
    assert by_name["grade"]["categories"] == ["1", "2", "3"]
    assert ends["height"] == (0.3, 3)
    assert by_name["height"]["decimals"] == 2
    assert ends["heat"] == (-40, 60)
    assert by_name["heat"]["title"] == "degrees Celsius"
    assert by_name["born"]["lower"] == "1900-01-01"
    assert ends["part"] == (0, 1)
    assert "missing" not in by_name["part"]
    assert by_name["tags"]["type"] == "id"
    assert by_name["member"]["categories"] == ["false", "true"]
    assert "not read" in str(by_name["paid"]["note"])
    assert "not read" in str(by_name["nick"]["note"])  # an order of texts, not of numbers
    assert questions(content) == [
        "column 'paid': bounds are missing",
        "column 'nick': categories are missing",
    ]
    assert "people in PostgreSQL" in str(content["bounds_from"])
    assert not {"tests", "77", "1950"} & set(json.dumps(content).replace('"', " ").split())


def test_an_own_command_makes_a_schema_file(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "homes.meta.json"
    command = ["schema", "import", url, "--table", "homes", "--out", str(out)]
    assert main(command) == 0
    assert json.loads(out.read_text())["columns"][0]["type"] == "id"
    assert main([*command[:3], "--table", "nobody"]) == 2
    error = capsys.readouterr().err
    assert "tests@" not in error
    assert error.count("\n") == 1
    assert "'homes', 'old.people', 'public.people', 'visits'" in error


def test_a_check_that_holds_for_nobody_is_refused_and_a_name_of_two_schemas_is_asked_for(
    url: str,
) -> None:
    with pytest.raises(SchemaError, match="column 'nights': field 'CHECK'"):
        import_schema(url, table="visits")
    with pytest.raises(SchemaError, match=r"'old\.people', 'public\.people'"):
        import_schema(url, table="people")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"table": "homes"}, "names table 'people', and not 'homes'"),
        ({"kind": "sdv"}, "takes no --numeric and no other --format"),
        ({"numeric": ["a"]}, "takes no --numeric"),
        ({}, "the server cannot be reached"),
    ],
)
def test_a_database_that_cannot_be_read_is_one_line_without_a_password(
    more: dict[str, object], said: str, tmp_path: Path
) -> None:
    pytest.importorskip("psycopg")
    address = f"postgresql://me:hushhush@/census?host={tmp_path}&table=people"
    with pytest.raises(InputError, match=said) as told:
        import_schema(address, **more)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    assert "hushhush" not in str(told.value)
    assert "me:" not in str(told.value)


def test_addresses_are_told_from_files() -> None:
    assert is_address("postgres://h/d")
    assert not is_address("postgres.json")
    assert Address.of("postgres://u@h:5/d?table=t&sslmode=require").place == (
        "postgres://u@h:5/d?sslmode=require"
    )
