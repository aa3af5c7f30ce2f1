"""Draws measured tables from lines of results into the documents that show them.

Each stands between ``<!-- table: name -->`` and ``<!-- end -->``. Numbers are means with the half
width of their 95 % t-interval over seeds. With ``--check`` nothing is written, and the exit code
says whether the documents are as their results.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

from experiments.audit_tightness import tables as audit_tables
from experiments.many_tables import run as many_tables
from experiments.pate_protocol import tables as pate_tables
from experiments.what_leaks_buy import run as what_leaks_buy

from benchmarks import deep_tables, foreign_formats, reconstruction, rows_alone
from benchmarks.measured import RESULTS, Results, read
from dp_synth.records import Spread
from experiments.coverage import run as coverage
from paper.documents import filled, markdown

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    *("docs/synthesizers.md", "docs/auditing.md", "docs/estimates.md", "README.md"),
    "docs/reference/metadata.md",
)
NOISELESS = 1e4  # an epsilon at which noise no longer shows
K_MARGINAL = 1000.0  # the score of a perfect match
METHODS = (
    "independent",
    "mst",
    "mst, as published",
    "clique_tree",
    "aim",
    "aim, all Gaussian",
    "privbayes",
    "mwem",
)


SCORES = {"tv": 4, "tv_holdout": 4, "auc": 3}  # decimals
COSTS = {"fit_seconds": 2, "megabytes": None}
STEP = deep_tables.STEP


def adult(results: Results) -> str:
    """Return all methods at all epsilons on coded Adult, below what bounds them."""
    head = ["epsilon", "synthesizer", "TV of pairs", "TV, held-out", "AUC"]
    head += ["fit, CPU s", "calibration, CPU s", "peak MB"]
    rows = []
    for name in ("fresh real rows", "real rows", "independent without noise"):
        scores = results.cells("adult_discrete", name, 0.0, SCORES)
        rows.append(["-", name, *scores, "-", "-", "-"])
    for epsilon, method in product((0.1, 0.3, 1.0, 10.0), METHODS):
        key = ("adult_discrete", method, epsilon)
        seconds, memory = results.cells(*key, COSTS)
        # The one calibration of a process that found nothing in memory.
        first = max(results.by_seed(*key, "calibration_seconds").values(), default=None)
        row = [f"{epsilon:g}", method, *results.cells(*key, SCORES), seconds]
        rows.append([*row, "-" if first is None else f"{first:.2f}", memory])
    return markdown(head, rows)


BOUNDS = (  # what is asked for: method, epsilon, value, the bound, whether it is a least
    ("clique_tree", 0.1, "tv", 0.085, False),
    ("clique_tree", 0.3, "tv", 0.041, False),
    ("clique_tree", 1.0, "tv", 0.026, False),
    ("clique_tree", 10.0, "tv", 0.020, False),
    ("clique_tree", 0.1, "auc", 0.84, True),
    ("clique_tree", 0.3, "auc", 0.88, True),
    ("clique_tree", 1.0, "auc", 0.905, True),
    ("clique_tree", 10.0, "auc", 0.91, True),
    ("clique_tree", 1.0, "fit_seconds", 5.0, False),
    ("clique_tree", 1.0, "megabytes", 500.0, False),
    ("clique_tree", 1.0, "many_rows_seconds", 3.0, False),
    ("mst", 1.0, "fit_seconds", 0.5, False),
)
MEANINGS = {
    "tv": ("TV of pairs", 4),
    "auc": ("AUC", 3),
    "fit_seconds": ("fit, CPU s", 2),
    "megabytes": ("peak MB", 0),
    "many_rows_seconds": ("a million rows sampled, CPU s", 2),
}


def bounds(results: Results) -> str:
    """Return what this version must reach on coded Adult, and whether its mean does."""
    rows = []
    for method, epsilon, value, bound, is_least in BOUNDS:
        meaning, decimals = MEANINGS[value]
        spread = results.spread("adult_discrete", method, epsilon, value)
        limit = f"at {'least' if is_least else 'most'} {bound:g}"
        row = [method, f"{epsilon:g}", meaning, limit]
        if spread is None:
            rows.append([*row, "-", "not measured"])
            continue
        holds = spread.mean >= bound if is_least else spread.mean <= bound
        rows.append([*row, spread.shown(decimals), "yes" if holds else "**no**"])
    return markdown(["synthesizer", "epsilon", "what", "bound", "measured", "holds"], rows)


NIST_ROWS = (
    ("independent without noise", 0.0),
    ("independent", 1.0),
    ("mst", 1.0),
    ("aim", 1.0),
    ("clique_tree", 1.0),
    ("mst, as published", NOISELESS),
    ("bootstrap", 0.0),
)


def nist(results: Results) -> str:
    """Return K-marginal scores, and how far clique_tree is above each, seed by seed."""
    rows = []
    for method, epsilon in NIST_ROWS:
        key = ("nist_ma2019", method, epsilon)
        tv = results.spread(*key, "tv")
        ours = results.by_seed("nist_ma2019", "clique_tree", 1.0, "tv")
        theirs = results.by_seed(*key, "tv")
        above = [K_MARGINAL * (theirs[s] - ours[s]) for s in sorted(ours.keys() & theirs.keys())]
        score = Spread(K_MARGINAL * (1 - tv.mean), K_MARGINAL * tv.half, tv.seeds) if tv else None
        rows.append(
            [
                "noiseless tree" if epsilon == NOISELESS else method,
                score.shown(1) if score else results.shown(*key, "tv", 4),
                Spread.of(above).shown(1, sign=True) if above and method != "clique_tree" else "-",
                results.shown(*key, "fit_seconds", 2),
            ]
        )
    return markdown(["", "K-marginal", "clique_tree is above it by", "fit, CPU s"], rows)


def scaling(results: Results) -> str:
    """Return seconds and memory as a table grows."""
    methods = ("independent", "mst", "clique_tree")
    head = ["table", "records", "columns", "before the fit, MB"]
    for method in methods:
        head += [f"{method}, CPU s", f"{method}, peak MB"]
    rows = []
    for table in dict.fromkeys(record["table"] for record in results.records):
        key = (table, "independent", 1.0)
        sizes = [results.by_seed(*key, value).values() for value in ("records", "columns")]
        row = [table, *(f"{max(size):,.0f}" if size else "" for size in sizes)]
        row.append(results.largest(*key, "megabytes_before"))
        for method in methods:
            row += results.cells(table, method, 1.0, COSTS)
        rows.append(row)
    return markdown(head, rows)


def readme(results: Results) -> str:
    """Return the few numbers of coded Adult at epsilon 1 that open the way to the others."""
    head = ["coded Adult, epsilon 1, delta 1e-9", "TV of pairs", "TV, held-out", "AUC"]
    head += ["fit, CPU s", "peak MB"]
    rows = []
    for method in ("clique_tree", "aim", "mst", "mst, as published", "independent"):
        title = f"`{method}`" if "," not in method else "`mst` as published"
        rows.append([title, *results.cells("adult_discrete", method, 1.0, SCORES | COSTS)])
    for name in ("independent without noise", "fresh real rows", "real rows"):
        rows.append([name, *results.cells("adult_discrete", name, 0.0, SCORES), "-", "-"])
    return markdown(head, rows)


DRAWN: Mapping[str, tuple[str, Callable[[Results], str]]] = {  # file of results, and how
    "adult": ("adult", adult),
    "bounds": ("adult", bounds),
    "readme": ("adult", readme),
    "nist": ("nist", nist),
    "scaling": ("scaling", scaling),
    "rows alone": ("rows_alone", rows_alone.rows_table),
    "reconstruction": ("reconstruction", reconstruction.reconstruction_table),
}
OF_FILE = {file: [n for n, (f, _) in DRAWN.items() if f == file] for file, _ in DRAWN.values()}
OF_FILE["deep_adult"] = ["networks coded", "networks step"]


def draw(name: str, folder: Path) -> str:
    """Return the table called ``name``, from the results in ``folder``."""
    elsewhere = {
        **deep_tables.DRAWN,
        **pate_tables.DRAWN,
        **audit_tables.DRAWN,
        **what_leaks_buy.DRAWN,
        "coverage": lambda _: coverage.texts()["known"],
        "coverage of declared questions": lambda _: coverage.texts()["declared"],
        "formats": lambda _: foreign_formats.table(),
        "never worse": lambda _: many_tables.difference_table(many_tables.records()),
    }
    if name in elsewhere:
        return elsewhere[name](folder)
    file, drawn = DRAWN[name]
    return drawn(Results(read(folder / f"{file}.jsonl")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    given = parser.parse_args()
    for name in DOCUMENTS:
        path = ROOT / name
        text = path.read_text()
        drawn = filled(text, lambda table: draw(table, given.results))
        if given.check and drawn != text:
            sys.exit(f"{name}: its tables are not those of {given.results}; run benchmarks.tables")
        if drawn != text:
            path.write_text(drawn)


if __name__ == "__main__":
    main()
