"""Whether the networks' extra is installed; importing this module does not load it."""

from __future__ import annotations

from importlib.util import find_spec

from dp_synth.errors import InputError


def require_torch(synthesizer: str) -> None:
    """Raise InputError, saying how to install it, where torch is missing."""
    if find_spec("torch") is None:
        raise InputError(f'{synthesizer} needs torch: pip install "dp-synth[deep]"')
