"""The internal part: what it measures is what metrics and attacks say, each with its interval."""

import os

import numpy as np
import pandas as pd
import pytest
from made_card import FULL, HOLDOUT, LABELLED, RELEASE, ROWS, TRAIN
from made_release import people

from dp_synth import metrics
from dp_synth.errors import InputError
from dp_synth.metrics import METRICS, MODELS, Compared, Estimate, RealTables
from dp_synth.metrics.estimate import difference
from dp_synth.metrics.evaluation import worst_marginals
from dp_synth.metrics.prediction import auc_gain
from dp_synth.report import risk_report
from dp_synth.report.internal import data_warnings, internal_part, rare_shares, record_keys
from dp_synth.report.publishable import Measured

PART = FULL.internal
SECTIONS = (
    "fidelity",
    "columns",
    "pairs",
    "utility",
    "subgroups",
    "attacks",
    "guesses",
    "warnings",
)


def by_name(measured):
    return {one.name: one for one in measured}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_number_lies_in_its_interval(section):
    for one in getattr(PART, section):
        if None not in (one.value, one.low, one.high):
            assert one.low <= one.value <= one.high
    assert section == "subgroups" or getattr(PART, section)


def test_fidelity_and_utility_are_the_metrics_own():
    found = metrics.evaluate(TRAIN, HOLDOUT, ROWS, RELEASE.schema)
    fidelity, utility = by_name(PART.fidelity), by_name(PART.utility)
    assert fidelity["tv2"].value == pytest.approx(found["tv2"])
    assert fidelity["tv2"].beside == pytest.approx(found["tv2_floor"])
    assert fidelity["tv2_holdout"].beside is None
    for model, auc in found["auc"].items():
        real = found["auc_real"][model]
        assert utility[f"auc:{model}"].value == pytest.approx(auc)
        assert utility[f"auc:{model}"].beside == pytest.approx(real)
        assert utility[f"auc_gap:{model}"].value == pytest.approx(real - auc)


def test_gaps_are_of_areas_that_are_tested_on_the_same_records():
    real = RealTables(*(RELEASE.schema.typed(table) for table in (TRAIN, HOLDOUT)), RELEASE.schema)
    made, fitted = (Compared(real, rows) for rows in (RELEASE.schema.typed(ROWS), real.train))
    utility = by_name(PART.utility)
    for model, scores in made.scores.items():
        gap = utility[f"auc_gap:{model}"]
        apart = difference(fitted.scores[model]["auc"], scores["auc"])
        paired = auc_gain(*(one.predicted(model, MODELS[model]) for one in (fitted, made)))
        assert (gap.low, gap.high) == pytest.approx((paired.low, paired.high))
        assert (gap.low, gap.high) != pytest.approx((apart.low, apart.high), abs=1e-3)


def test_models_that_rank_alike_on_few_records_may_yet_differ():
    rows = [
        people(60, seed).assign(ill=lambda one: (one["age"] > 60).astype(int)) for seed in (8, 9)
    ]
    utility = by_name(internal_part(*rows, rows[0], RELEASE).utility)
    for model in MODELS:
        gap = utility[f"auc_gap:{model}"]
        assert gap.low < gap.value == 0 < gap.high


def test_fresh_records_are_never_told_from_themselves():
    # Beside the rows stand other real records, the fitted ones, told from the fresh ones.
    real = RealTables(*(RELEASE.schema.typed(table) for table in (TRAIN, HOLDOUT)), RELEASE.schema)
    found = METRICS["propensity_mse"](Compared(real, real.train))
    told = {one.name: one.beside for one in PART.fidelity if one.name.startswith("propensity_mse")}
    assert told == pytest.approx({name: estimate.value for name, estimate in found.items()})


def test_the_worst_columns_and_pairs_stand_beside_fresh_records():
    compared = Compared(
        RealTables(*map(RELEASE.schema.typed, (TRAIN, HOLDOUT)), RELEASE.schema), ROWS
    )
    for degree, measured in ((1, PART.columns), (2, PART.pairs)):
        found = worst_marginals(compared, degree)
        assert [one.about for one in measured] == [" and ".join(one.columns) for one in found]
        assert [one.value for one in measured] == [one.distance.value for one in found]
        assert [one.beside for one in measured] == [one.floor.value for one in found]


def test_attacks_are_those_of_the_risk_report_beside_what_the_ledger_permits():
    report = risk_report(TRAIN, HOLDOUT, ROWS, RELEASE).table.set_index("attack")
    for one in PART.attacks:
        assert one.value == pytest.approx(report.loc[one.name, "value"], abs=1e-9)
        assert one.beside == RELEASE.largest_auc()
        assert one.note.endswith(".")
    for one in PART.guesses:
        assert one.beside == pytest.approx(report.loc[one.name, "control"])
    named = {one.name for one in (*PART.attacks, *PART.guesses)}
    assert named == set(report.index)
    assert "density_ratio" in PART.left_out


def test_a_reference_lets_more_attacks_run():
    part = internal_part(TRAIN.head(50), HOLDOUT.head(50), ROWS, RELEASE, reference=people(50, 2))
    assert "density_ratio" in by_name(part.attacks)
    assert not part.left_out


def test_tables_that_share_records_are_refused():
    with pytest.raises(InputError, match="train and holdout share"):
        internal_part(TRAIN, TRAIN.copy(), ROWS, RELEASE)


def test_copies_are_told_from_what_fresh_records_have_too():
    leaky = by_name(data_warnings(TRAIN, HOLDOUT, TRAIN, LABELLED))
    assert leaky["copies"].value == 1
    assert leaky["copies_excess"].low > 0.9
    fair = by_name(data_warnings(TRAIN, HOLDOUT, people(500, 7), LABELLED))
    assert fair["copies_excess"].low <= 0 <= fair["copies_excess"].high
    small = pd.DataFrame({"ill": [0, 1, 1]})
    chosen = LABELLED.select(["ill"])
    both = by_name(data_warnings(small, small, small, chosen))
    assert both["copies"].value == both["copies"].beside == 1  # equal records of other people
    assert both["copies_excess"].value == 0


def test_records_are_equal_when_all_columns_are():
    frame = pd.DataFrame({"job": ["1", "1", "2"], "ill": [0, 0, 0]})
    typed = pd.DataFrame({"job": [1], "ill": ["0"]})
    keys = record_keys([frame, typed], LABELLED.select(["job", "ill"]))
    assert keys[0][0] == keys[0][1] == keys[1][0] != keys[0][2]


def test_rare_combinations_are_kept_by_copies_alone():
    fitted, fresh = rare_shares(TRAIN, HOLDOUT, TRAIN, LABELLED)
    assert fitted.value == 1
    assert fresh.value < 0.5
    fitted, fresh = rare_shares(TRAIN, HOLDOUT, people(2000, 7), LABELLED)
    gap = difference(fitted, fresh)
    assert gap.low <= 0 <= gap.high


def test_lonely_records_are_as_often_in_fresh_tables_whether_fitted_or_not():
    gaps = []
    for seed in range(30):
        tables = [people(120, 100 + 3 * seed + i) for i in range(3)]
        fitted, fresh = rare_shares(*tables, LABELLED)
        gaps.append(fitted.value - fresh.value)
    # The mean of 30 differences, each of spread below 0.1: 6 standard errors are 0.11.
    assert abs(np.mean(gaps)) < 0.11


def test_one_column_has_no_pairs_and_tells_nothing():
    one = LABELLED.select(["ill"])
    fitted, fresh = rare_shares(TRAIN, HOLDOUT, ROWS, one)
    assert (fitted.low, fitted.high) == (fresh.low, fresh.high) == (0.0, 1.0)


def test_columns_with_values_of_their_own_are_named():
    found = [one for one in data_warnings(TRAIN, HOLDOUT, ROWS, LABELLED) if one.about]
    assert [(one.name, one.about) for one in found] == [("near_unique", "income")]
    assert found[0].low > 0.5


def test_what_is_infinite_is_none():
    one = Measured.of("risk", Estimate(-np.inf, -np.inf, 1.0), beside=np.nan)
    assert (one.value, one.low, one.high, one.beside) == (None, None, 1.0, None)


def test_a_card_can_be_read_by_its_owner_alone_where_it_has_an_internal_part(tmp_path):
    before = os.umask(0)
    try:
        internal = FULL.write(tmp_path / "i.json")
        public = FULL.published().write(tmp_path / "p.json")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in internal} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in public} == {0o666}
