"""Networks whose steps draw units whole: fitted, charged, kept in a checkpoint, said in a card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import ADJACENCIES, Accountant, Adjacency, PrivacyBudget
from dp_synth.accounting.events import Gaussian, SampledGaussian
from dp_synth.checkpoint import Checkpoint
from dp_synth.errors import InputError
from dp_synth.progress import Progress, watching_training
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import DPCTGAN, DPGAN

pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd

SCHEMA = Schema.from_dict(
    {
        "name": "visits",
        "columns": [
            {"name": "ward", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "night", "type": "categorical", "categories": ["no", "yes"]},
        ],
    }
)
SMALL = {"steps": 6, "fakes": 8, "critic_width": 4, "generator_width": 4, "components": 8}


def visits(units: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(units), rng.integers(1, 9, units))
    ward = rng.choice(["a", "b", "c"], len(people))
    night = rng.choice(["no", "yes"], len(people))
    return pd.DataFrame({"person": people.astype(str), "ward": ward, "night": night})


def budget(adjacency: Adjacency = "add_remove", max_rows: int = 4) -> PrivacyBudget:
    return PrivacyBudget(2.0, 1e-6, adjacency, "person", max_rows)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("kind", [DPGAN, DPCTGAN])
def test_a_fit_charges_units_as_single_records_and_their_number_beside(
    kind: type[DPGAN] | type[DPCTGAN], adjacency: Adjacency
) -> None:
    release = kind(**SMALL, sampled="units").fit(visits(), SCHEMA, budget(adjacency), seed=0)
    events = [entry.event for entry in release.ledger.charges]
    steps = [event for event in events if isinstance(event, SampledGaussian)]
    assert {(one.rows, one.by_unit) for one in steps} == {(1, True)}
    assert {one.replaced for one in steps} == {adjacency == "replace_one"}
    gaussians = [e for e in release.ledger.charges if isinstance(e.event, Gaussian)]
    assert [one.count for one in gaussians] == [2, 1]  # two columns, the number of units
    assert 0.99 * 2.0 <= release.epsilon <= 2.0
    assert set(release.sample(9, seed=0)) == {"ward", "night"}


def test_noise_of_units_does_not_grow_with_their_rows() -> None:
    def noise(sampled: str, most: int) -> float:
        release = DPGAN(**SMALL, sampled=sampled).fit(
            visits(), SCHEMA, budget(max_rows=most), seed=0
        )
        (step,) = {e.event for e in release.ledger.charges if isinstance(e.event, SampledGaussian)}
        return step.noise_multiplier

    assert noise("units", 4) == pytest.approx(noise("units", 8), rel=0.01)
    assert noise("records", 8) > 1.3 * noise("records", 4) > 1.3 * noise("units", 4)


def test_units_of_one_record_are_drawn_as_records_are() -> None:
    release = DPGAN(**SMALL, sampled="units").fit(visits(), SCHEMA, budget(max_rows=1), seed=0)
    assert not any(getattr(entry.event, "by_unit", False) for entry in release.ledger.charges)


def test_other_ways_to_draw_are_refused_before_anything_is_charged() -> None:
    with pytest.raises(InputError, match="sampled"):
        DPGAN(sampled="people")


def test_no_units_or_an_empty_table_take_the_same_path() -> None:
    for frame in (visits().iloc[:0], visits().iloc[:1]):
        release = DPGAN(**SMALL, sampled="units").fit(frame, SCHEMA, budget(), seed=0)
        assert len(release.sample(3, seed=0)) == 3


def test_the_ledger_says_that_units_are_drawn(tmp_path: Path) -> None:
    accountant = Accountant(budget(), ledger=tmp_path / "one.ledger")
    DPGAN(**SMALL, sampled="units").fit(visits(), SCHEMA, accountant, seed=0)
    assert '"by_unit": true' in (tmp_path / "one.ledger").read_text().replace('":true', '": true')
    assert "by_unit True" in str(accountant.ledger)


def test_a_fit_that_was_stopped_does_not_pay_for_the_number_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dp_sgd, "CHARGED_AT_ONCE", 2)
    recipe, data = DPGAN(**SMALL, sampled="units"), visits()

    def fitted() -> Release:
        accountant = Accountant(budget(), ledger=tmp_path / "one.ledger")
        place = Checkpoint(tmp_path / "kept.npz", 0.0)
        return recipe.fit(data, SCHEMA, accountant, seed=3, checkpoint=place)

    class Stopped(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step >= 4:
            raise Stopped

    with watching_training(stop), pytest.raises(Stopped):
        fitted()
    release, whole = fitted(), recipe.fit(data, SCHEMA, budget(), seed=3)
    assert [entry.part for entry in release.ledger.charges].count("units") == 1
    ours, theirs = release.model.to_arrays(), whole.model.to_arrays()
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
