"""Scales kept on disk: found again bit for bit, and never believed unchecked."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dp_synth.accounting import Gaussians, Plan, PrivacyBudget, calibrate, calibration, compose
from dp_synth.accounting.calibration import _total_rho

BUDGET = PrivacyBudget(0.77, 1e-7)
PLAN = Plan({"ones": Gaussians(11)})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv(calibration.CACHE_VARIABLE, str(tmp_path / "scales"))
    return tmp_path / "scales"


def _rho() -> float:
    """What a new process would calibrate."""
    _total_rho.cache_clear()
    return calibrate({"fit": (PLAN, 1.0)}, BUDGET)["fit"].rho


def _tampered(folder: Path, value: str) -> None:
    [path] = folder.iterdir()
    _, key = path.read_text(encoding="utf-8").split("\n")
    path.write_text(f"{value}\n{key}", encoding="utf-8")


def test_a_scale_is_found_again_bit_for_bit(folder: Path) -> None:
    first = _rho()
    assert len(list(folder.iterdir())) == 1
    assert _rho() == first


def test_a_scale_is_checked_by_one_evaluation_instead_of_a_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(events: object) -> object:
        calls.append(events)
        return compose(events)  # type: ignore[arg-type]

    monkeypatch.setattr("dp_synth.accounting.calibration.compose", counted)
    _rho()
    assert len(calls) > 3
    calls.clear()
    _rho()
    assert len(calls) == 1


@pytest.mark.parametrize("factor", [1 + 1e-6, 2.0, 0.9, 0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_overspends_or_wastes_is_searched_anew(folder: Path, factor: float) -> None:
    right = _rho()
    _tampered(folder, (right * factor).hex())
    assert _rho() == right
    assert _rho() == right  # and kept


@pytest.mark.parametrize("value", ["", "abc", "0x1p99999", "0x1.8p+900", "-0x1p0"])
def test_a_scale_that_cannot_be_read_is_searched_anew(folder: Path, value: str) -> None:
    right = _rho()
    _tampered(folder, value)
    assert _rho() == right


@pytest.mark.parametrize("text", ["", "\n", "0x1p-9", "0x1p-9\nanother key", "\x00"])
def test_a_file_that_is_no_scale_is_searched_anew(folder: Path, text: str) -> None:
    right = _rho()
    [path] = folder.iterdir()
    path.write_text(text, encoding="utf-8")
    assert _rho() == right
    path.write_bytes(b"\xff\n")
    assert _rho() == right


def test_another_question_has_another_scale(folder: Path) -> None:
    found = {calibration._kept_path(key) for key in ("a", "b", "")}
    assert len(found) == 3
    before = tuple(PLAN.at(1e-3).events())
    _rho()
    _total_rho.cache_clear()
    after = calibrate({"fit": (PLAN, 1.0)}, BUDGET, before=before)["fit"]
    assert len(list(folder.iterdir())) == 2
    total = compose([*before, *after.events()]).epsilon(BUDGET.delta)
    assert 0.999 * BUDGET.epsilon <= total <= BUDGET.epsilon


def test_a_disk_that_keeps_nothing_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv(calibration.CACHE_VARIABLE, str(tmp_path / "file"))
    assert _rho() == _rho() > 0


def test_an_empty_name_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(calibration.CACHE_VARIABLE, "")
    calibration.keep("key", 1.0)
    assert calibration.read_kept("key") is None
    monkeypatch.delenv(calibration.CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    path = calibration._kept_path("key")
    assert path is not None
    assert path.is_relative_to("/somewhere/dp_synth")
