import numpy as np
import pandas as pd
import pytest
from made_comparisons import kinds, number, schema_of
from sklearn.metrics import roc_auc_score

from dp_synth.metrics import MODELS, Compared, RealTables
from dp_synth.metrics.estimate import difference, share
from dp_synth.metrics.subgroups import FEWEST_RECORDS, groups_of, subgroups, widest_gap, worst

COLUMNS = {
    "x": number(),
    "sex": kinds("f", "m"),
    "town": kinds("a", "b", "c", missing=["?"]),
    "wide": {"type": "ordinal", "size": 12},
    "y": kinds("no", "yes"),
}
SCHEMA = schema_of(COLUMNS, label="y", positive="yes")


def table(rows, seed, follows=("f", "m")):
    """Records whose label follows x in the groups that are named, and a coin in others."""
    rng = np.random.default_rng(seed)
    x, sex = rng.integers(0, 101, rows), rng.choice(["f", "m"], rows)
    chance = np.where(np.isin(sex, follows), np.where(x > 50, 0.9, 0.1), 0.5)
    return pd.DataFrame(
        {
            "x": x,
            "sex": sex,
            "town": rng.choice(["a", "b", "c", "?"], rows, p=[0.5, 0.4, 0.08, 0.02]),
            "wide": rng.integers(0, 12, rows),
            "y": np.where(rng.random(rows) < chance, "yes", "no"),
        }
    )


def compared(synthetic, holdout=None, schema=SCHEMA):
    real = RealTables(table(1500, 0), table(1000, 1) if holdout is None else holdout, schema)
    return Compared(real, synthetic)


def test_groups_are_of_narrow_discrete_columns_and_have_enough_records():
    found = groups_of(compared(table(500, 2)))
    holdout = table(1000, 1)
    assert {name: [group.category for group in groups] for name, groups in found.items()} == {
        "sex": ["f", "m"],
        "town": ["a", "b"],
    }
    for groups in found.values():
        for group in groups:
            assert group.records == (holdout[group.attribute] == group.category).sum()
            assert group.records >= FEWEST_RECORDS


def test_scores_of_a_group_are_those_of_its_records():
    one = compared(table(800, 2, follows=("m",)))
    holdout = table(1000, 1)
    said = one.predicted("gradient_boosting", MODELS["gradient_boosting"])
    truth = (holdout["y"] == "yes").to_numpy()
    for group in groups_of(one)["sex"]:
        inside = (holdout["sex"] == group.category).to_numpy()
        chances, named = said.probabilities[inside, 1], said.probabilities[inside, 1] >= 0.5
        scores = {name: estimate.value for name, estimate in group.scores.items()}
        assert scores["auc"] == pytest.approx(roc_auc_score(truth[inside], chances))
        assert scores["accuracy"] == pytest.approx((named == truth[inside]).mean())
        assert scores["selection"] == pytest.approx(named.mean())
        assert scores["tpr"] == pytest.approx(named[truth[inside]].mean())
        assert scores["fpr"] == pytest.approx(named[~truth[inside]].mean())


def test_the_group_whose_dependence_is_lost_is_the_worst():
    fair, unfair = (
        subgroups(compared(table(1500, 2, follows=follows))) for follows in (("f", "m"), ("m",))
    )
    for name in ("worst_auc_loss", "mean_auc_loss", "accuracy_gap", "auc_gap"):
        assert fair[f"subgroups:{name}"].high < unfair[f"subgroups:{name}"].low
    assert unfair["subgroups:worst_auc_loss"].value > unfair["subgroups:mean_auc_loss"].value


def test_what_a_group_loses_counts_by_its_records():
    one = compared(table(1500, 2, follows=("m",)))
    found = subgroups(one)
    groups = [group for groups in groups_of(one).values() for group in groups]
    for name in ("tv", "auc_loss", "accuracy_loss"):
        losses = [group.scores[name].value for group in groups]
        assert found[f"subgroups:worst_{name}"].value == max(losses)
        means = [
            np.average([g.scores[name].value for g in of], weights=[g.records for g in of])
            for of in groups_of(one).values()
        ]
        assert found[f"subgroups:mean_{name}"].value == pytest.approx(np.mean(means), abs=1e-12)
    # The lost dependence is the women's: what is right less often is lost, not gained.
    lost = {group.category: group.scores["accuracy_loss"] for group in groups_of(one)["sex"]}
    assert lost["f"].low > 0.1 > lost["m"].value


def test_what_the_training_records_lose_is_nothing():
    real = RealTables(table(600, 0), table(1000, 1), SCHEMA)
    found = subgroups(Compared(real, real.train))
    for name in ("worst_tv", "mean_tv", "worst_auc_loss", "worst_accuracy_loss"):
        assert found[f"subgroups:{name}"].value == pytest.approx(0, abs=1e-12)


def test_errors_of_columns_are_within_the_group():
    train = table(1500, 0)
    far = train.assign(x=np.where(train["sex"] == "f", 0, train["x"]))
    groups = {group.category: group for group in groups_of(compared(far))["sex"]}
    # Of the four other columns one is wholly off in the one group: all but the lowest twentieth.
    assert groups["f"].scores["tv"].value == pytest.approx(0.95 / 4, abs=0.02)
    assert groups["m"].scores["tv"].value == 0
    found = subgroups(compared(far))
    assert found["subgroups:worst_tv"].value == groups["f"].scores["tv"].value
    assert found["subgroups:tv_gap"].value == pytest.approx(found["subgroups:worst_tv"].value)
    assert 0 < found["subgroups:mean_tv"].value < found["subgroups:worst_tv"].value


def test_a_group_that_is_not_reproduced_has_the_largest_error_of_columns():
    found = subgroups(compared(table(900, 2).assign(sex="m")))
    assert found["subgroups:worst_tv"].value == 1


def test_without_a_positive_class_there_are_no_rates():
    schema = schema_of(COLUMNS, label="y")
    names = {name.partition(":")[2] for name in subgroups(compared(table(500, 2), schema=schema))}
    assert {"accuracy_gap", "auc_gap", "worst_tv"} <= names
    assert not {"tpr_gap", "fpr_gap", "selection_gap"} & names


def test_records_without_a_label_are_not_judged():
    columns = COLUMNS | {"y": kinds("no", "yes", missing=["?"])}
    schema = schema_of(columns, label="y", positive="yes")
    holdout = table(1000, 1)
    spoilt = pd.concat([holdout, table(200, 3).assign(y="?")], ignore_index=True)
    one, other = (
        groups_of(compared(table(500, 2), frame, schema))["sex"] for frame in (holdout, spoilt)
    )
    for group, same in zip(one, other, strict=True):
        assert same.records > group.records
        assert same.scores["accuracy"] == group.scores["accuracy"]


def test_too_few_positives_give_no_rate_over_them():
    holdout = table(1000, 1).assign(y="no")
    holdout.loc[:4, "y"] = "yes"
    for groups in groups_of(compared(table(500, 2), holdout)).values():
        for group in groups:
            assert {"accuracy", "fpr", "selection"} <= set(group.scores)
            assert not {"tpr", "auc"} & set(group.scores)


def test_without_narrow_columns_there_is_nothing():
    schema = schema_of({"x": number(), "y": kinds("no", "yes")}, label="y")
    assert subgroups(compared(table(300, 2), schema=schema)) == {}


def scored(*shares, records=200):
    return [(records, share(round(records * one), records)) for one in shares]


def test_the_interval_of_a_gap_allows_for_every_pair_that_may_be_it():
    two = widest_gap([scored(0.8, 0.7)])
    assert (two.low, two.high) == (difference(*(one for _, one in scored(0.8, 0.7))).low, two.high)
    many = widest_gap([scored(0.8, 0.7), scored(0.75, 0.75, 0.76)])
    assert many.value == two.value
    assert many.low < two.low < two.value < two.high <= many.high
    unclear = widest_gap([scored(0.8, 0.7), scored(0.75, 0.7, records=20)])
    assert unclear.value == two.value
    assert unclear.high == difference(*(one for _, one in scored(0.75, 0.7, records=20))).high
    alike = widest_gap([scored(0.8, 0.8, 0.8)])
    assert alike.value == alike.low == 0 < alike.high


def test_the_interval_of_the_worst_allows_for_every_group_that_may_be_it():
    (one,), many = scored(0.3), scored(0.3, 0.25, 0.1)
    assert worst([[one]]) == one[1]
    found = worst([many])
    assert found.value == 0.3
    assert found.low < one[1].low
    assert found.high == one[1].high
