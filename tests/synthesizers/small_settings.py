"""Synthesizers as tests of all of them take them: networks with few steps and few units."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from dp_synth.synthesizers import (
    DPCTGAN,
    DPGAN,
    PATECTGAN,
    PATEGAN,
    SYNTHESIZERS,
    MarginalGenerator,
    Synthesizer,
)

SAMPLED = ("dpgan", "dpctgan")  # by networks that sampled sums train
SETTINGS = {"steps": 20, "rate": 0.1, "fakes": 32, "critic_width": 8, "generator_width": 8}
VOTES = {"votes": 20, "teachers": 41, "rounds": 2, "steps": 20, "rows": 32}
SMALL: dict[str, Synthesizer] = {
    "dpgan": DPGAN(**SETTINGS, components=128),
    "dpctgan": DPCTGAN(**SETTINGS, components=128),
    "pategan": PATEGAN(**VOTES),
    "patectgan": PATECTGAN(**VOTES),
    "marginal_generator": MarginalGenerator(steps=400, rows=32, width=16),
}


def small(name: str) -> Synthesizer:
    """The synthesizer of this name, quick; the test is skipped where its extra is missing."""
    if name in SMALL and find_spec("torch") is None:
        pytest.skip("the extra deep is not installed")
    return SMALL[name] if name in SMALL else SYNTHESIZERS[name]()


@pytest.fixture
def small_classrooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let students of votes keep few records, where nothing is asked of how good they are."""
    if find_spec("torch") is not None:
        monkeypatch.setattr("dp_synth.nn.pate_training.LEAST_MADE", 256)
        monkeypatch.setattr("dp_synth.nn.pate_training.MOST_MADE", 256)
