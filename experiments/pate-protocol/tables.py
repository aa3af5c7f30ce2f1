"""Markdown tables of PATE-GAN by the study's protocol, from their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from experiments.pate_protocol.study import (
    PUBLISHED,
    PUBLISHED_REAL,
    TABLES,
    Score,
    place,
    statistic,
)

from benchmarks.measured import RESULTS, Record, chosen, read
from dp_synth.records import Spread
from paper.documents import markdown

PROTOCOL = "pate_protocol.jsonl"


def protocol_table(records: Path = RESULTS) -> str:
    """Return the study's statistic, our place in it and the mean of trainings, by table."""
    head = ["table", "method", "trainings x tables", "best of all tables, AUROC / AUPRC"]
    head += ["place among the six", "mean over tables, AUROC", "AUPRC"]
    kept, rows = read(records / PROTOCOL), []
    for table in TABLES:
        mine = chosen(kept, table=table)
        for name in dict.fromkeys(record["method"] for record in mine):
            rows.append([table, name, *_cells(table, chosen(mine, method=name))])
    return markdown(head, rows)


def _cells(table: str, own: Sequence[Record]) -> list[str]:
    scores = [record["scores"] for record in own]
    found, tables = statistic(scores), sum(map(len, scores))
    best, ranked = "", ""
    if tables > 1:
        best = _pair(found.best)
        ranked = " / ".join(str(place(found.best[score], table, score)) for score in (0, 1))
        ranked += " of 7"
    means = [Spread.of([one[score] for one in found.trainings]).shown(3) for score in (0, 1)]
    return [f"{len(own)} x {tables // len(own)}", best, ranked, *means]


def _pair(score: Score) -> str:
    return f"{score[0]:.3f} / {score[1]:.3f}"


def published_table() -> str:
    """Return what the study prints of the six, best first by AUROC, their median, and real rows."""
    names = sorted(PUBLISHED[TABLES[0]], key=lambda name: -PUBLISHED[TABLES[0]][name][0])
    rows = [[name, *(_pair(PUBLISHED[table][name]) for table in TABLES)] for name in names]
    medians = [np.median(list(PUBLISHED[table].values()), axis=0) for table in TABLES]
    rows.append(["median", *map(_pair, medians)])
    rows.append(["real rows, one training", *(_pair(PUBLISHED_REAL[table]) for table in TABLES)])
    return markdown(["implementation", *(f"{table}, AUROC / AUPRC" for table in TABLES)], rows)


DRAWN: Mapping[str, Callable[[Path], str]] = {
    "pate published": lambda _folder: published_table(),
    "pate protocol": protocol_table,
}
