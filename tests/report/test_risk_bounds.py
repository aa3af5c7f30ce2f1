"""What the ledger permits of a guess stands beside its success, and holds."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_release import HOLDOUT, REFERENCE, SCHEMA, TRAIN, people, released
from scipy.stats import norm

from dp_synth.accounting import Gaussian, compose
from dp_synth.attacks import singling_out
from dp_synth.attacks.base import ExcessRisk
from dp_synth.attacks.registry import GUESSES, Risk
from dp_synth.metrics.estimate import Estimate
from dp_synth.report import largest_success, risk_report
from dp_synth.report.risk import _row

MU = 0.8
CURVE = compose([(Gaussian(noise_multiplier=1 / MU, sensitivity=1.0), 1)])


def risk_of(control, *, records=1, unfitted=None):
    end = Estimate(control, control, control)
    return ExcessRisk(end, end, 0.5, Estimate(0.0, 0.0, 0.0), unfitted, records)


@pytest.mark.parametrize("control", [0.001, 0.1, 0.5, 0.83, 0.999])
def test_the_bound_of_one_gaussian_has_its_closed_form(control):
    expected = norm.cdf(norm.ppf(control) + MU)  # 1 - f(b) of Gaussian differential privacy
    found = largest_success(CURVE, risk_of(control))
    assert expected <= found <= expected + 2e-3


def test_of_many_records_each_has_a_bound():
    expected = 500 * norm.cdf(norm.ppf(0.02 / 500) + MU)
    found = largest_success(CURVE, risk_of(0.02, records=500))
    assert expected <= found <= 1.02 * expected < 1
    assert found > largest_success(CURVE, risk_of(0.02))
    assert largest_success(CURVE, risk_of(0.9, records=5000)) == 1.0


def test_the_upper_end_and_the_success_on_who_was_left_out_are_taken():
    unsure = replace(risk_of(0.2), control=Estimate(0.2, 0.1, 0.3))
    assert largest_success(CURVE, unsure) == largest_success(CURVE, risk_of(0.3))
    told = Estimate(0.4, 0.3, 0.5)
    assert largest_success(CURVE, risk_of(0.2, unfitted=told)) == largest_success(
        CURVE, risk_of(0.5)
    )


def test_the_best_guess_about_one_record_reaches_its_bound_and_does_not_pass_it():
    # A bit is told as +1/2 or -1/2 with Gaussian noise; who was left out is told as noise alone.
    rng = np.random.default_rng(0)
    runs = 200_000
    claim = compose([(Gaussian(noise_multiplier=2.0, sensitivity=1.0), 1)])
    for threshold in (-0.5, 0.0, 1.0):
        right, blind = (rng.normal(mean, 2.0, runs) > threshold for mean in (1.0, 0.0))
        risk = ExcessRisk.of(right, blind, 0.5)
        bound = largest_success(claim, risk)
        assert risk.attack.low <= bound
        assert risk.attack.high > bound - 0.01  # the test can fail


def test_singling_out_counts_a_fresh_record_in_the_place_of_each_fitted_one():
    risk = singling_out(TRAIN, HOLDOUT, people(200, 3), SCHEMA)
    assert risk.records == min(len(TRAIN), len(HOLDOUT))
    # A fresh record alone among fitted ones is singled out about as often as among fresh ones.
    spread = 5 * math.sqrt(1 / 200)
    assert abs(risk.unfitted.value - risk.control.value) < spread
    copied = singling_out(TRAIN, HOLDOUT, TRAIN, SCHEMA)
    assert copied.unfitted.value < copied.attack.value / 2


def test_every_row_of_a_report_with_a_ledger_has_its_bound_and_says_so():
    release = released(1.0)
    report = risk_report(TRAIN, HOLDOUT, release.sample(200, seed=1), release, reference=REFERENCE)
    table = report.table
    assert table["bound"].notna().all()
    membership = table[table["kind"] == "membership"]
    assert (membership["bound"] == release.largest_auc()).all()
    guesses = table[table["kind"] == "guess"]
    of_one = guesses[~guesses["attack"].str.startswith("singling_out")]
    assert (of_one["bound"] >= of_one["control"]).all()
    assert (guesses["memorised_low"] <= guesses["memorised"]).all()
    assert np.allclose(guesses["memorised"], guesses["attacked"] - guesses["control"])
    below = table[table["bound"] < 1]
    assert below["sentence"].str.contains("no attack whatever can pass this").all()
    bare = risk_report(TRAIN, HOLDOUT, people(200, 3), SCHEMA)
    assert bare.table["bound"].isna().all()
    assert not bare.table["sentence"].str.contains("ledger").any()


def test_a_guess_that_passes_its_bound_asks_for_a_defect():
    risk = ExcessRisk.of([True] * 200, [True] * 20 + [False] * 180, 0.1)
    guess = GUESSES["linkability"]
    row = _row(Risk(guess, risk.risk, risk.control.value, 0.1, risk), None, CURVE)
    assert row["bound"] < row["attacked"]
    assert "look for a defect" in row["sentence"]
    assert "no attack whatever" not in row["sentence"]
