"""Markdown tables of docs/auditing.md, from the records of what was audited and attacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from experiments.audit_tightness.worst_case import PUBLISHED, PUBLISHED_RUNS

from benchmarks.measured import Record, chosen, read, shown
from dp_synth.audit import ceiling
from dp_synth.figures.audits import bounds_of, factor_text
from dp_synth.figures.style import named
from dp_synth.formatting import at_least, at_most
from paper.documents import markdown

POWER = 0.8  # share of audits that must alarm
ATTACKED_AT, FRESH_FROM = 1000.0, 100  # the epsilon, and the first seed that chose nothing


def power_table(records: Sequence[Record]) -> str:
    """Return the fewest runs at which so many audits alarm, a row for each test."""
    if not records:
        return markdown(["test", "false alarms at most"], [])
    frame = pd.DataFrame(records)
    factors = sorted(frame["factor"].unique())
    titles = [f"noise too small by {factor_text(factor)}" for factor in factors if factor > 1]
    lines = []
    for test, rows in frame.groupby("test", sort=False):
        cells = [named(str(test))]
        for factor in factors[1:]:
            caught = rows[(rows["factor"] == factor) & (rows["alarms"] >= POWER)]
            most = rows["runs"].max()
            cells.append(f"more than {most:,}" if caught.empty else f"{caught['runs'].min():,}")
        worst = rows[rows["factor"] == 1].sort_values("alarms").iloc[-1]
        cells.append(f"{worst['alarms']:.1%} [{worst['low']:.1%}, {worst['high']:.1%}]")
        lines.append(cells)
    return markdown(["test", *titles, "false alarms at most"], lines)


def audits_table(records: Sequence[Record]) -> str:
    """Return what was audited of each synthesizer, and of its closest stage, beside the ledger."""
    head = ["synthesizer", "ledger", "audited, if curve", "Gaussian threshold"]
    head += ["Clopper-Pearson (ceiling)", "stage closest to its ledger", "runs", "passed"]
    rows = []
    for record in records:
        row = [named(str(bounds_of([record])["series"].iloc[0]))]
        row.append(at_most(record["claimed_epsilon"], 2))
        bounds = {name: at_least(bound, 2) for name, bound in record["bounds"].items()}
        row += [bounds["area_if_curve"], bounds["gaussian_threshold"]]
        row.append(f"{bounds['clopper_pearson']} ({at_least(record['ceiling'], 2)})")
        row.append(_closest(record))
        rows.append([*row, f"{record['runs']:,}", "yes" if record["passed"] else "**no**"])
    return markdown(head, rows)


def _closest(record: Record) -> str:
    """Return the stage whose audited epsilon is the largest share of its own lines'."""
    stages = {
        name: (stage["epsilon_if_curve"], stage["claimed_epsilon"])
        for name, stage in record["stages"].items()
    }
    name = max(stages, key=lambda one: stages[one][0] / stages[one][1])
    found, claimed = stages[name]
    return f"{name.partition(': ')[2]}: {at_least(found, 2)} of {at_most(claimed, 2)}"


def worst_case_table(records: Sequence[Record]) -> str:
    """Return ours beside the six implementations of the study, on its worst data."""
    head = ["PATE-GAN", "teachers", "attack's AUC", "epsilon found", "of at most", "if curve"]
    theirs = at_least(ceiling(PUBLISHED_RUNS), 2)
    rows = [
        [name, "2", f"{auc:.3f}", at_least(epsilon, 2), theirs, ""]
        for name, (auc, epsilon) in PUBLISHED.items()
    ]
    for record in records:
        found = record["values"]
        bounds = (at_least(found[name], 2) for name in ("epsilon", "ceiling", "epsilon_if_curve"))
        rows.append(["**ours**", str(record["teachers"]), f"{found['auc']:.3f}", *bounds])
    return markdown(head, rows)


def canaries_table(records: Sequence[Record]) -> str:
    """Return what one training each proves, with the noise that is charged and with less."""
    head = ["noise of what is charged", "canaries", "guesses right, a training each"]
    head += ["epsilon proven", "of at most", "claimed"]
    rows = []
    for factor in dict.fromkeys(record["noise"] for record in records):
        own = chosen(records, noise=factor)
        found = [record["values"] for record in own]
        row = ["all" if factor == 1 else f"1/{1 / factor:g}", str(own[0]["canaries"])]
        row.append(", ".join(f"{one['right']} of {one['made']}" for one in found))
        row.append(", ".join(at_least(one["epsilon"], 2) for one in found))
        rows.append([*row, at_least(found[0]["ceiling"], 2), f"{own[0]['claimed_epsilon']:g}"])
    return markdown(head, rows)


def attacks_table(records: Sequence[Record]) -> str:
    """Return the mean AUC of each attack with its interval over fresh seeds, a column a recipe."""
    own = [one for one in chosen(records, epsilon=ATTACKED_AT) if one["seed"] >= FRESH_FROM]
    recipes = list(dict.fromkeys(record["recipe"] for record in own))
    found = {recipe: [one["values"] for one in chosen(own, recipe=recipe)] for recipe in recipes}
    attacks = list(found[recipes[0]][0]) if recipes else []
    rows = [
        [named(name), *(shown([one[name]["auc"] for one in found[r]], 3) for r in recipes)]
        for name in attacks
    ]
    return markdown(["attack", *recipes], rows)


def _of(file: str, table: Callable[[Sequence[Record]], str]) -> Callable[[Path], str]:
    return lambda folder: table(read(folder / file))


DRAWN: Mapping[str, Callable[[Path], str]] = {
    "power": _of("audit_runs.jsonl", power_table),
    "audits": _of("audits.jsonl", audits_table),
    "pate worst case": _of("pate_worst_case.jsonl", worst_case_table),
    "canaries": _of("canaries.jsonl", canaries_table),
    "attacks": _of("attacks.jsonl", attacks_table),
}
