"""Tables of audits and attacks say what their records say, and audits above the ledger are told."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from experiments.audit_tightness import audits
from experiments.audit_tightness import tables as audit_tables

from benchmarks import attacks
from dp_synth.records import Spread


def stage(found: float, claimed: float) -> dict[str, object]:
    return {"epsilon_if_curve": found, "claimed_epsilon": claimed}


def audit_record(found: float = 0.5) -> dict[str, object]:
    bounds = {"clopper_pearson": 0.1, "gaussian_threshold": 0.3, "area_if_curve": found}
    stages = {"ones: one-way marginals": stage(0.2, 0.8), "pairs: pairs": stage(found, 0.6)}
    about = {"synthesizer": "mst", "settings": {"as_published": True}, "epsilon": 1.0}
    claim = {"claimed_epsilon": 1.0, "runs": 1000, "level": 0.05, "delta": 1e-5, "passed": True}
    claim["ceiling"] = 4.87
    return {**about, **claim, "bounds": bounds, "total": stage(found, 1.0), "stages": stages}


def cells(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]
    ]


def test_an_audit_is_shown_with_the_stage_that_is_closest_to_its_ledger() -> None:
    (row,) = cells(audit_tables.audits_table([audit_record()]))
    assert row[0] == "MST as published"
    assert row[1:5] == ["1.00", "0.50", "0.30", "0.10 (4.87)"]
    assert row[5] == "pairs: 0.50 of 0.60"


def test_what_is_found_above_the_ledger_is_told_by_stage_and_in_whole() -> None:
    assert audits.above(audit_record(0.5)) == []
    assert audits.above(audit_record(0.7)) == ["mst at 1, pairs: pairs"]
    assert audits.above(audit_record(1.1)) == ["mst at 1, total", "mst at 1, pairs: pairs"]
    beyond = audit_record(0.5) | {"bounds": {"clopper_pearson": 0.1, "gaussian_threshold": 1.2}}
    assert audits.above(beyond) == ["mst at 1, gaussian_threshold"]


def test_ours_stands_below_the_six_that_were_published() -> None:
    values = {"auc": 0.55, "epsilon": 0.0, "ceiling": 5.19, "epsilon_if_curve": 0.4}
    *published, ours = cells(audit_tables.worst_case_table([{"teachers": 3, "values": values}]))
    assert [row[3] for row in published] == ["4.68", "2.18", "4.68", "4.68", "4.53", "4.68"]
    assert all(row[4] == "4.68" for row in published)  # as a bound at its ceiling is printed
    assert ours == ["**ours**", "3", "0.550", "0.00", "5.19", "0.40"]


def test_canaries_are_a_row_for_each_noise_with_a_number_a_training() -> None:
    records = [
        {"noise": noise, "canaries": 100, "claimed_epsilon": 2.0}
        | {"values": {"right": right, "made": 50, "epsilon": right / 20, "ceiling": 2.78}}
        for noise, right in ((1.0, 26), (1.0, 25), (0.0625, 50))
    ]
    honest, faulty = cells(audit_tables.canaries_table(records))
    assert honest == ["all", "100", "26 of 50, 25 of 50", "1.30, 1.25", "2.78", "2"]
    assert faulty[:3] == ["1/16", "100", "50 of 50"]


def attacked(recipe: str, auc: float, *, epsilon: float = 1000.0, seed: int) -> dict[str, object]:
    values = {"closest_record": {"auc": auc, "seconds": 1.0}}
    return {"recipe": recipe, "epsilon": epsilon, "seed": seed, "values": values}


def test_attacks_have_the_mean_over_fresh_seeds_of_one_epsilon_for_every_recipe() -> None:
    records = [
        attacked(recipe, auc + 0.1 * i, seed=100)
        for i, recipe in enumerate(("mst", "other"))
        for auc in (0.5, 0.52)
    ]
    records += [attacked("mst", 0.9, epsilon=1.0, seed=100), attacked("mst", 0.9, seed=99)]
    ((name, *areas),) = cells(audit_tables.attacks_table(records))
    assert name == "closest record"
    assert areas == [Spread.of([a, a + 0.02]).shown(3) for a in (0.5, 0.6)]


@pytest.mark.parametrize("name", [n for n in audit_tables.DRAWN if n != "pate worst case"])
def test_what_has_no_record_yet_has_no_row(tmp_path: Path, name: str) -> None:
    assert cells(audit_tables.DRAWN[name](tmp_path)) == []


def test_what_a_resumed_run_of_audits_has_not_come_to_yet_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, kept = audits.Audited("mst"), tmp_path / "audits.jsonl"
    known = [asdict(one) | {"epsilon": epsilon} for epsilon in (1.0, 10.0)]
    kept.write_text("".join(json.dumps(record) + "\n" for record in known))

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(audits, "AUDITS", (one,))
    monkeypatch.setattr(audits, "_record", stopped)
    monkeypatch.setattr(sys, "argv", ["audits.py", "--resume", "--results", str(tmp_path)])
    with pytest.raises(KeyboardInterrupt):
        audits.main()
    assert [json.loads(line)["epsilon"] for line in kept.read_text().splitlines()] == [1.0, 10.0]


def test_a_fit_that_is_attacked_again_takes_the_place_of_its_line_and_of_no_other(
    tmp_path: Path,
) -> None:
    path = tmp_path / "attacks.jsonl"
    first, second = (attacked("mst", 0.5, seed=seed) | {"table": "adult"} for seed in (100, 101))
    again = attacked("mst", 0.6, seed=100) | {"table": "adult"}
    other = attacked("mst", 0.7, epsilon=1.0, seed=100) | {"table": "adult"}
    attacks.keep(path, [first, second])
    attacks.keep(path, [again, other])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [second, again, other]
