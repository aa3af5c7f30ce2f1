"""CPU seconds of calibrating and of accounting for all default plans, cold, as a JSON line each.

Run it under another version's package to compare: each line has the least of several repeats, with
all caches emptied before, so that a busy machine counts less.

    python -m benchmarks.account_time [--versions OTHER_CHECKOUT ...]

``--versions`` runs the same under each checkout, in turn, and prints the ratio to the first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from time import process_time, time

from benchmarks.versions import lines_by

TARGETS = ((1.0, 1e-5), (1.0, 1e-9), (4.0, 1e-12))
REPEATS = 2
ACCOUNTS = 0.3  # CPU seconds that go to one account at least, again and again


CACHES = {"event_by_event", "with_blocks", "_total_rho", "contours"}


def measure() -> None:
    """Print a line for each plan and target."""
    os.environ["DP_SYNTH_CACHE"] = ""
    began = time()
    from dp_synth.accounting import PrivacyBudget, calibrate, compose
    from dp_synth.datasets import load
    from dp_synth.synthesizers import SYNTHESIZERS

    start = time() - began
    domain = load("adult").schema.domain

    def forget() -> None:
        for name, module in sys.modules.items():  # in whichever a version has them
            if name.startswith("dp_synth.accounting"):
                for cached in CACHES & vars(module).keys():
                    getattr(getattr(module, cached), "cache_clear", lambda: None)()

    calibrate({"first": (SYNTHESIZERS["mst"]().charges(domain), 1.0)}, PrivacyBudget(2.0, 1e-7))
    for name in SYNTHESIZERS:
        plan = SYNTHESIZERS[name]().charges(domain)
        for epsilon, delta in TARGETS:
            seconds: dict[str, list[float]] = {"calibrate": [], "account": []}
            for _ in range(REPEATS):
                forget()
                at = process_time()
                ready = calibrate({name: (plan, 1.0)}, PrivacyBudget(epsilon, delta))[name]
                seconds["calibrate"].append(process_time() - at)
            while len(seconds["account"]) < REPEATS or sum(seconds["account"]) < ACCOUNTS:
                forget()
                at = process_time()
                compose(ready.events()).epsilon(delta)
                seconds["account"].append(process_time() - at)
            least = {what: round(min(each), 5) for what, each in seconds.items()}
            fields = {"plan": name, "epsilon": epsilon, "delta": delta, **least}
            print(json.dumps({**fields, "import": round(start, 2)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", nargs="*", type=Path, default=[])
    versions = parser.parse_args().versions
    if not versions:
        measure()
        return
    found = []
    for version in versions:
        read = map(json.loads, lines_by(version, "benchmarks.account_time", OMP_NUM_THREADS="1"))
        found.append({(row["plan"], row["epsilon"], row["delta"]): row for row in read})
    print("plan (epsilon, delta): CPU seconds of a calibration; of an account, by version")
    for key, one in found[0].items():
        if not all(key in rows for rows in found):
            continue  # a plan that not all versions have
        rows = [each[key] for each in found]
        line = f"{one['plan']:10s} ({one['epsilon']:g}, {one['delta']:g})"
        for what in ("calibrate", "account"):
            times = [row[what] for row in rows]
            line += "  " + " ".join(f"{each:.4f}" for each in times)
            line += f" ({times[-1] / times[0]:.2f})"
        print(line)
    print("imports:", *(next(iter(rows.values()))["import"] for rows in found), "seconds")


if __name__ == "__main__":
    main()
