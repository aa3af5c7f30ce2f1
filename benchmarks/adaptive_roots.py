"""What an adaptive root's freedom costs: noise beside that of a planned root, plan by plan.

For a table of 14 columns each plan is calibrated to the whole budget by a planned root, and its
cost in the filter of an adaptive one is printed over that filter's limit: by so much its squared
noise would have to grow there. A minute of one core.
"""

from __future__ import annotations

from measured import markdown

from dp_synth.accounting import Accountant, PrivacyBudget, calibrate
from dp_synth.domain import Domain
from dp_synth.synthesizers import DPGAN, MWEM, PATEGAN, PrivBayes, PublishedMST

SIZES = (10, 8, 16, 16, 16, 7, 14, 6, 5, 2, 20, 20, 20, 42)
DOMAIN = Domain(tuple("abcdefghijklmn"), SIZES)
BUDGETS = ((1.0, 1e-5), (1.0, 1e-9), (0.1, 1e-9), (10.0, 1e-9))
RECIPES = {
    "DPGAN": DPGAN(),
    "PATE-GAN": PATEGAN(),
    "MST as published": PublishedMST(),
    "PrivBayes": PrivBayes(),
    "MWEM": MWEM(),
}


def main() -> None:
    rows = []
    for name, recipe in RECIPES.items():
        rows.append([name])
        for epsilon, delta in BUDGETS:
            budget = PrivacyBudget(epsilon, delta)
            plan = calibrate({name: (recipe.charges(DOMAIN), 1.0)}, budget)[name]
            for currency in ("gdp", "zcdp"):
                rule = Accountant(budget, adaptive=currency).ledger.filter  # type: ignore[arg-type]
                assert rule is not None
                rows[-1].append(f"{rule.cost(plan.events()) / rule.limit:.4f}")
    heads = ["noise^2 over that of a planned root"]
    heads += [f"({e:g}, {d:g}) {currency}" for e, d in BUDGETS for currency in ("gdp", "zcdp")]
    print(markdown(heads, rows))


if __name__ == "__main__":
    main()
