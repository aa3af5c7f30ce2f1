"""What was once promised holds: files of older versions, names, options, seeded releases."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from digests import NETWORKS, PURE, STILL, numerics
from made_files import facts
from surface import names, options, registries, settings

from dp_synth.cli import main

HERE = Path(__file__).parent
VERSIONS = sorted(file.parent.name for file in HERE.glob("*/facts.json"))
SURFACE = json.loads((HERE / "surface.json").read_text())


@pytest.fixture(params=VERSIONS)
def files(request, tmp_path, monkeypatch):
    """A copy of the files that one version wrote, as the current folder."""
    shutil.copytree(HERE / request.param, tmp_path / "files")
    monkeypatch.chdir(tmp_path / "files")
    return tmp_path / "files"


def exit_code(*arguments):
    """Run the command line in this process."""
    return main(list(arguments))


def test_releases_ledgers_cards_and_records_of_older_versions_say_what_they_said(files):
    written = json.loads((files / "facts.json").read_text())
    read = facts(files)
    for method, told in written["releases"].items():
        found = read["releases"][method]
        for column, counts in told["counts"].items():
            assert found["counts"][column] == pytest.approx(counts, rel=1e-9)
        assert {**found, "counts": 0, "epsilon": 0} == {**told, "counts": 0, "epsilon": 0}
        assert found["epsilon"] == pytest.approx(told["epsilon"], rel=2e-3)
    for file, (lines, charges, epsilon) in written["ledgers"].items():
        now = read["ledgers"][file]
        assert now[:2] == [lines, charges]
        assert now[2] == pytest.approx(epsilon, rel=2e-3)  # engines since then are tighter
    assert read["card"] == written["card"]
    assert read["records"] == pytest.approx(written["records"])
    assert read["record_file"] == written["record_file"]


def test_commands_take_the_files_of_older_versions(files, capsys):
    assert exit_code("ledger", "verify", "shared.ledger") == 0
    assert exit_code("ledger", "show", "mst.ledger") == 0
    assert exit_code("gate", "card.json", "--policy", "policy.yaml") == 0
    assert exit_code("card", "pategan.npz", "--out", "again.json") == 0
    assert exit_code("account", "events.yaml", "--delta", "1e-5") == 0
    assert exit_code("sample", "dpctgan.npz", "--rows", "3", "--out", "more.csv") == 0
    assert exit_code("benchmark", "export", "store", "--out", "a.jsonl", "--command", "x") == 0
    assert exit_code("benchmark", "diff", "store", "store", "--exit-code") == 0
    assert exit_code("benchmark", "run", "grid.yaml", "--dry-run", "--store", "new") == 0
    again = (files / "a.jsonl").read_text().splitlines()
    assert len(again) == len((files / "records.jsonl").read_text().splitlines())


def test_a_shared_budget_of_an_older_version_is_gone_on_with(files, capsys):
    paid = ["--data", "visits.csv", "--schema", "visits.meta.json", "--delta", "1e-5"]
    fit = ["--synthesizer", "independent", "--epsilon", "0.1", "--out", "more.csv", "--rows", "3"]
    assert exit_code("synthesize", *paid, *fit, "--ledger", "shared.ledger") == 0
    assert exit_code("ledger", "verify", "shared.ledger") == 0


@pytest.mark.parametrize("kind", SURFACE["names"])
def test_no_public_name_was_taken_away(kind):
    assert set(SURFACE["names"][kind]) <= set(names()[kind])


@pytest.mark.parametrize("kind", SURFACE["registries"])
def test_no_method_was_taken_away(kind):
    assert set(SURFACE["registries"][kind]) <= set(registries()[kind])


@pytest.mark.parametrize("method", SURFACE["settings"])
def test_settings_are_there_with_the_defaults_that_they_had(method):
    assert SURFACE["settings"][method].items() <= settings()[method].items()


@pytest.mark.parametrize("command", SURFACE["options"])
def test_options_are_there_with_the_defaults_that_they_had(command):
    assert SURFACE["options"][command].items() <= options()[command].items()


@pytest.fixture(scope="module")
def seeded():
    """Digests of seeded releases, now and as they were committed."""
    committed = json.loads((HERE / "digests.json").read_text())
    pytest.importorskip("torch", reason="the extra deep is not installed")
    if numerics() != committed["numerics"]:
        pytest.skip(
            "digests are of other versions of numpy, scipy, pandas or torch, or of another system"
        )
    command = [sys.executable, str(HERE / "digests.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(printed), committed


@pytest.mark.parametrize("method", SURFACE["registries"]["synthesizers"])
def test_seeded_releases_are_equal_bit_for_bit(seeded, method):
    now, committed = seeded
    if method not in NETWORKS:
        assert now["releases"][method] == committed["releases"][method]
        return
    kernels = now["kernels"]["torch"]
    if kernels not in committed["networks"]:
        pytest.skip(f"no digests of networks on this kind of processor ({kernels})")
    assert now["networks"][method] == committed["networks"][kernels][method]


@pytest.mark.parametrize("method", PURE)
def test_seeded_releases_at_delta_0_are_equal_bit_for_bit(seeded, method):
    now, committed = seeded
    assert now["pure"][method] == committed["pure"][method]


def test_seeded_keys_are_equal_bit_for_bit(seeded):
    now, committed = seeded
    assert now["keys"] == committed["keys"]


def test_digests_are_of_every_synthesizer_on_one_kernel():
    committed = json.loads((HERE / "digests.json").read_text())
    assert sorted(committed["pure"]) == sorted(set(committed["releases"]) & set(PURE)) == PURE
    for networks in committed["networks"].values():
        assert sorted([*committed["releases"], *networks]) == registries()["synthesizers"]
        assert sorted(networks) == sorted(NETWORKS)
    assert committed["networks"]
    assert all(STILL.values())
