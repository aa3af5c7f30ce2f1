"""Counts of tables in databases: those of a fit in memory, with nothing else on the wire."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given
from hypothesis import settings as run_with
from hypothesis import strategies as st
from postgres import has_postgres, postgres_server

from dp_synth import Accountant, PrivacyBudget, Schema
from dp_synth.counting import CachedCounts, PrivateRecords
from dp_synth.counting.database import DatabaseTable, read_database
from dp_synth.counting.parities import count_parities
from dp_synth.counting.sql import CodeExpression, counting_statement
from dp_synth.domain import NO_BIT, ParitySets
from dp_synth.errors import InputError, RowsNeeded, SchemaError
from dp_synth.frames import as_frame
from dp_synth.release import Release
from dp_synth.report.guarantee import findings_of
from dp_synth.synthesizers import SYNTHESIZERS

duckdb = pytest.importorskip("duckdb")
sqlglot = pytest.importorskip("sqlglot")

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "bounds_from": "made for this test",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", 'it\'s "M"']},
            {"name": "code", "type": "categorical", "size": 4, "missing": ["-9", "NA"]},
            {"name": "grade", "type": "ordinal", "categories": ["1.5", "0.1", "true"]},
            {"name": "paid", "type": "categorical", "categories": ["true", "false"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 90, "missing": ["-1", "NA"]},
            {
                "name": "wage",
                "type": "real",
                "lower": -5,
                "upper": 10,
                "bins": [-5, 0, 0, 2.5, 10],
                "missing": ["-99.9", "inf"],
            },
            {
                "name": "debt",
                "type": "real",
                "lower": -1000,
                "upper": 1000,
                "bins": 7,
                "missing": [""],
            },
            {
                "name": "born",
                "type": "datetime",
                "lower": "1990-01-01",
                "upper": "2020-12-31",
                "bins": 12,
            },
            {
                "name": "seen",
                "type": "datetime",
                "lower": "2020-01-01T00:00:00",
                "upper": "2020-03-01T12:00:00",
                "bins": 9,
            },
            {"name": "label", "type": "integer", "lower": 0, "upper": 1},
        ],
    }
)

QUICK = ("independent", "mst", "clique_tree")  # the others fit for seconds

WORDS = ["", " ", "NA", "F", 'it\'s "M"', "-9", "2", "2.0", " 3", "1e0", "07", "never", "TRUE"]
SPELT = [*WORDS, "-1", "-1.0", "90.5", "89.5", "1_000", "1e5", "-inf", " Infinity", "nan", "+.5"]
SPELT += ["5.", ".", "-", "0.5", "1.5", "2.5", "false", "1e99", "12abc", "-99.9", "\t4\n"]
REALS = [0.0, -0.0, 0.1, 1.5, 2.5, math.nextafter(2.5, 0), -5.0, 10.0, 11.0, -99.9, 1e300]
REALS += [float(np.float32(-99.9)), float(np.float32(0.1)), math.inf, -math.inf, math.nan, 1.0]
WHOLE = [0, 1, 2, 3, 4, -9, -1, 90, 91, 2**53 + 1, -(2**62)]
DAYS = [date(1989, 12, 31), date(1990, 1, 1), date(2004, 2, 29), date(2020, 12, 31)]
TIMES = [datetime(2019, 1, 1), datetime(2020, 1, 31, 23, 59, 59, 999999), datetime(2021, 1, 1)]

KINDS = {  # by column: Arrow's type, DuckDB's, PostgreSQL's, and cells
    "sex": (pa.string(), "VARCHAR", "text", WORDS),
    "code": (pa.string(), "VARCHAR", "text", SPELT),
    "grade": (pa.float64(), "DOUBLE", "double precision", REALS),
    "paid": (pa.bool_(), "BOOLEAN", "boolean", [True, False]),
    "age": (pa.string(), "VARCHAR", "text", SPELT),
    "wage": (pa.float64(), "DOUBLE", "double precision", REALS),
    "debt": (pa.string(), "VARCHAR", "text", SPELT),
    "born": (pa.date32(), "DATE", "date", DAYS),
    "seen": (pa.timestamp("us"), "TIMESTAMP", "timestamp", TIMES),
    "label": (pa.bool_(), "BOOLEAN", "boolean", [True, False]),
}
# The same columns as other types of an engine.
OTHERS = {
    **KINDS,
    "sex": (pa.bool_(), "BOOLEAN", "boolean", [True, False]),
    "code": (pa.int64(), "BIGINT", "bigint", WHOLE),
    "grade": (pa.string(), "VARCHAR", "text", SPELT),
    "paid": (pa.int64(), "BIGINT", "bigint", WHOLE),
    "age": (pa.int64(), "BIGINT", "bigint", WHOLE),
    "wage": (pa.string(), "VARCHAR", "text", SPELT),
    "debt": (pa.int64(), "BIGINT", "bigint", WHOLE),
    "label": (pa.float64(), "DOUBLE", "double precision", REALS),
}


def table_of(kinds: dict, places: list[list[int]]) -> pa.Table:
    """Return records of cells by their places; one place beyond is a null."""
    columns = {}
    for axis, (name, (kind, _, _, cells)) in enumerate(kinds.items()):
        known = [*cells, None]
        columns[name] = pa.array([known[line[axis] % len(known)] for line in places], kind)
    return pa.table(columns)


def everything(kinds: dict) -> pa.Table:
    """Return a table in which each cell of each column occurs, beside those of others."""
    steps = (31, 37, 41, 43, 47, 53, 59, 61, 67, 71)  # primes, so that each cell has its turn
    return table_of(kinds, [[i * step for step in steps] for i in range(300)])


def write_duckdb(path: object, table: pa.Table) -> str:
    with duckdb.connect(str(path)) as base:
        base.register("given", table)
        base.execute("CREATE OR REPLACE TABLE people AS SELECT * FROM given")
    return f"duckdb:///{path}?table=people"


def write_postgres(server: str, name: str, kinds: dict, table: pa.Table) -> str:
    import psycopg

    types = ", ".join(f'"{column}" {kind[2]}' for column, kind in kinds.items())
    with psycopg.connect(server) as base:
        base.execute(f"DROP TABLE IF EXISTS {name}")
        base.execute(f"CREATE TABLE {name} ({types})")
        with base.cursor().copy(f"COPY {name} FROM STDIN") as copy:
            for row in table.to_pylist():
                copy.write_row(list(row.values()))
    return f"{server}?table={name}"


def assert_counts_alike(address: str, table: pa.Table) -> None:
    """Compare all marginals up to pairs, and those with other codes, with counts in memory."""
    with read_database(address, SCHEMA) as stored, PrivateRecords.of(table, SCHEMA) as held:
        ours, theirs = stored.counts, held.counts
        domain = theirs.domain
        cliques = [(), *((a,) for a in domain)]
        small = [a for a in domain if domain.size(a) < 200]
        cliques += [pair[::-1] for pair in combinations(small, 2)]
        for clique, mine, other in zip(
            cliques, ours.marginals(cliques), theirs.marginals(cliques), strict=True
        ):
            assert np.array_equal(mine, other), clique
        assert len(ours) == len(theirs)
        groups = {a: np.arange(domain.size(a)) * 7 % 11 % min(domain.size(a), 3) for a in domain}
        ours, theirs = ours.coarsened(groups), theirs.coarsened(groups)
        triple = ("age", "wage", "code")
        assert np.array_equal(ours.marginal(triple), theirs.marginal(triple))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("psycopg")
    if not has_postgres():
        pytest.skip("PostgreSQL's server is not installed")
    with postgres_server() as address:
        yield address


@pytest.mark.parametrize("kinds", [KINDS, OTHERS])
@run_with(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
@given(data=st.data())
def test_duckdb_counts_what_a_fit_in_memory_counts(kinds, data, tmp_path_factory):
    line = st.lists(st.integers(0, 60), min_size=len(KINDS), max_size=len(KINDS))
    table = table_of(kinds, data.draw(st.lists(line, max_size=12)))
    path = tmp_path_factory.mktemp("base") / "people.db"
    assert_counts_alike(write_duckdb(path, table), table)


@pytest.mark.parametrize("kinds", [KINDS, OTHERS])
def test_duckdb_counts_every_odd_cell(kinds, tmp_path):
    table = everything(kinds)
    assert_counts_alike(write_duckdb(tmp_path / "people.db", table), table)


@pytest.mark.parametrize("kinds", [KINDS, OTHERS])
def test_postgresql_counts_every_odd_cell(kinds, server):
    table = everything(kinds)
    assert_counts_alike(write_postgres(server, "people", kinds, table), table)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK))
        for name, one in SYNTHESIZERS.items()
        if one.measures
    ],
)
def test_a_release_is_that_of_the_same_records_in_memory(name, tmp_path):
    schema = SCHEMA.select(["sex", "code", "paid", "age", "born"])
    table = everything(KINDS).select(list(schema.names))
    address = write_duckdb(tmp_path / "people.db", table)
    budget = PrivacyBudget(1, 1e-6)
    recipe = SYNTHESIZERS[name](**{"rounds": 2} if name == "mwem" else {})
    ours = recipe.fit(address, schema, budget, seed=3)
    theirs = recipe.fit(as_frame(table), schema, budget, seed=3)
    assert ours.sample(50, seed=1).equals(theirs.sample(50, seed=1))
    for mine, other in zip(ours.transcript, theirs.transcript, strict=True):
        assert repr(mine) == repr(other)


def test_a_release_from_postgresql_is_that_of_duckdb(server, tmp_path):
    schema = SCHEMA.select(["sex", "code", "age", "debt"])
    table = everything(KINDS)
    addresses = [
        write_duckdb(tmp_path / "people.db", table),
        write_postgres(server, "persons", KINDS, table),
    ]
    fits = [SYNTHESIZERS["mst"]().fit(a, schema, PrivacyBudget(1, 1e-6), seed=3) for a in addresses]
    first, second = (fit.sample(50, seed=1) for fit in fits)
    assert first.equals(second)


def assert_parities_alike(address: str, table: pa.Table) -> None:
    """Compare parities that the engine counts with those of records, over coarser codes too."""
    with read_database(address, SCHEMA) as stored, PrivateRecords.of(table, SCHEMA) as held:
        groups = {a: np.arange(held.counts.domain.size(a)) % 5 for a in ("age", "wage")}
        for grouped in (False, True):
            ours, theirs = stored.counts, held.counts
            if grouped:
                ours, theirs = ours.coarsened(groups), theirs.coarsened(groups)
            domain = theirs.domain
            halves = [np.arange(domain.size(a)) % 2 for a in domain]
            halves.append(np.arange(domain.size("code")) // 2 % 2)
            last = len(domain)
            sets = [[0, 1, 2], [1, last, NO_BIT], [3, NO_BIT, NO_BIT], [4, 5, last], [1, 1, 3]]
            asked = ParitySets((*domain, "code"), tuple(halves), np.array(sets))
            expected = count_parities(theirs, asked)
            before = stored.table.statements
            assert np.array_equal(ours.parities(asked), expected)
            assert stored.table.statements <= before + 2  # the parities, and the number of records
            cached = CachedCounts(ours)
            for counts in (ours, cached, cached.coarsened({})):
                counts.blocks = _refusing  # as of a domain of very many cells
                assert np.array_equal(count_parities(counts, asked), expected)


def test_duckdb_counts_parities_where_no_records_come(tmp_path):
    table = everything(KINDS)
    assert_parities_alike(write_duckdb(tmp_path / "people.db", table), table)
    assert_parities_alike(write_duckdb(tmp_path / "none.db", table[:0]), table[:0])


def test_postgresql_counts_parities_where_no_records_come(server):
    for table in (everything(KINDS), everything(KINDS)[:0]):
        assert_parities_alike(write_postgres(server, "odd", KINDS, table), table)


def test_parities_of_a_store_that_has_no_way_of_its_own_come_from_marginals():
    table = everything(KINDS)
    with PrivateRecords.of(table, SCHEMA) as held:
        halves = tuple(np.arange(held.counts.domain.size(a)) % 2 for a in ("sex", "code", "paid"))
        asked = ParitySets(("sex", "code", "paid"), halves, np.array([[0, 1, 2], [0, 2, NO_BIT]]))
        expected = count_parities(held.counts, asked)
        held.counts.blocks = _refusing
        assert np.array_equal(count_parities(held.counts, asked), expected)


def _refusing(clique):
    raise RowsNeeded("no records come")


def test_a_fit_asks_few_statements_and_nothing_twice(tmp_path, monkeypatch):
    schema = SCHEMA.select(["sex", "code", "paid", "age", "born"])
    address = write_duckdb(tmp_path / "people.db", everything(KINDS))
    asked, counts = [], DatabaseTable.counts

    def counted(table, statement, **given):
        asked.append(statement)
        return counts(table, statement, **given)

    monkeypatch.setattr(DatabaseTable, "counts", counted)
    for name, most in (("independent", 1), ("mst", 3), ("clique_tree", 4)):
        asked.clear()
        SYNTHESIZERS[name]().fit(address, schema, PrivacyBudget(20, 1e-6), seed=3)
        assert len(set(asked)) <= most
        assert all("GROUPING" in one or "COUNT" in one for one in asked)


def test_a_release_and_its_card_say_that_exact_counts_crossed_the_wire(tmp_path):
    schema, table = SCHEMA.select(["sex", "code"]), everything(KINDS)
    address = write_duckdb(tmp_path / "people.db", table)
    release = SYNTHESIZERS["mst"]().fit(address, schema, PrivacyBudget(1, 1e-6), seed=3)
    release.save(tmp_path / "release.npz")
    for one in (release, Release.load(tmp_path / "release.npz")):
        assert one.counted_by == "DuckDB"
        (found,) = [f for f in findings_of(one) if f.kind == "counts_on_the_wire"]
        assert "DuckDB" in found.text
        assert "people" not in found.text
    held = SYNTHESIZERS["mst"]().fit(as_frame(table), schema, PrivacyBudget(1, 1e-6), seed=3)
    assert not held.counted_by
    assert all(f.kind != "counts_on_the_wire" for f in findings_of(held))


def test_records_never_come(tmp_path):
    wide = Schema.from_dict(
        {
            "name": "wide",
            "bounds_from": "made",
            "columns": [{"name": n, "type": "categorical", "size": 100} for n in "abcd"],
        }
    )
    table = pa.table({name: [1, 2] for name in "abcd"})
    with (
        read_database(write_duckdb(tmp_path / "w.db", table), wide) as stored,
        pytest.raises(RowsNeeded, match="only marginals come"),
    ):
        stored.counts.occupied(("a", "b", "c", "d"))


@pytest.mark.parametrize("name", ["dpctgan", "marginal_generator"])
def test_what_reads_records_is_refused_before_a_connection(name):
    with pytest.raises(InputError, match="reads records, which stay in their database"):
        SYNTHESIZERS[name]().fit("duckdb:///none.db?table=t", SCHEMA, PrivacyBudget(1, 1e-6))


def test_a_unit_of_several_records_is_refused():
    with pytest.raises(SchemaError, match="one record a unit"):
        read_database("duckdb:///none.db?table=t", SCHEMA, unit="sex")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("duckdb:///none.db", "must end in .table=NAME"),
        ("duckdb:///none.db?table=people", "there is no such database"),
        ("duckdb:///none.db?table=people&user=me", "takes .table=NAME alone, got 'user'"),
        ("duckdb:///{base}?table=others", "'others': the database did not answer"),
        ("duckdb:///{base}?table=people", "lacks column 'code'"),
    ],
)
def test_an_address_that_is_not_right_is_one_line(address, why, tmp_path):
    base = tmp_path / "people.db"
    write_duckdb(base, everything(KINDS).select(["sex"]))
    with pytest.raises(InputError, match=why) as raised:
        read_database(address.format(base=base), SCHEMA)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("column", "kind"), [("born", "VARCHAR"), ("age", "DATE"), ("sex", "BLOB"), ("sex", "TIME")]
)
def test_a_column_of_another_type_is_named_and_a_view_advised(column, kind, tmp_path):
    path = tmp_path / "people.db"
    with duckdb.connect(str(path)) as base:
        base.execute(f'CREATE TABLE people ("{column}" {kind})')
    with pytest.raises(SchemaError, match=f"column '{column}'.*give a view"):
        read_database(f"duckdb:///{path}?table=people", SCHEMA.select([column]))


def test_a_server_that_is_not_there_is_one_line_without_the_password():
    pytest.importorskip("psycopg")
    with pytest.raises(InputError, match="cannot be reached") as raised:
        DatabaseTable("postgresql://me:s3cret@127.0.0.1:1/base?table=people")
    assert "s3cret" not in str(raised.value)


def test_what_was_charged_stays_charged_where_the_connection_is_lost(server, monkeypatch):
    import psycopg

    schema = SCHEMA.select(["sex", "code", "paid"])
    address = write_postgres(server, "lost", KINDS, everything(KINDS))
    accountant = Accountant(PrivacyBudget(1, 1e-6))
    counted = DatabaseTable.counts

    def lose(table, statement):
        if table.statements == 1:  # the server ends the connection, as a restart does
            with psycopg.connect(server, autocommit=True) as other:
                pid = table._connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        return counted(table, statement)

    monkeypatch.setattr(DatabaseTable, "counts", lose)
    with pytest.raises(InputError, match="stays charged") as raised:
        SYNTHESIZERS["mst"]().fit(address, schema, accountant, seed=0)
    assert "\n" not in str(raised.value)
    assert any(entry.kind == "charge" for entry in accountant.ledger)


def test_a_table_that_changes_is_counted_as_it_was(server):
    import psycopg

    schema = SCHEMA.select(["sex"])
    address = write_postgres(server, "moving", KINDS, everything(KINDS))
    with read_database(address, schema) as stored:
        before = stored.counts.marginal(("sex",))
        with psycopg.connect(server) as other:
            other.execute("DELETE FROM moving")
        assert np.array_equal(stored.counts.marginal(("sex",)), before)
        assert before.sum() == 300


def test_a_table_that_may_not_be_read_is_one_line(server):
    import psycopg

    write_postgres(server, "hidden", KINDS, everything(KINDS))
    with psycopg.connect(server) as base:
        base.execute("DROP ROLE IF EXISTS guest")
        base.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(InputError, match="may this user read it"):
        read_database(f"{server.replace('tests@', 'guest@')}?table=hidden", SCHEMA)


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "trino", "spark", "postgres"])
def test_statements_are_said_in_other_dialects(dialect):
    known = {
        "sex": CodeExpression(SCHEMA.column("sex"), "text"),
        "wage": CodeExpression(SCHEMA.column("wage"), "double"),
        "age": CodeExpression(SCHEMA.column("age"), "text"),
    }
    cliques = [("sex", "wage"), ("age", "sex")]
    said = counting_statement("base.people", known, cliques, dialect=dialect)
    parsed = sqlglot.parse_one(said, read=dialect)
    (sets,) = parsed.find_all(sqlglot.exp.GroupingSets)
    assert len(sets.expressions) == 2


def test_a_stage_is_one_statement_that_holds_public_words_alone(tmp_path):
    table = everything(KINDS)
    with read_database(write_duckdb(tmp_path / "p.db", table), SCHEMA) as stored:
        counts = stored.counts
        counts.marginals([("sex",), ("code",), ("sex", "code"), ("paid", "born")])
        assert stored.table.statements == 1
