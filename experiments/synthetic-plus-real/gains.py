"""What the records say: gains over real records alone, and over duplicates of the rare ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measured import Record, by_seed, read, shown
from dp_synth.figures.style import FULL_WIDTH, GREY, INK, METHODS, below, named, new_figure
from experiments.outline import RECORDS, RUN_TIME, interval, whiskers
from paper.documents import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
EPSILONS = (1.0, 3.0)
KEPT = (50, 100, 500)
TABLES = {"adult": "Adult", "bank_marketing": "bank marketing"}
ALONE, DUPLICATES, MORE_REAL = ("alone", None), ("duplicates", None), ("more_real", None)
TREES = tuple(("clique_tree", epsilon) for epsilon in EPSILONS)
GENERATED = ("marginal_generator", 3.0)
MADE = (*TREES, GENERATED)
SCORES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "balanced_accuracy": "balanced accuracy",
}
LOOKS = {
    DUPLICATES: (GREY, "s"),
    TREES[0]: (METHODS["clique_tree"].color, "v"),
    TREES[1]: (METHODS["clique_tree"].color, "^"),
    GENERATED: (METHODS["marginal_generator"].color, "P"),
    MORE_REAL: (INK, "*"),
}

Method = tuple[str, float | None]


def title(method: Method) -> str:
    """Return a method's words with its epsilon."""
    words = {
        "alone": "real records alone",
        "duplicates": "duplicates",
        "more_real": "more real records",
    }
    name, epsilon = method
    return words.get(name, named(name)) + ("" if epsilon is None else f", ε = {epsilon:g}")


def scores(
    records: Sequence[Record], table: str, kept: int | None, method: Method, *, score: str
) -> dict[int, float]:
    """Return one score by seed."""
    wanted = {"table": table, "kept": kept, "method": method[0], "epsilon": method[1]}
    return by_seed(records, score, **wanted)


def gains(
    records: Sequence[Record], table: str, kept: int, methods: tuple[Method, Method], *, score: str
) -> list[float]:
    """Return the first method's score less the second's, by seed."""
    first, second = (scores(records, table, kept, method, score=score) for method in methods)
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def score_table(records: Sequence[Record], score: str) -> str:
    """Return the score of real records alone, and what each way to have more of them adds."""
    head = ["table", "rare records", "seeds", title(ALONE)]
    others = (DUPLICATES, *MADE, MORE_REAL)
    head += [f"{title(method)}: gain" for method in others]
    rows = []
    for table, kept in product(TABLES, KEPT):
        alone = list(scores(records, table, kept, ALONE, score=score).values())
        cells = [
            shown(gains(records, table, kept, (method, ALONE), score=score), 3, sign=True)
            for method in others
        ]
        rows.append([TABLES[table], str(kept), str(len(alone)), shown(alone, 3), *cells])
    return markdown(head, rows)


def duel_table(records: Sequence[Record]) -> str:
    """Return synthetic records less duplicates, which cost nothing, in every score."""
    head = ["table", "rare records", "method", *SCORES.values()]
    rows = []
    for table, kept, method in product(TABLES, KEPT, MADE):
        cells = [
            shown(gains(records, table, kept, (method, DUPLICATES), score=score), 3, sign=True)
            for score in SCORES
        ]
        if cells[0] != "-":
            rows.append([TABLES[table], str(kept), title(method), *cells])
    return markdown(head, rows)


def whole_table(records: Sequence[Record]) -> str:
    """Return what the metric `augmentation` says of tables whose rare class is whole."""
    names = {"auc_gain": "gain of AUC", "recall": "recall", "recall_gain": "gain of recall"}
    rows = []
    for table in TABLES:
        found = [scores(records, table, None, TREES[1], score=name) for name in names]
        if found[0]:
            cells = [shown(list(one.values()), 4, sign=i != 1) for i, one in enumerate(found)]
            rows.append([TABLES[table], str(len(found[0])), *cells])
    return markdown(["table", "seeds", *names.values()], rows)


def verdicts(records: Sequence[Record], versus: Method, score: str) -> dict[str, list[str]]:
    """Return the settings in which synthetic records help, harm, or do neither that shows."""
    found: dict[str, list[str]] = {"helps": [], "harms": [], "neither": []}
    for table, kept, method in product(TABLES, KEPT, MADE):
        away = gains(records, table, kept, (method, versus), score=score)
        if len(away) < 2:
            continue
        mean, half = interval(away)
        verdict = "neither" if abs(mean) <= half else "helps" if mean > 0 else "harms"
        found[verdict].append(f"{TABLES[table]}, {kept} records, {title(method)}")
    return found


def sentence(records: Sequence[Record], versus: Method, score: str) -> str:
    """Return how often synthetic records help, harm, or do neither."""
    found = verdicts(records, versus, score)
    total = sum(map(len, found.values()))
    return (
        f"higher in {len(found['helps'])} of {total} settings, lower in {len(found['harms'])}, "
        f"and no different that shows in {len(found['neither'])}"
    )


def verdict(records: Sequence[Record]) -> str:
    """Return the answer in a word or two: yes where AUC gains over both anywhere that shows."""
    alone, duplicates = (verdicts(records, versus, "auc") for versus in (ALONE, DUPLICATES))
    helped = set(alone["helps"]) & set(duplicates["helps"])
    if helped:
        return f"In {len(helped)} settings, yes."
    total = sum(map(len, alone.values()))
    most = "all" if len(alone["harms"]) == total else str(len(alone["harms"]))
    return f"No, in none of {total} settings; in {most} of them a model with them is worse."


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    records = read(HERE / RECORDS)
    seconds = sum(r.get("seconds", 0) for r in records)
    counts = {str(len(scores(records, t, k, ALONE, score="auc"))) for t, k in product(TABLES, KEPT)}
    found = {
        "auc": score_table(records, "auc"),
        "average precision": score_table(records, "average_precision"),
        "duel": duel_table(records),
        "whole": whole_table(records),
        "seeds": " to ".join(sorted({min(counts), max(counts)})),
        "best": best(records),
        "verdict": verdict(records),
        RUN_TIME: f"{seconds / 60:.0f} CPU minutes",
    }
    for score in SCORES:
        for short, versus in (("alone", ALONE), ("duplicates", DUPLICATES)):
            found[f"{score} over {short}"] = sentence(records, versus, score)
    return found


def best(records: Sequence[Record]) -> str:
    """Return the setting in which synthetic records gain most over duplicates in AUC, in words."""
    by_setting = {
        (table, kept, method): gains(records, table, kept, (method, DUPLICATES), score="auc")
        for table, kept, method in product(TABLES, KEPT, MADE)
    }
    settings = {key: values for key, values in by_setting.items() if values}
    if not settings:
        return "?"
    ends = []
    for choose in (max, min):
        key = choose(settings, key=lambda one: float(np.mean(settings[one])))
        table, kept, method = key
        away = shown(settings[key], 3, sign=True)
        ends.append(f"{away} ({TABLES[table]}, {kept} rare records, {title(method)})")
    return f"{ends[0]} at best and {ends[1]} at worst"


def draw() -> Figure:
    """Return the gain in AUC, and in average precision, over real records alone."""
    records = read(HERE / RECORDS)
    figure = new_figure(FULL_WIDTH, 4.8)
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    for row, score in zip(panels, ("auc", "average_precision"), strict=True):
        for axes, table in zip(row, TABLES, strict=True):
            _draw(axes, records, table, score)
        row[0].set_ylabel(f"gain of {SCORES[score]}")
    for axes, table in zip(panels[0], TABLES, strict=True):
        axes.set_title(TABLES[table])
    for axes in panels[1]:
        axes.set_xticks(range(len(KEPT)), [str(kept) for kept in KEPT])
        axes.set_xlabel("real records of the rare class")
    seeds = len({r["seed"] for r in records})
    note = (
        "over real records alone, on held-out real ones; mean and 95 % t-interval of paired "
        f"differences, up to {seeds} seeds"
    )
    below(figure, [axes for row in panels for axes in row], note)
    return figure


def _draw(axes: Axes, records: Sequence[Record], table: str, score: str) -> None:
    axes.axhline(0, color=INK, linewidth=0.8)
    for shift, (method, (color, marker)) in enumerate(LOOKS.items()):
        away = [gains(records, table, kept, (method, ALONE), score=score) for kept in KEPT]
        places = [place + 0.12 * (shift - 2) for place in range(len(KEPT))]
        size = 7 if marker == "*" else 4
        look = {"color": color, "marker": marker, "markersize": size, "linestyle": "none"}
        whiskers(axes, places, away, **look, label=title(method))
