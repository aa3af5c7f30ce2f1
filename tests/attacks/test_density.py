from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import AttackerView, DensityRatio
from dp_synth.errors import InputError
from dp_synth.schema import Schema

SIZES = (3, 4, 2)
SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [
            {"name": name, "type": "categorical", "size": size}
            for name, size in zip("abc", SIZES, strict=True)
        ],
    }
)


def table(n, seed):
    rng = np.random.default_rng(seed)
    codes = {name: rng.integers(0, k, n) for name, k in zip("abc", SIZES, strict=True)}
    return pd.DataFrame(codes)


def slow_score(target, synthetic, reference, degree, smoothing):
    total, cliques = 0.0, list(combinations(range(3), degree))
    for clique in cliques:
        cells = np.prod([SIZES[i] for i in clique])
        names = ["abc"[i] for i in clique]
        for sign, frame in ((1, synthetic), (-1, reference)):
            count = (frame[names] == target[names]).all(axis=1).sum()
            total += sign * np.log((count + smoothing) / (len(frame) + smoothing * cells))
    return total / len(cliques)


@pytest.mark.parametrize("degree", [1, 2])
def test_the_score_is_the_mean_log_ratio_of_smoothed_marginals(degree):
    targets, synthetic, reference = table(20, 0), table(30, 1), table(40, 2)
    attack = DensityRatio(degree=degree, smoothing=0.3)
    scores = attack.scores(targets, AttackerView(synthetic, SCHEMA, reference))
    expected = [
        slow_score(target, synthetic, reference, degree, 0.3) for _, target in targets.iterrows()
    ]
    np.testing.assert_allclose(scores, expected)


def test_a_record_that_only_the_synthetic_table_holds_scores_highest():
    targets = pd.DataFrame({"a": [0, 2], "b": [0, 3], "c": [0, 1]})
    view = AttackerView(targets.iloc[[1] * 5], SCHEMA, targets.iloc[[0] * 5])
    scores = DensityRatio().scores(targets, view)
    assert scores[0] < 0 < scores[1]


def test_one_attribute_is_enough():
    schema = SCHEMA.select(["b"])
    scores = DensityRatio(degree=2).scores(
        table(5, 0), AttackerView(table(9, 1), schema, table(9, 2))
    )
    assert np.isfinite(scores).all()


def test_empty_tables_give_finite_scores():
    for rows in ((0, 5), (5, 0), (0, 0)):
        view = AttackerView(table(rows[0], 0), SCHEMA, table(rows[1], 1))
        assert np.isfinite(DensityRatio().scores(table(3, 2), view)).all()


@pytest.mark.parametrize("settings", [{"degree": 3}, {"degree": 0}, {"smoothing": 0.0}])
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        DensityRatio(**settings)
