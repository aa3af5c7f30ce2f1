"""Validation that a fit pays for: what a record can move, what is charged, what holds how often."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement, product

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

import dp_synth as dps
from dp_synth.accounting import ADJACENCIES, Accountant, Adjacency, Gaussians, Plan, PrivacyBudget
from dp_synth.audit.checks import answers_are_charged, ledger_adds_up
from dp_synth.audit.likelihood_ratio import Comparison, GaussianComparison, LikelihoodRatios
from dp_synth.domain import Domain
from dp_synth.errors import InputError, SchemaError
from dp_synth.inference import JunctionTreeModel, independent_model
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers import validation as module
from dp_synth.synthesizers.validation import Validation, model_groups, validate
from dp_synth.transcript import Measurement
from dp_synth.validation_bounds import PARTS, bounds_of

Codes = NDArray[np.int32]

TINY = Domain(("a", "b", "c"), (2, 2, 2))
DOMAIN = Domain(("age", "sex", "job"), (4, 2, 3))
RARE = 1e-6  # the chance at which a correct program fails a test


def model_of(domain: Domain, seed: int = 0, records: float = 60.0) -> JunctionTreeModel:
    """Return a public model: independent columns of uneven probabilities."""
    rng = np.random.default_rng(seed)
    chances = [rng.uniform(0.2, 1, domain.size(name)) for name in domain]
    ones = [
        Measurement((name,), records * own / own.sum(), 1.0)
        for name, own in zip(domain, chances, strict=True)
    ]
    return independent_model(domain, ones)


class Asked:
    """Asks for a validation, again and again, each time as a release of its own."""

    def __init__(self, domain: Domain, *, adjacency: Adjacency = "add_remove", rho: float = 0.5):
        self.domain, self.model = domain, model_of(domain)
        self.settings = Validation(0.5, attack=True)
        plan = self.settings.added_to(Plan({"own": Gaussians(1)}), domain).at(rho)
        self.accountant = Accountant(PrivacyBudget(1e3, 1e-6, adjacency), simulate=True)
        self.piece = self.accountant.admit("test", plan)
        self.rng = np.random.default_rng(1)

    def __call__(
        self,
        codes: Codes,
        held: Codes,
        *,
        neighbour: Codes | None = None,
        held_neighbour: Codes | None = None,
    ) -> tuple[PrivateTable, PrivateTable]:
        payer = self.accountant.repeat(self.piece)

        def auditor(beside: Codes) -> LikelihoodRatios:
            return LikelihoodRatios(PrivateTable(beside, self.domain, payer))

        first = auditor(codes if neighbour is None else neighbour)
        second = auditor(held if held_neighbour is None else held_neighbour)
        members = PrivateTable(codes, self.domain, payer, auditor=first)
        answers = members.transcript
        others = PrivateTable(held, self.domain, payer, transcript=answers, auditor=second)
        validate(self.settings, self.domain, members, others, self.model, self.rng)
        self.comparisons = first.comparisons, second.comparisons
        return members, others


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds of the attack from few rows of the model, which is quick."""
    monkeypatch.setattr(module, "DRAWN", 300)


def rows_of(records: tuple[tuple[int, ...], ...]) -> Codes:
    return np.array(records, dtype=np.int32).reshape(-1, len(TINY))


def moved(comparisons: list[Comparison]) -> dict[str, float]:
    """Return the squared distance of two tables in each part, in standard deviations."""
    found: dict[str, float] = {}
    for one in comparisons:
        assert isinstance(one, GaussianComparison)
        found[one.part] = found.get(one.part, 0.0) + one.distance**2
    return found


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_no_pair_of_small_tables_is_further_apart_than_each_part_was_charged_for(
    adjacency: Adjacency,
) -> None:
    asked, records = Asked(TINY, adjacency=adjacency), list(product(range(2), repeat=3))
    plan = asked.piece.plan
    paid = {name: plan.gaussians(name).event().rho * 2 for name in PARTS}
    counts = {name: plan.gaussians(name).count for name in PARTS}
    largest = dict.fromkeys(PARTS, 0.0)
    for size in range(2):
        for others in combinations_with_replacement(records, size):
            first, *rest = records if adjacency == "replace_one" else [None, *records]
            here = others if first is None else (*others, first)
            for record in rest:
                assert record is not None
                one, two = rows_of(here), rows_of((*others, record))
                asked(one, one, neighbour=two)
                for part, apart in moved(asked.comparisons[0]).items():
                    largest[part] = max(largest[part], apart)
                asked(one, one, held_neighbour=two)
                for part, apart in moved(asked.comparisons[1]).items():
                    largest[part] = max(largest[part], apart)
    for part in PARTS:
        assert largest[part] <= paid[part] * counts[part] * (1 + 1e-9)
    # No charge is loose: some pair is as far apart. A record replaced leaves their number alone.
    tight = PARTS if adjacency == "add_remove" else ("validation_members", "validation_holdout")
    for part in tight:
        assert largest[part] == pytest.approx(paid[part] * counts[part], rel=1e-9)


@pytest.mark.usefixtures("few_rows")
def test_what_is_charged_is_what_was_planned_and_each_answer_has_its_charge() -> None:
    asked = Asked(DOMAIN)
    codes = np.zeros((30, 3), dtype=np.int32)
    members, _ = asked(codes, codes)
    entries = members.payer.accountant.ledger.charges
    assert [(entry.part, entry.count) for entry in entries] == [
        ("validation_count", 1),
        ("validation_distances", 3),
        ("validation_members", 1),
        ("validation_holdout", 1),
    ]
    plan = members.payer.plan
    for entry, answer in zip(entries, members.transcript, strict=True):
        planned = plan.gaussians(entry.part).event()
        assert entry.event.noise_multiplier == planned.noise_multiplier  # type: ignore[union-attr]
        assert answer.stddev == entry.event.stddev  # type: ignore[union-attr]
        assert entry.sampler == "exact"


def exact_tv(codes: Codes, model: JunctionTreeModel, pair: tuple[str, ...]) -> float:
    counts = np.zeros(model.domain.shape(pair))
    np.add.at(counts, tuple(codes[:, model.domain.axis(a)] for a in pair), 1)
    chances = model.marginal(pair) / model.total
    return float(np.abs(counts / len(codes) - chances).sum() / 2)


@pytest.mark.usefixtures("few_rows")
def test_all_intervals_hold_at_once_as_often_as_they_say() -> None:
    asked, runs, missed, narrow = Asked(DOMAIN, rho=0.2), 250, 0, 0
    rng = np.random.default_rng(3)
    codes = rng.integers(0, DOMAIN.sizes, size=(300, 3), dtype=np.int32)
    codes[:100] = codes[0]
    people = rng.integers(0, DOMAIN.sizes, size=(5_000, 3), dtype=np.int32)  # the population
    true: dict[tuple[str, ...], float] = {}
    for _ in range(runs):
        held = people[rng.integers(0, len(people), 200)]
        bounds = bounds_of(asked(codes, held)[0].transcript, DOMAIN)
        assert bounds is not None
        true = true or {pair: exact_tv(codes, asked.model, pair) for pair in bounds.pairs}
        held_at_once = bounds.records.low <= len(codes) <= bounds.records.high
        held_at_once &= bounds.tv2.low <= np.mean(list(true.values())) <= bounds.tv2.high
        held_at_once &= all(own.low <= true[pair] <= own.high for pair, own in bounds.pairs.items())
        assert bounds.advantage is not None
        held_at_once &= bounds.advantage.low <= advantage(asked, codes, people)
        held_at_once &= advantage(asked, codes, people) <= bounds.advantage.high
        missed += not held_at_once
        narrow += bounds.tv2.high - bounds.tv2.low < 0.2
    assert missed <= binom.ppf(1 - RARE, runs, 0.05)
    assert narrow > runs / 2  # an interval that says nothing would always hold


_ADVANTAGE: list[float] = []


def advantage(asked: Asked, codes: Codes, people: Codes) -> float:
    """Return the attack's true advantage, of members against the whole population."""
    if not _ADVANTAGE:
        model, groups = asked.model, model_groups(asked.model, DOMAIN)
        pairs = asked.settings.cliques(DOMAIN)
        chances = {pair: module._chances(model, pair, groups) for pair in pairs}
        lifts = module.Lifts.of(chances, DOMAIN, 300.0)  # the noisy number moves it very little
        drawn = model.sample(module.DRAWN, np.random.default_rng(module.SEED))
        edges = np.quantile(lifts.scores(drawn), module.SHARES_BELOW)
        above = [(lifts.scores(rows)[:, None] > edges).mean(axis=0) for rows in (codes, people)]
        _ADVANTAGE.append(float(max(0.0, (above[0] - above[1]).max())))
    return _ADVANTAGE[0]


@pytest.mark.usefixtures("few_rows")
def test_a_verdict_is_as_likely_on_neighbours_as_its_charge_permits() -> None:
    """Private numbers flip for certain; paid ones may not, beyond the curve of their events."""
    asked, runs = Asked(DOMAIN, rho=0.05), 150
    rng = np.random.default_rng(4)
    codes = rng.integers(0, DOMAIN.sizes, size=(100, 3), dtype=np.int32)
    codes[0] = 3, 1, 2
    tables, pairs = (codes, codes[1:]), asked.settings.cliques(DOMAIN)
    private = [np.mean([exact_tv(rows, asked.model, pair) for pair in pairs]) for rows in tables]
    threshold = float(np.mean(private))
    assert (private[0] <= threshold) != (private[1] <= threshold)
    passed = []
    for rows in tables:
        found = [bounds_of(asked(rows, codes)[0].transcript, DOMAIN) for _ in range(runs)]
        values = [one.tv2.value for one in found if one is not None]
        passed.append(sum(value <= threshold for value in values))
    curve = dps.accounting.compose([*asked.piece.plan.events()])
    for one, other in (passed, reversed(passed)):
        least = binom.ppf(RARE, runs, one / runs) / runs
        most = binom.ppf(1 - RARE, runs, other / runs) / runs
        for epsilon in (0.1, 0.5, 1.0):
            assert least <= math.exp(epsilon) * most + curve.delta(epsilon)
    assert all(0 < one < runs for one in passed)  # neither table's verdict is certain


SCHEMA = dps.Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 89},
            {"name": "wage", "type": "real", "lower": 0, "upper": 100, "missing": [""]},
            {"name": "job", "type": "categorical", "categories": ["a", "b", "never"]},
        ],
    }
)
BUDGET = PrivacyBudget(1.0, 1e-6)


def people(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 90, count)
    wage = np.where(rng.random(count) < 0.2, "", (age + rng.random(count)).astype(str))
    job = np.where(age > 40, "a", "b")
    return pd.DataFrame({"age": age.astype(str), "wage": wage, "job": job}).astype(object)


def test_a_fit_spends_its_budget_on_model_and_validation_and_keeps_both(tmp_path) -> None:
    release = dps.MST().fit(
        people(500), SCHEMA, BUDGET, seed=0, validation=Validation(0.1).against(people(300, 1))
    )
    assert 0.99 <= release.epsilon <= 1.0
    bounds = release.validation
    assert bounds is not None
    assert bounds.advantage is not None
    assert set(bounds.pairs) == {("age", "wage"), ("age", "job"), ("wage", "job")}
    kept = dps.Release.load((release.save(tmp_path / "r.npz"), tmp_path / "r.npz")[1])
    assert kept.validation == bounds
    again = dps.MST().fit(
        people(500), SCHEMA, BUDGET, seed=0, validation=Validation(0.1).against(people(300, 1))
    )
    assert again.validation == bounds
    rho = {entry.part: entry.event.rho * entry.count for entry in release.ledger.reservations}  # type: ignore[operator]
    share = sum(own for part, own in rho.items() if part in PARTS) / sum(rho.values())
    assert share == pytest.approx(0.1, rel=1e-6)
    plain = dps.MST().fit(people(500), SCHEMA, BUDGET, seed=0)
    assert plain.validation is None


@pytest.mark.parametrize(
    "name",
    [
        "clique_tree",
        "aim",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mwem", "dpgan", "pategan")),
    ],
)
def test_every_kind_of_plan_has_room_for_a_validation_and_its_ledger_adds_up(name: str) -> None:
    networks = {
        "dpgan": dps.DPGAN(steps=20, rate=0.1, fakes=32, critic_width=8, generator_width=8),
        "pategan": dps.PATEGAN(votes=20, teachers=41, rounds=2, steps=20, rows=32),
    }
    recipe = networks.get(name) or dps.SYNTHESIZERS[name]()
    release = recipe.fit(
        people(200), SCHEMA, BUDGET, validation=Validation(0.1).against(people(100, 1))
    )
    assert answers_are_charged(release.ledger, release.transcript).passed
    assert ledger_adds_up(release.ledger).passed
    assert 0.99 <= release.epsilon <= 1.0
    assert release.validation is not None


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("records", [0, 1, 40])
def test_no_table_stops_a_validation(records: int, adjacency: Adjacency) -> None:
    budget = PrivacyBudget(1.0, 1e-6, adjacency)
    for held in (0, 1):
        release = dps.Independent().fit(
            people(records), SCHEMA, budget, validation=Validation(0.1).against(people(held))
        )
        bounds = release.validation
        assert bounds is not None
        for one in (bounds.tv2, bounds.worst[1], bounds.advantage):
            assert one is not None
            assert 0 <= one.low <= one.high <= 1


def test_columns_are_chosen_by_name_and_a_single_one_is_looked_at_alone() -> None:
    only = Validation(0.1, columns=("age",))
    release = dps.Independent().fit(people(50), SCHEMA, BUDGET, validation=only)
    assert release.validation is not None
    assert set(release.validation.pairs) == {("age",)}
    chosen = Validation(0.1, columns=("job", "age"))
    release = dps.Independent().fit(people(50), SCHEMA, BUDGET, validation=chosen)
    assert release.validation is not None
    assert set(release.validation.pairs) == {("job", "age")}
    wrong = Validation(0.1, columns=("agee", "job"))
    with pytest.raises(InputError, match="did you mean 'age'"):
        dps.Independent().fit(people(50), SCHEMA, BUDGET, validation=wrong)


def test_of_very_many_pairs_a_thousand_are_drawn_without_a_look_at_the_records() -> None:
    wide = Domain(tuple(map(str, range(60))), (2,) * 60)
    pairs = Validation().cliques(wide)
    assert len(pairs) == len(set(pairs)) == module.MOST_PAIRS
    assert pairs == Validation().cliques(wide)


def test_wrong_requests_spend_nothing_and_read_nothing() -> None:
    accountant = Accountant(BUDGET)
    for more in (
        {"validation": Validation(0.1, attack=True)},
        {"validation": 0.7},
        {"validation": Validation(0.1, columns=("nobody",))},
    ):
        with pytest.raises(InputError):
            dps.Independent().fit("absent.csv", SCHEMA, accountant, **more)  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="job"):
        dps.Independent().fit(
            people(9),
            SCHEMA,
            accountant,
            validation=Validation(0.1).against(people(9)[["age", "wage"]]),
        )
    assert len(accountant.ledger) == 0
    planned = Accountant(BUDGET, planned=[(dps.Independent(), 1.0)])
    with pytest.raises(InputError, match="fit jointly, or from an adaptive"):
        dps.Independent().fit(people(9), SCHEMA, planned, validation=0.1)


def test_joint_and_adaptive_budgets_pay_for_validations_as_for_all_else() -> None:
    recipes: dict[dps.Synthesizer, float] = {dps.MST(): 1, dps.Independent(): 1}
    accountant = Accountant(BUDGET)
    made = dps.fit_jointly(recipes, people(200), SCHEMA, accountant, validation=0.1)
    assert all(release.validation for release in made.values())
    assert accountant.epsilon() <= 1.0
    adaptive = Accountant(BUDGET, adaptive=True)
    first = dps.Independent().fit(people(200), SCHEMA, adaptive.portion(0.3), validation=0.2)
    second = dps.MST().fit(people(200), SCHEMA, adaptive.portion(0.3), validation=0.2)
    assert first.validation is not None
    assert second.validation is not None
    assert adaptive.epsilon() <= 1.0


def test_units_of_several_records_move_all_of_it_by_as_many() -> None:
    budget = PrivacyBudget(1.0, 1e-6, unit="who", max_rows=3)
    frame = people(3_000).assign(who=np.arange(3_000) // 5)
    held = people(200, 1).assign(who=np.arange(200) // 5)
    release = dps.Independent().fit(frame, SCHEMA, budget, validation=Validation(0.5).against(held))
    events = {entry.part: entry.event for entry in release.ledger.charges}
    assert {events[part].sensitivity for part in PARTS} == {3.0}  # type: ignore[union-attr]
    assert release.validation is not None
    assert release.validation.records.high < 3_000  # three of five records of each


def test_cells_and_categories_that_a_fit_finds_are_those_of_the_holdout_too() -> None:
    schema = dps.Schema.from_dict(
        {
            "name": "found",
            "columns": [
                {"name": "job", "type": "categorical", "categories": ["a"], "open": True},
                {"name": "wage", "type": "real", "lower": 0, "upper": 100},
            ],
        }
    )
    frame = people(2_000)[["job", "wage"]]
    held = pd.DataFrame({"job": ["a", "b", "new"] * 100, "wage": ["1", "50", "99"] * 100})
    budget = PrivacyBudget(5.0, 1e-6)
    release = dps.Independent().fit(
        frame, schema, budget, seed=0, validation=Validation(0.2).against(held)
    )
    assert "b" in release.schema.discrete("job").texts
    assert release.validation is not None
    assert release.validation.tv2.high < 0.6


def test_what_was_charged_before_a_stop_is_not_asked_again() -> None:
    asked = Asked(DOMAIN)
    payer = asked.accountant.repeat(asked.piece)
    part = payer.plan.gaussians("validation_count")
    payer.charge(part, part.event(), 1, why="number of records")
    table = PrivateTable(np.zeros((5, 3), dtype=np.int32), DOMAIN, payer)
    with pytest.warns(UserWarning, match="cannot be asked again"):
        validate(asked.settings, DOMAIN, table, table, asked.model, asked.rng)
    assert table.transcript == []
    assert table.reads == 0


def test_long_ordered_columns_are_cut_where_the_model_has_its_quantiles() -> None:
    domain = Domain(("age", "job"), (101, 30), ordered=(100, 0))
    weights = np.append(np.linspace(1, 3, 100), 5.0)
    ones = [Measurement(("age",), weights, 0.1), Measurement(("job",), np.ones(30) * 7, 0.1)]
    groups = model_groups(independent_model(domain, ones), domain)
    assert list(groups) == ["age"]
    group = groups["age"]
    assert group[-1] == group.max() == module.GROUPS  # the mark is a group of its own
    held = np.bincount(group[:-1], weights=weights[:-1])
    assert (np.diff(group) >= 0).all()
    assert held.max() < 1.5 * held.sum() / module.GROUPS
