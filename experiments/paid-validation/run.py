"""What a validation costs and how wide it is: coded Adult, epsilon 1, by its share of the budget.

    DP_SYNTH_DATA=... python -m experiments paid-validation [--seeds 5]

Means over seeds. *TV* is the exact total variation of pairs, over the cells in which it was asked,
between the fitted records and the model; *lost* is how much of it the share costs, against the
same seeds without a validation, with a 95 % interval. Then the upper ends that a gate compares,
less what is true: of the mean over pairs and of the worst pair. *attack* is the upper end of an
attack's advantage, which needs a hold-out, beside the largest that the ledger permits. All
intervals are to hold at once in 95 % of runs.
"""

from __future__ import annotations

import argparse

import numpy as np

import dp_synth as dps
from benchmarks.inputs import Source, load
from dp_synth.datasets import Dataset
from dp_synth.records import Spread
from dp_synth.synthesizers.validation import Validation, _chances, model_groups
from paper.documents import markdown

SHARES = (0.0, 0.02, 0.05, 0.1)
RECIPES: tuple[dps.Synthesizer, ...] = (dps.CliqueTree(), dps.MST())
BUDGET = dps.PrivacyBudget(1.0, 1e-9)
HEAD = ["method", "share", "hold-out", "TV", "lost", "upper end, mean", "worst pair", "attack"]


def exact(release: dps.Release, codes: np.ndarray) -> dict[tuple[str, ...], float]:
    """Return the total variation of each pair between the records and the model."""
    domain, found = release.schema.domain, {}
    groups = model_groups(release.model, domain)
    for pair in Validation().cliques(domain):
        chances = _chances(release.model, pair, groups)
        columns = (codes[:, domain.axis(name)] for name in pair)
        grouped = (groups[a][c] if a in groups else c for a, c in zip(pair, columns, strict=True))
        counts = np.zeros(chances.shape)
        np.add.at(counts, tuple(grouped), 1.0)
        found[pair] = float(np.abs(counts / len(codes) - chances).sum() / 2)
    return found


def row(
    recipe: dps.Synthesizer,
    parts: Dataset,
    codes: np.ndarray,
    seeds: int,
    share: float,
    *,
    held: bool,
) -> tuple[dict[str, list[float]], int]:
    """Return values over seeds by their name, and in how many runs all intervals held."""
    values: dict[str, list[float]] = {name: [] for name in ("TV", "mean", "worst", "attack")}
    covered = 0
    for seed in range(seeds):
        asked = Validation(share) if share else None
        how = asked.against(parts.holdout) if asked and held else asked
        release = recipe.fit(parts.train, parts.schema, BUDGET, seed=seed, validation=how)
        true, bounds = exact(release, codes), release.validation
        mean = float(np.mean(list(true.values())))
        values["TV"].append(mean)
        if bounds is None:
            continue
        values["mean"].append(bounds.tv2.high - mean)
        pair, worst = bounds.worst
        values["worst"].append(worst.high - true[pair])
        if bounds.advantage is not None:
            values["attack"].append(bounds.advantage.high)
        covered += bounds.tv2.low <= mean <= bounds.tv2.high and all(
            bounds.pairs[pair].low <= own <= bounds.pairs[pair].high for pair, own in true.items()
        )
    return values, covered


def release_events(parts: Dataset) -> list[tuple[dps.accounting.Event, int]]:
    """Return what a fit is charged for."""
    release = RECIPES[-1].fit(parts.train, parts.schema, BUDGET, seed=0)
    return [(entry.event, entry.count) for entry in release.ledger.reservations]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    parts = load(Source("adult_discrete"))
    codes = parts.schema.encode(parts.train)
    rows, held_at_once, asked = [], 0, 0
    for recipe in RECIPES:
        base: list[float] = []
        for share in SHARES:
            for held in (False, True)[: 1 + bool(share)]:
                values, covered = row(recipe, parts, codes, seeds, share, held=held)
                base = base or values["TV"]
                lost = [own - other for own, other in zip(values["TV"], base, strict=True)]
                held_at_once, asked = held_at_once + covered, asked + len(values["mean"])
                shown = [Spread.of(values["TV"]).shown(4)]
                shown.append(Spread.of(lost).shown(4, sign=True) if share else "-")
                ends = (values[name] for name in ("mean", "worst", "attack"))
                shown += [Spread.of(end).shown(4) if end else "-" for end in ends]
                rows.append([recipe.name, f"{share:.0%}", "yes" if held else "no", *shown])
    print(markdown(HEAD, rows))
    curve = dps.accounting.compose(release_events(parts))
    print(f"\nthe ledger permits an attack at most an advantage of {curve.delta(0.0):.4f}")
    print(f"all intervals held at once in {held_at_once} of {asked} runs")


if __name__ == "__main__":
    main()
