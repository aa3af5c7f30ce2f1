"""Noise that a risk asks for, beside routes through (epsilon, delta), with mu, regret and time.

    python -m benchmarks.risk_calibration [--advantage 0.1] [--riskcal PYTHON]
    python -m benchmarks.risk_calibration --plot docs/choose.png

Plans over the columns of coded Adult, whose schema is public: nothing here looks at records. A
route through (epsilon, delta) certifies an advantage by what holds of every mechanism of that
pair, at most (exp(epsilon) - 1 + 2 delta) / (exp(epsilon) + 1): the noise of the same plan for the
largest epsilon at each delta. ``--riskcal`` names a Python that has the package of that name, whose
noise for sampled sums is printed beside ours. CPU seconds are those of a calibration of which
nothing is known yet. ``--plot`` draws the figure of the guide to a budget's choice, and no more.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dp_synth import datasets
from dp_synth.accounting import Event, PrivacyBudget, calibrate, compose
from dp_synth.accounting.calibration import CACHE_VARIABLE, least_factor, noise_factor
from dp_synth.accounting.dominating_gaussian import summarized
from dp_synth.accounting.events import SampledGaussian
from dp_synth.domain import Domain
from dp_synth.figures.choice import choice_of_budget
from dp_synth.figures.files import save
from dp_synth.formatting import rounded_up
from dp_synth.report.choice import options_for
from dp_synth.synthesizers import MST, SYNTHESIZERS
from paper.documents import markdown

Events = list[tuple[Event, int]]

METHODS = ("mst", "clique_tree", "dpctgan", "dpgan", "pategan", "aim", "privbayes", "mwem")
ASKED = ("mst", "clique_tree", "dpctgan")  # of which less noise is asked for
DELTAS = (1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
LEAST = 1e-9  # relative to the advantage, below which no route is tried
SEARCHED = 60  # routes between the least delta and the advantage itself
COLUMNS = ("age", "education", "hours-per-week", "sex", "income")  # of the guide
GUIDE_ROWS = 2000
RATE, STEPS = 256 / 39_000, 1500  # of the sums that another package calibrates
THEIRS = """
import json, time
from riskcal.calibration.dpsgd import find_noise_multiplier_for_advantage as find
begun = time.process_time()
found = find(advantage={advantage}, sample_rate={rate}, num_steps={steps}, grid_step=1e-4)
print(json.dumps([float(found), time.process_time() - begun]))
"""


def route_epsilon(advantage: float, delta: float) -> float:
    """Return the largest epsilon whose (epsilon, delta)-DP certifies an advantage."""
    return math.log((1 + advantage - 2 * delta) / (1 - advantage))


def route_factor(events: Events, advantage: float, delta: float) -> float:
    """Return how many times the noise of ``events`` a route needs at this delta."""
    return noise_factor(events, route_epsilon(advantage, delta), delta)


def best_route(events: Events, advantage: float, most: float) -> tuple[float, float]:
    """Return the delta up to ``most`` at which a route needs the least noise, and its factor."""
    deltas = np.geomspace(LEAST * advantage, most, SEARCHED)
    factors = [route_factor(events, advantage, float(delta)) for delta in deltas]
    best = int(np.argmin(factors))
    return float(deltas[best]), factors[best]


def calibrated(method: str, domain: Domain, budget: PrivacyBudget) -> tuple[Events, float]:
    """Return the events of a method's plan at this budget, and the CPU seconds that it took."""
    plan = SYNTHESIZERS[method]().charges(domain).under(budget)
    begun = time.process_time()
    ready = calibrate({method: (plan, 1.0)}, budget)[method]
    return list(ready.events()), time.process_time() - begun


def plans(domain: Domain, advantage: float) -> Iterator[list[str]]:
    """Yield a row a method: its risk, mu, regret, CPU seconds."""
    budget = PrivacyBudget.from_risk(advantage=advantage)
    for method in METHODS:
        events, seconds = calibrated(method, domain, budget)
        curve = compose(events)
        said = summarized(curve)
        bounds = (budget.cost(curve), said.mu, said.regret, curve.epsilon(1e-9))
        yield [method, *map(rounded_up, bounds), f"{seconds:.2f}"]


def routes(domain: Domain, advantage: float, rows: int) -> Iterator[list[str]]:
    """Yield a row a method: less noise than the route at each delta, and than the best ones."""
    for method in ASKED:
        events, _ = calibrated(method, domain, PrivacyBudget.from_risk(advantage=advantage))
        saved = [1 - 1 / route_factor(events, advantage, delta) for delta in DELTAS]
        customary, factor = best_route(events, advantage, 1 / rows)
        cells = [f"{share:.1%}" for share in saved]
        cells.append(f"{1 - 1 / factor:.1%} (at {customary:.2g})")
        delta, factor = best_route(events, advantage, advantage * (1 - 1e-6))
        epsilon = route_epsilon(advantage, delta)
        yield [method, *cells, f"{1 - 1 / factor:.2%} (at {epsilon:.2g}, {delta:.3g})"]


def beside_riskcal(python: str, advantage: float) -> list[str]:
    """Return our noise multiplier of sampled sums, theirs, and both CPU seconds."""
    begun = time.process_time()
    budget = PrivacyBudget.from_risk(advantage=advantage)
    ours = least_factor([(SampledGaussian(1.0, RATE, STEPS), 1)], budget)
    seconds = time.process_time() - begun
    code = THEIRS.format(advantage=advantage, rate=RATE, steps=STEPS)
    run = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    theirs, their_seconds = json.loads(run.stdout.splitlines()[-1])
    return [
        f"{ours:.6f}",
        f"{theirs:.6f}",
        f"{ours / theirs - 1:+.2e}",
        f"{seconds:.2f}",
        f"{their_seconds:.2f}",
    ]


def draw(place: Path) -> None:
    """Draw what risks cost the table of the guide, as `dp-synth choose` does."""
    schema = datasets.load("adult").schema.select(COLUMNS)
    found = options_for(MST(), schema, GUIDE_ROWS)
    note = f"{found.schema}, {found.rows:,} rows, {found.synthesizer}; {found.surrogate}"
    save(lambda: choice_of_budget(found.points(), found.floor, note), place)


def main() -> None:
    """Print the tables, or draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--advantage", type=float, default=0.1)
    parser.add_argument("--riskcal", help="a Python that has riskcal")
    parser.add_argument("--plot", type=Path, help="where the figure goes (.png, .pdf)")
    given = parser.parse_args()
    if given.plot:
        draw(given.plot)
        return
    os.environ[CACHE_VARIABLE] = ""  # nothing is kept, nothing is found
    data = datasets.load("adult")
    domain, rows = data.schema.widest().domain, len(data.train)
    head = ["plan", "advantage", "mu", "regret", "epsilon at 1e-9", "CPU s"]
    print(markdown(head, list(plans(domain, given.advantage))), end="\n\n")
    print(f"Less noise than the route through (epsilon, delta), advantage {given.advantage:g}:\n")
    head = ["plan", *(f"delta {delta:g}" for delta in DELTAS), f"best up to 1 / {rows:,}"]
    head.append("best of all (epsilon, delta)")
    print(markdown(head, list(routes(domain, given.advantage, rows))), end="\n\n")
    print("The best of all is (0, advantage): the advantage is the delta at epsilon 0.")
    if given.riskcal:
        head = ["sampled sums", "riskcal", "difference", "CPU s", "riskcal, CPU s"]
        print("", markdown(head, [beside_riskcal(given.riskcal, given.advantage)]), sep="\n")


if __name__ == "__main__":
    main()
