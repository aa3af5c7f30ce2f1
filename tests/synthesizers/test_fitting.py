"""The order of a fit: afford it, read and encode, reserve, then charge before each answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_settings import small

from dp_synth.accounting import Accountant, PrivacyBudget, SubAccountant, read_ledger
from dp_synth.accounting import accountant as accountants
from dp_synth.audit.likelihood_ratio import compare
from dp_synth.errors import BudgetExceeded, CheckpointError, InputError, UnsupportedEvent
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, SYNTHESIZERS, Independent, Synthesizer, fit_jointly, fitting

BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "integer", "lower": 0, "upper": 5},
            {"name": "b", "type": "categorical", "categories": ["x", "y", "z"]},
        ],
    }
)
ABSENT = "absent.csv"  # whoever opens it says that it cannot be read
REFUSALS = (InputError, UnsupportedEvent)


def made_frame(records: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.integers(0, 6, records), "b": rng.choice(list("xyz"), records)})


def spent_planned() -> Accountant:
    accountant = Accountant(BUDGET)
    Independent().fit(made_frame(), SCHEMA, accountant, seed=0)
    return accountant


def spent_turns() -> Accountant:
    accountant = Accountant(BUDGET, planned=[(Independent(), 1.0)])
    Independent().fit(made_frame(), SCHEMA, accountant, seed=0)
    return accountant


def spent_filter() -> Accountant:
    accountant = Accountant(BUDGET, adaptive=True)
    Independent().fit(made_frame(), SCHEMA, accountant, seed=0)
    return accountant


def spent_portion() -> SubAccountant:
    root = Accountant(BUDGET, adaptive=True)
    portion = root.portion(0.5)
    Independent().fit(made_frame(), SCHEMA, root, seed=0)
    return portion


SPENT = [spent_planned, spent_turns, spent_filter, spent_portion]


@pytest.mark.parametrize("spent", SPENT, ids=lambda spent: spent.__name__)
def test_a_fit_that_cannot_be_paid_reads_no_record_and_opens_no_file(
    spent: Callable[[], Accountant | SubAccountant], monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = spent()
    root = payer.root if isinstance(payer, SubAccountant) else payer
    before = root.ledger
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        Independent().fit(ABSENT, SCHEMA, payer)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        Independent().check_budget(SCHEMA, payer)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        fit_jointly({MST(): 1, Independent(): 2}, ABSENT, SCHEMA, payer)
    assert root.ledger == before


PAIRS = PrivacyBudget(1.0, 1e-6, unit="person", max_rows=2)
UNPAYABLE = [
    ("independent", PrivacyBudget(1e-13, 1e-14), "too small"),
    ("independent", PrivacyBudget(float("inf"), 1e-6), "no guarantee is wanted"),
    ("dpgan", PrivacyBudget(1.0, 1e-6, unit="person", max_rows=201), "units of at most 200"),
    ("pategan", PAIRS, "units of one record only"),
    ("patectgan", PAIRS, "units of one record only"),
]


@pytest.mark.parametrize(("name", "budget", "said"), UNPAYABLE)
def test_a_budget_of_the_wrong_kind_is_refused_before_the_table_is_opened_or_a_ledger_written(
    name: str, budget: PrivacyBudget, said: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with pytest.raises(REFUSALS, match=said):
        small(name).fit(ABSENT, SCHEMA, Accountant(budget, ledger=ledger))
    with pytest.raises(REFUSALS, match=said):
        small(name).check_budget(SCHEMA, Accountant(budget, ledger=ledger))
    for simulate in (small(name).release_only, small(name).select_only):
        with pytest.raises(REFUSALS, match=said):
            simulate(ABSENT, SCHEMA, budget)
    with pytest.raises(REFUSALS, match=said):
        compare(small(name), (ABSENT, ABSENT), SCHEMA, budget)
    assert not ledger.exists()


def test_a_checkpoint_of_another_fit_is_refused_before_the_table_is_opened(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra deep is not installed")
    place = tmp_path / "kept.npz"
    place.write_bytes(b"none")
    accountant = Accountant(BUDGET, ledger=tmp_path / "ledger.jsonl")
    with pytest.raises(CheckpointError):
        small("dpgan").fit(ABSENT, SCHEMA, accountant, checkpoint=place)
    with pytest.raises(InputError, match="keeps no checkpoints"):
        Independent().fit(ABSENT, SCHEMA, accountant, checkpoint=place)
    with pytest.raises(InputError, match="needs a ledger on disk"):
        small("dpgan").fit(ABSENT, SCHEMA, BUDGET, checkpoint=place)


def planned(path: Path) -> Accountant:
    return Accountant(BUDGET, ledger=path)


def turns(path: Path) -> Accountant:
    return Accountant(BUDGET, ledger=path, planned=[(Independent(), 0.5), (Independent(), 1.0)])


def adaptive(path: Path) -> Accountant:
    return Accountant(BUDGET, ledger=path, adaptive="gdp")


def portion(path: Path) -> SubAccountant:
    return adaptive(path).portion(0.5)


@pytest.mark.parametrize("opened", [planned, turns, adaptive, portion], ids=lambda o: o.__name__)
def test_a_table_that_does_not_fit_spends_nothing_and_the_payer_pays_for_the_next(
    opened: Callable[[Path], Accountant | SubAccountant], tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    payer = opened(path)
    for wrong in (made_frame().drop(columns="b"), ABSENT):
        with pytest.raises(InputError):
            Independent().fit(wrong, SCHEMA, payer)
        assert not path.exists()
    assert len(Independent().fit(made_frame(), SCHEMA, payer, seed=0).sample(5, seed=0)) == 5


@pytest.mark.parametrize("name", list(SYNTHESIZERS))
def test_affording_comes_before_reading_reading_before_reserving_and_charges_before_answers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesizer, ledger = small(name), tmp_path / "ledger.jsonl"
    happened: list[str] = []

    def told(owner: object, method: str, what: str) -> None:
        original = getattr(owner, method)

        def telling(*arguments: object, **options: object) -> object:
            happened.append(what)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, method, telling)

    told(accountants.Accountant, "check", "afford")
    told(fitting, "records_of", "read")
    told(accountants, "reservations", "reserve")
    told(accountants.Accountant, "_record", "charge")
    told(PrivateTable, "exact_marginals", "answer")
    told(PrivateTable, "exact_records", "answer")
    synthesizer.fit(made_frame(), SCHEMA, Accountant(BUDGET, ledger=ledger), seed=0)
    assert happened[:5] == ["afford", "read", "reserve", "charge", "answer"]
    assert set(happened[5:]) <= {"charge", "answer"}
    kinds = [entry.kind for entry in read_ledger(ledger).entries]
    assert kinds == sorted(kinds, reverse=True)  # reservations, then charges


def test_checking_a_budget_writes_nothing_and_reserves_nothing(tmp_path: Path) -> None:
    for opened in (planned, turns, adaptive, portion):
        payer = opened(tmp_path / "ledger.jsonl")
        for _ in range(2):
            Independent().check_budget(SCHEMA, payer)
    assert not list(tmp_path.iterdir())


def test_recipes_out_of_their_turn_are_refused_as_a_whole(tmp_path: Path) -> None:
    first, second = Independent(), MST()
    accountant = Accountant(BUDGET, planned=[(first, 0.5), (second, 1.0)])
    with pytest.raises(BudgetExceeded, match="not what was planned"):
        fit_jointly({first: 1, replace(second, coarseness=1.0): 1}, ABSENT, SCHEMA, accountant)
    both: dict[Synthesizer, float] = {first: 1, second: 1}
    assert set(fit_jointly(both, made_frame(), SCHEMA, accountant, seed=0)) == {first, second}


@pytest.mark.parametrize("wrong", [1.0, None, "1", (1.0, 1e-6)])
def test_a_budget_that_is_none_is_named_before_the_table_is_opened(wrong: object) -> None:
    with pytest.raises(InputError, match="the budget must be a PrivacyBudget, an Accountant or a"):
        Independent().fit(ABSENT, SCHEMA, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-1, 1.5, "0"])
def test_a_seed_that_is_none_is_named_before_the_table_is_opened(wrong: object) -> None:
    with pytest.raises(InputError, match="seed must be a whole number from 0 or None, got"):
        Independent().fit(ABSENT, SCHEMA, BUDGET, seed=wrong)  # type: ignore[arg-type]
