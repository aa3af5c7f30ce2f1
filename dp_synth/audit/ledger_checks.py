"""Checks of what was charged: answers beside the ledger, its sums, an accountant's bounds.

Each returns a `CheckResult`, as those of `checks` do:

>>> from dp_synth.accounting.conversions import gaussian_epsilon
>>> print(shares_sum_to_one({"ones": 1 / 3, "tree": 1 / 3, "pairs": 2 / 3}))
FAILED shares: shares of 3 stages add up to 1.33333
>>> half = lambda event, count, delta: gaussian_epsilon(0.5 / event.noise_multiplier, delta)
>>> accountant_is_certified(half, [(Gaussian(4.0, 1.0), 1)]).passed
False
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from dp_synth.accounting import Event, Gaussian, Ledger, Round, Selection, compose
from dp_synth.accounting.conversions import gaussian_epsilon
from dp_synth.accounting.events import Laplace, NoisyVote, SampledGaussian
from dp_synth.audit.checks import CheckResult
from dp_synth.errors import UnsupportedEvent
from dp_synth.formatting import rounded_down, rounded_up
from dp_synth.transcript import Answer, ChoiceAnswer, HistogramAnswer, MarginalAnswer, ScoresAnswer

EpsilonOf = Callable[[Event, int, float], float]

ROUNDING = 1e-9  # relative, by which sums and bounds may be off
INTERVAL = 1e-4  # of the loss grid that bounds an epsilon from below
REGIMES: tuple[tuple[Event, int], ...] = (  # few and many answers, with much and little noise
    (Gaussian(4.0, 1.0), 1),
    (Gaussian(1.0, 1.0), 16),
    (Laplace(2.0, 1.0), 1),
    (Laplace(2.0, 1.0), 20),
    (SampledGaussian(1.0, 0.01, 200), 1),
)


def answers_are_charged(ledger: Ledger, transcript: Iterable[Answer]) -> CheckResult:
    """Return whether the ledger has a charge for each answer, of no more noise than it says.

    Charges are found by part and reason; noisy gradients and thresholded counts leave no answer
    in a transcript, and are not looked at.
    """
    answered: dict[tuple[str, str], list[float]] = defaultdict(list)
    charged: dict[tuple[str, str], list[float]] = defaultdict(list)
    for answer in transcript:
        answered[answer.part, answer.why] += _noise_of_answer(answer)
    for entry in ledger.charges:
        if (noise := _noise_of(entry.event)) is not None:
            charged[entry.part, entry.why] += [noise] * entry.count
    for (part, why), noises in answered.items():
        paid = charged[part, why]
        if len(noises) > len(paid):
            sentence = f"part {part!r} has {len(noises)} answers ({why}) and {len(paid)} charges"
            return CheckResult("answers charged", False, sentence)
        pairs = zip(sorted(noises), sorted(paid), strict=False)
        if any(own < least * (1 - ROUNDING) for own, least in pairs):
            sentence = f"part {part!r} ({why}) has answers with less noise than was charged for"
            return CheckResult("answers charged", False, sentence)
    total = sum(map(len, answered.values()))
    return CheckResult("answers charged", True, f"each of {total} answers has a charge of its own")


def ledger_adds_up(ledger: Ledger, *, epsilon: float | None = None) -> CheckResult:
    """Return whether charges stay within what was reserved, and that within the budget.

    The bound is computed anew; ``epsilon``, where it is given, is what was stated elsewhere.
    """
    if ledger.uncovered:
        return CheckResult("ledger arithmetic", False, ledger.uncovered)
    found, most = ledger.epsilon, ledger.budget.epsilon
    stated = most if epsilon is None else min(epsilon, most)
    sentence = f"the entries cost epsilon {rounded_up(found)}, stated are {rounded_up(stated)}"
    return CheckResult("ledger arithmetic", found <= stated * (1 + ROUNDING), sentence)


def shares_sum_to_one(shares: Mapping[str, float]) -> CheckResult:
    """Return whether the shares of a budget that stages take add up to all of it, and no more."""
    total = sum(shares.values())
    right = abs(total - 1) <= ROUNDING and min(shares.values(), default=0.0) >= 0
    return CheckResult("shares", right, f"shares of {len(shares)} stages add up to {total:.6g}")


def stages_within(
    stages: Mapping[str, Iterable[tuple[Event, int]]], epsilon: float, delta: float
) -> CheckResult:
    """Return whether the events of all stages, composed in order, cost at most ``epsilon``."""
    found = compose(pair for events in stages.values() for pair in events).epsilon(delta)
    sentence = (
        f"{len(stages)} stages cost epsilon {rounded_up(found, 6)} at delta {rounded_up(delta)}, "
        f"stated are {rounded_up(epsilon, 6)}"
    )
    return CheckResult("stages", found <= epsilon * (1 + ROUNDING), sentence)


def accountant_is_certified(
    epsilon_of: EpsilonOf, regimes: Sequence[tuple[Event, int]] = REGIMES, *, delta: float = 1e-5
) -> CheckResult:
    """Return whether an accountant's epsilon is never below the least that is possible.

    ``epsilon_of(event, count, delta)`` is asked in all ``regimes``: faults may show in few of
    them. What is possible is exact for Gaussians, else composed from optimistic loss
    distributions. UnsupportedEvent for regimes of other events than Gaussian, Laplace and
    SampledGaussian.
    """
    for event, count in regimes:
        found, least = epsilon_of(event, count, delta), least_epsilon(event, count, delta)
        if found < least * (1 - ROUNDING):
            stated, needed = rounded_up(found, 6), rounded_down(least, 6)
            sentence = f"{stated} for {count} of {event}, which cost {needed} at least"
            return CheckResult("accountant", False, sentence)
    return CheckResult(
        "accountant", True, f"never below what is possible in {len(regimes)} regimes"
    )


def least_epsilon(event: Event, count: int, delta: float) -> float:
    """Return an epsilon that so many events cost at least, however they are accounted."""
    if isinstance(event, Gaussian):
        return gaussian_epsilon(count**0.5 / event.noise_multiplier, delta)
    from dp_accounting.pld import privacy_loss_distribution as losses

    if isinstance(event, Laplace):
        once = losses.from_laplace_mechanism(
            event.scale / event.sensitivity,
            pessimistic_estimate=False,
            value_discretization_interval=INTERVAL,
            use_connect_dots=False,
        )
    elif isinstance(event, SampledGaussian):
        once = losses.from_gaussian_mechanism(
            event.noise_multiplier,
            pessimistic_estimate=False,
            value_discretization_interval=INTERVAL,
            sampling_prob=event.rate,
            use_connect_dots=False,
        )
        count *= event.steps
    else:
        raise UnsupportedEvent(f"no optimistic loss distribution is known here of {event!r}")
    return float(once.self_compose(count).get_epsilon_for_delta(delta))


def _noise_of(event: Event) -> float | None:
    """Return a number that is larger with more noise; None for events that leave no answer."""
    match event:
        case Gaussian():
            return event.stddev
        case Selection() | Round():
            return 1 / event.epsilon
        case NoisyVote():
            return event.scale
    return None


def _noise_of_answer(answer: Answer) -> list[float]:
    match answer:
        case MarginalAnswer() | HistogramAnswer():
            return [answer.stddev]
        case ScoresAnswer():
            return [answer.stddev] * len(answer.cliques)
        case ChoiceAnswer():
            return [1 / answer.epsilon]
    return [answer.scale] * len(answer.records)
