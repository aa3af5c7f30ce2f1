"""The risk report: every attack that can be run on one synthetic table, in words and numbers.

Two parts: what the ledger says, which may be published, and what the attacks found, which is
computed from private records and is for the data holder alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dp_synth._version import __version__
from dp_synth.accounting.privacy_profile import PrivacyCurve
from dp_synth.attacks import ATTACKS, Attack, AttackerView
from dp_synth.attacks.base import ExcessRisk, Guess
from dp_synth.attacks.registry import (
    INTERNAL,
    Risk,
    attacked_tables,
    guess_risks,
    membership_risk,
    that_can_see,
)
from dp_synth.errors import InputError
from dp_synth.files import PRIVATE, passing_name
from dp_synth.formatting import at_most
from dp_synth.frames import Table, as_frame, refuse_shared
from dp_synth.metrics.estimate import TAIL, Estimate
from dp_synth.release import Release
from dp_synth.report.guarantee import upward
from dp_synth.report.publishable import finite
from dp_synth.schema import Schema
from dp_synth.settings import made_of
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = [
    *("attack", "kind", "sees", "question", "value", "low", "high", "attacked", "control"),
    *("baseline", "memorised", "memorised_low", "memorised_high", "bound"),
    *("found", "sentence", "note"),
]
SIMILARITY = "similarity, not privacy"
FROM_FRESH = "fitted records to whoever is so often right about fresh ones"


@dataclass(frozen=True)
class Guarantee:
    """What a release's ledger says: safe to publish.

    ``largest_auc`` is that of any attack on one unit: one record, unless ``unit`` says otherwise.
    """

    synthesizer: str
    statement: str
    epsilon: float
    delta: float
    adjacency: str
    unit: str | None
    largest_auc: float

    @classmethod
    def of(cls, release: Release) -> Guarantee:
        """Return the guarantee of a release."""
        budget = release.ledger.budget
        return cls(
            release.synthesizer,
            release.ledger.statement(),
            release.epsilon,
            budget.delta,
            budget.adjacency,
            budget.unit,
            release.largest_auc(),
        )

    @property
    def ceiling(self) -> float | None:
        """The largest AUC of an attack on one record; None where the unit is a larger one."""
        return self.largest_auc if self.unit is None else None


@dataclass(frozen=True, eq=False)
class RiskReport:
    """What attacks found, a row each, beside what the ledger says.

    Of ``table`` the column ``value`` is an AUC where ``kind`` is "membership", and an excess risk
    (`ExcessRisk`) where it is "guess"; ``attacked`` is then the share of fitted records about
    which the guess was right. ``found`` tells whether the interval lies above chance. ``left_out``
    names attacks that could not be run, and why. All but ``guarantee`` is internal.
    """

    table: pd.DataFrame
    guarantee: Guarantee | None
    left_out: Mapping[str, str]
    seed: int

    @property
    def summary(self) -> str:
        """How many attacks found something, and how many would by chance."""
        expected = TAIL * len(self.table)
        return (
            f"{int(self.table['found'].sum())} of {len(self.table)} attacks found something; where "
            f"nothing leaks about {expected:.1f} of so many do by chance. That nothing was found "
            "proves nothing: only the ledger bounds what any attack can find."
        )

    def rows(self) -> list[dict[str, object]]:
        """Return the table as plain values; None stands for what is infinite or undefined."""
        return [
            _plain(dict(zip(COLUMNS, values, strict=True)))
            for values in self.table[COLUMNS].itertuples(index=False)
        ]

    def to_dict(self) -> dict[str, object]:
        """Return the report as plain values, as ``rows`` does."""
        return {
            "dp_synth": __version__,
            "publishable": None if self.guarantee is None else _plain(asdict(self.guarantee)),
            "internal": {
                "note": INTERNAL,
                "summary": self.summary,
                "seed": self.seed,
                "attacks": self.rows(),
                "left_out": dict(self.left_out),
            },
        }

    def draw(self) -> tuple[Axes, ...]:
        """Return the figure's panels: membership attacks, and guesses beside their controls."""
        from dp_synth.figures import risk_bars

        ceiling = None if self.guarantee is None else self.guarantee.ceiling
        return risk_bars(self.table, largest_auc=ceiling)

    def write(self, folder: str | Path) -> Path:
        """Write ``risk.json``, ``risk.csv`` and ``risk.png`` to a new folder, all or none.

        Its owner alone can read them. InputError where there is something by that name, or no
        place for it.
        """
        from dp_synth.figures.files import save

        target = Path(folder)
        if target.exists() or not target.parent.is_dir():
            raise InputError(f"{target}: name a folder that is not there yet, in one that is")
        passing = target.with_name(passing_name(target.name))
        passing.mkdir(mode=0o700)
        try:
            text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
            (passing / "risk.json").write_text(text, encoding="utf-8")
            self.table.to_csv(passing / "risk.csv", index=False)
            save(self.draw, passing / "risk.png")
            for file in passing.iterdir():
                file.chmod(PRIVATE)
            passing.rename(target)
        finally:
            shutil.rmtree(passing, ignore_errors=True)
        return target

    def __str__(self) -> str:
        lines = [] if self.guarantee is None else [self.guarantee.statement]
        if self.guarantee is not None and self.guarantee.ceiling is not None:
            most = at_most(self.guarantee.ceiling, 4)
            lines.append(f"No attack on one record has an AUC above {most}.")
        lines += ["", INTERNAL, self.summary]
        for row in self.table.itertuples(index=False):
            lines += ["", f"{row.attack} (sees {row.sees}): {row.question}", f"  {row.sentence}"]
        lines += ["", *(f"left out: {name}: {why}" for name, why in self.left_out.items())]
        return "\n".join(lines).strip()


def largest_success(curve: PrivacyCurve, risk: ExcessRisk) -> float:
    """Return the largest success on fitted records of any attack that has this baseline.

    With a trade-off function f, of all attacks that are right with chance b about a record that
    was not fitted, none is right with more than 1 - f(b) about one that was (Kulynych et al.
    2025, arXiv:2507.06969): of attribute inference, linkage and reconstruction alike. The
    baseline is measured, `ExcessRisk.unfitted` or else the control, and the upper end of its
    interval is taken. A guess that may be right about any of r records, as in singling out, has a
    bound for each: r (1 - f(b / r)) of their sum b, as f is convex. Records and controls must be
    of one population, and the unit of the ledger one record.

    >>> from dp_synth.accounting import Gaussian, compose
    >>> curve = compose([(Gaussian(noise_multiplier=4.0, sensitivity=1.0), 1)])
    >>> risk = ExcessRisk.of([True] * 60 + [False] * 40, [True] * 50 + [False] * 50, 0.5)
    >>> largest_success(curve, risk) > risk.control.high
    True
    """
    unfitted = risk.control if risk.unfitted is None else risk.unfitted
    each = min(unfitted.high / risk.records, 1.0)
    return min(1.0, risk.records * float(curve.tpr(np.array([each]))[0]))


def risk_report(
    train: Table,
    holdout: Table,
    synthetic: Table,
    public: Schema | Release,
    *,
    reference: Table | None = None,
    seed: int = 0,
) -> RiskReport:
    """Return what every attack finds about ``train`` in a synthetic table, and what is promised.

    ``holdout`` holds records of the same people's population that were not fitted, ``reference``
    others that the attacker has. ``public`` is the schema, or the release that the table was
    drawn from: then the ledger's epsilon and the largest AUC that it permits stand beside the
    attacks, and those who hold the release attack as well, with its synthesizer, its budget and
    its transcript. At most 2,000 records of each table are attacked.

    It spends nothing and may not be published: only ``guarantee`` is safe. InputError for empty
    tables and where tables share their records.
    """
    release = public if isinstance(public, Release) else None
    schema = public if isinstance(public, Schema) else public.schema
    train, holdout = as_frame(train, "train"), as_frame(holdout, "holdout")
    synthetic = as_frame(synthetic, "synthetic")
    given = {"train": train, "holdout": holdout}
    if reference is not None:
        given["reference"] = reference = as_frame(reference, "reference")
    refuse_shared(given)
    guarantee = None if release is None else Guarantee.of(release)
    of_one_record = guarantee is not None and guarantee.unit is None
    bounds = release.ledger.curve if release is not None and of_one_record else None
    tables = attacked_tables(train, holdout, synthetic, schema, seed=seed)
    view = attacker_view(tables.synthetic, schema, reference, release)
    rows, left_out = [], {}
    for attack in that_can_see(view):
        try:
            risk = membership_risk(attack, tables, view)
        except InputError as error:  # a rehearsal is refused; no message holds a private value
            left_out[attack.name] = str(error)
            continue
        rows.append(_row(risk, view, bounds))
    for kind in ATTACKS.values():
        if (lacking := kind().missing(view)) is not None:
            left_out[kind.name] = lacking
    rows += [_row(risk, view, bounds) for risk in guess_risks(tables)]
    return RiskReport(pd.DataFrame(rows, columns=COLUMNS), guarantee, left_out, seed)


def attacker_view(
    synthetic: pd.DataFrame, schema: Schema, reference: pd.DataFrame | None, release: Release | None
) -> AttackerView:
    """Return what the attacker sees: with a release also its recipe, where that is one of ours.

    None of releases whose unit has several records: a rehearsal on the reference would need to
    know there which records belong together.
    """
    if release is None:
        return AttackerView(synthetic, schema, reference)
    recipe: Synthesizer | None = None
    known = SYNTHESIZERS.get(release.synthesizer)
    if known is not None and release.ledger.budget.unit is None:
        recipe = made_of(known, release.settings)
    return AttackerView(
        synthetic,
        release.schema,
        reference,
        algorithm=release.synthesizer,
        synthesizer=recipe,
        budget=None if recipe is None else release.ledger.budget,
        transcript=release.transcript,
    )


def _row(risk: Risk, view: AttackerView, curve: PrivacyCurve | None) -> dict[str, object]:
    attack, value, control = risk.attack, risk.value, risk.control
    row = {
        "attack": attack.name,
        "question": attack.question,
        **asdict(value),
        "control": control,
        "baseline": risk.baseline,
        "note": INTERNAL,
    }
    if isinstance(attack, Guess) and risk.guessed is not None:
        guessed, more = risk.guessed, risk.guessed.memorisation
        bound = None if curve is None else largest_success(curve, guessed)
        said = of_guess(attack, guessed.attack.value, control, value)
        return row | {
            "kind": "guess",
            "sees": attack.sees,
            "attacked": guessed.attack.value,
            "memorised": more.value,
            "memorised_low": more.low,
            "memorised_high": more.high,
            "bound": bound,
            "found": value.low > 0,
            "sentence": said + _of_bound(bound, guessed.attack, FROM_FRESH),
        }
    assert isinstance(attack, Attack)
    ceiling = None if curve is None else curve.largest_auc()
    above = ceiling is not None and value.low > ceiling  # which is said already
    said = of_membership(value, similarity=attack.measures == SIMILARITY, largest_auc=ceiling)
    return row | {
        "kind": "membership",
        "sees": _seen(attack, view),
        "attacked": np.nan,
        "memorised": np.nan,
        "memorised_low": np.nan,
        "memorised_high": np.nan,
        "bound": ceiling,
        "found": value.low > 0.5,
        "sentence": said + ("" if above else _of_bound(ceiling, value, "cases")),
    }


def _of_bound(bound: float | None, found: Estimate, what: str) -> str:
    """Return what the ledger permits, as a sentence after others; nothing without a ledger."""
    if bound is None:
        return ""
    if found.low > bound:
        return (
            f" The ledger permits {upward(bound)} of {what}: look for a defect, or for a holdout "
            "of other people than those who were fitted."
        )
    if bound >= 1:
        return " The ledger permits any success: there is no bound below 100 %."
    return f" The ledger permits {upward(bound)} of {what}: no attack whatever can pass this."


def _seen(attack: Attack, view: AttackerView) -> str:
    words = {
        "synthetic": "the synthetic table",
        "reference": "records of other people",
        "transcript": "the release's noisy answers",
        "synthesizer": "the synthesizer and its budget",
    }
    parts = [words[need] for need in attack.needs()]
    if "synthesizer" in attack.uses and view.synthesizer is not None:
        parts.append("the synthesizer and its budget")
    return ", ".join(parts)


def of_membership(area: Estimate, *, similarity: bool, largest_auc: float | None) -> str:
    """Return what an AUC says to somebody who has to decide.

    >>> print(of_membership(Estimate(0.62, 0.6, 0.64), similarity=False, largest_auc=None))
    Shown a fitted and a fresh record, the attack picks the fitted one in 62.0 % of cases \
(60.0 to 64.0 %); a coin in 50 %. It tells them apart.
    """
    shares = f"{_share(area.value)} of cases ({_range(area.low, area.high)}); a coin in 50 %."
    text = f"Shown a fitted and a fresh record, the attack picks the fitted one in {shares}"
    if largest_auc is not None and area.low > largest_auc:
        text += (
            f" That is more than the ledger permits ({upward(largest_auc)}): look for a defect, or "
            "for a holdout of other people than those who were fitted."
        )
    elif area.low > 0.5:
        text += " It tells them apart."
    else:
        text += " It did no better than a coin, which proves nothing."
    return text + (" This is similarity, not privacy." if similarity else "")


def of_guess(guess: Guess, attacked: float, control: float, risk: Estimate) -> str:
    """Return what a guess was worth on fitted records, beside records that were never fitted.

    >>> from dp_synth.attacks.article_29 import LINKABILITY
    >>> print(of_guess(LINKABILITY, 0.3, 0.1, Estimate(0.2222, 0.1, 0.3)))
    The two halves of a fitted record were linked in 30.0 % of tries, those of a fresh one in \
10.0 %. Being fitted adds 22.2 % (10.0 to 30.0 %) of what was left to gain.
    """
    did = guess.did.format(who="fitted")
    text = f"{did} in {_share(attacked)} of tries, {guess.fresh} in {_share(control)}."
    if not isfinite(risk.low) and not isfinite(risk.value):
        return f"{text} Fresh records left nothing to gain."
    if risk.low > 0:
        gain = f"{_share(risk.value)} ({_range(risk.low, risk.high)}) of what was left to gain."
        return f"{text} Being fitted adds {gain}"
    within = _range(risk.low, risk.high)
    return f"{text} Being fitted adds nothing that shows ({within} of what was left to gain)."


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _range(low: float, high: float) -> str:
    return f"{_number(low)} to {_number(high)} %"


def _number(share: float) -> str:
    return f"{100 * share:.1f}" if isfinite(share) else "less than -1000"


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    """Return values as JSON has them: None for what is no finite number."""
    plain = {name: finite(value) for name, value in row.items() if isinstance(value, float)}
    flags = {name: bool(value) for name, value in row.items() if isinstance(value, np.bool_)}
    return {**row, **plain, **flags}
