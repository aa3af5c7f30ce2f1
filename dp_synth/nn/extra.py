"""Whether the networks' extra is installed; importing this module does not load it."""

from __future__ import annotations

from importlib.util import find_spec

from dp_synth.errors import missing_extra


def require_torch(synthesizer: str) -> None:
    """Raise InputError, saying how to install it, where torch is missing."""
    if find_spec("torch") is None:
        raise missing_extra(synthesizer, "torch", "deep")
