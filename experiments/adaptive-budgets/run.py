"""What an adaptive root's freedom costs, and what AIM's filter buys; arithmetic alone.

For a table of 14 columns each plan is calibrated to the whole budget by a planned root, and its
cost in the filter of an adaptive one is printed over that filter's limit: by so much its squared
noise would have to grow there. Then how many rounds of one noise AIM's filter of Gaussian DP pays
for, event by event and with a round as one mechanism, those of a filter of zero-concentrated DP as
1. A minute of one core.
"""

from __future__ import annotations

import argparse
import math
from itertools import product

from dp_synth.accounting import Accountant, PrivacyBudget, Round, calibrate, cost
from dp_synth.accounting.filters import limit
from dp_synth.domain import Domain
from dp_synth.synthesizers import DPGAN, MWEM, PATEGAN, PrivBayes, PublishedMST
from paper.documents import markdown

SIZES = (10, 8, 16, 16, 16, 7, 14, 6, 5, 2, 20, 20, 20, 42)
DOMAIN = Domain(tuple("abcdefghijklmn"), SIZES)
BUDGETS = ((1.0, 1e-5), (1.0, 1e-9), (0.1, 1e-9), (10.0, 1e-9))
OF_ROUNDS = ((0.1, 1e-5), (1.0, 1e-5), (1.0, 1e-9), (3.0, 1e-9), (10.0, 1e-9), (10.0, 1e-5))
ALPHA, ROUNDS = 0.9, 16 * len(SIZES)  # AIM's own
CURRENCIES = ("gdp", "zcdp")
RECIPES = {
    "DPGAN": DPGAN(),
    "PATE-GAN": PATEGAN(),
    "MST as published": PublishedMST(),
    "PrivBayes": PrivBayes(),
    "MWEM": MWEM(),
}


def freedom() -> str:
    """Return noise^2 in an adaptive root over that of a planned one, plan by plan."""
    rows = []
    for name, recipe in RECIPES.items():
        rows.append([name])
        for (epsilon, delta), currency in product(BUDGETS, CURRENCIES):
            budget = PrivacyBudget(epsilon, delta)
            plan = calibrate({name: (recipe.charges(DOMAIN), 1.0)}, budget)[name]
            rule = Accountant(budget, adaptive=currency).ledger.filter
            rows[-1].append(f"{rule.cost(plan.events()) / rule.limit:.4f}")
    heads = [f"({e:g}, {d:g}) {currency}" for (e, d), currency in product(BUDGETS, CURRENCIES)]
    return markdown(["noise^2 over that of a planned root", *heads], rows)


def rounds() -> str:
    """Return how many rounds of equal noise a budget buys, those of a zCDP filter as 1."""
    rows = []
    for epsilon, delta in OF_ROUNDS:
        budget = PrivacyBudget(epsilon, delta)
        noise = math.sqrt(ROUNDS / (2 * ALPHA * limit(budget, "zcdp")))
        one = Round(2 * math.sqrt((1 - ALPHA) / ALPHA) / noise, noise)
        whole = limit(budget, "gdp") / ROUNDS
        apart = cost(one.choice, "gdp") + cost(one.answer, "gdp")
        bought = (f"{whole / each:.3f}" for each in (apart, cost(one, "gdp")))
        rows.append([f"({epsilon:g}, {delta:g})", *bought])
    heads = ["budget", "GDP filter, event by event", "GDP filter, a round as one mechanism"]
    return markdown(heads, rows)


def main() -> None:
    """Print both tables."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    print(f"{freedom()}\n\n{rounds()}")


if __name__ == "__main__":
    main()
