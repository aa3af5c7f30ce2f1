"""The study's statistic takes maxima, and the tables of PATE-GAN say what the records say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from experiments.pate_protocol import tables as pate_tables
from experiments.pate_protocol.study import PUBLISHED, classifiers, place, statistic
from experiments.what_leaks_buy.run import DRAWN

NAMES = tuple(classifiers())


def table(auroc: float, auprc: float) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(NAMES, (auroc, auprc))


def test_the_statistic_is_the_mean_over_classifiers_of_the_best_of_all_tables() -> None:
    first = {**table(0.5, 0.1), NAMES[0]: (0.9, 0.1)}
    second = {**table(0.4, 0.2), NAMES[1]: (0.8, 0.2)}
    found = statistic([[first], [second]])
    assert found.best == pytest.approx(((0.9 + 0.8 + 10 * 0.5) / 12, 0.2))
    means = [(11 * 0.5 + 0.9) / 12, (11 * 0.4 + 0.8) / 12]
    assert np.array(found.trainings)[:, 0] == pytest.approx(means)


def test_the_place_counts_the_published_that_are_better() -> None:
    ranked = sorted((score[0] for score in PUBLISHED["cervical_cancer"].values()), reverse=True)
    assert place(0.99, "cervical_cancer", 0) == 1
    assert place(ranked[2] - 1e-6, "cervical_cancer", 0) == 4
    assert place(0.1, "cervical_cancer", 0) == 7


def test_tables_are_drawn_from_records(tmp_path: Path) -> None:
    trainings = [
        {"table": "cervical_cancer", "method": "pategan", "scores": [table(auroc, 0.25)] * 2}
        for auroc in (0.7, 0.9)
    ]
    fits = [
        {"leak": leak, "kind": "fit", "seed": seed, "values": {"auc": auc + seed, "tv": 0.1}}
        for leak, auc in (("none", 0.5), ("shared", 0.75))
        for seed in (0, 1)
    ]
    values = {"epsilon": 1.25, "ceiling": 5.0, "attack_auc": 0.8, "runs": 600.0}
    audits = [{"leak": leak, "kind": "audit", "values": values} for leak in ("none", "shared")]
    for name, records in (("pate_protocol", trainings), ("pate_leaks", [*fits, *audits])):
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    line = pate_tables.protocol_table(tmp_path).splitlines()[2]
    assert "| 2 x 2 | 0.900 / 0.250 | 3 / 6 of 7 | 0.800 ±" in line
    shared = DRAWN["pate leaks"](tmp_path).splitlines()[3]
    assert "+0.2500 ± 0.0000" in shared
    assert "| 1.25 | 5.00 | 0.800 |" in shared
    assert "borealisai | 0.943 / 0.561" in pate_tables.published_table()
