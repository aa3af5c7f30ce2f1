"""What exact accounting buys: the noise that one target needs by each, and what it does to rows.

An accounting that asks for more noise than the exact one is played, for utility, by the exact one
at the epsilon that its noise is really worth (``true_epsilon``), with the budget shared as that
accounting shares it. So all fits are of one code, and differ in their noise alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.accounting_gain.multipliers import (
    DELTA,
    ONES,
    PAIRS,
    TOGETHER,
    TREE,
    aim_multiplier,
    clique_tree_epsilon,
    dpctgan_multiplier,
    mst_events,
    mst_multiplier,
    shares_of,
    together,
    true_epsilon,
)

import dp_synth as dps
from benchmarks.inputs import scored
from benchmarks.measured import Record, by_seed, chosen, read, shown
from dp_synth.accounting import Gaussians, Plan, Selections
from dp_synth.domain import Domain
from dp_synth.figures.style import (
    FULL_WIDTH,
    MARKERS,
    PALETTE,
    Line,
    below,
    epsilon_axis,
    keep_possible,
    named,
    new_figure,
)
from experiments.outline import RECORDS, Experiment, answer, begin, ends, interval, log_axis
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
EPSILONS = (0.1, 0.3, 1.0, 3.0)
SEEDS = 5
WIDE_TICKS, NEAR_TICKS = (1, 1.5, 2, 3, 5, 8), (1, 1.02, 1.04, 1.06, 1.08, 1.1)
ACCOUNTINGS = {
    "exact": "exact",
    "renyi": "Renyi DP",
    "zcdp": "zCDP, optimal conversion",
    "zcdp_textbook": "zCDP, textbook conversion",
    "split": "split evenly",
}
PLANS = {
    "mst": "MST, as published",
    "aim": "AIM, 30 Gaussian rounds",
    "dpctgan": "DP-CTGAN, default steps",
    "mst with others": "MST, one of three",
    "dpctgan with others": "DP-CTGAN, one of three",
    "pategan with others": "PATE-GAN, one of three",
}
ASKED = {  # which accountings say something of which plan
    "mst": ("exact", "zcdp", "zcdp_textbook", "split"),
    "aim": ("exact", "renyi", "zcdp", "zcdp_textbook", "split"),
    "dpctgan": ("exact", "renyi"),
    **{f"{name} with others": ("exact", "split") for name in TOGETHER},
}
FITTED = {"mst": ASKED["mst"], "clique_tree": ("exact", "zcdp", "zcdp_textbook")}
LOOKS = {name: Line(PALETTE[i], "-", MARKERS[i]) for i, name in enumerate(ACCOUNTINGS)}


@dataclass(frozen=True)
class SharedMST(dps.PublishedMST):
    """MST as published, whose budget is not shared in thirds."""

    shares: tuple[float, ...] = (1.0, 1.0, 1.0)

    def plan(self, domain: Domain) -> Plan:
        """Columns, edges and pairs, each with its share."""
        ones, tree, pairs = self.shares
        edges = len(domain) - 1
        return Plan(
            {
                ONES: Gaussians(len(domain), ones),
                TREE: Selections(edges, tree),
                PAIRS: Gaussians(edges, pairs),
            }
        )


# Measure


def measure(resume: bool) -> None:
    """Write the noise of every plan, then a fit a method, accounting, epsilon and seed."""
    begin(HERE, resume)
    answer(HERE, _noises(), lambda task: {"noise_multiplier": _multiplier(task)}, part="noise")
    answer(HERE, _fits(), _fit, part="fits")


def _noises() -> Iterator[Record]:
    for plan, accountings in ASKED.items():
        for accounting, epsilon in product(accountings, EPSILONS):
            yield {"kind": "noise", "plan": plan, "accounting": accounting, "epsilon": epsilon}


def _fits() -> Iterator[Record]:
    for seed, (name, accountings) in product(range(SEEDS), FITTED.items()):
        for accounting, epsilon in product(accountings, EPSILONS):
            yield {
                "kind": "fit",
                "synthesizer": name,
                "accounting": accounting,
                "epsilon": epsilon,
                "seed": seed,
            }


MULTIPLIERS: Mapping[str, Callable[[float, str], float]] = {
    "mst": mst_multiplier,
    "aim": aim_multiplier,
    "dpctgan": dpctgan_multiplier,
}


def _multiplier(task: Record) -> float:
    plan, accounting, epsilon = task["plan"], task["accounting"], task["epsilon"]
    if plan in MULTIPLIERS:
        return MULTIPLIERS[plan](epsilon, accounting)
    return together(epsilon, accounting)[plan.removesuffix(" with others")]


def _fit(task: Record) -> Record:
    """Return what one fit to Adult is good for, and the epsilon that its noise is worth."""
    accounting, epsilon, seed = task["accounting"], task["epsilon"], task["seed"]
    recipe: dps.Synthesizer
    if task["synthesizer"] == "mst":
        events = mst_events(epsilon, accounting)
        recipe = SharedMST(shares=shares_of(events))
        spent = epsilon if accounting == "exact" else true_epsilon(events)
    else:
        recipe, spent = dps.CliqueTree(), clique_tree_epsilon(epsilon, accounting)
    data = dps.datasets.load("adult")
    started = time.process_time()
    release = recipe.fit(data.train, data.schema, dps.PrivacyBudget(spent, DELTA), seed=seed)
    seconds = time.process_time() - started
    found = scored(release.sample(seed=seed), data, seed)
    return {"true_epsilon": spent, **found, "seconds": round(seconds, 3)}


# Draw


def noise_ratio(records: list[Record], plan: str, accounting: str, epsilon: float) -> float:
    """Return the noise by an accounting over the exact one's; NaN where it was not asked."""
    found = {
        one["accounting"]: one["noise_multiplier"]
        for one in chosen(records, plan=plan, epsilon=epsilon)
    }
    return found.get(accounting, float("nan")) / found["exact"]


def values(
    records: list[Record], method: str, accounting: str, epsilon: float, value: str
) -> list[float]:
    """Return one value of the fits of a method, in the order of their seeds."""
    wanted = {"synthesizer": method, "accounting": accounting, "epsilon": epsilon}
    return list(by_seed(records, value, **wanted).values())


def losses(
    records: list[Record], method: str, accounting: str, epsilon: float, value: str
) -> list[float]:
    """Return by how much a value is above that of exact accounting, seed by seed."""
    other = values(records, method, accounting, epsilon, value)
    exact = values(records, method, "exact", epsilon, value)
    return [a - b for a, b in zip(other, exact, strict=False)]


def noise_table(records: list[Record]) -> str:
    """Return the noise of every plan at epsilon 1, over what exact accounting needs."""
    rows = []
    for plan, title in PLANS.items():
        cells = [title]
        for accounting in list(ACCOUNTINGS)[1:]:
            ratios = [noise_ratio(records, plan, accounting, e) for e in EPSILONS]
            cells.append(" / ".join("-" if r != r else f"{r:.3f}" for r in ratios))
        rows.append([cells[0], *("-" if set(c) <= set("- /") else c for c in cells[1:])])
    return markdown(["noise over that of exact accounting", *list(ACCOUNTINGS.values())[1:]], rows)


def utility_table(records: list[Record]) -> str:
    """Return TV and AUC by exact accounting, and the differences seed by seed by the others."""
    head = ["method", "accounting", "epsilon", "true epsilon", "TV of pairs", "AUC"]
    rows = []
    for method, accountings in FITTED.items():
        for accounting, epsilon in product(accountings, EPSILONS):
            spent = values(records, method, accounting, epsilon, "true_epsilon")
            row = [named(method), ACCOUNTINGS[accounting], f"{epsilon:g}", f"{spent[0]:.3g}"]
            for value in ("tv", "auc"):
                if accounting == "exact":
                    row.append(shown(values(records, method, accounting, epsilon, value), 4))
                else:
                    away = losses(records, method, accounting, epsilon, value)
                    row.append(shown(away, 4, sign=True))
            rows.append(row)
    return markdown(head, rows)


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    records = read(HERE / RECORDS)
    percent = {
        f"{plan} {accounting} {epsilon:g}": 100
        * (noise_ratio(records, plan, accounting, epsilon) - 1)
        for plan in PLANS
        for accounting, epsilon in product(ACCOUNTINGS, EPSILONS)
    }
    said = {name: f"{number:.0f}" for name, number in percent.items() if number == number}
    said["mst split times 1"] = f"{1 + percent['mst split 1'] / 100:.1f}"
    of_three = [percent[f"{name} with others split 1"] for name in TOGETHER]
    said |= {"together least": f"{min(of_three):.0f}", "together most": f"{max(of_three):.0f}"}
    for accounting, epsilon in product(("zcdp", "zcdp_textbook", "split"), EPSILONS):
        spent = values(records, "mst", accounting, epsilon, "true_epsilon")
        said[f"true {accounting} {epsilon:g}"] = f"{spent[0]:.2g}"
        for value in ("tv", "auc"):
            away = losses(records, "mst", accounting, epsilon, value)
            said[f"{value} {accounting} {epsilon:g}"] = shown(away, 4, sign=True)
    said["seeds"] = _seeds(records)
    return {"noise": noise_table(records), "utility": utility_table(records), **said}


def draw() -> Figure:
    """Return the noise of three plans, and TV and AUC of MST, by each accounting."""
    records = read(HERE / RECORDS)
    figure = new_figure(FULL_WIDTH, 4.9)
    upper, lower = figure.subplots(2, 3, sharex=True)
    for axes, plan in zip(upper, ("mst", "aim", "dpctgan"), strict=True):
        _draw_noise(axes, records, plan)
    upper[0].set_ylabel("noise over that of\nexact accounting (low is good)")
    _draw_fits(lower[0], records, "mst", "tv")
    _draw_fits(lower[1], records, "mst", "auc")
    _draw_fits(lower[2], records, "clique_tree", "tv")
    note = f"δ = {DELTA:g}; below: Adult, mean and 95 % t-interval over {_seeds(records)} seeds"
    below(figure, [*upper, *lower], note)
    return figure


def _seeds(records: list[Record]) -> str:
    """Return how many seeds the fits of a method, accounting and epsilon have."""
    counts = [
        len(values(records, method, accounting, epsilon, "tv"))
        for method, accountings in FITTED.items()
        for accounting, epsilon in product(accountings, EPSILONS)
    ]
    return ends(counts)


def _draw_noise(axes: Axes, records: list[Record], plan: str) -> None:
    for accounting in ASKED[plan]:
        ratios = [noise_ratio(records, plan, accounting, epsilon) for epsilon in EPSILONS]
        _line(axes, ratios, accounting)
    axes.set_title(PLANS[plan])
    axes.set_yscale("log")
    log_axis(axes, "y", WIDE_TICKS if axes.get_ylim()[1] > 2 else NEAR_TICKS)


def _draw_fits(axes: Axes, records: list[Record], method: str, value: str) -> None:
    for accounting in FITTED[method]:
        spreads = [
            interval(values(records, method, accounting, epsilon, value)) for epsilon in EPSILONS
        ]
        low = [mean - half for mean, half in spreads]
        high = [mean + half for mean, half in spreads]
        axes.fill_between(
            EPSILONS, low, high, color=LOOKS[accounting].color, alpha=0.15, linewidth=0
        )
        _line(axes, [mean for mean, _ in spreads], accounting)
    label = "TV of pairs (low is good)" if value == "tv" else "AUC of gradient boosting"
    keep_possible(axes)
    axes.set_title(f"{named(method)} on Adult")
    axes.set_ylabel(label)
    epsilon_axis(axes, EPSILONS)


def _line(axes: Axes, ys: list[float], accounting: str) -> None:
    look = LOOKS[accounting]
    axes.plot(EPSILONS, ys, color=look.color, marker=look.marker, label=ACCOUNTINGS[accounting])


EXPERIMENT = Experiment(HERE, (HERE / RECORDS,), texts, draw, measure)
