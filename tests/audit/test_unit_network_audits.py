"""Audits of sums over units drawn whole: all records of one unit, and a clip that knows no unit."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
from dp_synth.audit import AuditReport, audit, worst_case
from dp_synth.audit.likelihood_ratio import LikelihoodRatios, SampledComparison
from dp_synth.counting.units import UnitRows
from dp_synth.domain import Domain
from dp_synth.errors import UnsupportedEvent
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers import DPGAN

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.mechanisms.dp_sgd import Critic, SampledGradients  # noqa: E402

DOMAIN, MOST = Domain(("a", "b"), (9, 9)), 5
BUDGET = PrivacyBudget(10.0, 1e-5, unit="person", max_rows=MOST)
RUNS = 60


def audited() -> AuditReport:
    recipe = DPGAN(
        steps=4,
        rate=0.5,
        fakes=4,
        critic_width=2,
        generator_width=2,
        components=4,
        learning_rate=1e-3,
        sampled="units",
    )
    return audit(recipe, BUDGET, design=worst_case(unit="person", rows=MOST), runs=RUNS, seed=0)


def test_a_person_of_all_rows_is_told_apart_no_better_than_the_claim_permits() -> None:
    report = audited()
    assert report.passed
    assert report.total.area <= report.total.permitted
    assert report.total.area > 0.7  # and the audit sees something


def test_a_clip_of_each_row_in_place_of_each_unit_is_refuted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dp_sgd, "rows_of_units", np.ones_like)
    assert not audited().passed


def compared(here: UnitRows, there: UnitRows) -> list[SampledComparison]:
    """Return what steps over the first table's units say between the two."""
    part = SampledGaussians(20, 0.5, noise_multiplier=2.0, by_unit=True)
    payer = Accountant(BUDGET, simulate=True).admit(
        "test", Plan({"steps": part}), randomness="seeded"
    )

    def table(rows: UnitRows, auditor: LikelihoodRatios | None) -> PrivateTable:
        codes, _ = rows.of_units(np.arange(len(rows)))
        made = PrivateTable(codes, DOMAIN, payer, auditor=auditor)
        made.keep_units(rows)
        return made

    ratios = LikelihoodRatios(table(there, None))
    gradients = SampledGradients(
        table(here, ratios),
        payer.plan.sampled("steps"),
        np.random.default_rng(0),
        clip=0.1,
        encode=lambda codes, coins: codes.float(),
    )
    critic = Critic(2, (4,), torch.Generator().manual_seed(0))
    for _ in range(20):
        gradients.step(critic, -1.0)
    return [one for one in ratios.comparisons if isinstance(one, SampledComparison)]


def units_of(*sizes: int) -> UnitRows:
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    columns = [numbers + 1, np.full(len(numbers), 3)]
    return UnitRows.of(DOMAIN.attributes, columns, numbers)


@pytest.mark.parametrize("last", [1, MOST])
def test_one_unit_apart_moves_a_step_by_one_clip_whatever_its_rows_are(last: int) -> None:
    for here, there in ((units_of(2, 3, last), units_of(2, 3)), (units_of(2), units_of(2, last))):
        found = compared(here, there)
        assert len(found) == 20
        for one in found:  # in standard deviations of the noise: two clips
            assert 0.9 / 2 < one.shift <= 1 / 2
            assert one.here_has_it == (len(here) > len(there))


def test_tables_that_differ_by_two_units_are_not_compared() -> None:
    with pytest.raises(UnsupportedEvent, match="differ by one unit"):
        compared(units_of(1, 1, 1), units_of(1))
