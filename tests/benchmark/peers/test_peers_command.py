"""What `dp-synth peers` prints of environments that are there, and of those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dp_synth import __version__
from dp_synth.benchmark.peers import PEERS, Peer, PeerError, environments
from dp_synth.cli import listing


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(tmp_path))
    bare = Peer((), (environments.OWN_PYTHON,), ("one", "two"), driver="with_dpmm.py")
    monkeypatch.setitem(PEERS, "bare", bare)


def test_the_list_names_methods_versions_and_what_to_do_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    listing.list_peers()
    printed = capsys.readouterr().out
    assert "dpmm        mst, aim, privbayes" in printed
    assert "run `dp-synth peers install dpmm`" in printed
    assert f"dp_synth {__version__}" in printed
    assert printed.count("\n") == 2 * len(PEERS)


def test_what_was_installed_is_said_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    listing.install_peer("bare")
    made = capsys.readouterr()
    assert made.out.startswith(f"bare: Python {environments.OWN_PYTHON}, ")
    assert "takes minutes" in made.err
    listing.list_peers()
    assert "run `dp-synth peers install bare`" not in capsys.readouterr().out


def test_an_unknown_peer_is_named() -> None:
    with pytest.raises(PeerError, match="no peer 'nobody'; there are: smartnoise, "):
        listing.install_peer("nobody")
