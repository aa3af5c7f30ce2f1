"""Constraints: what can never hold together has no code, and no decoded record violates it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.errors import SchemaError
from dp_synth.schema import Schema, check
from dp_synth.schema.numeric import NumericColumn

AGE = {"name": "AGEP", "type": "integer", "lower": 0, "upper": 95}
MSP = {"name": "MSP", "type": "categorical", "categories": ["1", "2", "6"], "missing": ["N"]}
INCOME = {"name": "PINCP", "type": "integer", "lower": -4600, "upper": 1341000, "missing": ["N"]}
DECILE = {"name": "DECILE", "type": "ordinal", "size": 10, "missing": ["N"]}
CHILDREN = {"impossible": {"AGEP": {"below": 15}, "MSP": ["1", "2"]}}
TENTHS = {
    "function": {
        "of": "PINCP",
        "gives": "DECILE",
        "where": [
            {"when": {"missing": True}, "then": "N"},
            {"when": {"below": 0}, "then": "0"},
            {"when": {"from": 0, "below": 12_345}, "then": ["1", "2"]},
        ],
    }
}


def schema_of(*columns: object, constraints: object = ()) -> dict[str, object]:
    return {"name": "t", "columns": list(columns), "constraints": constraints}


CENSUS = Schema.from_dict(
    schema_of(AGE, MSP, INCOME, DECILE, constraints=[CHILDREN, TENTHS]),
)


def test_conditions_that_never_hold_together_are_structural_zeros():
    support = CENSUS.domain.supports[0]
    mask = support.mask(CENSUS.domain.shape(support.clique))
    assert support.clique == ("AGEP", "MSP")
    assert not mask[:15, :2].any()
    assert mask[15:].all()
    assert mask[:15, 2:].all()


def test_a_function_allows_what_its_table_says_and_leaves_the_rest_free():
    support = CENSUS.domain.supports[1]
    mask = support.mask(CENSUS.domain.shape(support.clique))
    incomes = CENSUS.column("PINCP").encode(pd.Series(["-1", "0", "12344", "12345", "N"]))
    assert [np.flatnonzero(row).tolist() for row in mask[incomes]] == [
        *[[0], [1, 2], [1, 2], list(range(11)), [10]]
    ]


def test_cells_of_every_kind_of_bins_begin_where_a_condition_does():
    for bins in ({}, {"bins": 7}, {"bins": [-4600, 20_000]}):
        schema = Schema.from_dict(schema_of({**INCOME, **bins}, DECILE, constraints=[TENTHS]))
        column = schema.column("PINCP")
        assert isinstance(column, NumericColumn)
        assert {0, 12_345} <= set(column.grid.cuts)
        assert Schema.from_dict(schema.to_dict()) == schema
        assert schema.to_dict()["columns"][0] == {**INCOME, **bins}
    fine = CENSUS.fine["PINCP"]
    assert fine.walls[fine.grid.cells(np.array([0.0, 12_345.0]))].all()


def test_selecting_columns_keeps_the_constraints_whose_columns_are_all_chosen():
    assert CENSUS.select(["MSP", "AGEP"]).constraints == CENSUS.constraints[:1]
    assert CENSUS.select(["MSP", "AGEP"]).domain.supports[0].clique == ("MSP", "AGEP")
    alone = CENSUS.select(["PINCP"])
    assert alone.constraints == ()
    assert 12_345 not in alone.column("PINCP").grid.cuts


def test_constraints_on_the_same_columns_become_one_support():
    both = [CHILDREN, {"impossible": {"MSP": ["6"], "AGEP": {"from": 90}}}]
    (support,) = Schema.from_dict(schema_of(AGE, MSP, constraints=both)).domain.supports
    mask = support.mask((96, 4))
    assert np.flatnonzero(~mask[3]).tolist() == [0, 1]
    assert np.flatnonzero(~mask[92]).tolist() == [2]


def test_the_data_holder_is_told_how_many_records_violate_each_constraint():
    frame = pd.DataFrame(
        {
            "AGEP": ["3", "14", "15", "60"],
            "MSP": ["1", "N", "2", "6"],
            "PINCP": ["N", "-5", "3", "99"],
            "DECILE": ["N", "0", "5", "9"],
        }
    )
    assert check(frame, CENSUS) == [
        "constraint 1 on 'AGEP', 'MSP': broken by 1 record",
        "constraint 2 on 'PINCP', 'DECILE': broken by 2 records",
    ]
    assert check(frame.drop(columns="MSP"), CENSUS)[1:] == check(frame, CENSUS)[1:]


def rule(**conditions: object) -> dict[str, object]:
    return {"impossible": conditions}


def case(**fields: object) -> dict[str, object]:
    whole = {"of": "PINCP", "gives": "DECILE", "where": [{"when": {"below": 0}, "then": "0"}]}
    return {"function": {**whole, **fields}}


FAULTS = [
    (rule(WAGE={"below": 3}, MSP=["1"]), "constraint 1: no column 'WAGE'"),
    (rule(MSP=["7"]), "constraint 1: column 'MSP': has no category '7'"),
    (rule(AGEP={"missing": True}), "constraint 1: column 'AGEP': has no missing marks"),
    (rule(AGEP=[200]), "constraint 1: column 'AGEP': 200 lies outside lower and upper"),
    (rule(AGEP=[1.5]), "constraint 1: column 'AGEP': holds whole numbers, got 1.5"),
    (rule(AGEP={"below": "x"}), "constraint 1: column 'AGEP': a condition gives numbers, got 'x'"),
    (rule(AGEP={"above": 3}), "constraint 1: column 'AGEP': must be a list of texts or numbers"),
    (rule(AGEP=[]), "constraint 1: column 'AGEP': must be a list of texts or numbers"),
    (rule(MSP={"below": "2"}), "constraint 1: column 'MSP': 'from' and 'below' need numbers"),
    (rule(MSP=["1", "2", "6", "N"]), "constraint 1: leaves nothing possible for 'MSP'"),
    (rule(KEY=["1"]), "constraint 1: column 'KEY': is an identifier"),
    (case(of="DECILE"), "constraint 1: column 'DECILE' cannot be a function of itself"),
    (case(gives="SHARE"), "constraint 1: no column 'SHARE'"),
    (case(where=[{"when": {"below": 0}, "then": "12"}]), "constraint 1: column 'DECILE': has no c"),
    (case(where=[{"when": 3, "then": "1"}]), "constraint 1: field 'when': must be a list of texts"),
    (case(where=[]), "constraint 1: field 'where': must not be empty"),
    ({}, "constraint 1: must hold either 'impossible' or 'function'"),
    (
        {"possible": {}},
        "constraint 1: field 'possible': unknown key; did you mean 'imposs",
    ),
    (
        {"function": {"off": "a", "gives": "b", "where": [{"when": ["x"], "then": "y"}]}},
        "constraint 1: field 'off': unknown key; did you mean 'of'?",
    ),
    (
        {"function": {"of": "a", "gives": "b", "where": [{"when": ["x"], "than": "y"}]}},
        "constraint 1: field 'than': unknown key; did you mean 'then'?",
    ),
    (rule(PINCP=["N"], SMALL=["1"], WIDE=["1"]), "constraint 1: columns 'PINCP', 'SMALL', 'WIDE'"),
]


@pytest.mark.parametrize(("constraint", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_constraint_that_does_not_fit_the_columns_is_refused_in_one_line(constraint, fault):
    others = [
        {"name": "KEY", "type": "id"},
        {"name": "SMALL", "type": "ordinal", "size": 200},
        {"name": "WIDE", "type": "ordinal", "size": 300},
    ]
    columns = [AGE, MSP, INCOME, DECILE, *others]
    with pytest.raises(SchemaError) as caught:
        Schema.from_dict(schema_of(*columns, constraints=[constraint]))
    assert str(caught.value).startswith(f"schema: {fault}")
    assert "\n" not in str(caught.value)


def made_column(name: str, rng: np.random.Generator) -> dict[str, object]:
    """A column of any kind, with missing marks or without."""
    lower = int(rng.integers(-2000, 1000))
    number = {"lower": lower, "upper": lower + int(rng.integers(1, 3000))}
    bins = [{}, {"bins": int(rng.integers(1, 3))}][int(rng.integers(2))]
    kinds = [
        {"type": "categorical", "categories": ["a", "b", "c"]},
        {"type": "ordinal", "size": 5},
        {"type": "integer", **number, **bins},
        {"type": "real", **number, **bins, "decimals": int(rng.integers(4))},
        {"type": "real", **number, **bins},
        {"type": "datetime", "lower": "2019-01-01", "upper": "2019-12-31", **bins},
    ]
    marks = {"missing": ["N", "?"]} if rng.integers(2) else {}
    return {"name": name, **kinds[int(rng.integers(len(kinds)))], **marks}


def made_condition(column: dict[str, object], rng: np.random.Generator) -> object:
    """A condition that fits the column."""
    if "missing" in column and rng.random() < 0.3:
        return [{"missing": True}, ["N"]][int(rng.integers(2))]
    if column["type"] == "categorical":
        return ["a", "b"][: 1 + int(rng.integers(2))]
    if column["type"] == "datetime":
        ends = [f"2019-{month:02d}-15" for month in sorted(rng.integers(1, 13, 2))]
    elif column["type"] == "ordinal":
        ends = sorted(rng.integers(0, 6, 2).tolist())
    else:
        ends = sorted(rng.integers(column["lower"], column["upper"] + 1, 2).tolist())
    if column["type"] != "ordinal" and rng.random() < 0.3:
        return ends[:1]
    kinds = [{"from": ends[0]}, {"below": ends[1]}, {"from": ends[0], "below": ends[1]}]
    return kinds[int(rng.integers(3))]


def holds(condition: object, cell: object, column: dict[str, object]) -> bool:
    """The slow obvious reading of a condition on a decoded cell."""
    if cell in column.get("missing", ()):
        return condition == {"missing": True} or (isinstance(condition, list) and cell in condition)
    if isinstance(condition, list):
        return any(type(cell)(item) == cell for item in condition if item != "N")
    if "missing" in condition:
        return False
    if column["type"] == "ordinal":
        cell = int(cell)
    least, beyond = condition.get("from"), condition.get("below")
    return (least is None or cell >= least) and (beyond is None or cell < beyond)


def made_cells(schema: Schema, rng: np.random.Generator) -> Schema:
    """The schema with random cells chosen wherever a fit would choose them."""
    groups = {}
    for name, fine in schema.fine.items():
        begins = fine.walls | (rng.random(len(fine.walls)) < 10 / len(fine.walls))
        groups[name] = np.cumsum(begins).astype(np.int32) - 1
    return schema.binned(groups)


def drawn_within(schema: Schema, records: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform codes without those that the supports call impossible."""
    domain = schema.domain
    codes = rng.integers(0, domain.sizes, size=(records, len(domain)), dtype=np.int32)
    for support in domain.supports:
        mask = support.mask(domain.shape(support.clique))
        codes = codes[mask[tuple(codes[:, domain.axis(a)] for a in support.clique)]]
    return codes


def test_decoded_records_of_random_schemas_never_violate_their_constraints():
    rng = np.random.default_rng(0)
    checked = violations = 0
    while checked < 50:
        columns = [made_column(name, rng) for name in "abc"]
        pair = rng.permutation(3)[:2]
        impossible = {columns[i]["name"]: made_condition(columns[i], rng) for i in pair}
        of, gives = (columns[i] for i in rng.permutation(3)[:2])
        texts = {"categorical": "b", "ordinal": "3"}.get(gives["type"])
        when = made_condition(of, rng)
        function = {"of": of["name"], "gives": gives["name"], "where": [{"when": when, "then": ""}]}
        rules: list[dict[str, object]] = [{"impossible": impossible}]
        if texts:
            function["where"][0]["then"] = texts
            rules.append({"function": function})
        schema = made_cells(Schema.from_dict(schema_of(*columns, constraints=rules)), rng)
        assert Schema.from_dict(schema.to_dict()) == schema
        codes = drawn_within(schema, 300, rng)
        rows = schema.decode(codes, rng)
        assert (schema.encode(rows) == codes).all()
        by_name = {column["name"]: column for column in columns}
        free = schema.decode(rng.integers(0, schema.domain.sizes, (300, 3)), rng)
        for table, allowed in ((rows, True), (free, False)):
            broken = [
                all(holds(impossible[n], row[n], by_name[n]) for n in impossible)
                or (
                    texts is not None
                    and holds(when, row[of["name"]], of)
                    and row[gives["name"]] != texts
                )
                for row in table.to_dict("records")
            ]
            assert not (allowed and any(broken))
            violations += 0 if allowed else sum(broken)
        checked += len(codes) > 0
    assert violations > 500  # unconstrained records do violate them, so that the check can fail
