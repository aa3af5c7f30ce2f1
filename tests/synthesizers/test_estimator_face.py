"""Synthesizers as scikit-learn's habits have them: settings by name, clones, names, one line."""

from __future__ import annotations

import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from small_settings import SMALL

import dp_synth as dps
from dp_synth import extensions
from dp_synth.errors import InputError
from dp_synth.synthesizers import MST, SYNTHESIZERS, PrivBayes, Synthesizer, synthesize

EVERY = [*(kind() for kind in SYNTHESIZERS.values()), *SMALL.values()]
NAMES = [*SYNTHESIZERS, *(f"{name} with settings" for name in SMALL)]
CONTENT = {
    "name": "pair",
    "columns": [
        {"name": "a", "type": "categorical", "categories": ["x", "y"]},
        {"name": "b", "type": "integer", "lower": 0, "upper": 9},
    ],
}
SCHEMA = dps.Schema.from_dict(CONTENT)


def pairs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 3000)
    return pd.DataFrame({"a": np.where(a, "x", "y"), "b": 5 * a + rng.integers(0, 5, 3000)})


@pytest.mark.parametrize("recipe", EVERY, ids=NAMES)
def test_scikit_learn_clones_a_synthesizer(recipe: Synthesizer) -> None:
    made = clone(recipe)
    assert made == recipe
    assert made is not recipe
    assert type(made)(**made.get_params()) == recipe


@pytest.mark.parametrize("recipe", EVERY, ids=NAMES)
def test_what_is_printed_of_a_synthesizer_makes_it_again(recipe: Synthesizer) -> None:
    assert eval(repr(recipe), vars(dps.synthesizers)) == recipe


def test_other_settings_make_another_synthesizer_and_leave_this_one() -> None:
    recipe = MST()
    other = recipe.set_params(coarseness=0.1)
    assert (recipe.coarseness, other.coarseness) == (0.4, 0.1)
    assert other.get_params() == {"coarseness": 0.1, "as_published": False}
    assert recipe.set_params() is recipe
    with pytest.raises(InputError, match="coarseness must be a finite number"):
        recipe.set_params(coarseness=-1.0)


@pytest.mark.parametrize("name", SYNTHESIZERS)
def test_a_name_makes_a_synthesizer(name: str) -> None:
    assert Synthesizer.create(name) == SYNTHESIZERS[name]()


def test_a_name_takes_settings_and_is_also_that_of_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Synthesizer.create("mst", coarseness=0.2) == MST(coarseness=0.2)
    assert Synthesizer.create("dp_synth.synthesizers:PrivBayes") == PrivBayes()
    point = EntryPoint("theirs", "dp_synth.synthesizers:MST", "dp_synth.synthesizers")
    monkeypatch.setattr(extensions, "entry_points", lambda group: [point])
    assert Synthesizer.create("theirs") == MST()


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("MST", {}, "did you mean 'mst'?"),
        ("mst", {"coarsenes": 0.2}, "mst has no setting 'coarsenes'; did you mean 'coarseness'?"),
        ("mst", {"epsilon": 1.0}, "mst has no setting 'epsilon'; fit takes a PrivacyBudget"),
        ("mst", {"coarseness": "thick"}, "coarseness must be a number"),
        ("math:sqrt", {}, "must be a dataclass that is a Synthesizer"),
        (3, {}, "a synthesizer's name must be text, got 3"),
    ],
)
def test_a_wrong_name_or_setting_is_refused_in_one_line(
    name: Any, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        Synthesizer.create(name, **settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_line_is_a_fit_with_the_whole_budget_and_a_sample() -> None:
    found = dps.synthesize(pairs(), SCHEMA, epsilon=1, delta=1e-6, seed=3)
    release = dps.CliqueTree().fit(pairs(), SCHEMA, dps.PrivacyBudget(1, 1e-6), seed=3)
    pd.testing.assert_frame_equal(found, release.sample(seed=3))
    assert abs(len(found) - 3000) < 300  # the noisy total, some ten standard deviations


def test_one_line_takes_files_contents_names_and_settings(tmp_path: Path) -> None:
    pairs().to_csv(tmp_path / "t.csv", index=False)
    SCHEMA.save(tmp_path / "t.meta.json")
    paths = (tmp_path / "t.csv", tmp_path / "t.meta.json")
    asked = {"epsilon": 2, "delta": 1e-6, "seed": 0}
    found = synthesize(*paths, **asked, synthesizer="independent")
    again = synthesize(str(paths[0]), CONTENT, **asked, synthesizer=dps.Independent())
    pd.testing.assert_frame_equal(found, again)


def test_one_line_refuses_before_it_reads() -> None:
    class Unread:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise AssertionError("it was read")

    for wrong in (
        {"synthesizer": "nst"},
        {"synthesizer": 3},
        {"epsilon": -1},
        {"delta": 2.0},
        {"schema": {"name": "t"}},
    ):
        given = {"schema": SCHEMA, "epsilon": 1, "delta": 1e-6, **wrong}
        with pytest.raises((InputError, ValueError)) as caught:
            synthesize(Unread(), **given)
        assert "\n" not in str(caught.value)


def test_nothing_warns_of_a_plain_clone() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clone(MST()).get_params() == MST().get_params()
