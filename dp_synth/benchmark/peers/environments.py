"""Environments of peers: made from pinned requirements, used only when they are whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dp_synth._version import __version__
from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.files import written_whole
from dp_synth.readers import parse_json
from dp_synth.synthesizers import SYNTHESIZERS

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


HERE = Path(__file__).parent
DRIVERS = HERE / "drivers"
# Mechanisms that no library ships and that are written from their papers for a comparison.
TRANSCRIBED = HERE.parents[2] / "experiments" / "peers"
OURS = "dp_synth"
"""The peer that is this package itself, run by this interpreter as a whole process."""


class PeerError(InputError):
    """A peer is unknown, not installed, failed, or gave what is no answer; the line says which."""


@dataclass(frozen=True)
class Peer:
    """A library, where it comes from, and the script that its own interpreter runs.

    ``pythons`` are the versions for which the constraints were found to install, the preferred
    one first; without requirements there is nothing to install.
    """

    requirements: tuple[str, ...]
    pythons: tuple[str, ...]
    methods: tuple[str, ...]
    driver: str
    constraints: str = ""

    @property
    def script(self) -> Path:
        """The file of the driver; PeerError where it is that of an experiment, and not here."""
        found = [folder / self.driver for folder in (DRIVERS, TRANSCRIBED)]
        for path in found:
            if path.exists():
                return path
        raise PeerError(f"its mechanisms are no part of the package: there is no {found[-1]}")

    @property
    def pins(self) -> Path | None:
        """The file that pins every package of the environment."""
        return HERE / "constraints" / self.constraints if self.constraints else None

    @property
    def digest(self) -> str:
        """SHA-256 of what the environment is made from."""
        pins = self.pins.read_bytes() if self.pins else b""
        return hashlib.sha256("\n".join(self.requirements).encode() + b"\0" + pins).hexdigest()


PEERS: dict[str, Peer] = {
    "smartnoise": Peer(
        requirements=("smartnoise-synth==1.0.8", "packaging", "torch"),
        pythons=("3.11",),
        methods=("mst", "aim", "mwem", "dpctgan", "patectgan", "pategan"),
        driver="with_smartnoise.py",
        constraints="smartnoise.txt",
    ),
    "dpmm": Peer(
        requirements=("dpmm==0.1.9",),
        pythons=("3.11",),
        methods=("mst", "aim", "privbayes"),
        driver="with_dpmm.py",
        constraints="dpmm.txt",
    ),
    "mbi": Peer(
        requirements=("mbi==2.0.0", "pandas"),
        pythons=("3.11", "3.12", "3.13"),
        methods=("mst", "aim"),
        driver="with_mbi.py",
        constraints="mbi.txt",
    ),
    OURS: Peer(
        requirements=(),
        pythons=(),
        methods=tuple(SYNTHESIZERS),
        driver="with_dp_synth.py",
    ),
}


def peer_named(name: str, known: Mapping[str, Peer] = PEERS) -> Peer:
    """Return the peer called ``name``; PeerError names those that there are."""
    if name not in known:
        raise PeerError(unknown("peer", name, known))
    return known[name]


def names_peer(name: str) -> bool:
    """Tell whether a synthesizer of that name is a peer's: no name of ours holds a slash."""
    return "/" in name


def split_name(name: str) -> tuple[str, str]:
    """Return the peer and the method that ``name`` says; PeerError where one of them is missing.

    >>> split_name("smartnoise/mst")
    ('smartnoise', 'mst')
    """
    peer, slash, method = name.partition("/")
    if not peer or not slash or not method or "/" in method:
        raise PeerError(f"{name!r}: must be the name of a peer and its method, as smartnoise/mst")
    return peer, method


def check_name(name: str) -> None:
    """Raise PeerError where ``name`` is no method of a known peer."""
    peer, method = split_name(name)
    methods = peer_named(peer).methods
    if method not in methods:
        raise PeerError(f"{name}: no method {method!r} of {peer}; it has {', '.join(methods)}")
