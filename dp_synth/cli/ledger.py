"""`dp-synth account` and `dp-synth ledger`: costs of events, and the record of what was charged."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.core import TyperCommand

from dp_synth.cli.arguments import (
    Delta,
    Epsilon,
    Neighbours,
    RiskText,
    budget_of,
    reading_arguments,
)
from dp_synth.cli.outputs import write_text
from dp_synth.errors import InputError, LedgerError, UnsupportedEvent
from dp_synth.files import check_writable
from dp_synth.formatting import as_given, one_line, rounded_down, rounded_up

if TYPE_CHECKING:
    import pandas as pd
    from typer._click.core import Context as Invocation

    from dp_synth.accounting import (
        Adjacency,
        Event,
        Ledger,
        PrivacyBudget,
        PrivacyCurve,
        RiskTarget,
    )

LedgerPath = Annotated[Path, typer.Argument(help="A ledger file (JSON lines).")]


def new(
    file: Annotated[Path, typer.Argument(help="Where the new ledger goes.")],
    epsilon: Epsilon = None,
    delta: Delta = None,
    risk: RiskText = None,
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
    from dp_synth.accounting import Accountant
    from dp_synth.accounting.ledger_file import is_begun

    budget = budget_of((epsilon, delta, risk), adjacency, unit, max_rows)
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
    if out is None and plot is None:
        raise InputError("give --out for the entries, --plot for the figure, or both")
    _check_plot(plot)
    if out is not None and out != "-":
        if not out.lower().endswith((".json", ".csv")):
            raise InputError(f"{out}: --out must end in .json or .csv, or be -")
        check_writable(Path(out))
        if Path(out).resolve() == file.resolve():
            raise InputError(f"{out}: is the ledger itself, which is never overwritten")
    ledger = _verified(file)
    if plot is not None:
        from dp_synth.figures.attacks import waterfall
        from dp_synth.figures.files import save
        from dp_synth.report.publishable import costs_of

        rows, curve = costs_of(ledger), ledger.curve
        if rows.empty:
            raise InputError("the ledger holds no charge yet, so that there is nothing to draw")
        points, auc = tradeoff_points(curve), curve.largest_auc()
        save(lambda: waterfall(rows, points, auc=auc, told=_told(curve)), plot)
    if out is None:
        return
    certified = {**ledger.to_fields(), "certified_epsilon": ledger.epsilon}
    is_csv = out.lower().endswith(".csv")
    text = _as_csv(ledger) if is_csv else json.dumps(certified, indent=2) + "\n"
    if out == "-":
        print(text, end="")
    else:
        write_text(Path(out), text)


def repair(file: LedgerPath) -> None:
    """Mend what can be proven of a damaged ledger; exit code 2, and nothing changed, for the rest.

    Cut is what follows the last whole line, if it is the beginning of a line, or holds none of
    what a line says, and a line says that it was. A missing newline is added; line ends and marks
    of another system are taken out. No line is cut that may have been paid for.
    """
    from dp_synth.accounting.ledger_file import repair as repaired

    done = repaired(file)
    print(f"{file}: {'; '.join(done) or 'nothing to mend'}; {len(_verified(file).entries)} entries")


def _verified(file: Path) -> Ledger:
    """Return the ledger in a file whose entries stay within the budget in its head."""
    from dp_synth.accounting import read_ledger

    ledger = read_ledger(file)
    if not ledger.is_within:
        raise LedgerError(
            f"{file}: its entries cost more than the budget in its head, {_limit(ledger.budget)}"
        )
    return ledger


def _limit(budget: PrivacyBudget) -> str:
    if budget.risk is not None:
        return f"{budget.risk}, epsilon told at delta {rounded_up(budget.delta)}"
    return f"epsilon {rounded_up(budget.epsilon)} at delta {rounded_up(budget.delta)}"


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


Values = Mapping[str, Sequence[float]]

ORDER = "dp_synth.account.order"
CURVE_POINTS = 24
TAILS = (1e-12, 1e-9, 1e-6, 1e-3)  # the delta to which a curve is drawn, where it gets there
WIDEST = 400.0
PRECISE = 7  # digits of a bound: who asks for it alone may want to compare it
CERTIFIED = 11  # digits of the ends of an interval


class InOrder(TyperCommand):
    """A command that remembers in which order its options were given."""

    def parse_args(self, ctx: Invocation, args: list[str]) -> list[str]:
        """Note the order of the options and parse them as every command does."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


Gaussians = Annotated[
    list[float] | None,
    typer.Option(help="A Gaussian of this noise multiplier, in place of a file; repeatable."),
]
Selections = Annotated[
    list[float] | None,
    typer.Option(help="A selection whose privacy loss has this range; repeatable."),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Print the factor by which all noise must be multiplied to meet both, or a risk.",
    ),
]
Counts = Annotated[
    list[int] | None,
    typer.Option(help="How often the event before it happens; 1 when it is left out."),
]


def account(
    context: typer.Context,
    file: Annotated[
        str | None, typer.Argument(help="A YAML file of events; - for stdin.", show_default=False)
    ] = None,
    delta: Annotated[float | None, typer.Option(help="Print epsilon at this delta.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Print delta at this epsilon.")] = None,
    calibrate: Calibrate = False,
    risk: RiskText = None,
    certify: Annotated[
        bool, typer.Option("--certify", help="Print a proven lower bound as well.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object; null for what was not asked.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the privacy curve and the trade-off (.png, .pdf).")
    ] = None,
    gaussian: Gaussians = None,
    selection: Selections = None,
    count: Counts = None,
    adjacency: Annotated[
        str | None, typer.Option(help="add_remove (default) or replace_one; without a file.")
    ] = None,
) -> None:
    """Print what a fixed sequence of events costs, or how much more noise it needs.

    Example: dp-synth account --gaussian 2.0 --count 10 --selection 0.4 --count 14 --delta 1e-9

    Beside it stand mu, its regret, and the largest advantage of any attack; with --calibrate and
    --risk the events' noise is scaled until no attack exceeds that.
    """
    from dp_synth.accounting import RiskTarget

    with reading_arguments():
        asked = None if risk is None else RiskTarget.parse(risk)
        question = Question(delta, epsilon, calibrate, certify, asked, draws=plot is not None)
        values: Values = {"gaussian": gaussian or (), "selection": selection or ()}
        values = {**values, "count": count or ()}
        held, events = _events(file, adjacency, context.meta[ORDER], values)
    _check_plot(plot)
    try:
        answer, curve = _answer(question, events)
    except OverflowError:
        raise InputError("the cost of these events is beyond what numbers can hold") from None
    if as_json:
        finite = {"epsilon": None} if answer.unbounded else {}
        print(json.dumps({**asdict(answer), **finite}))
        if answer.unbounded:
            print(_unbounded(question), file=sys.stderr)
    else:
        print("\n".join(_sentences(question, answer, held)))
    if plot is not None:
        _draw(curve, plot)


@dataclass(frozen=True)
class Question:
    """What is asked about the events."""

    delta: float | None
    epsilon: float | None
    calibrate: bool
    certify: bool = False
    risk: RiskTarget | None = None
    draws: bool = False

    def __post_init__(self) -> None:
        if self.risk is not None and (self.epsilon is not None or not self.calibrate):
            raise ValueError("--risk goes with --calibrate, in place of --epsilon")
        if self.delta is not None and not 0 <= self.delta < 1:
            raise ValueError(f"--delta must lie in [0, 1), got {self.delta}")
        if self.epsilon is not None and not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ValueError(f"--epsilon must be a finite number, 0 or above, got {self.epsilon}")
        if self.risk is not None:
            return
        if self.calibrate and (not self.epsilon or self.delta is None):
            raise ValueError("--calibrate needs --delta and an --epsilon above 0, or --risk")
        if self.delta is None and self.epsilon is None and not self.draws:
            raise ValueError("give --delta for epsilon, --epsilon for delta, or --plot")


@dataclass(frozen=True)
class Answer:
    """What was asked for; None for the rest."""

    epsilon: float | None = None
    delta: float | None = None
    factor: float | None = None
    engine: str | None = None
    epsilon_lower: float | None = None
    delta_lower: float | None = None
    mu: float | None = None
    regret: float | None = None
    left_out: float | None = None
    advantage: float | None = None
    risk: float | None = None

    @property
    def unbounded(self) -> bool:
        """Whether no epsilon holds at the delta that was given."""
        return self.epsilon is not None and math.isinf(self.epsilon)


def profile_points(curve: PrivacyCurve) -> pd.DataFrame:
    """Return ``curve, x, y``: bounds on delta from epsilon 0 to where hardly any is left."""
    import numpy as np
    import pandas as pd

    ends = [min(curve.epsilon(tail), WIDEST) for tail in TAILS]
    last = next((end for end in ends if 0 < end < WIDEST), max(ends) or 1.0)
    epsilons = np.linspace(0.0, last, CURVE_POINTS)
    deltas = [curve.delta(epsilon) for epsilon in epsilons]
    return pd.DataFrame({"curve": "delta", "x": epsilons, "y": deltas})


def tradeoff_points(curve: PrivacyCurve) -> pd.DataFrame:
    """Return ``curve, x, y``: bounds on an attack's TPR at FPRs from 0 to 1."""
    import numpy as np
    import pandas as pd

    fprs = np.unique([0.0, *np.geomspace(1e-5, 1, 120), *np.linspace(0, 1, 81)])
    return pd.DataFrame({"curve": "tpr", "x": fprs, "y": curve.tpr(fprs)})


def _events(
    file: str | None, adjacency: str | None, order: list[str], values: Values
) -> tuple[Adjacency, list[tuple[Event, int]]]:
    """Return the adjacency and the events of the file, or else of the options."""
    from dp_synth.accounting import ADJACENCIES
    from dp_synth.accounting.event_file import read_events

    given = [name for name in order if name in values]
    if file is not None:
        if given or adjacency is not None:
            raise ValueError(f"{file}: give a file, or events and --adjacency as options, not both")
        return read_events(file)
    if adjacency is not None and adjacency not in ADJACENCIES:
        raise ValueError(f"--adjacency must be one of {', '.join(ADJACENCIES)}, got {adjacency!r}")
    if not given:
        raise ValueError("give a file of events, or events as --gaussian or --selection")
    return cast("Adjacency", adjacency or "add_remove"), _inline_events(given, values)


def _inline_events(order: list[str], values: Values) -> list[tuple[Event, int]]:
    from dp_synth.accounting import Gaussian, Selection
    from dp_synth.accounting.events import MOST_COUNTED

    left = {name: iter(of) for name, of in values.items()}
    events: list[tuple[Event, int]] = []
    before = ""
    for name in order:
        value = next(left[name])
        if name != "count":
            events.append((Gaussian(value, 1.0) if name == "gaussian" else Selection(value), 1))
        elif before in ("", "count"):
            raise ValueError("--count follows the --gaussian or --selection that it counts")
        elif not 1 <= value <= MOST_COUNTED:
            raise ValueError(f"--count must lie between 1 and {MOST_COUNTED}, got {value}")
        else:
            events[-1] = (events[-1][0], int(value))
        before = name
    return events


def _answer(question: Question, events: list[tuple[Event, int]]) -> tuple[Answer, PrivacyCurve]:
    """Return the answer, and the curve of the events: of the scaled ones when that is asked."""
    from dp_synth.accounting import PrivacyBudget, compose
    from dp_synth.accounting.calibration import least_factor, scaled
    from dp_synth.accounting.dominating_gaussian import summarized
    from dp_synth.accounting.risk_target import largest_advantage

    curve, factor, engine = compose(events), None, None
    at_delta, at_epsilon = question.delta, question.epsilon
    if question.calibrate:
        if question.risk is not None:
            budget = PrivacyBudget.of_risk(question.risk)
        else:
            budget = PrivacyBudget(cast("float", at_epsilon), cast("float", at_delta))
        factor = least_factor(events, budget)
        curve, at_epsilon = compose(scaled(events, factor)), None
    epsilon = None if at_delta is None else curve.epsilon(at_delta)
    delta = None if at_epsilon is None else curve.delta(at_epsilon)
    for at in ([] if epsilon == math.inf else [at_delta]) + [delta]:
        if engine is None and at is not None and 0 <= at < 1:
            engine = curve.engine(at)
    lowest: list[float | None] = [None, None]
    try:
        if question.certify and at_delta is not None:
            lowest[0] = curve.epsilon_bounds(at_delta)[0]
        if question.certify and at_epsilon is not None:
            lowest[1] = curve.delta_bounds(at_epsilon)[0]
    except UnsupportedEvent as error:
        raise InputError(f"--certify: these events {error}") from None
    summary, risk = summarized(curve), question.risk
    found = {} if math.isinf(summary.mu) else asdict(summary)
    answer = Answer(epsilon, delta, factor, engine, *lowest)
    largest = None if risk is None else risk.largest(curve)
    advantage = largest_advantage(curve)
    return replace(answer, **found, advantage=advantage, risk=largest), curve


def _sentences(question: Question, answer: Answer, adjacency: Adjacency) -> list[str]:
    from dp_synth.accounting.budget import CHANGES

    lines = []
    change = f"one record {CHANGES[adjacency]}"
    epsilon, delta = as_given(question.epsilon or 0.0), as_given(question.delta or 0.0)
    how = "; ".join([change, *[f"engine: {answer.engine}"] * bool(answer.engine)])
    if answer.factor is not None:
        lines.append(f"factor {rounded_up(answer.factor, PRECISE)}: multiply all noise by it")
    if answer.unbounded:
        lines.append(_unbounded(question))
    elif answer.epsilon is not None:
        bound = _bound(answer.epsilon, answer.epsilon_lower)
        lines.append(f"epsilon {bound} at delta {delta} ({how})")
    if answer.delta is not None:
        bound = _bound(answer.delta, answer.delta_lower)
        lines.append(f"delta {bound} at epsilon {epsilon} ({how})")
    if question.risk is not None and answer.risk is not None:
        lines.append(f"{question.risk.said(rounded_up(answer.risk, PRECISE))}, at most ({change})")
    if answer.advantage is not None:
        lines.append(f"largest advantage of any attack {rounded_up(answer.advantage, PRECISE)}")
    if answer.mu is not None and answer.regret is not None:
        apart = answer.left_out and f" but for a chance of {rounded_up(answer.left_out)}"
        regret = rounded_up(answer.regret, 2)
        lines.append(f"mu {rounded_up(answer.mu, PRECISE)}{apart or ''}, regret {regret}")
    return lines


def _bound(upper: float, lower: float | None) -> str:
    """Return an upper bound, or an interval whose ends are rounded outwards."""
    if lower is None:
        return rounded_up(upper, PRECISE)
    return f"in [{rounded_down(lower, CERTIFIED)}, {rounded_up(upper, CERTIFIED)}]"


def _unbounded(question: Question) -> str:
    return (
        f"epsilon is infinite at delta {as_given(question.delta or 0.0)}: no epsilon holds for "
        "these events; give a larger --delta"
    )


def _draw(curve: PrivacyCurve, plot: Path) -> None:
    import pandas as pd

    from dp_synth.figures.attacks import privacy_curve
    from dp_synth.figures.files import save

    points = pd.concat([profile_points(curve), tradeoff_points(curve)], ignore_index=True)
    auc = curve.largest_auc()
    save(lambda: privacy_curve(points, auc=auc, told=_told(curve)), plot)


def _told(curve: PrivacyCurve) -> str:
    """Return mu, its regret and the largest advantage, in words for a figure."""
    from dp_synth.accounting.dominating_gaussian import summarized
    from dp_synth.accounting.risk_target import largest_advantage

    largest = rounded_up(largest_advantage(curve))
    return f"{summarized(curve)}; largest advantage of any attack {largest}"


def _check_plot(plot: Path | None) -> None:
    if plot is not None:
        from dp_synth.figures.files import check_place

        check_place(plot)
