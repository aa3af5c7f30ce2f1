"""Grids name what others wrote, tables of one's own and peers; the command line sets over them."""

import json

import pytest
from test_grid import DIGESTS, GOOD

from dp_synth import datasets
from dp_synth.benchmark.cell_run import dataset, plan, run_cell
from dp_synth.benchmark.executor import Limits
from dp_synth.benchmark.grid import Grid
from dp_synth.errors import DatasetUnavailable, GridError

OWN_MODULE = '''
from dataclasses import dataclass
from dp_synth.metrics import Estimate
from dp_synth.synthesizers import Independent


@dataclass(frozen=True)
class Own(Independent):
    """Independent columns by another name."""

    name = "own"
    factor: float = 1.0


def rows(compared):
    """As many as there are."""
    return {"rows": Estimate(len(compared.synthetic), 0, 1e9)}
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_module_of_grid.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_module_of_grid"


def test_a_synthesizer_and_a_metric_are_named_by_module_and_object(own_module):
    content = GOOD | {
        "synthesizers": [{"name": f"{own_module}:Own", "set": {"factor": 2}}],
        "utility": {"epsilons": [1], "metrics": [f"{own_module}:rows"]},
        "leakage": None,
        "seeds": 1,
    }
    cell = next(cell for cell in plan(Grid.from_dict(content)) if not cell.is_baseline)
    assert json.loads(cell.settings) == {"factor": 2.0}
    outcome = run_cell(cell)
    assert [(one.metric, one.value) for one in outcome.measured] == [("rows", 19536.0)]
    assert outcome.budget == "ledger"
    assert json.loads(outcome.ledger)["epsilon"] == 1.0


def test_the_key_of_a_cell_depends_on_the_code_of_others(own_module, tmp_path):
    import sys

    content = GOOD | {"synthesizers": [f"{own_module}:Own"], "leakage": None}
    keys = []
    for more in ("", "# a later version\n"):
        (tmp_path / f"{own_module}.py").write_text(OWN_MODULE + more)
        sys.modules.pop(own_module, None)
        keys.append({cell.key for cell in Grid.from_dict(content).cells(DIGESTS)})
    both = keys[0] & keys[1]
    assert len(keys[0]) == len(keys[1]) == 2 * (3 + 2)
    assert len(both) == 2 * 3  # baselines alone


@pytest.mark.parametrize(
    ("synthesizer", "said"),
    [
        ("os.path:join", "synthesizers.0: 'os.path:join' must be a dataclass that is a Synth"),
        ("dpmn/mst", "synthesizers.0: no peer 'dpmn'; did you mean 'dpmm'? there are: "),
        ("dpmm/mts", "synthesizers.0: dpmm/mts: no method 'mts' of dpmm"),
        ({"name": "mst", "command": ["x"]}, "synthesizers.0: command: is for peers"),
    ],
)
def test_what_is_no_synthesizer_is_one_line(synthesizer, said):
    with pytest.raises(GridError) as caught:
        Grid.from_dict(GOOD | {"synthesizers": [synthesizer]})
    assert str(caught.value).startswith(f"grid: {said}")


def test_a_peer_of_ones_own_is_a_command_and_its_files_are_part_of_the_key(tmp_path):
    driver = tmp_path / "driver.py"
    keys = []
    for text in ("pass\n", "print()\n"):
        driver.write_text(text)
        choice = {"name": "mine/copy", "command": ["python", str(driver)], "set": {"k": 1}}
        grid = Grid.from_dict(GOOD | {"synthesizers": [choice]})
        cell = next(cell for cell in grid.cells(DIGESTS) if not cell.is_baseline)
        assert json.loads(cell.settings) == {"command": ["python", str(driver)], "k": 1}
        keys.append(cell.key)
    assert keys[0] != keys[1]


def test_shares_of_real_rows_are_baselines_of_utility():
    utility = {"epsilons": [1], "samples": [0.01, 0.5]}
    cells = Grid.from_dict(GOOD | {"utility": utility, "leakage": None}).cells(DIGESTS)
    shares = {c.settings for c in cells if c.synthesizer == "sample_of_rows"}
    assert shares == {'{"share":0.01}', '{"share":0.5}'}


def test_a_share_of_real_rows_stands_once():
    utility = {"epsilons": [1], "samples": [0.1, 0.1]}
    with pytest.raises(GridError, match=r"samples: the values must be distinct, got \[0.1, 0.1\]"):
        Grid.from_dict(GOOD | {"utility": utility})


def test_limits_are_not_part_of_a_cells_key():
    limited = Grid.from_dict(GOOD | {"limits": {"seconds": 5, "memory_mb": 300}})
    assert limited.cell_limits() == Limits(5, 300)
    assert limited.cells(DIGESTS) == Grid.from_dict(GOOD).cells(DIGESTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nsedes: 3\n", "line 2: sedes: unknown key; did you mean 'seeds'?"),
        (
            "name: a\ndataset: adult\ndelta: 1.0e-5\nseeds: 1\nsynthesizers:\n- mst\n- mts\n"
            "utility: {epsilons: [1]}\n",
            "line 7: synthesizers.1: no synthesizer named 'mts'; did you mean 'mst'?",
        ),
        (
            "name: a\ndataset: adult\ndelta: 1.0e-5\nseeds: 1\nsynthesizers: [mst]\n"
            "utility:\n  epsilons: [1]\n  metrics:\n    - tv2\n    - tv22\n",
            "line 10: utility.metrics.1: no metric named 'tv22'; did you mean 'tv2'?",
        ),
    ],
)
def test_a_typo_is_shown_with_its_line_and_the_nearest_name(tmp_path, text, said):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(GridError) as caught:
        Grid.load(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_settings_are_set_over_the_files(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(json.dumps(GOOD))
    grid = Grid.load(path, ["seeds=[7]", "utility.epsilons=[2, 3]", "limits.seconds=9"])
    assert grid.seeds == (7,)
    assert grid.utility.epsilons == (2, 3)
    assert grid.cell_limits().seconds == 9
    assert grid.leakage == Grid.from_dict(GOOD).leakage


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seeds", "--set takes key=value, such as seeds=2, got 'seeds'"),
        ("a..b=1", "--set takes key=value"),
        ("seeds=[", "--set seeds: not a YAML value"),
        ("delta.x=1", "--set: there is no key 'x' in a value that is no mapping"),
        ("utility.epsilon=[1]", "utility.epsilon: unknown key; did you mean 'epsilons'?"),
    ],
)
def test_a_setting_that_cannot_be_set_is_one_line(tmp_path, setting, said):
    path = tmp_path / "grid.yaml"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(GridError) as caught:
        Grid.load(path, [setting])
    assert said in str(caught.value)


def test_what_is_no_file_of_a_table_and_no_dataset_is_one_line():
    with pytest.raises(GridError, match=r"no dataset named 't\.CSV'"):
        Grid.from_dict(GOOD | {"dataset": "t.CSV"})
    grid = Grid.from_dict(GOOD | {"dataset": "math:pi", "leakage": None})
    with pytest.raises(DatasetUnavailable, match="'math:pi' must be a function that returns a Da"):
        plan(grid)


def test_a_table_of_ones_own_is_named_by_its_path(tmp_path):
    schema = {"name": "t", "columns": [{"name": "a", "type": "categorical", "categories": ["x"]}]}
    (tmp_path / "t.csv").write_text("a\n" + "x\n" * 10)
    path = str(tmp_path / "t.csv")
    grid = Grid.from_dict(GOOD | {"dataset": path, "leakage": None})
    with pytest.raises(DatasetUnavailable, match=r"t\.meta\.json: is not there"):
        plan(grid)
    (tmp_path / "t.meta.json").write_text(json.dumps(schema))
    assert {cell.dataset for cell in plan(grid)} == {path}
    assert len(dataset(path).train) == 6


def test_another_schema_of_a_table_of_ones_own_makes_other_cells(tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "x\n" * 10)
    path, keys = str(tmp_path / "t.csv"), []
    for categories in (["x"], ["x", "y"]):
        column = {"name": "a", "type": "categorical", "categories": categories}
        (tmp_path / "t.meta.json").write_text(json.dumps({"name": "t", "columns": [column]}))
        made = datasets.from_file(path)
        grid = Grid.from_dict(GOOD | {"dataset": path, "leakage": None})
        keys.append({cell.key for cell in grid.cells({path: made.sha256})})
    assert not keys[0] & keys[1]
