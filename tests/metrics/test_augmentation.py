import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, number, schema_of

from dp_synth.metrics.model_metrics import _fill, augmentation
from dp_synth.metrics.prediction import Examples

SCHEMA = schema_of(
    {"x": number(), "z": number(), "y": kinds("common", "rare")}, label="y", positive="rare"
)
THREE = schema_of({"x": number(), "z": number(), "y": kinds("a", "b", "c")}, label="y")


def table(common, rare, seed, reversed_=False):
    """Rare records lie to the right; reversed ones to the left."""
    rng = np.random.default_rng(seed)
    right = np.clip(rng.normal(65, 12, rare), 0, 100).round()
    x = np.clip(rng.normal(45, 12, common), 0, 100).round()
    return pd.DataFrame(
        {
            "x": np.concatenate([x, 90 - np.minimum(right, 90) if reversed_ else right]),
            "z": rng.integers(0, 101, common + rare),
            "y": ["common"] * common + ["rare"] * rare,
        }
    )


TRAIN, HOLDOUT = table(600, 4, 0), table(600, 200, 1)


def found(synthetic, train=TRAIN, schema=SCHEMA, holdout=HOLDOUT):
    return augmentation(compare(schema, train, synthetic, holdout))


def test_good_rows_of_the_rare_class_help_and_wrong_ones_harm():
    good, wrong = found(table(600, 600, 2)), found(table(600, 600, 3, reversed_=True))
    assert good["augmentation:auc_gain"].low > 0
    assert good["augmentation:recall_gain"].low > 0.2
    assert wrong["augmentation:auc_gain"].high < 0
    assert good["augmentation:recall"].low > wrong["augmentation:recall"].high


def test_a_table_without_the_rare_class_adds_nothing():
    values = found(table(600, 0, 2))
    assert values["augmentation:auc_gain"].value == 0
    assert values["augmentation:recall_gain"].value == 0


def test_synthetic_rows_of_common_classes_are_not_used():
    few = table(0, 300, 4)
    with_common = pd.concat([table(500, 0, 5, reversed_=True), few], ignore_index=True)
    only = found(few)
    mixed = found(with_common)
    # The same rare rows in another order: trees do not see it, but for the ties of their cuts.
    for name, estimate in only.items():
        assert mixed[name].value == pytest.approx(estimate.value, abs=0.02)


def test_a_rare_class_is_filled_up_to_the_commonest_and_no_further():
    labels = np.repeat(np.array([0, 1, 2], dtype=np.int32), [50, 50, 5])
    made = Examples(np.arange(105.0)[:, None], labels, (0,))
    filled = _fill(made, np.array([30, 10, 5]), np.array([1, 2]), np.random.default_rng(0))
    assert np.bincount(filled.labels).tolist() == [0, 20, 5]
    assert len(np.unique(filled.features)) == 25


def test_a_class_without_a_training_record_is_not_a_rare_one():
    train = TRAIN.assign(y="a")
    train.loc[:249, "y"] = "b"
    holdout = HOLDOUT.assign(y="c")
    assert found(holdout, train=train, schema=THREE, holdout=holdout) == {}


def test_a_balanced_label_has_no_rare_class():
    assert found(table(50, 50, 2), train=table(300, 200, 0)) == {}
    assert found(table(50, 50, 2), holdout=table(100, 0, 1)) == {}


def test_each_rare_class_of_several_is_filled_up():
    def three(counts, seed):
        rng = np.random.default_rng(seed)
        centres = np.repeat([20, 50, 80], counts)
        x = np.clip(rng.normal(centres, 9), 0, 100).round()
        return pd.DataFrame(
            {"x": x, "z": rng.integers(0, 101, len(x)), "y": np.repeat(list("abc"), counts)}
        )

    values = found(three([300, 300, 300], 1), three([400, 8, 8], 0), THREE, three([200] * 3, 2))
    assert values["augmentation:recall_gain"].low > 0
    assert values["augmentation:recall"].value > 0.7
