"""A grid file says what is run; each mistake in it is one line with what would be right."""

import dataclasses
import json

import pytest

from dp_synth.benchmark.grid import DEFAULT_METRICS, Grid, SynthesizerSpec
from dp_synth.errors import GridError
from dp_synth.synthesizers import SYNTHESIZERS, Independent

GOOD = {
    "name": "small",
    "dataset": ["adult"],
    "delta": 1e-5,
    "seeds": 2,
    "synthesizers": ["independent", {"name": "mst", "set": {}}],
    "utility": {"epsilons": [1, 10]},
    "leakage": {"epsilons": [1], "members": 100, "isolated": 20},
}
DIGESTS = {"adult": "0" * 64}


@dataclasses.dataclass(frozen=True)
class Tunable(Independent):
    """A synthesizer with settings, one of them checked."""

    degree: int = 2
    floor: float = 0.0

    def __post_init__(self):
        if self.degree < 1:
            raise ValueError(f"degree must be at least 1, got {self.degree}")


@pytest.fixture
def tunable(monkeypatch):
    monkeypatch.setitem(SYNTHESIZERS, "tunable", Tunable)


def changed(**changes):
    return {key: value for key, value in (GOOD | changes).items() if value is not None}


def part(name, **changes):
    return {name: {key: v for key, v in (GOOD[name] | changes).items() if v is not None}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (changed(synthesisers=[]), "synthesisers: unknown key; did you mean 'synthesizers'? "),
        (changed(**part("utility", epsilon=1)), "utility.epsilon: unknown key; did you mean 'eps"),
        (changed(**part("leakage", zzz=1)), "leakage.zzz: unknown key; there are: epsilons, mem"),
        ({"sedes": 1}, "sedes: unknown key; did you mean 'seeds'? "),
        (changed(delta=None), "delta: is required"),
        (changed(delta=0), "delta: must be greater than 0, got 0"),
        (changed(delta=1), "delta: must be less than 1, got 1"),
        (changed(delta=True), "delta: must be a number, got true"),
        (changed(adjacency="add"), "adjacency: must be 'add_remove' or 'replace_one', got"),
        (changed(dataset="adlut"), "dataset.0: no dataset named 'adlut'; did you mean 'adult'?"),
        (changed(dataset=[]), "dataset: the list must name at least one"),
        (changed(seeds=0), "seeds: must be at least 1, or a list of seeds, got 0"),
        (changed(seeds=[]), "seeds: the list must name at least one"),
        (changed(seeds=[1, 1]), "seeds: the values must be distinct, got [1, 1]"),
        (changed(seeds=[-1]), "seeds.0: must be at least 0, got -1"),
        (changed(synthesizers=["mts"]), "synthesizers.0: no synthesizer named 'mts'; did yo"),
        (
            changed(synthesizers=[{"name": "mst", "sett": {}}]),
            "synthesizers.0.sett: unknown key; did you mean 'set'? there are: name, set",
        ),
        (
            changed(synthesizers=["mst", {"name": "tunable", "set": {"degre": 3}}]),
            "synthesizers.1: set.degre: no field 'degre' in 'tunable'; did you mean 'degree'? "
            "there are: degree, floor",
        ),
        (
            changed(synthesizers=[{"name": "tunable", "set": {"degree": "many"}}]),
            "synthesizers.0: set.degree: must be a whole number",
        ),
        (
            changed(synthesizers=[{"name": "tunable", "set": {"degree": 0}}]),
            "synthesizers.0: set: degree must be at least 1, got 0",
        ),
        (changed(synthesizers=["mst", "mst"]), "synthesizers: the values must be distinct"),
        (
            changed(**part("utility", epsilons=[1, 0])),
            "utility.epsilons.1: must be greater than 0, got 0",
        ),
        (
            changed(**part("utility", epsilons=[float("inf")])),
            "utility.epsilons.0: must be a finite number, got inf",
        ),
        (
            changed(**part("utility", metrics=["tv"])),
            "utility.metrics.0: no metric named 'tv'; did you mean 'tv",
        ),
        (
            changed(**part("leakage", attacks=["closest"])),
            "leakage.attacks.0: no attack named 'closest'; did you mean 'closest_record'?",
        ),
        (
            changed(**part("leakage", isolated=201)),
            "leakage: isolated must be at most twice members (200), got 201",
        ),
        (changed(**part("leakage", members=0)), "leakage.members: must be at least"),
        (changed(utility=None, leakage=None), "give at least one of the tasks utility and leakage"),
        (changed(name="../up"), "name: string should match pattern"),
        ([1], "must be a mapping with the keys name, dataset"),
        (None, "must be a mapping with the keys name, dataset"),
    ],
)
@pytest.mark.usefixtures("tunable")
def test_a_mistake_is_one_line_with_what_would_be_right(content, expected):
    with pytest.raises(GridError) as caught:
        Grid.from_dict(content, source="grid.yaml")
    message = str(caught.value)
    assert message.startswith(f"grid.yaml: {expected}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nname: b\n", "line 2: the key 'name' stands twice"),
        ("? [a]\n: b\n", "not a YAML text|found unhashable key|line 1: "),
        ("name: [\n", "line 2: "),
        ("seeds: \x00\n", "not a YAML text"),
        ("name: a\nseeds: &all [*all]\n", "line 2: a part that has a name must not stand within"),
        ("name: a\nutility: &it\n  <<: *it\n", "line 3: a part that has a name must not stand"),
        ("name: 2020-13-45\n", "not a YAML text: month must be in 1..12"),
    ],
)
def test_a_file_that_is_not_yaml_is_one_line(tmp_path, text, expected):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(GridError, match="grid.yaml: " + expected) as caught:
        Grid.load(path)
    assert "\n" not in str(caught.value)


def test_every_combination_is_a_cell_once_and_each_task_has_its_baselines():
    cells = Grid.from_dict(GOOD).cells(DIGESTS)
    assert len({cell.key for cell in cells}) == len(cells) == 2 * (3 + 2 * 2) + 2 * (2 + 2 * 1)
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)
    found = {(c.task, c.synthesizer) for c in cells if c.is_baseline}
    assert found == {
        ("utility", "real_rows"),
        ("utility", "fresh_rows"),
        ("utility", "independent_without_noise"),
        ("leakage", "no_privacy"),
        ("leakage", "fresh_rows"),
    }


def keys(content, *, baselines=True):
    cells = Grid.from_dict(content).cells(DIGESTS)
    return {cell.key for cell in cells if baselines or not cell.is_baseline}


def test_what_does_not_decide_a_result_does_not_change_a_key():
    same = changed(
        name="other",
        dataset="adult",
        delta="1e-5",
        seeds=[1, 0],
        synthesizers=["mst", {"name": "independent"}],
        utility={
            "epsilons": [10.0, 1.0],
            "metrics": DEFAULT_METRICS[::-1],
        },
    )
    assert keys(same) == keys(GOOD)


@pytest.mark.usefixtures("tunable")
def test_a_default_that_is_spelt_out_is_the_same_cell_and_another_value_is_not():
    plain = changed(synthesizers=["tunable"])
    spelt = changed(synthesizers=[{"name": "tunable", "set": {"floor": 0, "degree": 2}}])
    other = changed(synthesizers=[{"name": "tunable", "set": {"degree": 3}}])
    assert keys(plain) == keys(spelt)
    assert not keys(plain, baselines=False) & keys(other, baselines=False)
    settings = SynthesizerSpec(name="tunable").settings()
    assert json.loads(Grid.from_dict(plain).cells(DIGESTS)[-1].settings) == settings


def test_a_budget_does_not_change_the_keys_of_baselines():
    other = changed(delta=1e-9, adjacency="replace_one", **part("utility", epsilons=[5]))
    assert len(keys(GOOD) & keys(other)) == 2 * (3 + 2)


def test_the_standing_grid_is_a_grid(request):
    grid = Grid.load(request.config.rootpath / "benchmarks" / "tradeoff.yaml")
    assert len(grid.seeds) >= 5
    assert {choice.name for choice in grid.synthesizers} >= {"independent", "mst"}
