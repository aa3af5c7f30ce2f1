"""Classes, functions, objects with settings and frames stand in a grid, be they of a session."""

import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field

import pandas as pd
import pytest

from dp_synth import MST, Independent, PublishedMST, Schema, datasets, extensions
from dp_synth.attacks import ClosestRecord
from dp_synth.benchmark import Grid, plan, run_grid
from dp_synth.errors import GridError
from dp_synth.metrics import Estimate

SCHEMA = Schema.from_dict(
    {
        "name": "pairs",
        "columns": [
            {"name": "a", "type": "categorical", "categories": ["x", "y"]},
            {"name": "b", "type": "categorical", "categories": ["0", "1", "2"]},
        ],
    }
)
FRAME = pd.DataFrame({"a": ["x", "y"] * 60, "b": [0, 1, 2, 0] * 30})

SESSION = '''
    from __future__ import annotations
    import json, sys
    from dataclasses import dataclass, field
    from dp_synth import benchmark
    from dp_synth.attacks import Attack
    from dp_synth.metrics import Estimate
    from dp_synth.synthesizers import Independent

    FACTOR = {factor}

    @dataclass(frozen=True)
    class Mine(Independent):
        """Independent columns by another name."""
        name = "mine"
        tags: tuple[str, ...] = field(default_factory=tuple)

        def _fit(self, table, plan, rng):
            assert twice(2) == 2 * FACTOR
            return super()._fit(table, plan, rng)

    def twice(number):
        return FACTOR * number

    @dataclass(frozen=True)
    class Lengths(Attack):
        """Scores by nothing."""
        name = "lengths"
        power: float = 1.0

        def _scores(self, targets, view):
            import numpy as np
            return np.arange(len(targets)) ** self.power

    def rows(compared):
        return {{"rows": Estimate(len(compared.synthetic), 0, 1e9)}}

    if __name__ == "__main__":
        found = benchmark.run_grid({{
            "name": "session", "dataset": "adult", "delta": 1e-5, "seeds": 1,
            "synthesizers": [Mine, "__main__:Mine", Mine(tags=("a", "b"))][{chosen}],
            "utility": {{"epsilons": [1], "metrics": [rows]}},
            "leakage": {{"epsilons": [1], "members": 40, "isolated": 0,
                        "attacks": [Lengths(power=2.0)]}},
        }})
        print(json.dumps(found[["synthesizer", "settings", "metric", "error"]].to_dict("list")))
'''


def in_a_session(folder, *, stdin, factor=1, chosen="0:3:2"):
    """Return the records of a script, run as a file or, as a notebook runs, without one."""
    text = textwrap.dedent(SESSION).format(factor=factor, chosen=chosen)
    (folder / "session.py").write_text(text)
    command = [sys.executable] if stdin else [sys.executable, "session.py"]
    given = text if stdin else ""
    done = subprocess.run(
        command, input=given, cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1]), len(list(folder.glob("results/*/cells/*/*")))


@pytest.mark.parametrize("stdin", [False, True], ids=["script", "session"])
def test_what_only_the_session_knows_is_run_in_other_processes(tmp_path, stdin):
    found, _ = in_a_session(tmp_path, stdin=stdin)
    assert set(found["error"]) == {""}
    mine = {
        (settings, metric.split(":")[0])
        for name, settings, metric in zip(
            found["synthesizer"], found["settings"], found["metric"], strict=True
        )
        if name == "__main__:Mine"
    }
    assert {settings for settings, _ in mine} == {'{"tags":[]}', '{"tags":["a","b"]}'}
    assert {metric for _, metric in mine} >= {"rows", "auc"}
    assert "auc:__main__:Lengths(power=2.0)" in found["metric"]


def test_a_class_of_a_session_runs_again_only_when_its_code_is_another(tmp_path):
    sizes = [
        in_a_session(tmp_path, stdin=True, factor=factor, chosen=chosen)[1]
        for factor, chosen in ((1, "0:1"), (1, "1:2"), (3, "0:1"))
    ]
    assert sizes[0] == sizes[1], "named by text or by itself, in this session or another"
    assert sizes[2] == sizes[0] + 2, "what its methods use is a part of it"


@dataclass(frozen=True)
class Power(ClosestRecord):
    """An attack with a setting, which a module has."""

    name = "power"
    power: float = 1.0


@dataclass(frozen=True)
class Tagged(Independent):
    """A synthesizer that a module has."""

    name = "tagged"
    tags: tuple[str, ...] = field(default_factory=tuple)


def rows(compared):
    """As many as there are."""
    return {"rows": Estimate(len(compared.synthetic), 0, 1e9)}


def grid_of(**changes):
    content = {"name": "g", "dataset": "adult", "delta": 1e-5, "seeds": 1, "synthesizers": ["mst"]}
    content |= {"leakage": {"epsilons": [1], "members": 20, "isolated": 0}}
    return Grid.from_dict(content | changes)


def test_an_object_is_the_cell_that_its_name_is():
    leakage = {"epsilons": [1], "members": 20, "isolated": 0}
    given = grid_of(
        synthesizers=[MST, PublishedMST(), Tagged(tags=("a",))],
        utility={"epsilons": [1], "metrics": ["tv2", rows]},
        leakage=leakage | {"attacks": [ClosestRecord, Power(power=2.0)]},
    )
    here = __name__
    named = grid_of(
        synthesizers=[
            "mst",
            "published_mst",
            {"name": f"{here}:Tagged", "set": {"tags": ["a"]}},
        ],
        utility={"epsilons": [1], "metrics": ["tv2", f"{here}:rows"]},
        leakage=leakage | {"attacks": ["closest_record", given.leakage.attacks[1]]},
    )
    assert given.leakage.attacks[1].startswith(f"{here}:Power(")
    assert plan(given) == plan(named)
    assert json.loads(json.dumps(given.model_dump(mode="json")))["synthesizers"][0]["name"] == "mst"
    assert extensions.packed(grid_of(synthesizers=[MST, Tagged]).named()) == b""


def test_a_frame_is_a_table_once_it_has_its_schema(tmp_path):
    table = datasets.from_frame(FRAME, SCHEMA)
    assert (table.name, len(table.train), len(table.holdout)) == ("pairs", 72, 24)
    utility = {"epsilons": [1], "metrics": ["tv1"]}
    content = {"name": "g", "dataset": table, "delta": 1e-5, "seeds": 1, "utility": utility}
    found = run_grid(content | {"synthesizers": [Independent]}, tmp_path)
    assert set(found["error"]) == {""}
    assert set(found["dataset"]) == {"pairs"}
    changed = datasets.from_frame(FRAME.assign(b="1"), SCHEMA)
    cells = [
        plan(Grid.from_dict(content | {"dataset": d, "synthesizers": ["mst"]}))
        for d in (table, changed)
    ]
    assert not {cell.key for cell in cells[0]} & {cell.key for cell in cells[1]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": FRAME}, r"dataset.0: must be a name, a path or a Dataset, got DataFrame; of "),
        (
            {"dataset": datasets.from_frame(FRAME, SCHEMA, "adult")},
            "dataset.0: a table that ships is called 'adult'; give this one another name",
        ),
        (
            {"synthesizers": [dict]},
            "synthesizers.0: 'builtins:dict' must be a dataclass that is a S",
        ),
        ({"leakage": {"epsilons": [1], "attacks": [3]}}, "leakage.attacks.0: must be a name, a c"),
    ],
)
def test_an_object_that_cannot_stand_there_is_one_line(changes, said):
    with pytest.raises(GridError, match=said) as caught:
        grid_of(**changes)
    assert "\n" not in str(caught.value)
