"""Noise that MST needs at equal (epsilon, delta): composed loss curves against zCDP.

The plan is that of 15 attributes: 15 one-way Gaussians, 14 selections, 14 two-way Gaussians, a
third of the cost each. Prints the one-way stddev by the optimal zCDP conversion (Canonne, Kamath
& Steinke 2020), which public MST implementations use, and by ours.
"""

from __future__ import annotations

from dp_synth.accounting import Gaussians, Plan, PrivacyBudget, Selections, calibrate, compose
from dp_synth.accounting.budget import zcdp_rho

PLAN = Plan({"ones": Gaussians(15), "tree": Selections(14), "pairs": Gaussians(14)})
TARGETS = [(1, 1e-9), (1, 1e-5), (0.1, 1e-9), (0.1, 1e-5), (3, 1e-9), (10, 1e-9), (10, 1e-5)]


def stddev(plan: Plan) -> float:
    return plan.gaussians("ones").event().stddev


def main() -> None:
    print("epsilon  delta   stddev by zCDP  by loss curves  ratio   epsilon used")
    for epsilon, delta in TARGETS:
        ours = calibrate({"mst": (PLAN, 1.0)}, PrivacyBudget(epsilon, delta))["mst"]
        theirs = PLAN.at(zcdp_rho(epsilon, delta))
        used = compose(ours.events()).epsilon(delta)
        ratio = stddev(ours) / stddev(theirs)
        print(
            f"{epsilon:<8g} {delta:<7g} {stddev(theirs):<15.5g} {stddev(ours):<15.5g} "
            f"{ratio:<7.4f} {used / epsilon:.4%}"
        )


if __name__ == "__main__":
    main()
