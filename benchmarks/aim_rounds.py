"""What AIM's filter buys: rounds of equal noise for one budget, and the error that they leave.

The first table is arithmetic: how many rounds of one noise a filter of Gaussian DP pays for, event
by event and with a round as one mechanism, beside one of zero-concentrated DP. The second fits
real tables with this version and, given ``--before``, a checkout of an earlier one, with the same
seeds: mean total variation of pairs, rounds that were run, and the noise of the first round.
``rounds`` there is how many rounds of the earlier version's first noise its own filter pays for,
and this version's. Ten minutes of one core a version.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.versions import lines_by
from paper.documents import markdown

BUDGETS = ((0.1, 1e-5), (1.0, 1e-5), (1.0, 1e-9), (3.0, 1e-9), (10.0, 1e-9), (10.0, 1e-5))
TABLES = ("adult", "nltcs")
EPSILON, DELTA = 1.0, 1e-9
ALPHA, ROUNDS = 0.9, 16  # AIM's own
Line = dict[str, float | int | str]


def bought() -> str:
    """Return the table of rounds of equal noise, those of a zCDP filter as 1."""
    from dp_synth.accounting import PrivacyBudget, Round, cost
    from dp_synth.accounting.filters import limit

    rows = []
    for epsilon, delta in BUDGETS:
        budget = PrivacyBudget(epsilon, delta)
        rho = limit(budget, "zcdp") / (14 * ROUNDS)
        noise = math.sqrt(1 / (2 * ALPHA * rho))
        one = Round(2 * math.sqrt((1 - ALPHA) / ALPHA) / noise, noise)
        whole = limit(budget, "gdp") / (14 * ROUNDS)
        apart = cost(one.choice, "gdp") + cost(one.answer, "gdp")
        rows.append([f"({epsilon:g}, {delta:g})", f"{whole / apart:.3f}"])
        rows[-1].append(f"{whole / cost(one, 'gdp'):.3f}")
    heads = ["budget", "GDP filter, event by event", "GDP filter, a round as one mechanism"]
    return markdown(heads, rows)


def fit(table: str, seed: int) -> Line:
    """Return the line of one fit, done in this process by whichever version it imports."""
    import dp_synth as dps

    data = dps.datasets.load(table)
    accountant = dps.Accountant(dps.PrivacyBudget(EPSILON, DELTA), simulate=True)
    started = time.process_time()
    release = dps.AIM().fit(data.train, data.schema, accountant, seed=seed)
    seconds = time.process_time() - started
    rows = release.sample(len(data.train), seed=seed)
    error = dps.metrics.workload_error(data.train, rows, data.schema, degree=2)
    answers = [e for e in release.ledger if e.why == "the marginal that fitted worst"]
    amount = next(e.event for e in release.ledger.reservations if e.part == "rounds")
    return {
        "table": table,
        "seed": seed,
        "tv2": error.value,
        "ran": len(answers),
        "first": answers[0].event.noise_multiplier,
        "amount": getattr(amount, "rho", 0.0),
        "currency": "zcdp" if type(amount).__name__ == "ZeroConcentrated" else "gdp",
        "seconds": round(seconds, 1),
    }


def fitted_by(checkout: Path, table: str, seed: int) -> Line:
    """Return the line of one fit by the version in a checkout, done in a process of its own."""
    return dict(json.loads(lines_by(checkout, "aim_rounds", "--fit", table, seed)[-1]))


def rounds_of(line: Line, noise: float) -> float:
    """Return how many rounds of this noise the filter of a fit pays for."""
    from dp_synth.accounting import Currency, Round, cost

    one = Round(2 * math.sqrt((1 - ALPHA) / ALPHA) / noise, noise)
    currency: Currency = "zcdp" if line["currency"] == "zcdp" else "gdp"
    return float(line["amount"]) * (1 if currency == "zcdp" else 2) / cost(one, currency)


def compared(lines: dict[str, list[Line]]) -> str:
    """Return a row for each table and version: rounds, and the error over seeds."""
    rows = []
    for table in dict.fromkeys(line["table"] for own in lines.values() for line in own):
        base = next(line for line in next(iter(lines.values())) if line["table"] == table)
        for version, own in lines.items():
            mine = [line for line in own if line["table"] == table]
            errors = np.array([float(line["tv2"]) for line in mine])
            half = 1.96 * errors.std(ddof=1) / math.sqrt(len(errors)) if len(errors) > 1 else 0.0
            row = [str(table), version, f"{rounds_of(mine[0], float(base['first'])):.1f}"]
            row += [f"{np.mean([int(line['ran']) for line in mine]):.1f}"]
            row += [f"{float(mine[0]['first']):.2f}", f"{errors.mean():.4f} +- {half:.4f}"]
            rows.append([*row, f"{np.mean([float(line['seconds']) for line in mine]):.0f}"])
    heads = ["table", "version", "rounds", "run", "first noise", "TV of pairs", "CPU seconds"]
    return markdown(heads, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", nargs=2, metavar=("TABLE", "SEED"), help=argparse.SUPPRESS)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    given = parser.parse_args()
    if given.fit:
        print(json.dumps(fit(given.fit[0], int(given.fit[1]))))
        return
    print(bought(), flush=True)
    here = Path(__file__).resolve().parents[1]
    checkouts = {"before": given.before} if given.before else {}
    lines: dict[str, list[Line]] = {}
    for table in given.tables:
        for seed in range(given.seeds):
            for version, place in (checkouts | {"this": here}).items():
                lines.setdefault(version, []).append(fitted_by(place, table, seed))
                print(version, lines[version][-1], file=sys.stderr, flush=True)
    print(
        f"\nAIM at epsilon {EPSILON:g}, delta {DELTA:g}, {given.seeds} seeds\n\n{compared(lines)}"
    )


if __name__ == "__main__":
    main()
