"""What networks need of this machine; importing this module does not load torch."""

from __future__ import annotations

from importlib.util import find_spec

from dp_synth.errors import InputError, missing_extra


def require_torch(synthesizer: str) -> None:
    """Raise InputError, saying how to install it, where torch is missing."""
    if find_spec("torch") is None:
        raise missing_extra(synthesizer, "torch", "deep")


def require_device(device: str) -> None:
    """Raise InputError where torch finds no such device; "auto" and "cpu" are always there."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError(f"device {device!r} is not there; use cpu or auto")
