"""`dp-synth audit`: many releases about two neighbouring tables, or one replayed about them all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import (
    Delta,
    Epsilon,
    Neighbours,
    RiskText,
    budget_of,
    reading_arguments,
    takes_dialect,
)
from dp_synth.cli.evaluate import JsonFile
from dp_synth.cli.outputs import delivered, write_each
from dp_synth.cli.synthesize import Settings, recipe_of
from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.files import check_writable

if TYPE_CHECKING:
    from dp_synth.accounting import Adjacency, PrivacyBudget
    from dp_synth.audit import AuditReport, NeighbouringTables, ReplayReport
    from dp_synth.synthesizers import Synthesizer

MostRows = Annotated[
    int, typer.Option(help="Records of a unit; above 1 made tables differ in a unit.", min=1)
]
MostNeighbours = Annotated[int, typer.Option(help="Most neighbours that a replay compares.", min=1)]
Share = Annotated[
    float | None, typer.Option(help="Replay a validation of this part of the budget too.")
]
Declared = Annotated[
    list[str] | None, typer.Option(help="Replay this declared question too; may be repeated.")
]
EXIT_VIOLATED = 4
UNIT = "unit"  # the column of made tables that names units
NOT_PUBLISHABLE = "for the data holder: not to be published"
DESIGNS = ("worst_case", "search")
RUNS, LEVEL = 1000, 0.05
MOST_NEIGHBOURS = 10_000


@takes_dialect
def audit(
    dialect: Dialect,
    epsilon: Epsilon = None,
    delta: Delta = None,
    risk: RiskText = None,
    synthesizer: Annotated[str, typer.Option(help="Its name, or module:Class.")] = "mst",
    settings: Settings = None,
    adjacency: Neighbours = "add_remove",
    max_rows: MostRows = 1,
    design: Annotated[
        str, typer.Option(help="The tables: worst_case, or search for those that tell most.")
    ] = "worst_case",
    data: Annotated[
        Path | None, typer.Option(help="A table instead, with and without its oddest record.")
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="Schema of that table (JSON).")] = None,
    runs: Annotated[int, typer.Option(help="Simulated releases a world.", min=1)] = RUNS,
    level: Annotated[float, typer.Option(help="Chance that a correct one fails.")] = LEVEL,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.", min=0)] = 0,
    by_replay: Annotated[
        bool, typer.Option("--replay", help="Hold all answers fast, and compare every neighbour.")
    ] = False,
    neighbours: MostNeighbours = MOST_NEIGHBOURS,
    validate: Share = None,
    question: Declared = None,
    json_file: JsonFile = None,
) -> None:
    """Release about two neighbouring tables, many times, and test what can be told apart.

    Exit code 4 says that the claim is refuted. Passing proves nothing. With --replay one release
    is recorded, and every neighbour of a table compared with it: what moves further than the
    ledger says, or differs at all, is a fault, and passing proves that none moves further. Of a
    table of your own the output is internal, of real rows and not differentially private; a line
    on standard error says so, and ``publishable`` in the JSON.
    """
    import numpy as np

    from dp_synth.audit import audit as audited
    from dp_synth.audit import replay

    check_writable(json_file)
    budget = budget_of((epsilon, delta, risk), adjacency, *_unit_of(max_rows, data, by_replay))
    with reading_arguments():
        recipe = recipe_of(synthesizer, settings or [])
    own_runs = (design, runs, level) != (DESIGNS[0], RUNS, LEVEL)
    if _is_replay(by_replay, own_runs=own_runs, beside=validate is not None or bool(question)):
        played = partial(replay, recipe, budget, neighbours=neighbours, seed=seed)
        own = _replayed(played, (data, schema), dialect, (validate, question or ()))
        _tell(own, json_file, private=data is not None)
        return
    searching, proving = np.random.SeedSequence(seed).generate_state(2).tolist()
    if data is not None or schema is not None:
        tables = _own(data, schema, dialect, design, budget.adjacency, seed=searching)
    else:
        tables = _made(recipe, budget, design, seed=searching)
    report = audited(recipe, budget, design=tables, runs=runs, level=level, seed=proving)
    _tell(report, json_file, private=data is not None)


def _unit_of(max_rows: int, data: Path | None, by_replay: bool) -> tuple[str | None, int]:
    """Return the column of units of made tables, and their rows; None where a unit is a record."""
    if max_rows > 1 and (data is not None or by_replay):
        raise InputError("--max-rows is of made tables and their runs; leave it out")
    return (UNIT if max_rows > 1 else None), max_rows


def _is_replay(by_replay: bool, *, own_runs: bool, beside: bool) -> bool:
    """Return it; InputError for settings of runs in a replay, and the other way round."""
    if by_replay and own_runs:
        raise InputError("--design, --runs and --level are of runs; leave them out of a replay")
    if beside and not by_replay:
        raise InputError("--validate and --question are of a replay; add --replay")
    return by_replay


def _tell(report: AuditReport | ReplayReport, json_file: Path | None, *, private: bool) -> None:
    """Print a report and write it as JSON; exit code 4 where it refutes a claim.

    A made table is known to everybody; what is found of an own one comes from its rows.
    """
    text = json.dumps(report.to_dict() | {"publishable": not private}, indent=2) + "\n"
    if private:
        print(NOT_PUBLISHABLE, file=sys.stderr)
    write_each(delivered(partial(print, report), text, json_file, private=private))
    if not report.passed:
        raise typer.Exit(EXIT_VIOLATED)


def _replayed(
    replay: Callable[..., ReplayReport],
    table: tuple[Path | None, Path | None],
    dialect: Dialect,
    asked: tuple[float | None, Sequence[str]],
) -> ReplayReport:
    """Return a replay about a made table, or about an own one and its schema."""
    from dp_synth.audit import FitOptions
    from dp_synth.audit.replayer import made_table
    from dp_synth.estimates import read_question
    from dp_synth.schema import Schema

    data, schema = table
    if (data is None) != (schema is None):
        raise InputError("an own table needs both --data and --schema")
    public = None if schema is None else Schema.load(schema).read_as(dialect)
    share, texts = asked
    named = made_table()[1] if public is None else public
    questions = [read_question(text, named) for text in texts]
    return replay(data, public, options=FitOptions(share, questions or None))


def _made(
    recipe: Synthesizer, budget: PrivacyBudget, design: str, *, seed: int
) -> NeighbouringTables:
    """Return made tables: the worst case, or those of a search that tell most."""
    from dp_synth.audit import search_design, worst_case

    if design not in DESIGNS:
        raise InputError(f"--design must be one of {', '.join(DESIGNS)}, got {design!r}")
    if design == "search":
        return search_design(recipe, budget, seed=seed)
    return worst_case(budget.adjacency, unit=budget.unit, rows=budget.max_rows)


def _own(
    data: Path | None,
    schema: Path | None,
    dialect: Dialect,
    design: str,
    adjacency: Adjacency,
    *,
    seed: int,
) -> NeighbouringTables:
    """Return a user's own table with and without its most isolated record."""
    from dp_synth.audit import of_table
    from dp_synth.datasets import read_table
    from dp_synth.schema import Schema

    if data is None or schema is None:
        raise InputError("an own table needs both --data and --schema")
    if design != DESIGNS[0]:
        raise InputError("--design is for made tables; leave it out beside --data")
    public = Schema.load(schema).read_as(dialect)
    return of_table(read_table(data, public.dialect), public, adjacency, seed=seed)
