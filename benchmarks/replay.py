"""What a replay proves of every synthesizer, and what it takes: all neighbours of a small table.

A made table of 200 records and 5 columns at epsilon 1 and delta 1e-5, networks with few steps. For
each synthesizer and adjacency: neighbours compared, answers, the audited epsilon over the ledger's,
CPU seconds with all calibration, and faults. The last line adds them up.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time

from threadpoolctl import threadpool_limits

import dp_synth as dps
from dp_synth.audit import replay
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer

DELTA = 1e-5
SAMPLED = {"steps": 20, "rate": 0.1, "fakes": 32, "critic_width": 8, "generator_width": 8}
VOTED = {"votes": 20, "teachers": 41, "rounds": 2, "steps": 20, "rows": 32}
FEW_STEPS: dict[str, dict[str, int | float]] = {
    "dpgan": {**SAMPLED, "components": 128},
    "dpctgan": {**SAMPLED, "components": 128},
    "pategan": VOTED,
    "patectgan": VOTED,
    "marginal_generator": {"steps": 100, "rows": 32, "width": 16},
}


@dataclass(frozen=True)
class Replayed:
    """One replay, as a row of the table that is printed."""

    synthesizer: str
    adjacency: str
    neighbours: int
    answers: int
    share: float
    seconds: float
    faults: tuple[str, ...]


def quick(name: str) -> Synthesizer:
    """Return a synthesizer, a network with few steps."""
    return SYNTHESIZERS[name](**FEW_STEPS.get(name, {}))  # type: ignore[arg-type]


def replayed(name: str, adjacency: dps.accounting.Adjacency, *, seed: int = 0) -> Replayed:
    """Return what a replay of one synthesizer finds, and its CPU seconds."""
    budget = dps.PrivacyBudget(epsilon=1, delta=DELTA, adjacency=adjacency)
    start = process_time()
    report = replay(quick(name), budget, seed=seed)
    seconds = process_time() - start
    faults = tuple(map(str, report.faults))
    share = report.audited_epsilon / report.claimed_epsilon
    found = (report.neighbours, len(report.answers), share, seconds, faults)
    return Replayed(name, adjacency, *found)


def main() -> None:
    print(f"{'synthesizer':20s}{'adjacency':13s}{'neighbours':>11s}{'answers':>9s}", end="")
    print(f"{'audited / ledger':>18s}{'CPU s':>8s}  faults")
    rows: list[Replayed] = []
    for name in SYNTHESIZERS:
        for adjacency in ("add_remove", "replace_one"):
            rows.append(row := replayed(name, adjacency))
            print(f"{row.synthesizer:20s}{row.adjacency:13s}{row.neighbours:11,d}", end="")
            print(f"{row.answers:9d}{row.share:18.4f}{row.seconds:8.2f}", end="  ")
            print("; ".join(row.faults) or "none", flush=True)
    print(f"{'all':33s}{sum(row.neighbours for row in rows):11,d}", end="")
    print(f"{sum(row.answers for row in rows):9d}{max(row.share for row in rows):18.4f}", end="")
    print(f"{sum(row.seconds for row in rows):8.2f}  {sum(len(row.faults) for row in rows)}")


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
