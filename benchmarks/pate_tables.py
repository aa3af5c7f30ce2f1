"""Markdown tables of PATE-GAN by the study's protocol, and of planted leaks, from their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from benchmarks.measured import RECORDS, Record, read
from benchmarks.study import PUBLISHED, PUBLISHED_REAL, TABLES, Score, place, statistic
from dp_synth.formatting import at_least
from dp_synth.records import Spread

PROTOCOL, LEAKS = "pate_protocol.jsonl", "pate_leaks.jsonl"


def protocol_table(records: Path = RECORDS) -> str:
    """Return the study's statistic, our place in it and the mean of trainings, by table."""
    lines = [
        "| table | method | trainings x tables | best of all tables, AUROC / AUPRC "
        "| place among the six | mean over tables, AUROC | AUPRC |",
        "|---|---|---|---|---|---|---|",
    ]
    kept = read(records / PROTOCOL)
    for table in TABLES:
        mine = [record for record in kept if record["table"] == table]
        for name in dict.fromkeys(str(record["method"]) for record in mine):
            lines.append(_protocol_line(table, name, mine))
    return "\n".join(lines) + "\n"


def _protocol_line(table: str, name: str, records: Sequence[Record]) -> str:
    own = [record for record in records if record["method"] == name]
    scores = [cast(list[dict[str, Score]], record["scores"]) for record in own]
    found = statistic(scores)
    tables = sum(len(training) for training in scores)
    places = [place(found.best[score], table, score) for score in (0, 1)]
    means = [_spread([training[score] for training in found.trainings]) for score in (0, 1)]
    several = tables > 1
    best = f"{found.best[0]:.3f} / {found.best[1]:.3f}" if several else ""
    ranked = f"{places[0]} / {places[1]} of 7" if several else ""
    count = f"{len(own)} x {tables // len(own)}"
    return f"| {table} | {name} | {count} | {best} | {ranked} | {means[0]} | {means[1]} |"


def published_table() -> str:
    """Return what the study prints of the six, best first by AUROC, their median, and real rows."""
    lines = [
        "| implementation | " + " | ".join(f"{table}, AUROC / AUPRC" for table in TABLES) + " |",
        "|---|" + "---|" * len(TABLES),
    ]
    names = sorted(PUBLISHED[TABLES[0]], key=lambda name: -PUBLISHED[TABLES[0]][name][0])
    for name in names:
        cells = [f"{PUBLISHED[t][name][0]:.3f} / {PUBLISHED[t][name][1]:.3f}" for t in TABLES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    medians = [np.median(list(PUBLISHED[table].values()), axis=0) for table in TABLES]
    lines.append("| median | " + " | ".join(f"{m[0]:.3f} / {m[1]:.3f}" for m in medians) + " |")
    real = [f"{PUBLISHED_REAL[t][0]:.3f} / {PUBLISHED_REAL[t][1]:.3f}" for t in TABLES]
    lines.append(f"| real rows, one training | {' | '.join(real)} |")
    return "\n".join(lines) + "\n"


def leaks_table(records: Path = RECORDS) -> str:
    """Return what each planted leak buys on the coded Adult table and what an audit proves."""
    kept = read(records / LEAKS)
    lines = [
        "| leak | AUC of boosting | gain | TV of pairs | attack's AUC "
        "| epsilon proved, of at most | epsilon if Gaussian | runs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    honest = _by_seed(kept, "none", "auc")
    for name in dict.fromkeys(str(record["leak"]) for record in kept):
        auc, tv = (_by_seed(kept, name, value) for value in ("auc", "tv"))
        gains = [auc[seed] - honest[seed] for seed in auc if seed in honest]
        gain = _spread(gains, sign=True) if name != "none" and gains else ""
        spreads = [_spread(list(values.values())) for values in (auc, tv)]
        lines.append(f"| {name} | {spreads[0]} | {gain} | {spreads[1]} | {_audited(kept, name)} |")
    return "\n".join(lines) + "\n"


def _audited(records: Sequence[Record], leak: str) -> str:
    audits = [r for r in records if r["leak"] == leak and r["kind"] == "audit"]
    if not audits:
        return " | | | "
    values = cast(Mapping[str, float], audits[-1]["values"])
    shown = f"{at_least(values['epsilon'], 2)} of {at_least(values['ceiling'], 2)}"
    gaussian = at_least(values["epsilon_if_gaussian"], 2) if leak == "none" else ""
    return f"{values['attack_auc']:.3f} | {shown} | {gaussian} | {values['runs']:.0f}"


def _by_seed(records: Sequence[Record], leak: str, value: str) -> dict[int, float]:
    fits = [r for r in records if r["leak"] == leak and r["kind"] == "fit"]
    return {int(str(r["seed"])): cast(Mapping[str, float], r["values"])[value] for r in fits}


def _spread(values: Sequence[float], *, sign: bool = False) -> str:
    """Return the mean with its interval; nothing of nothing."""
    return Spread.of(values).shown(3, sign=sign) if values else ""


DRAWN: Mapping[str, Callable[[Path], str]] = {
    "pate published": lambda _folder: published_table(),
    "pate protocol": protocol_table,
    "pate leaks": leaks_table,
}


if __name__ == "__main__":
    for drawn in (published_table(), protocol_table(), leaks_table()):
        print(drawn)
