"""The noisy validation of a card: paid for by the fit, and so to be published with it."""

from __future__ import annotations

from dp_synth.release import Release
from dp_synth.report.card_measured import Measured
from dp_synth.validation_bounds import Interval

TV2, WORST, ADVANTAGE = "noisy_tv2", "noisy_tv2_worst", "noisy_advantage"

MOST_SHOWN = 10  # pairs of the highest upper ends

NOTES = {
    TV2: "mean total variation of pairs of columns, between the fitted records and the model",
    WORST: "the same of single pairs: those of the highest upper ends",
    ADVANTAGE: "of an attack on membership: share of members found less share of others accused",
}


def validation_of(release: Release) -> tuple[Measured, ...]:
    """Return what the validation of a release says, empty where its fit paid for none.

    Intervals hold all at once with a chance of 95 %, over the noise and, of the advantage, over
    who is in the hold-out. Beside the advantage stands the largest that the ledger permits.
    """
    found = release.validation
    if found is None:
        return ()
    worst = sorted(found.pairs.items(), key=lambda pair: -pair[1].high)[:MOST_SHOWN]
    rows = [_measured(TV2, "", found.tv2, note=NOTES[TV2])]
    notes = [NOTES[WORST], *[""] * (len(worst) - 1)]  # once is enough
    rows += [
        _measured(WORST, " and ".join(clique), interval, note=note)
        for (clique, interval), note in zip(worst, notes, strict=True)
    ]
    if found.advantage is not None:
        most = min(1.0, release.ledger.curve.delta(0.0))
        beside = most if release.ledger.budget.unit is None else None
        rows.append(_measured(ADVANTAGE, "", found.advantage, beside, note=NOTES[ADVANTAGE]))
    return tuple(rows)


def _measured(
    name: str, about: str, of: Interval, beside: float | None = None, *, note: str
) -> Measured:
    return Measured(name, about, of.value, of.low, of.high, beside, note)
