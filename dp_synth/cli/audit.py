"""`dp-synth audit`: does a synthesizer leak more than its ledger says?"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import Neighbours, reading_arguments, takes_dialect
from dp_synth.cli.evaluate import STDOUT, JsonFile
from dp_synth.cli.outputs import Outputs, write_each, write_text
from dp_synth.cli.synthesize import recipe_of
from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.files import check_writable

if TYPE_CHECKING:
    from dp_synth.accounting import Adjacency, PrivacyBudget
    from dp_synth.audit import NeighbouringTables
    from dp_synth.schema import Schema
    from dp_synth.synthesizers import Synthesizer

EXIT_VIOLATED = 4
NOT_PUBLISHABLE = "for the data holder: not to be published"
DESIGNS = ("worst_case", "search")


@takes_dialect
def audit(
    epsilon: Annotated[float, typer.Option(help="Privacy budget: epsilon.")],
    delta: Annotated[float, typer.Option(help="Privacy budget: delta.")],
    dialect: Dialect,
    synthesizer: Annotated[str, typer.Option(help="Its name, or module:Class.")] = "mst",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting as name=value; may be repeated.")
    ] = None,
    adjacency: Neighbours = "add_remove",
    design: Annotated[
        str, typer.Option(help="The tables: worst_case, or search for those that tell most.")
    ] = "worst_case",
    data: Annotated[
        Path | None, typer.Option(help="A table instead, with and without its oddest record.")
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="Schema of that table (JSON).")] = None,
    runs: Annotated[int, typer.Option(help="Simulated releases a world.", min=1)] = 1000,
    level: Annotated[float, typer.Option(help="Chance that a correct one fails.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.", min=0)] = 0,
    json_file: JsonFile = None,
) -> None:
    """Release about two neighbouring tables, many times, and test what can be told apart.

    Exit code 4 says that the claim is refuted. Passing proves nothing. Of a table of your own
    the output is internal: it names a row, is computed on real rows and is not differentially
    private; a line on standard error says so, and ``publishable`` in the JSON.
    """
    import numpy as np

    from dp_synth.accounting import PrivacyBudget
    from dp_synth.audit import audit as audited
    from dp_synth.schema import Schema

    check_writable(json_file)
    with reading_arguments():
        budget = PrivacyBudget(epsilon, delta, adjacency)  # type: ignore[arg-type]
        recipe = recipe_of(synthesizer, settings or [])
    searching, proving = (int(own) for own in np.random.SeedSequence(seed).generate_state(2))
    if data is not None or schema is not None:
        own = None if schema is None else Schema.load(schema).read_as(dialect)
        tables = _own(data, own, design, budget.adjacency, seed=searching)
    else:
        tables = _made(recipe, budget, design, seed=searching)
    report = audited(recipe, budget, design=tables, runs=runs, level=level, seed=proving)
    # A made table is known to everybody; what is found of an own one comes from its rows.
    text = json.dumps(report.to_dict() | {"publishable": data is None}, indent=2)
    if data is not None:
        print(NOT_PUBLISHABLE, file=sys.stderr)
    shown = text if json_file == STDOUT else str(report)
    outputs: Outputs = [("standard output", partial(print, shown))]
    if json_file is not None and json_file != STDOUT:
        write = partial(write_text, json_file, text, private=data is not None)
        outputs.insert(0, (json_file, write))
    write_each(outputs)
    if not report.passed:
        raise typer.Exit(EXIT_VIOLATED)


def _made(
    recipe: Synthesizer, budget: PrivacyBudget, design: str, *, seed: int
) -> NeighbouringTables:
    from dp_synth.audit import search_design, worst_case

    if design not in DESIGNS:
        raise InputError(f"--design must be one of {', '.join(DESIGNS)}, got {design!r}")
    if design == "search":
        return search_design(recipe, budget, seed=seed)
    return worst_case(budget.adjacency)


def _own(
    data: Path | None, schema: Schema | None, design: str, adjacency: Adjacency, *, seed: int
) -> NeighbouringTables:
    """Return a user's own table with and without its most isolated record."""
    from dp_synth.audit import of_table
    from dp_synth.datasets import read_table

    if data is None or schema is None:
        raise InputError("an own table needs both --data and --schema")
    if design != DESIGNS[0]:
        raise InputError("--design is for made tables; leave it out beside --data")
    return of_table(read_table(data, schema.dialect), schema, adjacency, seed=seed)
