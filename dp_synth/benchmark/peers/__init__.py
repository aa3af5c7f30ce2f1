"""Other libraries, measured as whole processes: each in its own environment, behind a folder."""

from dp_synth.benchmark.peers.environments import (
    PEERS,
    Environment,
    Peer,
    PeerError,
    check_name,
    environment,
    install,
    names_peer,
    split_name,
    version_of,
)
from dp_synth.benchmark.peers.run import PeerAnswer, PeerRequest, code_of, run_peer

__all__ = [
    "PEERS",
    "Environment",
    "Peer",
    "PeerAnswer",
    "PeerError",
    "PeerRequest",
    "check_name",
    "code_of",
    "environment",
    "install",
    "names_peer",
    "run_peer",
    "split_name",
    "version_of",
]
