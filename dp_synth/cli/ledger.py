"""`dp-synth ledger`: open, verify, show, export and repair the record of what was charged."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.account import tradeoff_points
from dp_synth.cli.arguments import Neighbours, reading_arguments
from dp_synth.errors import InputError, LedgerError
from dp_synth.files import check_writable
from dp_synth.formatting import one_line, rounded_up

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.accounting import Entry, Ledger, PrivacyBudget

LedgerPath = Annotated[Path, typer.Argument(help="A ledger file (JSON lines).")]


def new(
    file: Annotated[Path, typer.Argument(help="Where the new ledger goes.")],
    epsilon: Annotated[float, typer.Option(help="Privacy budget: epsilon.")],
    delta: Annotated[float, typer.Option(help="Privacy budget: delta.")],
    adjacency: Neighbours = "add_remove",
    unit: Annotated[
        str | None, typer.Option(help="Column that names whose records they are.")
    ] = None,
    max_rows: Annotated[
        int, typer.Option(min=1, help="How many records of one unit are used at most.")
    ] = 1,
) -> None:
    """Open a budget that runs can share, each decided after seeing the last.

    Every run that is given this file as --ledger takes a part of what is left, whichever its
    synthesizer. The budget is a filter: a little looser than one plan for all runs, and valid
    whatever comes next. `ledger show` says what was spent so far.
    """
    from dp_synth.accounting import Accountant, PrivacyBudget
    from dp_synth.accounting.ledger_file import is_begun

    with reading_arguments():
        budget = PrivacyBudget(epsilon, delta, adjacency, unit, max_rows)  # type: ignore[arg-type]
        if not delta:
            raise ValueError("a ledger that is continued needs a delta above 0")
    check_writable(file)
    if is_begun(file) or not Accountant(budget, ledger=file, adaptive=True).open():
        raise InputError(f"{file}: is there already, and a ledger is never overwritten")
    print(f"{file}: {_limit(budget)} ({budget.neighbours}), nothing spent")


def verify(
    file: LedgerPath,
    head: Annotated[
        str | None,
        typer.Option(help="What `ledger show --head` printed before: its lines must all be there."),
    ] = None,
) -> None:
    """Check every line of a ledger and print what it certifies; exit code 2 when one is wrong.

    Seals show that no line was changed, moved or taken out of the middle. They cannot show that
    lines were cut from the end, nor that all was written anew: note the head after each run,
    apart from the ledger, and give it here.

    A last line that a crash left unfinished is no entry: it is on disk before data are read, so
    that nothing was released for it. It is said, and so is each that was cut.
    """
    from dp_synth.accounting.ledger_file import entries_since, examine

    ledger = _verified(file)
    later = None if head is None else entries_since(file, head)
    said = "; ".join(ledger.summary())
    print(one_line(f"{file}: {len(ledger.entries)} entries; {said}"))
    for remark in examine(file).remarks():
        print(one_line(remark))
    if later is None:
        print(f"head {ledger.head}: note it; only with --head is it seen when the end was cut off")
    else:
        print(f"head found: nothing before it was changed, {later} entries came after it")


def show(
    file: LedgerPath,
    head: Annotated[
        bool, typer.Option("--head", help="Print its head alone, to note down for `verify`.")
    ] = False,
) -> None:
    """Print a ledger as a table, its total, and a statement for a paper."""
    ledger = _verified(file)
    if head:
        print(ledger.head)
        return
    print(ledger)
    print()
    print(one_line(ledger.statement()))


def export(
    file: LedgerPath,
    out: Annotated[
        str | None, typer.Option(help="Where entries go: JSON or CSV, - for JSON on stdout.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw who spent what, and the trade-off (.png, .pdf).")
    ] = None,
) -> None:
    """Write the entries of a ledger as JSON or CSV, and draw who spent what."""
    from dp_synth.files import written_whole

    if out is None and plot is None:
        raise InputError("give --out for the entries, --plot for the figure, or both")
    _check_places(file, out, plot)
    ledger = _verified(file)
    if plot is not None:
        _draw(ledger, plot)
    if out is None:
        return
    text = _as_csv(ledger) if out.lower().endswith(".csv") else _as_json(ledger)
    if out == "-":
        print(text, end="")
        return
    with written_whole(out) as passing:
        passing.write_text(text, encoding="utf-8")


def repair(file: LedgerPath) -> None:
    """Mend what can be proven of a damaged ledger; exit code 2, and nothing changed, for the rest.

    Cut is what follows the last whole line, if it is the beginning of a line, or holds none of
    what a line says, and a line says that it was. A missing newline is added; line ends and marks
    of another system are taken out. No line is cut that may have been paid for.
    """
    from dp_synth.accounting.ledger_file import repair as repaired

    done = repaired(file)
    print(f"{file}: {'; '.join(done) or 'nothing to mend'}; {len(_verified(file).entries)} entries")


def costs_of(ledger: Ledger) -> pd.DataFrame:
    """Return ``recipe, part, share`` of all that was reserved, in its order.

    The share is that of the zCDP cost. Where an event has no cost of its own, sampled batches
    among them, it counts with the cost whose conversion gives the event's own epsilon at the
    budget's delta: fit for comparing, and for nothing else. What has neither is left out.
    """
    import pandas as pd

    costs: dict[tuple[str, str], float] = {}
    for entry in ledger.reservations:
        key = (entry.recipe, entry.part)
        costs[key] = costs.get(key, 0.0) + _cost(entry, ledger.budget.delta)
    total = math.fsum(cost for cost in costs.values() if math.isfinite(cost))
    rows = [
        (recipe, part, cost / total)
        for (recipe, part), cost in costs.items()
        if math.isfinite(cost) and total
    ]
    return pd.DataFrame(rows, columns=["recipe", "part", "share"])


def _cost(entry: Entry, delta: float) -> float:
    from dp_synth.accounting import compose
    from dp_synth.accounting.conversions import zcdp_rho

    if entry.event.rho is not None:
        return entry.event.rho * entry.count
    epsilon = compose([(entry.event, entry.count)]).epsilon(delta)
    return zcdp_rho(epsilon, delta) if delta and math.isfinite(epsilon) else math.inf


def _verified(file: Path) -> Ledger:
    """Return the ledger in a file whose entries stay within the budget in its head."""
    from dp_synth.accounting import read_ledger
    from dp_synth.accounting.filters import limit

    ledger = read_ledger(file)
    budget, rule = ledger.budget, ledger.rule
    if rule == "planned":
        within = ledger.epsilon <= budget.epsilon * (1 + 1e-9)
    else:
        within = ledger.spent(rule) <= limit(budget, rule) * (1 + 1e-9)
    if not within:
        raise LedgerError(
            f"{file}: its entries cost more than the budget in its head, {_limit(budget)}"
        )
    return ledger


def _limit(budget: PrivacyBudget) -> str:
    return f"epsilon {rounded_up(budget.epsilon)} at delta {rounded_up(budget.delta)}"


def _as_json(ledger: Ledger) -> str:
    certified = {"certified_epsilon": ledger.epsilon}
    return json.dumps({**ledger.to_fields(), **certified}, indent=2) + "\n"


def _as_csv(ledger: Ledger) -> str:
    """Return a row an entry; what describes the event is JSON in one column."""
    lines = io.StringIO()
    names = ["kind", "recipe", "part", "event", "count", "why", "randomness", "sampler"]
    writer = csv.DictWriter(lines, names, lineterminator="\n")
    writer.writeheader()
    for entry in ledger.entries:
        fields = entry.to_fields()
        writer.writerow({**fields, "event": json.dumps(fields["event"])})
    return lines.getvalue()


def _check_places(file: Path, out: str | None, plot: Path | None) -> None:
    from dp_synth.figures.files import check_place

    if plot is not None:
        check_place(plot)
    if out is None or out == "-":
        return
    if not out.lower().endswith((".json", ".csv")):
        raise InputError(f"{out}: --out must end in .json or .csv, or be -")
    check_writable(Path(out))
    if Path(out).resolve() == file.resolve():
        raise InputError(f"{out}: is the ledger itself, which is never overwritten")


def _draw(ledger: Ledger, plot: Path) -> None:
    from dp_synth.figures.attacks import waterfall
    from dp_synth.figures.files import save

    rows = costs_of(ledger)
    if rows.empty:
        raise InputError("the ledger holds no charge yet, so that there is nothing to draw")
    points, auc = tradeoff_points(ledger.curve), ledger.curve.largest_auc()
    save(lambda: waterfall(rows, points, auc=auc), plot)
