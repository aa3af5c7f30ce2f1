"""Rows without end say what the transcript says; the rest is rehearsed."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from made_people import SCHEMA, people

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.attacks import AttackerView, RowsRatio, TranscriptRatio
from dp_synth.attacks.rows_ratio import as_released
from dp_synth.audit import Roc
from dp_synth.errors import InputError
from dp_synth.inference import estimate
from dp_synth.mechanisms import measure
from dp_synth.schema import Schema
from dp_synth.synthesizers import (
    DPGAN,
    MST,
    MWEM,
    CliqueTree,
    Independent,
    PrivBayes,
    Synthesizer,
)

MEMBERS, OTHERS, REFERENCE = people(300, 1), people(1000, 2), people(2000, 3)
BUDGET = PrivacyBudget(100, 1e-6)
DECLARED = Schema.from_dict(
    {
        "name": "declared",
        "columns": [
            *({"name": f"c{place}", "type": "categorical", "size": 6} for place in range(5)),
        ],
    }
)


def chain(records, seed):
    """Records of five columns, each mostly the one before it."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, 6, records)]
    for _ in range(4):
        same = rng.random(records) < 0.6
        columns.append(np.where(same, columns[-1], rng.integers(0, 6, records)))
    return pd.DataFrame({f"c{place}": column for place, column in enumerate(columns)})


def released(recipe, members, schema, *, rows, budget=BUDGET):
    release = recipe.fit(members, schema, Accountant(budget, simulate=True), seed=0)
    return AttackerView(
        release.sample(rows, seed=1),
        release.schema,
        chain(2000, 3) if schema is DECLARED else REFERENCE,
        synthesizer=recipe,
        budget=budget,
        transcript=release.transcript,
        records=len(members),
    )


def area(attack, view, members, others):
    return Roc(attack.scores(members, view), attack.scores(others, view)).auc()


@pytest.mark.parametrize("recipe", [MST(), CliqueTree(), PrivBayes(), Independent()])
def test_many_rows_come_near_to_the_transcript(recipe):
    members, others = chain(300, 1), chain(2000, 2)
    view = released(recipe, members, DECLARED, rows=50_000)
    transcript = area(TranscriptRatio(), view, members, others)
    rows = area(RowsRatio(), view, members, others)
    assert transcript.low > 0.5
    # Both score the same people, so that what sampling adds to either is mostly shared.
    assert rows.value - 0.5 > 0.85 * (transcript.value - 0.5)


def test_more_rows_say_more():
    members, others = chain(300, 1), chain(2000, 2)
    view = released(MST(), members, DECLARED, rows=50_000)
    few = replace(view, synthetic=view.synthetic.head(100))
    assert (
        area(RowsRatio(), few, members, others).high
        < area(RowsRatio(), view, members, others).value
    )


def test_counts_are_scaled_to_the_records_that_were_fitted():
    members = chain(300, 1)
    view = released(Independent(), members, DECLARED, rows=50_000)
    twice = replace(view, synthetic=pd.concat([view.synthetic] * 2, ignore_index=True))
    # Twice the same rows are the same shares, told with a little less doubt.
    once, again = (RowsRatio().scores(members, one) for one in (view, twice))
    np.testing.assert_allclose(once, again, atol=0.05)
    assert np.corrcoef(once, again)[0, 1] > 0.999


def test_cells_that_a_fit_chooses_are_taken_from_the_rows():
    view = replace(released(MST(), MEMBERS, SCHEMA, rows=2000), schema=SCHEMA, transcript=None)
    assert SCHEMA.fine
    shown = as_released(SCHEMA, view.synthetic)
    assert not shown.fine
    assert 10 < shown.domain.size("income") <= 50 + 1
    assert as_released(shown, view.synthetic) == shown
    assert np.isfinite(RowsRatio(runs=2).scores(OTHERS, view)).all()


def test_categories_that_a_fit_adds_are_taken_from_the_rows():
    schema = Schema.from_dict(
        {
            "name": "towns",
            "columns": [
                {"name": "town", "type": "categorical", "categories": ["a"], "open": True},
                {"name": "ill", "type": "categorical", "size": 2},
            ],
        }
    )
    shown = as_released(schema, pd.DataFrame({"town": ["a", "c", "b"], "ill": [0, 1, 1]}))
    assert {"a", "b", "c"} <= set(shown.column("town").texts)
    assert len(shown.column("town").texts) == len(schema.column("town").texts) + 2


def test_a_method_without_marginals_is_named():
    view = AttackerView(people(50, 4), SCHEMA, REFERENCE, synthesizer=DPGAN(), budget=BUDGET)
    with pytest.raises(InputError, match=r"needs a synthesizer that fits noisy marginals.*'dpgan'"):
        RowsRatio().scores(MEMBERS, view)


@dataclass(frozen=True)
class Pairs(Synthesizer):
    """A method of somebody else: neighbouring columns, and nothing chosen."""

    name = "pairs"
    measures = "marginals"

    def plan(self, domain):
        return Plan({"pairs": Gaussians(len(domain) - 1)})

    def _fit(self, table, plan, rng):
        names = list(table.domain)
        pairs = list(pairwise(names))
        return estimate(table.domain, measure(table, pairs, plan.gaussians("pairs"), rng, why=""))


def test_a_method_of_somebody_else_says_that_it_measures_marginals():
    members, others = chain(300, 1), chain(2000, 2)
    view = released(Pairs(), members, DECLARED, rows=5000)
    assert area(RowsRatio(runs=2), view, members, others).low > 0.5


def test_methods_that_fit_in_rounds_are_rehearsed_twice(monkeypatch):
    asked = []
    real = MWEM.release_only
    monkeypatch.setattr(
        MWEM, "release_only", lambda *given, **more: asked.append(1) or real(*given, **more)
    )
    view = released(MWEM(rounds=2), chain(200, 1), DECLARED, rows=300)
    RowsRatio().scores(chain(50, 2), view)
    RowsRatio().scores(chain(50, 5), view)  # non-members share the rehearsals
    assert len(asked) == 2
