"""What exact accounting saves, as numbers of the text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from paper.number import Number
from paper.records import chosen, number_of

ACCOUNTING = "paper/records/accounting.jsonl"
TARGETS = ((1.0, 1e-9), (1.0, 1e-5), (0.1, 1e-5), (10.0, 1e-9))
METHODS = ("zcdp_basic", "zcdp", "here", "floor")


def accounting() -> Iterator[tuple[str, Number]]:
    """Yield names and numbers of all that was accounted for."""
    for part in (_targets, _marginals, _sampled, _votes, _joint):
        yield from part()


def target(epsilon: float, delta: float) -> str:
    """Return what a name ends with at a target.

    >>> target(0.1, 1e-5)
    '0_1_1e5'
    """
    return f"{epsilon:g}_{delta:.0e}".replace(".", "_").replace("e-0", "e")


def factor(epsilon: float, delta: float, method: str) -> float:
    """Return the factor on all noise of MST's plan that one accounting asks for."""
    (line,) = chosen(ACCOUNTING, plan="mst", method=method, epsilon=epsilon, delta=delta)
    return number_of(line, "value")


def _targets() -> Iterator[tuple[str, Number]]:
    for epsilon, delta in TARGETS:
        decimals = 1 if epsilon < 1 else 0
        said = f"target ({epsilon:g}, {delta:g}) of the plan mst"
        end = target(epsilon, delta)
        yield f"mst_epsilon_{end}", Number(epsilon, decimals, ACCOUNTING, said)
        yield f"mst_delta_{end}", Number(delta, None, ACCOUNTING, said)
    for plan, short in (("sampled", "sampled"), ("laplace_votes", "votes"), ("joint", "joint")):
        one = chosen(ACCOUNTING, plan=plan)[0]
        said = f"target of the plan {plan}"
        yield f"{short}_epsilon", Number(number_of(one, "epsilon"), 0, ACCOUNTING, said)
        yield f"{short}_delta", Number(number_of(one, "delta"), None, ACCOUNTING, said)


def _marginals() -> Iterator[tuple[str, Number]]:
    for (epsilon, delta), method in product(TARGETS, METHODS):
        value = factor(epsilon, delta, method)
        said = f"factor of MST's noise by {method} at ({epsilon:g}, {delta:g})"
        decimals = 3 if value < 10 else 2
        name = f"mst_noise_{method}_{target(epsilon, delta)}"
        yield name, Number(value, decimals, ACCOUNTING, said)
    for (epsilon, delta), beside in product(TARGETS, ("zcdp", "zcdp_basic")):
        saved = 100 * (1 - factor(epsilon, delta, "here") / factor(epsilon, delta, beside))
        said = f"noise less than by {beside} at ({epsilon:g}, {delta:g}), per cent"
        name = f"mst_saved_{beside}_{target(epsilon, delta)}"
        yield name, Number(saved, 1, ACCOUNTING, said)
    every = {
        (number_of(x, "epsilon"), number_of(x, "delta")) for x in chosen(ACCOUNTING, plan="mst")
    }
    saved_by = {key: 100 * (1 - factor(*key, "here") / factor(*key, "zcdp")) for key in every}
    for name, pick in (("least", min), ("most", max)):
        said = f"{name} noise saved beside the optimal zCDP conversion, per cent"
        yield f"mst_saved_{name}", Number(pick(saved_by.values()), 1, ACCOUNTING, said)
    gap = max(100 * (factor(*key, "here") / factor(*key, "floor") - 1) for key in every)
    said = "largest excess over the floor at all targets, per cent"
    yield "mst_gap_most", Number(gap, 2, ACCOUNTING, said, bound="upper")
    yield "mst_targets", Number(len(every), 0, ACCOUNTING, "different targets of the plan mst")
    ends = sorted(epsilon for epsilon, _ in every)
    yield "mst_epsilon_least", Number(ends[0], 1, ACCOUNTING, "least epsilon of the plan mst")
    yield "mst_epsilon_most", Number(ends[-1], 0, ACCOUNTING, "largest epsilon of the plan mst")


def _sampled() -> Iterator[tuple[str, Number]]:
    ratios = []
    for steps in sorted({number_of(x, "steps") for x in chosen(ACCOUNTING, plan="sampled")}):
        by = {
            x["method"]: number_of(x, "value")
            for x in chosen(ACCOUNTING, plan="sampled", steps=steps)
        }
        ratios.append(100 * (1 - by["here"] / by["rdp"]))
        for method in ("rdp", "here"):
            said = f"noise multiplier of {steps:g} sampled steps by {method}"
            name = f"sampled_{method}_{steps:.0f}"
            yield name, Number(by[method], 3, ACCOUNTING, said)
        yield f"sampled_steps_{steps:.0f}", Number(steps, 0, ACCOUNTING, "steps")
    for name, pick in (("least", min), ("most", max)):
        said = f"{name} noise saved beside Renyi DP in sampled steps, per cent"
        yield f"sampled_saved_{name}", Number(pick(ratios), 1, ACCOUNTING, said)


def _votes() -> Iterator[tuple[str, Number]]:
    laplace = {x["method"]: number_of(x, "value") for x in chosen(ACCOUNTING, plan="laplace_votes")}
    gaussian = {
        x["method"]: number_of(x, "value") for x in chosen(ACCOUNTING, plan="gaussian_votes")
    }
    times = laplace["here"] / laplace["moments"]
    said = "inverse scale of Laplace votes over that of the moments bound"
    yield "votes_laplace_times", Number(times, 2, ACCOUNTING, said)
    for name, value in (("both_counts", gaussian["both_counts"]), ("here", gaussian["here"])):
        said = f"stddev of Gaussian votes by {name}"
        yield f"votes_gaussian_{name}", Number(value, 2, ACCOUNTING, said)
    one = chosen(ACCOUNTING, plan="laplace_votes")[0]
    for name in ("teachers", "queries"):
        yield f"votes_{name}", Number(number_of(one, name), 0, ACCOUNTING, name)


def _joint() -> Iterator[tuple[str, Number]]:
    for line in chosen(ACCOUNTING, plan="joint"):
        count = number_of(line, "releases")
        said = f"noise of {count:g} joint Gaussian releases over that of split budgets"
        yield f"joint_{count:.0f}", Number(number_of(line, "value"), 3, ACCOUNTING, said)
        yield f"joint_releases_{count:.0f}", Number(count, 0, ACCOUNTING, "releases")
