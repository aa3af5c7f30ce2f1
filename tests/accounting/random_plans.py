"""Plans and events from a seeded generator."""

from __future__ import annotations

import numpy as np

from dp_synth.accounting import Event, Gaussian, Gaussians, Plan, Selection, Selections


def random_events(rng: np.random.Generator, *, selections: bool) -> list[tuple[Event, int]]:
    """A few Gaussians, and selections where wanted, of moderate cost."""
    events: list[tuple[Event, int]] = [
        (Gaussian(float(10 ** rng.uniform(0.3, 2.0)), 1.0), int(rng.integers(1, 6)))
        for _ in range(rng.integers(1, 4))
    ]
    if selections:
        events += [
            (Selection(float(10 ** rng.uniform(-1.5, 0.0))), int(rng.integers(1, 8)))
            for _ in range(rng.integers(1, 3))
        ]
    return events


def random_plan(rng: np.random.Generator, *, selections: bool) -> Plan:
    """Parts of random counts and shares, without noise."""
    parts: dict[str, Gaussians | Selections] = {
        f"answers {i}": Gaussians(int(rng.integers(1, 40)), share=float(rng.uniform(0.2, 5)))
        for i in range(rng.integers(1, 4))
    }
    if selections:
        parts["choices"] = Selections(int(rng.integers(1, 30)), share=float(rng.uniform(0.2, 5)))
    return Plan(parts)


def mst_plan() -> Plan:
    """What MST charges on fifteen attributes."""
    return Plan({"ones": Gaussians(15), "tree": Selections(14), "pairs": Gaussians(14)})
