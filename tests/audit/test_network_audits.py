"""Sampled gradients and votes between two tables: comparisons by hand, and audits that can fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, Votes, compose
from dp_synth.accounting.events import NoisyVote
from dp_synth.accounting.pate import log_chances
from dp_synth.audit import AreaTest, AuditReport, Worlds, area_test, audit
from dp_synth.audit.auditor import LOW_BITS
from dp_synth.audit.likelihood_ratio import (
    LikelihoodRatios,
    SampledComparison,
    VoteComparison,
    reached,
)
from dp_synth.domain import Domain
from dp_synth.errors import UnsupportedEvent
from dp_synth.mechanisms import pate
from dp_synth.mechanisms.pate import Questions, Teachers
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers import DPGAN, PATEGAN, Synthesizer

BUDGET, OF_VOTES = PrivacyBudget(10.0, 1e-5), PrivacyBudget(1.0, 1e-5)
DOMAIN = Domain(("a", "b"), (3, 3))
RECORDS = np.array([[0, 0], [0, 1], [1, 1], [2, 2], [2, 2]], dtype=np.int32)
RUNS, VOTED = 60, 60


def voted(here: np.ndarray, there: np.ndarray, seed: int = 0) -> tuple[VoteComparison, NoisyVote]:
    """Return what eight votes on the last record's values say between the tables."""
    accountant = Accountant(OF_VOTES, simulate=True)
    payer = accountant.admit("votes", Plan({"votes": Votes(8, 5)}), randomness="seeded")
    ratios = LikelihoodRatios(PrivateTable(there, DOMAIN, payer))
    table = PrivateTable(here, DOMAIN, payer, auditor=ratios)
    part, rng = payer.plan.votes("votes"), np.random.default_rng(seed)
    Teachers(table, part, [np.full(3, 1 / 3)] * 2, rng).vote(
        Questions(np.full((8, 2), 2, dtype=np.int32), np.zeros(8, int), np.ones(8, int))
    )
    (compared,) = ratios.comparisons
    assert isinstance(compared, VoteComparison)
    return compared, part.event()


def votes_tested() -> AreaTest:
    """Return the test of votes about two records, or one, against their own curve."""
    inside = [voted(RECORDS[-2:], RECORDS[-2:-1], seed) for seed in range(VOTED)]
    outside = [voted(RECORDS[-2:-1], RECORDS[-2:], VOTED + seed) for seed in range(VOTED)]
    worlds = Worlds.of(
        [one.log_ratio() for one, _ in inside], [-one.log_ratio() for one, _ in outside]
    )
    claim = compose([(inside[0][1], 8)])
    return area_test(worlds, claim, OF_VOTES.delta, level=0.001, rng=np.random.default_rng(0))


def test_votes_are_compared_by_the_chances_that_their_noise_gives() -> None:
    event = NoisyVote("gaussian", 3.0, 5)
    leads = np.array([-5.0, -1.0, 3.0])
    assert np.exp(log_chances(event, leads)) == pytest.approx(norm.cdf(leads / 3 / np.sqrt(2)))
    chances = np.log([0.2, 0.6]), np.log([0.3, 0.6])
    won, again, there = np.array([True, False]), np.array([False, False]), np.array([True, True])
    compared = VoteComparison("votes", "tried", *chances, won, again, there)
    assert compared.log_ratio() == pytest.approx(np.log(0.2 / 0.3))
    assert compared.fresh_log_ratio(there=False) == pytest.approx(np.log(0.8 / 0.7))
    assert compared.fresh_log_ratio(there=True) == pytest.approx(np.log(0.2 / 0.3))


def test_a_record_less_moves_each_vote_of_the_twin_by_one_teacher_at_most() -> None:
    moved = []
    for seed in range(20):
        compared, event = voted(RECORDS, RECORDS[:-1], seed)
        here, there = (norm.ppf(np.exp(c)) for c in (compared.here, compared.there))
        moved.append(np.rint((here - there) * event.scale * np.sqrt(2)).astype(int))
    assert set(np.abs(moved).ravel()) == {0, 2}


def test_votes_of_tables_that_differ_by_more_are_not_compared() -> None:
    with pytest.raises(UnsupportedEvent, match="differ by a record"):
        voted(RECORDS, RECORDS[:-3])


def test_a_sampled_sum_is_a_mixture_of_with_and_without_the_record() -> None:
    rate, shift, along = 0.3, 1.5, 0.7
    here = SampledComparison("steps", "tried", rate, shift, along, True, 0.2, here_has_it=True)
    density = (1 - rate) * norm.pdf(along) + rate * norm.pdf(along - shift)
    assert here.log_ratio() == pytest.approx(np.log(density / norm.pdf(along)))
    there = SampledComparison("steps", "tried", rate, shift, along, True, 0.2, here_has_it=False)
    assert there.log_ratio() == pytest.approx(-here.log_ratio())
    moved = SampledComparison("steps", "tried", rate, shift, 1.7, True, 0.2, here_has_it=True)
    assert here.fresh_log_ratio(there=False) == pytest.approx(moved.log_ratio())
    still = SampledComparison("steps", "tried", rate, shift, 0.2, True, 0.2, here_has_it=True)
    assert here.fresh_log_ratio(there=True) == pytest.approx(still.log_ratio())


def small(name: str) -> Synthesizer:
    if name == "pategan":
        return PATEGAN(votes=8, teachers=3, steps=1, rows=4, rounds=1)
    return DPGAN(
        steps=4,
        rate=0.5,
        fakes=4,
        critic_width=2,
        generator_width=2,
        components=4,
        learning_rate=1e-3,
    )


def audited(name: str, runs: int = RUNS) -> AuditReport:
    pytest.importorskip("torch", reason="the extra deep is not installed")
    return audit(small(name), BUDGET, runs=runs, seed=0)


def a_sixteenth(drawn: Callable[..., object]) -> Callable[..., object]:
    """Return the drawing of noise, with a sixteenth of its scale."""
    return lambda scale, *others: drawn(scale / 16, *others)


@pytest.mark.parametrize("name", ["dpgan", "pategan"])
def test_a_network_passes_its_audit_in_every_stage(name: str) -> None:
    report = audited(name, RUNS // 2)
    assert report.passed
    assert len(report.stages) == 2 + any(stage.endswith(LOW_BITS) for stage in report.stages)
    assert any(stage.endswith(LOW_BITS) for stage in report.stages) == (name == "dpgan")


def test_votes_keep_to_their_curve_and_with_too_little_noise_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert votes_tested().passed
    drawn = a_sixteenth(pate.rounded_gaussian)
    monkeypatch.setattr(pate, "rounded_gaussian", drawn)
    assert not votes_tested().passed


def test_gradients_with_too_little_noise_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the extra deep is not installed")
    from dp_synth.mechanisms import dp_sgd

    drawn = a_sixteenth(dp_sgd.rounded_gaussian)
    monkeypatch.setattr(dp_sgd, "rounded_gaussian", drawn)
    assert any("steps" in name for name in audited("dpgan").violations)


def in_floating_point(step: Callable[..., list]) -> Callable[..., list]:  # type: ignore[type-arg]
    """Return a step with noise of the right scale, added in single precision."""
    import torch

    def with_float_noise(gradients, sums):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(int.from_bytes(gradients._bits(8), "little"))
        noisy = []
        for total in sums:
            start = total.times(1.0).float()
            drawn = rng.normal(0.0, gradients._multiplier, tuple(start.shape))
            noisy.append(Released(start + torch.from_numpy(drawn).float()))
        return noisy

    def floating(gradients, network, loss):  # type: ignore[no-untyped-def]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(gradients), "_with_noise", with_float_noise)
            return step(gradients, network, loss)

    return floating


class Released:
    """A noisy sum in floating point, where a whole one is expected."""

    def __init__(self, values) -> None:  # type: ignore[no-untyped-def]
        self._values = values

    def times(self, clip: float):  # type: ignore[no-untyped-def]
        return self._values.double() * clip


def test_low_bits_of_a_sum_are_found_where_noise_is_in_floating_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The right noise: no log-likelihood ratio of the numbers that are meant finds it."""
    pytest.importorskip("torch", reason="the extra deep is not installed")
    from dp_synth.mechanisms.dp_sgd import SampledGradients

    step = in_floating_point(SampledGradients.step)
    monkeypatch.setattr(SampledGradients, "step", step)
    report = audit(small("dpgan"), OF_VOTES, runs=RUNS, seed=0)
    assert [name for name in report.violations if name.endswith(LOW_BITS)]
    assert all(name.endswith(LOW_BITS) for name in report.violations)


def test_what_noise_leads_to_in_floating_point_is_told_from_what_it_does_not() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(0, 1, 4000).astype(np.float32)
    noise = rng.normal(0, 3, 4000).astype(np.float32)
    assert reached(start + noise, start).all()
    assert 0.5 < reached(noise, start).mean() < 0.95
    near = np.arange(-(2**12), 2**12, dtype=np.float32)  # all sums, by trying every noise
    for begin in np.float32([1.0, 2**-12, 3.7]):
        sums = set((begin + near * np.float32(2**-13)).tolist())
        assert reached(np.float32(sorted(sums)), np.full(len(sums), begin)).all()
