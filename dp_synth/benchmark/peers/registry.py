"""Registry of peers: the libraries that are measured beside this one, and how each is run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.synthesizers import SYNTHESIZERS

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
