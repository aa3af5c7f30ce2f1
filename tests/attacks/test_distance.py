import numpy as np
import pandas as pd
import pytest

from dp_synth.attacks import (
    AttackerView,
    ClosestRecord,
    DistanceDifference,
    NearestRecords,
    RecordsWithinRadius,
    isolation,
    neighbours,
)
from dp_synth.errors import InputError
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "job", "type": "categorical", "size": 5, "missing": ["?"]},
            {"name": "age", "type": "integer", "lower": 20, "upper": 70, "missing": [""]},
            {"name": "grade", "type": "ordinal", "size": 5},
            {"name": "born", "type": "datetime", "lower": "1950-01-01", "upper": "2000-01-01"},
        ],
    }
)
DAYS = (pd.Timestamp("2000-01-01") - pd.Timestamp("1950-01-01")).days


def people(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 71, n).astype(str).astype(object)
    age[rng.random(n) < 0.2] = ""
    job = rng.integers(0, 5, n).astype(str).astype(object)
    job[rng.random(n) < 0.2] = "?"
    days = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, DAYS, n), unit="D")
    return pd.DataFrame(
        {"job": job, "age": age, "grade": rng.integers(0, 5, n), "born": days.strftime("%Y-%m-%d")}
    )


def slow_distance(a, b):
    age = 0.0 if a["age"] == b["age"] else 1.0
    if a["age"] and b["age"]:
        age = abs(int(a["age"]) - int(b["age"])) / 50
    days = abs((pd.Timestamp(a["born"]) - pd.Timestamp(b["born"])).days)
    return (a["job"] != b["job"]) + age + abs(a["grade"] - b["grade"]) / 4 + days / DAYS


def slow_distances(left, right):
    return np.array(
        [[slow_distance(a, b) for _, b in right.iterrows()] for _, a in left.iterrows()]
    )


def test_the_score_is_the_negative_distance_to_the_closest_synthetic_record():
    targets, synthetic = people(20, 0), people(30, 1)
    expected = -slow_distances(targets, synthetic).min(axis=1)
    scores = ClosestRecord().scores(targets, AttackerView(synthetic, SCHEMA))
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_isolation_is_the_mean_distance_to_the_five_nearest_reference_records():
    frame, reference = people(20, 0), people(30, 1)
    expected = np.sort(slow_distances(frame, reference), axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(isolation(frame, SCHEMA, reference), expected, atol=1e-5)


def test_blocks_change_nothing(monkeypatch):
    frame, reference = people(50, 0), people(30, 1)
    whole = isolation(frame, SCHEMA, reference)
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", 70)
    np.testing.assert_array_equal(isolation(frame, SCHEMA, reference), whole)


def test_a_copy_scores_zero_and_values_beyond_the_bounds_are_clipped():
    targets = people(10, 0)
    assert not ClosestRecord().scores(targets, AttackerView(targets, SCHEMA)).any()
    far = targets.assign(age="1000000")
    near = targets.assign(age="70")
    assert not ClosestRecord().scores(far, AttackerView(near, SCHEMA)).any()


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_records_still_give_a_finite_distance(rows):
    values = isolation(people(4, 0), SCHEMA, people(rows, 1))
    assert ((values >= 0) & (values <= 4)).all()
    assert rows or (values == 4).all()


def test_more_neighbours_are_averaged():
    targets, synthetic = people(20, 0), people(30, 1)
    expected = -np.sort(slow_distances(targets, synthetic), axis=1)[:, :3].mean(axis=1)
    scores = NearestRecords(neighbours=3).scores(targets, AttackerView(synthetic, SCHEMA))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    with pytest.raises(InputError, match="neighbours must be 1 or more, got 0"):
        NearestRecords(neighbours=0)


def test_records_within_the_median_least_distance_are_counted_and_ties_go_to_the_closer():
    targets, synthetic = people(20, 0), people(31, 1)
    among = slow_distances(synthetic, synthetic)
    np.fill_diagonal(among, np.inf)
    radius = np.median(among.min(axis=1))
    away = slow_distances(targets, synthetic)
    assert np.abs(away - radius).min() > 1e-5  # no count hangs on rounding
    expected = (away <= radius).sum(axis=1) - away.min(axis=1) / 5
    scores = RecordsWithinRadius().scores(targets, AttackerView(synthetic, SCHEMA))
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_records_for_a_radius_leave_the_order_of_distances(rows):
    targets, synthetic = people(5, 0), people(rows, 1)
    view = AttackerView(synthetic, SCHEMA)
    order = np.argsort(ClosestRecord().scores(targets, view))
    assert (np.diff(RecordsWithinRadius().scores(targets, view)[order]) >= 0).all()


def test_the_distance_to_the_reference_is_taken_off():
    targets, synthetic, reference = people(20, 0), people(30, 1), people(40, 2)
    expected = slow_distances(targets, reference).min(axis=1)
    expected -= slow_distances(targets, synthetic).min(axis=1)
    scores = DistanceDifference().scores(targets, AttackerView(synthetic, SCHEMA, reference))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
