"""Environments: made whole or not used, with one line for each way in which it can fail."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from dp_synth.benchmark.peers import (
    PEERS,
    Peer,
    PeerError,
    check_name,
    environment,
    environments,
    install,
    split_name,
    version_of,
)
from dp_synth.benchmark.peers import environments as module
from dp_synth.benchmark.peers.environments import DRIVERS, OURS

OWN = environments.OWN_PYTHON
BARE = Peer(requirements=(), pythons=(OWN,), methods=("one",), driver="with_dpmm.py")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(tmp_path / "peers"))
    monkeypatch.setitem(PEERS, "bare", BARE)
    return tmp_path / "peers"


def test_an_installed_peer_has_an_interpreter_of_its_own(folder: Path) -> None:
    with pytest.raises(PeerError, match=r"not installed.*dp-synth peers install bare"):
        environment("bare")
    made = install("bare")
    assert made == environment("bare")
    assert made.interpreter == folder / "bare" / "bin" / "python"
    assert made.python == OWN
    assert "dp-synth" not in made.versions
    assert "numpy" not in made.versions
    assert version_of("bare") == made.code != ""


def test_an_environment_that_was_never_finished_is_not_used_and_is_made_anew(folder: Path) -> None:
    install("bare")
    (folder / "bare" / "peer.json").unlink()
    (folder / "bare" / "left_over").touch()
    with pytest.raises(PeerError, match="is not installed"):
        environment("bare")
    install("bare")
    assert not (folder / "bare" / "left_over").exists()


def test_an_environment_of_other_requirements_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = install("bare").code
    other = Peer(("wheel",), (OWN,), ("one",), driver="with_dpmm.py")
    monkeypatch.setitem(PEERS, "bare", other)
    assert other.digest[:16] not in before
    with pytest.raises(PeerError, match="made from other requirements"):
        environment("bare")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}'])
def test_a_damaged_marker_is_not_believed(folder: Path, text: str) -> None:
    (folder / "bare").mkdir(parents=True)
    (folder / "bare" / "peer.json").write_text(text)
    with pytest.raises(PeerError, match="is damaged: run `dp-synth peers install bare`"):
        environment("bare")


def test_the_marker_is_all_that_is_read(folder: Path) -> None:
    marker = {"format": 1, "peer": "bare", "digest": BARE.digest, "python": "3.9", "versions": {}}
    (folder / "bare" / "bin").mkdir(parents=True)
    (folder / "bare" / "bin" / "python").touch()
    (folder / "bare" / "peer.json").write_text(json.dumps(marker))
    assert version_of("bare") == f"{BARE.digest[:16]} python 3.9"


def test_packages_that_cannot_be_had_are_one_line_and_leave_no_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanting = Peer(("no-such-package-of-dp-synth==1",), (OWN,), ("one",), driver="with_dpmm.py")
    monkeypatch.setitem(PEERS, "bare", wanting)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    run = module._run

    def by_the_pip_that_is_here(command: list[str], failure: str) -> str:
        if "venv" in command:  # to put a pip into an environment takes seconds
            return run([*command[:-1], "--without-pip", command[-1]], failure)
        return run([sys.executable, *command[1:]], failure)

    monkeypatch.setattr(module, "_run", by_the_pip_that_is_here)
    with pytest.raises(PeerError, match=r"could not be installed: .*is there a network") as caught:
        install("bare")
    assert "\n" not in str(caught.value)
    with pytest.raises(PeerError, match="is not installed"):
        environment("bare")


def test_a_python_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Peer((), ("2.0", "2.1"), ("one",), driver="with_dpmm.py")
    monkeypatch.setitem(PEERS, "bare", old)
    with pytest.raises(PeerError, match=r"'bare' needs Python 2\.0 or 2\.1, and no such"):
        install("bare")


def test_a_launcher_without_its_python_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = tmp_path / "python2.0"
    launcher.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(PEERS, "bare", Peer((), ("2.0",), ("one",), driver="with_dpmm.py"))
    with pytest.raises(PeerError, match=r"needs Python 2\.0"):
        install("bare")


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(PeerError, match="cannot be written"):
        install("bare")


def test_our_own_peer_is_this_interpreter() -> None:
    assert install(OURS) == environment(OURS)
    assert environment(OURS).interpreter == Path(sys.executable)
    assert version_of(OURS) == ""


def test_without_a_folder_of_ones_own_the_cache_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environments.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert environments.root() == Path("/somewhere/dp_synth/peers")


@pytest.mark.parametrize("name", ["mst", "/mst", "dpmm/", "dpmm/mst/1", ""])
def test_a_name_is_a_peer_and_a_method(name: str) -> None:
    with pytest.raises(PeerError, match="must be the name of a peer and its method"):
        split_name(name)


def test_every_method_of_every_peer_has_a_name_that_a_grid_can_use() -> None:
    for peer, its in PEERS.items():
        for method in its.methods:
            check_name(f"{peer}/{method}")


@pytest.mark.parametrize("name", ["smartnoise", "dpmm", "mbi"])
def test_constraints_pin_every_requirement_to_one_version_that_any_index_has(name: str) -> None:
    peer = PEERS[name]
    assert peer.pins is not None
    lines = peer.pins.read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pinned = dict(line.lower().split("==") for line in lines)
    for requirement in peer.requirements:
        package, _, version = requirement.partition("==")
        assert version in ("", pinned[package]), requirement


SCRIPTS = {*DRIVERS.glob("*.py"), *(peer.script for peer in PEERS.values())}


@pytest.mark.parametrize("path", sorted(SCRIPTS), ids=lambda p: p.name)
def test_drivers_stand_alone(path: Path) -> None:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
    assert ("dp_synth" in modules) == (path.name == PEERS[OURS].driver)


def test_a_driver_that_is_no_part_of_the_package_is_missed_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dp_synth.benchmark.peers.environments.TRANSCRIBED", tmp_path)
    assert PEERS["dpmm"].script.is_file()
    with pytest.raises(PeerError, match="its mechanisms are no part of the package: there is no"):
        _ = PEERS["mbi"].script
