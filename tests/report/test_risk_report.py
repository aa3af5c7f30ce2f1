"""The risk report says what attacks found, what the ledger promises, and which is which."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from made_release import HOLDOUT, REFERENCE, SCHEMA, TRAIN, people, released

from dp_synth import PrivacyBudget, Release
from dp_synth.attacks import ATTACKS
from dp_synth.attacks.base import Attack
from dp_synth.attacks.registry import GUESSES, privacy_risks
from dp_synth.errors import InputError
from dp_synth.metrics.estimate import Estimate
from dp_synth.report import RiskReport, risk_report
from dp_synth.report.risk import of_guess, of_membership


@pytest.fixture(scope="module")
def release():
    return released(1.0)


@pytest.fixture(scope="module")
def report(release):
    rows = release.sample(200, seed=1)
    return risk_report(TRAIN, HOLDOUT, rows, release, reference=REFERENCE)


@pytest.fixture(scope="module")
def leaky():
    return risk_report(TRAIN, HOLDOUT, TRAIN, SCHEMA, reference=REFERENCE)


def test_every_attack_has_a_row_with_an_interval_and_a_sentence(report):
    table = report.table
    assert set(table["attack"]) == set(ATTACKS) | set(GUESSES)
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert table["sentence"].str.endswith(".").all()
    assert table["question"].str.endswith("?").all()
    assert (table["note"] == "internal: computed from private rows").all()
    assert table["sees"].ne("").all()
    assert not report.left_out


def test_every_membership_attack_has_a_question_of_its_own():
    questions = {attack.question for attack in ATTACKS.values()}
    assert len(questions | {Attack.question}) == len(ATTACKS) + 1


def test_a_copy_is_found_and_noise_is_not(leaky, report):
    found = leaky.table.set_index("attack")["found"]
    assert found[["closest_record", "density_ratio", "linkability", "inference_nearest"]].all()
    assert found.mean() > 0.7
    assert report.table["found"].mean() < 0.3


def test_numbers_are_those_of_the_attacks_themselves(leaky):
    risks = privacy_risks(TRAIN, HOLDOUT, TRAIN, SCHEMA, REFERENCE).set_index("attack")
    ours = leaky.table.set_index("attack").loc[risks.index]
    pd.testing.assert_frame_equal(
        ours[["value", "low", "high", "control", "baseline"]],
        risks[["value", "low", "high", "control", "baseline"]],
    )
    guesses = leaky.table[leaky.table["kind"] == "guess"]
    gained = (guesses["attacked"] - guesses["control"]) / (1 - guesses["control"])
    assert gained.to_numpy() == pytest.approx(guesses["value"].to_numpy())


def test_a_release_says_what_its_ledger_permits(release, report):
    guarantee = report.guarantee
    assert guarantee.epsilon == release.epsilon <= 1.0
    assert guarantee.largest_auc == release.largest_auc()
    assert guarantee.statement == release.ledger.statement()
    assert f"{guarantee.largest_auc:.4f}" in str(report)
    sees = report.table.set_index("attack")["sees"]
    assert "noisy answers" in sees["transcript_ratio"]
    assert "the synthesizer and its budget" in sees["marginal_ratio"]


def test_who_holds_no_release_and_no_reference_is_told_what_was_left_out():
    bare = risk_report(TRAIN, HOLDOUT, people(200, 3), SCHEMA)
    assert bare.guarantee is None
    assert bare.to_dict()["publishable"] is None
    for name, attack in ATTACKS.items():
        assert (name in bare.left_out) == (attack.needs() != ("synthetic",))
    assert "needs a reference" in bare.left_out["density_ratio"]
    assert "left out: transcript_ratio" in str(bare)


def test_a_seed_repeats_the_report(release, report):
    again = risk_report(TRAIN, HOLDOUT, release.sample(200, seed=1), release, reference=REFERENCE)
    assert again.to_dict() == report.to_dict()


def test_only_the_guarantee_stands_in_the_publishable_part(report):
    plain = report.to_dict()
    assert set(plain) == {"dp_synth", "publishable", "internal"}
    assert set(plain["publishable"]) == {
        *("synthesizer", "statement", "epsilon", "delta", "adjacency", "unit", "largest_auc"),
    }
    assert plain["internal"]["note"].startswith("internal")
    assert len(plain["internal"]["attacks"]) == len(report.table)


def test_the_publishable_part_is_the_same_for_any_private_table(release, report):
    others = risk_report(people(50, 8), people(50, 9), people(50, 10), release)
    assert others.to_dict()["publishable"] == report.to_dict()["publishable"]


def test_a_report_is_written_whole(report, tmp_path):
    folder = report.write(tmp_path / "risk")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} == {"risk.json", "risk.csv", "risk.png"}
    assert json.loads((folder / "risk.json").read_text()) == report.to_dict()
    table = pd.read_csv(folder / "risk.csv")
    assert table["attack"].tolist() == report.table["attack"].tolist()
    assert (folder / "risk.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_that_cannot_be_finished_leaves_nothing(report, tmp_path, monkeypatch):
    def no_room(self: Path, *args: object, **settings: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", no_room)
    with pytest.raises(OSError, match="no space"):
        report.write(tmp_path / "risk")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_stays_as_it_is(report, tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(InputError, match="not there yet"):
        report.write(tmp_path)
    with pytest.raises(InputError, match="not there yet"):
        report.write(tmp_path / "absent" / "risk")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_infinite_ends_are_none_in_json(report):
    table = report.table.copy()
    table.loc[0, "low"] = -math.inf
    plain = RiskReport(table, None, {}, 0).to_dict()
    assert plain["internal"]["attacks"][0]["low"] is None
    json.dumps(plain, allow_nan=False)


def test_tables_that_share_records_are_refused():
    with pytest.raises(InputError, match="train and holdout share"):
        risk_report(TRAIN, TRAIN.copy(), people(50, 3), SCHEMA)
    with pytest.raises(InputError, match="train and reference share"):
        risk_report(TRAIN, HOLDOUT, people(50, 3), SCHEMA, reference=TRAIN)


def test_empty_tables_are_refused():
    with pytest.raises(InputError, match="a record or more"):
        risk_report(TRAIN, HOLDOUT.head(0), people(50, 3), SCHEMA)


def test_of_a_unit_of_several_records_no_ceiling_is_drawn(release):
    budget = PrivacyBudget(1.0, 1e-5, unit="job", max_rows=2)
    ledger = release.ledger.__class__(budget, release.ledger.entries)
    of_units = Release(release.synthesizer, release.settings, release.schema, release.model, ledger)
    report = risk_report(TRAIN, HOLDOUT, people(50, 3), of_units, reference=REFERENCE)
    assert report.guarantee.unit == "job"
    assert report.guarantee.ceiling is None
    sees = report.table.set_index("attack")["sees"]
    assert "its budget" not in sees["marginal_ratio"]
    assert "no noisy marginal" in report.left_out["transcript_ratio"]


def test_an_area_above_the_ledger_asks_for_a_defect():
    area = Estimate(0.9, 0.85, 0.95)
    assert "look for a defect" in of_membership(area, similarity=False, largest_auc=0.8)
    assert "It tells them apart." in of_membership(area, similarity=False, largest_auc=0.88)
    no_better = of_membership(Estimate(0.52, 0.48, 0.56), similarity=True, largest_auc=None)
    assert "proves nothing" in no_better
    assert "similarity, not privacy" in no_better


def test_a_guess_is_said_beside_fresh_records():
    nothing = of_guess(GUESSES["reconstruction"], 0.5, 0.5, Estimate(0.0, -0.1, 0.1))
    assert "adds nothing that shows (-10.0 to 10.0 %" in nothing
    full = of_guess(GUESSES["linkability"], 1.0, 1.0, Estimate(-math.inf, -math.inf, 1.0))
    assert "left nothing to gain" in full
    open_below = of_guess(GUESSES["linkability"], 1.0, 1.0, Estimate(0.0, -math.inf, 1.0))
    assert "inf" not in open_below


def test_the_summary_says_what_chance_would_find(leaky):
    found = int(leaky.table["found"].sum())
    assert leaky.summary.startswith(f"{found} of {len(leaky.table)} attacks found something")
    assert "only the ledger" in leaky.summary
