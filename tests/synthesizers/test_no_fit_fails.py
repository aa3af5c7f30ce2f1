"""What records hold and how noise falls never end a fit in an error, whatever the domain is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_settings import SAMPLED, small, small_classrooms  # noqa: F401

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import AIM, SYNTHESIZERS, Synthesizer

pytestmark = pytest.mark.usefixtures("small_classrooms")

MOST_COLUMNS = {
    "aim": 6,
    "mwem": 10,
    "privbayes": 10,
    "published_mst": 12,
    "pategan": 60,
    "patectgan": 60,
}
QUICK: dict[str, dict[str, Any]] = {
    "aim": {"rounds": 2},
    "mwem": {"rounds": 3},
    "marginal_generator": {"steps": 5},
}


def random_column(name: str, rows: int, rng: np.random.Generator) -> tuple[dict[str, Any], Any]:
    """A column of any kind, and cells of which some are as its schema does not say."""
    kind = rng.choice(["categories", "codes", "marks", "integer", "real", "open"])
    if kind == "categories":
        size = int(rng.choice([1, 2, 3, 9]))
        listed = [f"v{code}" for code in range(size)]
        column = {"type": "categorical", "categories": listed}
        return {"name": name, **column}, rng.choice([*listed, "unheard of"], rows)
    if kind == "codes":
        column = {"type": "ordinal", "size": int(rng.integers(1, 12))}
        return {"name": name, **column}, rng.integers(0, 12, rows)
    if kind == "marks":
        column = {"type": "categorical", "categories": ["a", "b"], "missing": ["?"]}
        return {"name": name, **column}, rng.choice(["a", "b", "?", ""], rows)
    if kind == "integer":
        column = {"type": "integer", "lower": 0, "upper": int(rng.choice([0, 5, 99, 10_000]))}
        return {"name": name, **column}, rng.integers(-5, 10_005, rows)
    if kind == "real":
        column = {"type": "real", "lower": -1.0, "upper": float(rng.choice([1.0, 1e6]))}
        bins = {"bins": int(rng.integers(1, 40))} if rng.random() < 0.5 else {}
        return {"name": name, **column, **bins}, rng.normal(0, 10 ** rng.uniform(-3, 6), rows)
    column = {"type": "categorical", "categories": ["a"], "open": True}
    return {"name": name, **column}, rng.choice(["a", "q", "r"], rows)


def random_case(
    name: str, seed: int, most: int = 700
) -> tuple[Synthesizer, pd.DataFrame, Schema, PrivacyBudget]:
    """A synthesizer of this name, a table of up to ``most`` columns and 50 rows, and a budget."""
    rng = np.random.default_rng([seed, *name.encode()])
    columns = int(min(np.exp(rng.uniform(0, np.log(most))), MOST_COLUMNS.get(name, most)))
    rows = int(rng.integers(0, 51))
    made = [random_column(f"c{i}", rows, rng) for i in range(columns)]
    frame = pd.DataFrame({one["name"]: cells for one, cells in made}, index=range(rows))
    schema = Schema.from_dict({"name": "random", "columns": [one for one, _ in made]})
    synthesizer = replace(small(name), **QUICK.get(name, {}))
    if isinstance(synthesizer, AIM):
        synthesizer = replace(synthesizer, all_gaussian=bool(rng.random() < 0.5))
    epsilon, delta = 10 ** rng.uniform(-3, 2), 10 ** rng.uniform(-12, -3)
    replaced = name not in SAMPLED and rng.random() < 0.4
    budget = PrivacyBudget(epsilon, delta, "replace_one" if replaced else "add_remove")
    return synthesizer, frame, schema, budget


def end_well(
    synthesizer: Synthesizer, frame: pd.DataFrame, schema: Schema, budget: PrivacyBudget
) -> None:
    """Fit and sample, or be refused with nothing reserved, as with any other records."""
    accountant = Accountant(budget)
    release = refused = None
    try:
        release = synthesizer.fit(frame, schema, accountant, seed=0)
    except InputError as error:
        refused = error
    if release is None:
        assert not accountant.ledger.entries, refused
        with pytest.raises(InputError):
            synthesizer.check_budget(schema, accountant, seed=0)
        return
    assert len(release.sample(20, seed=0)) == 20
    assert release.epsilon <= budget.epsilon


@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("name", list(SYNTHESIZERS))
def test_a_fit_of_any_domain_ends_well_or_is_refused_beforehand(name: str, seed: int) -> None:
    end_well(*random_case(name, seed, most=100))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 60))
@pytest.mark.parametrize("name", list(SYNTHESIZERS))
def test_many_fits_of_any_domain_end_well_or_are_refused_beforehand(name: str, seed: int) -> None:
    end_well(*random_case(name, seed))


def binary(columns: int, rows: int) -> tuple[pd.DataFrame, Schema]:
    """Independent coins, which noise merges into columns of one code here and there."""
    coins = np.random.default_rng(0).integers(0, 2, (rows, columns))
    names = [f"c{i}" for i in range(columns)]
    listed = [{"name": name, "type": "categorical", "categories": ["0", "1"]} for name in names]
    return pd.DataFrame(coins, columns=names), Schema.from_dict({"name": "t", "columns": listed})


@pytest.mark.parametrize("columns", [33, 65, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", list(SYNTHESIZERS))
def test_more_columns_than_an_array_has_axes_are_fitted(name: str, columns: int) -> None:
    if MOST_COLUMNS.get(name, 700) < 60:
        pytest.skip("takes minutes; a junction tree of few columns has few axes")
    frame, schema = binary(columns, 300)
    synthesizer = replace(small(name), **QUICK.get(name, {}))
    if name not in ("pategan", "patectgan"):  # as many teachers as records take long
        end_well(synthesizer, frame, schema, PrivacyBudget(1.0, 1e-6))
    end_well(synthesizer, frame.head(20), schema, PrivacyBudget(0.5, 1e-6))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["mst", "clique_tree", "marginal_generator", "aim"])
def test_noise_that_can_hardly_be_drawn_is_refused_beforehand_or_leaves_answers_out(
    name: str, seed: int
) -> None:
    frame, schema = binary(5, 20)
    synthesizer = replace(small(name), **QUICK.get(name, {}))
    if isinstance(synthesizer, AIM):
        synthesizer = replace(synthesizer, all_gaussian=True)
    epsilon = 10.0 ** -(7 + seed / 2)
    end_well(synthesizer, frame, schema, PrivacyBudget(epsilon, 1e-15))
