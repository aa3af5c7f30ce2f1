"""Environments of peers: made from pinned requirements, used only when they are whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dp_synth._version import __version__
from dp_synth.benchmark.peers.registry import OURS, PEERS, Peer, PeerError, peer_named
from dp_synth.files import written_whole
from dp_synth.readers import parse_json

FOLDER_VARIABLE = "DP_SYNTH_PEERS"
"""The environment variable that names the folder of the environments."""

MARKER = "peer.json"  # written last: an environment without it was never finished
FORMAT = 1
# What would let packages from outside into a peer's environment.
LEAKS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "VIRTUAL_ENV")
NO_INDEX = ("connection", "resolve", "unreachable", "timed out", "retries", "could not find a ver")
PACKAGES = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Environment:
    """The interpreter that runs a peer, and the version of each package that it sees."""

    peer: str
    interpreter: Path
    python: str
    versions: Mapping[str, str]
    code: str


def root() -> Path:
    """Return the folder of the environments: ``DP_SYNTH_PEERS``, else one in the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dp_synth" / "peers"


def install(name: str, folder: Path | None = None) -> Environment:
    """Make the environment of the peer ``name`` and return it; an older one is replaced.

    PeerError, in one line, where there is no Python of the right version or its packages cannot
    be had.
    """
    peer = peer_named(name, PEERS)
    if name == OURS:
        return environment(name)
    place = (folder or root()) / name
    base = _interpreter(name, peer)
    try:
        (place / MARKER).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PeerError(f"{place}: cannot be written: {error.strerror}") from None
    options = [] if peer.requirements else ["--without-pip"]
    _run([base, "-m", "venv", *options, str(place)], f"peer {name!r}: no environment could be made")
    python = str(_python_of(place))
    if peer.requirements:
        pins = ["--constraint", str(peer.pins)] if peer.pins else []
        command = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", *pins]
        _run([python, *command, *peer.requirements], f"peer {name!r} could not be installed")
    versions = parse_json(_run([python, "-c", PACKAGES], f"peer {name!r} does not run"))
    marker = {
        "format": FORMAT,
        "peer": name,
        "digest": peer.digest,
        "python": _run([python, "-c", VERSION], f"peer {name!r} does not run").strip(),
        "versions": dict(sorted(versions.items())),
    }
    with written_whole(place / MARKER) as passing:
        passing.write_text(json.dumps(marker, indent=1), encoding="utf-8")
    return environment(name, folder)


def environment(name: str, folder: Path | None = None) -> Environment:
    """Return the environment of the peer ``name``; PeerError where it has to be installed."""
    peer = peer_named(name, PEERS)
    if name == OURS:
        versions = {"dp_synth": __version__}
        return Environment(name, Path(sys.executable), OWN_PYTHON, versions, code="")
    place = (folder or root()) / name
    how = f"run `dp-synth peers install {name}`"
    try:
        marker = parse_json((place / MARKER).read_bytes())
        kept = (marker["format"], marker["peer"], marker["digest"])
        python, versions = str(marker["python"]), dict(marker["versions"])
    except OSError:
        raise PeerError(f"peer {name!r} is not installed in {place}: {how}") from None
    except (ValueError, KeyError, TypeError):
        raise PeerError(f"{place / MARKER}: is damaged: {how}") from None
    if kept != (FORMAT, name, peer.digest) or not _python_of(place).exists():
        raise PeerError(f"peer {name!r} in {place} was made from other requirements: {how}")
    code = f"{peer.digest[:16]} python {python}"
    return Environment(name, _python_of(place), python, versions, code)


def version_of(name: str, folder: Path | None = None) -> str:
    """Return what tells the code of one environment of a peer from others; "" for our own.

    Only a small file is read. PeerError where the peer is not installed.
    """
    return environment(name, folder).code


def foreign_variables() -> dict[str, str]:
    """Return the variables of this process without those that reach into Python's imports."""
    kept = {name: value for name, value in os.environ.items() if name not in LEAKS}
    return kept | {"PYTHONNOUSERSITE": "1"}


def _interpreter(name: str, peer: Peer) -> str:
    """Return a Python of a version that the peer installs on; PeerError where none is found."""
    if not peer.pythons or OWN_PYTHON in peer.pythons:
        return sys.executable
    for version in peer.pythons:
        found = shutil.which(f"python{version}")
        # A launcher of that name may be there without the Python that it would launch.
        if found and _answers(found) == version:
            return found
    wanted = " or ".join(peer.pythons)
    raise PeerError(
        f"peer {name!r} needs Python {wanted}, and no such is on the PATH (here: {OWN_PYTHON})"
    )


def _answers(interpreter: str) -> str:
    try:
        done = subprocess.run(
            [interpreter, "-c", VERSION],
            capture_output=True,
            text=True,
            check=False,
            env=foreign_variables(),
        )
    except OSError:
        return ""
    return done.stdout.strip()


def _python_of(place: Path) -> Path:
    return place / "bin" / "python"


def _run(command: list[str], failure: str) -> str:
    """Return the standard output of a command; PeerError that opens with ``failure``."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=foreign_variables(),
    )
    if done.returncode == 0:
        return done.stdout
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or [f"exit code {done.returncode}"])[0 if errors else -1]
    text = done.stderr.lower()
    hint = "; is there a network?" if any(mark in text for mark in NO_INDEX) else ""
    raise PeerError(f"{failure}: {last}{hint}")
