import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import AttackerView, SyntheticClassifier
from dp_synth.errors import InputError
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "label": "c",
        "positive": "b",
        "columns": [
            {"name": "x", "type": "real", "lower": -9, "upper": 9, "missing": [""]},
            {"name": "c", "type": "categorical", "categories": ["a", "b"]},
        ],
    }
)


def table(n, share, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"x": rng.standard_normal(n), "c": rng.choice(["a", "b"], n, p=share)})


@pytest.mark.parametrize("model", ["gradient_boosting", "logistic_regression"])
def test_the_score_learns_the_odds_of_being_synthetic_and_sees_the_label_too(model):
    view = AttackerView(table(2000, [0.2, 0.8], 0), SCHEMA, table(2000, [0.8, 0.2], 1))
    targets = pd.DataFrame({"x": [0.0, 0.0], "c": ["a", "b"]})
    scores = SyntheticClassifier(model).scores(targets, view)
    # log(0.8 / 0.2) = 1.39 either way; trees also follow the noise of 2,000 rows each
    np.testing.assert_allclose(scores, [-np.log(4), np.log(4)], atol=1.1)


@pytest.mark.parametrize(("rows", "others"), [(0, 5), (5, 0)])
def test_without_rows_of_both_kinds_all_targets_tie(rows, others):
    frame = table(5, [0.5, 0.5], 0)
    view = AttackerView(frame.head(rows), SCHEMA, frame.head(others))
    assert not SyntheticClassifier().scores(frame, view).any()


def test_an_unknown_model_is_refused_beside_those_there_are():
    with pytest.raises(InputError, match="gradient_boosting, logistic_regression, got 'forest'"):
        SyntheticClassifier("forest")
