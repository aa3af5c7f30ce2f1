"""Rows by this package itself, as a whole process like every other peer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.datasets import read_table, write_table
from dp_synth.schema import Schema
from dp_synth.settings import made_of
from dp_synth.synthesizers import SYNTHESIZERS


def main(folder: Path) -> None:
    """Answer the request in ``folder`` with rows and the ledger that paid for them."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    budget = PrivacyBudget(request["epsilon"], request["delta"], request["adjacency"])
    recipe = made_of(SYNTHESIZERS[request["method"]], request["settings"])
    schema = Schema.load(folder / "schema.json")
    # A comparison repeats fits on public tables: each is a release of its own.
    accountant = Accountant(budget, simulate=True)
    seed = request["seed"]
    release = recipe.fit(read_table(folder / "table.csv"), schema, accountant, seed=seed)
    rows = release.sample(request["rows"], seed=seed + 1, kinds="written")
    write_table(rows, folder / "rows.csv")
    ledger = release.ledger
    declared = {"epsilon": ledger.epsilon, "delta": budget.delta, "adjacency": budget.adjacency}
    answer = {"format": 1, "declared": declared, "ledger": ledger.to_fields()}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
