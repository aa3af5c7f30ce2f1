"""Public numbers beyond what there is room or time for are refused in one line, at once.

Each value would take more than the memory limit of the tests' own process, or hours, if it were
not refused before anything is made of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.audit import audit, worst_case
from dp_synth.benchmark import Grid, run_grid
from dp_synth.cli import main
from dp_synth.domain import MOST_CLIQUES, Domain
from dp_synth.errors import GridError, InputError, SchemaError
from dp_synth.inference.triangulation import spanning_parents, total_cells
from dp_synth.schema import Schema
from dp_synth.settings import check_settings
from dp_synth.synthesizers import SYNTHESIZERS

GIANT = 10**9
GRID = {
    "name": "g",
    "dataset": ["adult"],
    "delta": 1e-9,
    "seeds": 1,
    "synthesizers": ["independent"],
    "utility": {"epsilons": [1]},
}


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"type": "categorical", "size": GIANT}, "at most 1,000,000 codes in one column"),
        ({"type": "ordinal", "size": 10**30}, "at most 1,000,000 codes in one column"),
        ({"type": "integer", "lower": 0, "upper": 10**12, "bins": GIANT}, "from 1 to 100000"),
        ({"type": "real", "lower": 0, "upper": 1, "bins": GIANT}, "from 1 to 100000"),
        ({"type": "real", "lower": 0, "upper": 1, "decimals": GIANT}, "at most 12"),
    ],
)
def test_a_column_has_as_many_codes_as_can_be_held(column: dict[str, object], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        Schema.from_dict({"name": "t", "columns": [{"name": "a", **column}]})


def test_many_categories_are_read_in_linear_time() -> None:
    numbers = [f"{number}.5" for number in range(100_000)]  # each was once counted among all
    column = {"name": "a", "type": "categorical", "categories": numbers}
    schema = Schema.from_dict({"name": "t", "columns": [column]})
    frame = pd.DataFrame({"a": np.array([3.5, 7.25], dtype=np.float32)})
    assert schema.encode(frame).tolist() == [[3], [0]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seeds": GIANT}, "seeds: must be at most 1,000,000 seeds, got 1,000,000,000"),
        ({"seeds": 10**30}, "must be at most 1,000,000 seeds"),
        ({"seeds": [10**30]}, "at most 9223372036854775807"),
        ({"seeds": 1_000_000}, "the grid has 4,000,000 cells, at most 1,000,000 can be run"),
        ({"leakage": {"epsilons": [1], "members": 10**30}}, "at most"),
    ],
)
def test_a_grid_has_as_many_cells_as_can_be_kept(changed: dict[str, object], said: str) -> None:
    with pytest.raises(GridError, match=said) as caught:
        Grid.from_dict({**GRID, **changed})
    assert "\n" not in str(caught.value)


def test_a_run_has_as_many_processes_as_a_machine_can(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jobs must be at most 4,096, got 1,000,000,000"):
        run_grid(GRID, tmp_path, jobs=GIANT)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("mwem", {"rounds": GIANT}, "rounds must be at most 1000, got 1000000000"),
        ("marginal_generator", {"rows": GIANT}, "rows must be at most 131072"),
        ("marginal_generator", {"width": GIANT}, "width must be at most 8192"),
        ("dpgan", {"fakes": GIANT}, "fakes must be at most 131072"),
        ("dpctgan", {"generator_width": GIANT}, "generator_width must be at most 8192"),
        ("dpctgan", {"components": GIANT}, "components must be at most 131072"),
        ("dpctgan", {"learning_rate": 1e300}, "learning_rate must be at most"),
        ("dpgan", {"rate": 1e-300}, "rate must lie in"),
        ("pategan", {"votes": GIANT}, "votes must be at most 1000000"),
        ("patectgan", {"rounds": GIANT}, "rounds must be at most 10000"),
        ("pategan", {"rows": GIANT}, "rows must be at most 131072"),
    ],
)
def test_a_setting_is_as_large_as_there_is_room_for(
    name: str, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        SYNTHESIZERS[name](**settings)


def test_a_limit_holds_for_who_states_it_alone() -> None:
    check_settings(SYNTHESIZERS["mwem"](rounds=1000))
    SYNTHESIZERS["aim"](rounds=100_000)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mst", {}),
        ("clique_tree", {}),
        ("marginal_generator", {}),
        ("mwem", {"degree": 15}),
        ("aim", {"degree": 15}),
        ("privbayes", {"degree": 15}),
    ],
)
def test_no_more_marginals_are_listed_than_can_be_chosen_among(
    name: str, settings: dict[str, object]
) -> None:
    count = 40 if settings else 4_000
    wide = Domain(tuple(f"c{i}" for i in range(count)), (2,) * count)
    assert MOST_CLIQUES < 4_000 * 3_999 // 2
    with pytest.raises(InputError, match="at most 5,000,000 can be chosen among"):
        SYNTHESIZERS[name](**settings).plan(wide)


def test_an_audit_has_as_many_runs_as_can_be_held() -> None:
    budget = dps.PrivacyBudget(1, 1e-5)
    with pytest.raises(InputError, match="at most 10,000,000 runs a world can be held"):
        audit(dps.Independent(), budget, design=worst_case(budget.adjacency), runs=GIANT)


def test_columns_that_share_nothing_take_no_time_to_hang_together() -> None:
    count = 5_000
    domain = Domain(tuple(f"c{i}" for i in range(count)), (2,) * count)
    assert total_cells(domain, ()) == 2 * count
    cliques = [1 << place for place in range(count)]
    assert spanning_parents(cliques, [2] * count) == dict.fromkeys(range(count), -1)
    # Those that do are hung as before, between those that do not.
    assert list(spanning_parents([1, 6, 8, 12, 16], [1] * 5).items()) == [
        (0, -1),
        (1, -1),
        (3, 1),
        (2, 3),
        (4, -1),
    ]


def test_a_table_of_very_many_columns_is_drafted_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"c{i}" for i in range(2_000)]
    Path("t.csv").write_text(",".join(names) + "\n" + "\n".join([",".join("01" * 1_000)] * 3))
    assert main(["schema", "draft", "t.csv"]) == 0
    draft = json.loads(capsys.readouterr().out)
    assert [column["name"] for column in draft["columns"]] == names
    Path("t.meta.json").write_text(json.dumps(draft))
    assert main(["schema", "check", "t.csv", "t.meta.json"]) == 0
