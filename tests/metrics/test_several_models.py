import numpy as np
import pandas as pd
import pytest
from made_comparisons import kinds, number, schema_of
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from dp_synth.metrics import Compared, RealTables
from dp_synth.metrics.model_metrics import areas, rank_agreement, several_models
from dp_synth.metrics.models import MOST_RECORDS, SEVERAL, nearest_neighbours
from dp_synth.metrics.prediction import Predicted

SCHEMA = schema_of(
    {"x": number(missing=[""]), "z": number(), "job": kinds("a", "b", "c"), "y": kinds("n", "p")},
    label="y",
    positive="p",
)


def table(rows, seed, sign=1):
    rng = np.random.default_rng(seed)
    x, job = rng.integers(0, 101, rows), rng.choice(["a", "b", "c"], rows)
    lean = sign * ((x - 50) / 12 + np.where(job == "a", 1.5, 0))
    y = np.where(rng.random(rows) < 1 / (1 + np.exp(-lean)), "p", "n")
    written = np.where(rng.random(rows) < 0.1, "", x.astype(str))
    return pd.DataFrame({"x": written, "z": rng.integers(0, 101, rows), "job": job, "y": y})


@pytest.fixture(scope="module")
def real():
    return RealTables(table(1200, 0), table(800, 1), SCHEMA)


def test_every_kind_of_model_learns_from_good_rows_and_nothing_from_bad_ones(real):
    good = several_models(Compared(real, table(1200, 2)))
    shuffled = table(1200, 3)
    shuffled["y"] = np.random.default_rng(0).permutation(shuffled["y"])
    bad = several_models(Compared(real, shuffled))
    for name in SEVERAL:
        assert good[f"several_models:auc:{name}"].low > 0.8
        # A model of nothing leans some way on few features: areas stay far from what is learned.
        assert bad[f"several_models:auc:{name}"].value < 0.75
    assert good["several_models:mean_auc"].low > bad["several_models:mean_auc"].high


def test_a_class_beyond_the_neighbours_that_are_kept_has_no_vote():
    labels = np.append(np.zeros(MOST_RECORDS, dtype=np.int32), [1, 2]).astype(np.int32)
    labels[1::2] = 2
    model = nearest_neighbours((0,), 0)
    model.fit(np.arange(len(labels), dtype=np.float64)[:, None], labels)
    chances = model.predict_proba(np.array([[0.0], [5000.0]]))
    assert chances.shape == (2, 3)
    assert chances.sum(axis=1).tolist() == [1.0, 1.0]
    assert chances[:, 1].tolist() == [0.0, 0.0]


def test_training_records_rank_the_models_as_they_do(real):
    found = several_models(Compared(real, real.train))
    assert found["several_models:rank_agreement"].value == 1


def test_the_agreement_is_between_the_areas_of_synthetic_and_of_real_records(real):
    found = [several_models(Compared(real, rows)) for rows in (table(300, 4, sign=-1), real.train)]
    first, second = ([of[f"several_models:auc:{name}"].value for name in SEVERAL] for of in found)
    agreement = found[0]["several_models:rank_agreement"].value
    assert agreement == pytest.approx(spearmanr(first, second).statistic)
    assert agreement < 1


def test_the_mean_is_of_all_models(real):
    found = several_models(Compared(real, table(300, 4)))
    values = [found[f"several_models:auc:{name}"].value for name in SEVERAL]
    assert found["several_models:mean_auc"].value == pytest.approx(np.mean(values))


def test_areas_are_those_of_resampled_records_with_ties_and_classes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200).astype(np.int32)
    chances = rng.dirichlet([1, 1, 1], 200).round(1)
    drawn = np.array([rng.integers(200, size=200) for _ in range(10)])
    counts = np.array([np.bincount(rows, minlength=200) for rows in drawn])
    found = areas(Predicted(labels, chances, binary=False), counts)
    for rows, area in zip(drawn, found, strict=True):
        each = [roc_auc_score(labels[rows] == c, chances[rows, c]) for c in range(3)]
        assert area == pytest.approx(np.mean(each))


def test_rank_agreement_is_spearmans_with_ties_and_0_without_an_order():
    rng = np.random.default_rng(0)
    first, second = rng.random((20, 7)).round(1), rng.random((20, 7)).round(1)
    expected = [spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    assert rank_agreement(first, second) == pytest.approx(np.array(expected))
    assert rank_agreement(np.ones((1, 3)), np.array([[1.0, 2.0, 3.0]])).tolist() == [0.0]


def test_without_a_label_there_are_no_models(real):
    schema = SCHEMA.select(["x", "job"])
    assert several_models(Compared(RealTables(real.train, real.holdout, schema), real.train)) == {}


def test_a_model_has_one_interval_wherever_it_is_shown():
    sure = RealTables(table(1200, 0, sign=20), table(800, 1, sign=20), SCHEMA)
    compared = Compared(sure, table(1200, 2, sign=20))
    found, scores = several_models(compared), compared.scores
    for name, of in scores.items():
        assert of["auc"].value > 0.98  # its interval is that of pairs drawn at random
        assert found[f"several_models:auc:{name}"] == of["auc"]
