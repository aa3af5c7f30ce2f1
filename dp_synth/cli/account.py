"""`dp-synth account`: what written-down events cost, and the noise that they need."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.core import TyperCommand

from dp_synth.cli.arguments import reading_arguments
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.formatting import as_given, rounded_down, rounded_up

if TYPE_CHECKING:
    import pandas as pd
    from typer._click.core import Context as Invocation

    from dp_synth.accounting import Adjacency, Event, PrivacyCurve

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
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Print the factor by which all noise must be multiplied to meet both.",
        ),
    ] = False,
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
    """
    with reading_arguments():
        question = Question(delta, epsilon, calibrate, certify, draws=plot is not None)
        values: Values = {"gaussian": gaussian or (), "selection": selection or ()}
        values = {**values, "count": count or ()}
        held, events = _events(file, adjacency, context.meta[ORDER], values)
    _check_plot(plot)
    try:
        answer, curve = _answer(question, events)
    except OverflowError:
        raise InputError("the cost of these events is beyond what numbers can hold") from None
    if as_json:
        print(json.dumps(answer.to_fields()))
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
    draws: bool = False

    def __post_init__(self) -> None:
        if self.delta is not None and not 0 <= self.delta < 1:
            raise ValueError(f"--delta must lie in [0, 1), got {self.delta}")
        if self.epsilon is not None and not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ValueError(f"--epsilon must be a finite number, 0 or above, got {self.epsilon}")
        if self.calibrate and (not self.epsilon or self.delta is None):
            raise ValueError("--calibrate needs --delta and an --epsilon above 0")
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

    @property
    def unbounded(self) -> bool:
        """Whether no epsilon holds at the delta that was given."""
        return self.epsilon is not None and math.isinf(self.epsilon)

    def to_fields(self) -> dict[str, float | str | None]:
        """Return the answer as a JSON object, in which an infinite epsilon is null."""
        return {**self.__dict__, "epsilon": None if self.unbounded else self.epsilon}


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
    from dp_synth.accounting import compose
    from dp_synth.accounting.calibration import noise_factor, scaled

    curve, factor = compose(events), None
    if question.calibrate:
        assert question.epsilon is not None
        assert question.delta is not None
        factor = noise_factor(events, question.epsilon, question.delta)
        curve = compose(scaled(events, factor))
    epsilon = None if question.delta is None else curve.epsilon(question.delta)
    engine = None if question.delta is None else curve.engine(question.delta)
    if epsilon is not None and math.isinf(epsilon):
        engine = None
    delta = None
    if question.epsilon is not None and not question.calibrate:
        delta = curve.delta(question.epsilon)
        engine = engine or (curve.engine(delta) if 0 <= delta < 1 else None)
    lower = _lower(question, curve) if question.certify else (None, None)
    return Answer(epsilon, delta, factor, engine, *lower), curve


def _lower(question: Question, curve: PrivacyCurve) -> tuple[float | None, float | None]:
    """Return the lower bounds on what was asked; InputError where there are none."""
    try:
        return (
            None if question.delta is None else curve.epsilon_bounds(question.delta)[0],
            None
            if question.epsilon is None or question.calibrate
            else curve.delta_bounds(question.epsilon)[0],
        )
    except UnsupportedEvent as error:
        raise InputError(f"--certify: these events {error}") from None


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


def _check_plot(plot: Path | None) -> None:
    from dp_synth.figures.files import check_place

    if plot is not None:
        check_place(plot)


def _draw(curve: PrivacyCurve, plot: Path) -> None:
    import pandas as pd

    from dp_synth.figures.attacks import privacy_curve
    from dp_synth.figures.files import save

    points = pd.concat([profile_points(curve), tradeoff_points(curve)], ignore_index=True)
    auc = curve.largest_auc()
    save(lambda: privacy_curve(points, auc=auc), plot)
