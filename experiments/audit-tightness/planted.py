"""Whether audits find the planted faults at their stated runs, and accuse nobody else.

Each plant is audited 400 times at level 5 % with fresh noise; seeds are fixed by its name. A fault
must be found in 80 % of the audits, a correct mechanism accused in 44 at most: a true 5 % does
more with a chance below one in a million. Intervals are Clopper-Pearson's, seconds those of the
CPU: some minutes altogether. ``--mst`` audits our own MST instead, with its noise as it is and
halved, which takes as long again, ``--only`` some of the plants. Other records are kept.
Exit status 1 where a plant misses.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from time import process_time

import numpy as np

from benchmarks.measured import RESULTS, Record, keep, read
from dp_synth import MST, PrivacyBudget, __version__
from dp_synth.audit import audit
from dp_synth.audit.planted import PLANTED, audit_planted
from dp_synth.audit.planted.attacked import DELTA, PlantedBug
from dp_synth.audit.planted.examined import StructuralBug
from dp_synth.metrics.estimate import clopper_pearson
from experiments.faults import noise_of

AUDITS = 400
MOST_ALARMS, LEAST_CAUGHT = 44, 0.8
SEED = 20260101
LINES = RESULTS / "planted.jsonl"

MST_AUDITS, MST_RUNS, MST_EPSILON = 40, 250, 4.0
MOST_MST_ALARMS = 10  # of 40; a true 5 % has more with a chance of 3e-6

Passes = Callable[[np.random.Generator], bool]


def judged(
    name: str,
    passes: Passes,
    audits: int,
    *,
    most: int | None,
    audit: str,
    runs: int,
    twin: str = "",
) -> Record:
    """Return how often an audit failed; ``most`` where it should not have."""
    start = process_time()
    streams = np.random.SeedSequence([SEED, zlib.crc32(name.encode())]).spawn(audits)
    failed = sum(not passes(np.random.default_rng(stream)) for stream in streams)
    low, high = clopper_pearson(failed, audits)
    met = failed <= most if most is not None else failed >= LEAST_CAUGHT * audits
    return {
        "name": name,
        "twin_of": twin,
        "audit": audit,
        "runs": runs,
        "audits": audits,
        "failed": failed,
        "share": failed / audits,
        "low": low,
        "high": high,
        "wanted": f"at most {most}" if most is not None else f"at least {LEAST_CAUGHT * audits:g}",
        "met": met,
        "seconds": round(process_time() - start, 2),
    }


def of_plant(plant: PlantedBug) -> Record:
    """Return how often a plant is accused."""
    about = {"audit": plant.caught_by, "runs": plant.runs, "twin": plant.twin_of}
    most = MOST_ALARMS if plant.is_correct else None
    return judged(
        plant.name, lambda rng: audit_planted(plant, rng).passed, AUDITS, most=most, **about
    )


def of_oversight(oversight: StructuralBug, *, faulty: bool) -> Record:
    """Return how often a check fails; without the fault it may hardly ever."""
    name = oversight.name if faulty else f"{oversight.name}, mended"
    twin, most = (oversight.twin_of, None) if faulty else ("", 0)
    about = {"audit": oversight.caught_by, "runs": 1, "twin": twin, "most": most}
    return judged(name, lambda rng: oversight.examine(faulty, rng).passed, AUDITS, **about)


def of_mst(factor: float) -> Record:
    """Return audits of our own MST with ``factor`` times the noise that its ledger says."""

    def passes(rng: np.random.Generator) -> bool:
        seed = int(rng.integers(2**63))
        return audit(MST(), PrivacyBudget(MST_EPSILON, DELTA), runs=MST_RUNS, seed=seed).passed

    name = f"MST, epsilon {MST_EPSILON:g}, noise times {factor:g}"
    most = MOST_MST_ALARMS if factor == 1 else None
    with noise_of(factor):
        return judged(name, passes, MST_AUDITS, most=most, audit="audit", runs=MST_RUNS)


def print_record(record: Record) -> None:
    low, high = (100 * record[end] for end in ("low", "high"))
    share = f"{record['failed']}/{record['audits']}"
    print(
        f"{record['name']:38} {record['audit']:16} {record['runs']:>5} {share:>8} "
        f"[{low:5.1f} %, {high:5.1f} %] {record['wanted']:13} "
        f"{'met' if record['met'] else 'MISSED':6} {record['seconds']:>6} s",
        flush=True,
    )


def works_on_plants(part: str) -> Iterator[Record]:
    for plant in PLANTED.values():
        if part not in plant.name:
            continue
        if isinstance(plant, PlantedBug):
            yield of_plant(plant)
        else:
            yield of_oversight(plant, faulty=True)
            yield of_oversight(plant, faulty=False)


def store(records: Sequence[Record], command: str) -> None:
    """Write the records, in place of those of the same command and names."""
    again = {(command, record["name"]) for record in records}
    kept = [one for one in read(LINES) if (one["command"], one["name"]) not in again]
    new = [record | {"version": __version__, "command": command} for record in records]
    keep(LINES, [*kept, *new])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mst", action="store_true", help="audit our own MST instead")
    parser.add_argument("--only", default="", help="plants whose name holds this")
    asked = parser.parse_args()
    own = asked.mst
    print("mechanism                              audit             runs   failed  95 % interval")
    records = []
    for record in map(of_mst, (1.0, 0.5)) if own else works_on_plants(asked.only):
        print_record(record)
        records.append(record)
    store(records, "python -m experiments.audit_tightness.planted" + (" --mst" if own else ""))
    missed = [str(record["name"]) for record in records if not record["met"]]
    print(f"missed: {', '.join(missed)}" if missed else "all met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
