"""Charges are added up against reservations, event by event: what nobody reserved is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.accounting import (
    Accountant,
    Filtered,
    FilteredGaussian,
    Gaussian,
    Gaussians,
    Ledger,
    Plan,
    PrivacyBudget,
    Reservation,
    Selection,
    read_ledger,
)
from dp_synth.accounting.events import NoisyVote, SampledGaussian, ZeroConcentrated
from dp_synth.accounting.ledger import Entry, uncovered
from dp_synth.accounting.ledger_file import LedgerFile
from dp_synth.cli import main
from dp_synth.errors import BudgetExceeded, InputError, LedgerError
from dp_synth.release import Release
from dp_synth.report.card import data_card
from dp_synth.report.gate import Policy, judge
from dp_synth.schema import Schema

BUDGET = PrivacyBudget(1.0, 1e-5)
SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [{"name": n, "type": "categorical", "categories": ["x", "y"]} for n in "ab"],
    }
)
FRAME = pd.DataFrame({"a": ["x", "y"] * 20, "b": ["y", "y"] * 20})
RELEASE = dps.PublishedMST().fit(FRAME, SCHEMA, BUDGET)
ONES = next(one for one in RELEASE.ledger.charges if one.part == "ones")

Spoil = Callable[[tuple[Entry, ...]], tuple[Entry, ...]]
SPOILS: dict[str, Spoil] = {
    "counts exceed": lambda entries: (*entries, ONES),
    "dearer": lambda entries: tuple(
        replace(one, event=Gaussian(0.037, 1.0)) if one == ONES else one for one in entries
    ),
    "another kind": lambda entries: (*entries, replace(ONES, event=Selection(3.0))),
    "another part": lambda entries: (*entries, replace(ONES, part="more")),
    "another plan": lambda entries: (*entries, replace(ONES, recipe="aim")),
    "before its reservation": lambda entries: tuple(
        sorted(entries, key=lambda entry: entry.kind != "charge")
    ),
}


def spoilt(name: str) -> Ledger:
    ledger = RELEASE.ledger
    return replace(ledger, entries=SPOILS[name](ledger.entries), head="")


@pytest.mark.parametrize("name", SPOILS)
def test_a_sealed_ledger_that_charges_what_nobody_reserved_is_refused_by_its_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, path = spoilt(name), tmp_path / "l.jsonl"
    LedgerFile(path, Ledger(BUDGET)).append(ledger.entries)
    place = next(iter(uncovered(ledger.entries)))[0]
    for command in (["verify"], ["show"], ["show", "--head"], ["export", "--out", "-"]):
        assert main(["ledger", command[0], str(path), *command[1:]]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert f"{path}, line {place + 2}: was charged and not reserved" in said.err
        assert said.err.count("\n") == 1
    with pytest.raises(LedgerError, match="nothing is certified"):
        Accountant(BUDGET, ledger=path)


@pytest.mark.parametrize("name", SPOILS)
def test_a_release_with_such_a_ledger_cannot_be_saved_or_loaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="was charged and not reserved"):
        Ledger.from_fields(json.loads(json.dumps(spoilt(name).to_fields())))
    path = tmp_path / "r.npz"
    with pytest.raises(InputError, match="was charged and not reserved"):
        replace(RELEASE, ledger=spoilt(name)).save(path)
    assert not path.exists()
    RELEASE.save(path)
    with np.load(path) as arrays:
        kept = {key: arrays[key] for key in arrays.files}
    header = json.loads(str(kept.pop("header")))
    header["ledger"] = spoilt(name).to_fields()
    np.savez(path, header=np.array(json.dumps(header)), **kept)
    with pytest.raises(InputError, match="was charged and not reserved"):
        Release.load(path)


@pytest.mark.parametrize("name", SPOILS)
def test_in_memory_such_a_ledger_states_nothing_and_its_card_does_not_pass(name: str) -> None:
    ledger = spoilt(name)
    assert math.isinf(ledger.epsilon)
    assert ledger.curve.largest_auc() == 1
    assert ledger.statement().startswith("Nothing is certified of the releases")
    assert "more was charged than was reserved" in ledger.summary()[-1]
    card = data_card(replace(RELEASE, ledger=ledger))
    assert card.publishable.promise.epsilon is None
    verdict = judge(card, Policy(epsilon_at_most=1.0))
    assert not verdict.passed


def test_the_ledgers_of_all_kinds_of_fits_add_up(tmp_path: Path) -> None:
    recipes: list[dps.synthesizers.Synthesizer] = [
        dps.MST(),
        dps.PublishedMST(),
        dps.AIM(),
        dps.Independent(),
    ]
    shared = Accountant(PrivacyBudget(9, 1e-5), adaptive=True, ledger=tmp_path / "l.jsonl")
    for recipe in (*recipes, *recipes):
        recipe.fit(FRAME, SCHEMA, shared.portion(0.3))
    assert read_ledger(tmp_path / "l.jsonl").uncovered == ""
    jointly = Accountant(BUDGET)
    releases = dps.fit_jointly(dict.fromkeys(recipes, 1.0), FRAME, SCHEMA, jointly)
    for release in releases.values():
        assert Ledger.from_fields(release.ledger.to_fields()).epsilon <= 1


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_second_slice_cannot_charge_a_reservation_again(
    adaptive: bool, on_disk: bool, tmp_path: Path
) -> None:
    ledger = tmp_path / "l.jsonl" if on_disk else None
    accountant = Accountant(BUDGET, adaptive=adaptive, ledger=ledger)
    part = {"ones": Gaussians(4), "rest": Filtered()}
    piece = accountant.admit("mine", Plan(part))
    again = Reservation(accountant, "mine", piece.plan, "os")
    ones, rest = piece.plan.gaussians("ones"), piece.plan.filtered("rest")
    piece.charge(ones, ones.event(), 3, why="first")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        again.charge(ones, ones.event(), 2, why="twice")
    again.charge(ones, ones.event(), 1, why="what is left")
    assert rest.amount
    paid = FilteredGaussian(rest, (0.75 * 2 * rest.amount) ** -0.5)
    piece.charge(paid, paid.event(), 1, why="three quarters")
    before = accountant.ledger
    with pytest.raises(BudgetExceeded, match="other reservations or other processes"):
        again.charge(paid, paid.event(), 1, why="twice")
    assert accountant.ledger == before
    assert accountant.ledger.uncovered == ""


def test_a_slice_of_a_plan_that_was_never_admitted_pays_for_nothing() -> None:
    accountant = Accountant(BUDGET)
    plan = Plan({"ones": Gaussians(4, noise_multiplier=0.1)})
    forged = Reservation(accountant, "mine", plan, "os")
    part = plan.gaussians("ones")
    with pytest.raises(BudgetExceeded, match="nothing is reserved for part 'ones' of 'mine'"):
        forged.charge(part, part.event(), 1, why="forged")


def entry(kind: str, event: object, count: int = 1) -> Entry:
    return Entry(kind, "mine", "part", event, count, "why", "os")  # type: ignore[arg-type]


def test_each_charge_takes_the_cheapest_reservation_that_covers_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        scales = rng.integers(2, 6, 4).astype(float)
        reserved = [entry("reservation", NoisyVote("gaussian", s, 11), 3) for s in scales]
        charges = [
            entry("charge", NoisyVote("gaussian", s, 11))
            for s in rng.permutation(np.repeat(scales, 3)) + rng.integers(0, 2, 12)
        ]
        assert not list(uncovered([*reserved, *charges]))
        assert list(uncovered([*reserved, *charges, charges[0]]))


def test_a_filter_pays_by_its_amount_in_either_currency() -> None:
    zcdp = entry("reservation", ZeroConcentrated(1.0))
    half = entry("charge", Gaussian(1.0, 1.0))  # rho of one half
    assert not list(uncovered([zcdp, half, half]))
    assert [place for place, _ in uncovered([zcdp, half, half, half])] == [3]
    gdp = entry("reservation", Gaussian(1.0, 1.0))
    quarter = entry("charge", Gaussian(2.0, 3.0))
    assert not list(uncovered([gdp, *[quarter] * 4]))
    assert list(uncovered([gdp, *[quarter] * 5]))
    assert list(uncovered([gdp, entry("charge", SampledGaussian(9.0, 0.1, 1))]))


def test_a_step_of_a_training_is_one_answer() -> None:
    reserved = entry("reservation", SampledGaussian(2.0, 0.1, 1), 100)
    fifty = entry("charge", SampledGaussian(2.0, 0.1, 1), 50)
    assert not list(uncovered([reserved, fifty, fifty]))
    assert list(uncovered([reserved, fifty, fifty, entry("charge", SampledGaussian(2.0, 0.1, 1))]))
    assert list(uncovered([reserved, entry("charge", SampledGaussian(2.0, 0.1, 101))]))
