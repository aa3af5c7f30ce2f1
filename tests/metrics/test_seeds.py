"""Any whole number from 0 is a seed, whatever the libraries below take."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks.article_29 import Secret, guess_predictor
from dp_synth.attacks.shadow import _classifier
from dp_synth.audit.neighbours import of_table
from dp_synth.cli import main
from dp_synth.metrics import METRICS, evaluate
from dp_synth.metrics.models import short_seed
from dp_synth.metrics.prediction import regression_scores
from dp_synth.schema import Schema

LARGE = [2**32, 2**64 + 3]
COLUMNS = [{"name": name, "type": "ordinal", "size": 3} for name in "abc"]
SCHEMA = Schema.from_dict({"name": "t", "label": "c", "columns": COLUMNS})


def rows(seed: int, count: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.integers(0, 3, count) for name in "abc"})


@pytest.mark.parametrize("seed", LARGE)
def test_every_metric_takes_a_seed_beyond_32_bits(seed: int) -> None:
    evaluate(rows(0), rows(1), rows(2), SCHEMA, seed=seed, more=list(METRICS))


@pytest.mark.parametrize("seed", LARGE)
def test_models_of_a_number_take_it(seed: int) -> None:
    number = {"name": "c", "type": "integer", "lower": 0, "upper": 2}
    schema = Schema.from_dict({"name": "t", "label": "c", "columns": [*COLUMNS[:2], number]})
    assert regression_scores(rows(0), rows(1), schema, seed=seed)


@pytest.mark.parametrize("seed", LARGE)
def test_attacks_take_it(seed: int) -> None:
    features = rows(0)[["a", "b"]].to_numpy(float)
    _classifier("forest", seed).fit(features, rows(0)["c"].to_numpy() > 0)
    guess_predictor(rows(1), Secret("c", SCHEMA, rows(2)), seed)


@pytest.mark.parametrize("seed", LARGE)
def test_an_own_table_to_audit_takes_it(seed: int) -> None:
    assert len(of_table(rows(0), SCHEMA, "replace_one", seed=seed).outside) == 60


def test_seeds_of_32_bits_are_what_they_were_and_larger_ones_differ() -> None:
    assert [short_seed(seed) for seed in (0, 7, 2**32 - 1)] == [0, 7, 2**32 - 1]
    assert len({short_seed(2**32 + i) for i in range(100)}) == 100


def test_the_command_takes_it(tmp_path) -> None:
    options = ["--schema", str(tmp_path / "t.meta.json"), "--seed", "4294967296"]
    for seed, name in enumerate(("real", "holdout", "synthetic")):
        path = tmp_path / f"{name}.csv"
        rows(seed).to_csv(path, index=False)
        options += [f"--{name}", str(path)]
    SCHEMA.save(tmp_path / "t.meta.json")
    assert main(["evaluate", *options]) == 0
