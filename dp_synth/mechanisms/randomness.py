"""Where the random bits of a mechanism come from."""

from __future__ import annotations

import os

import numpy as np

from dp_synth.accounting import Slice
from dp_synth.mechanisms.exact_noise import Bits


def random_bits(payer: Slice, rng: np.random.Generator) -> Bits:
    """Return the source of random bytes that the payer's ledger states.

    The operating system's, or, for a fit that must be repeatable, the generator's, which
    protects nobody who may guess its seed.
    """
    return os.urandom if payer.randomness == "os" else rng.bytes
