import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget, Selections
from dp_synth.audit import (
    NeighbouringTables,
    area_test,
    audit,
    auditor,
    ceiling,
    contrast,
    of_table,
    search_design,
    worst_case,
)
from dp_synth.audit.auditor import stages_of
from dp_synth.audit.likelihood_ratio import ComparedRun, LikelihoodRatios, compare
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms import Distances, exponential, gaussian
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema import Schema
from dp_synth.synthesizers import (
    AIM,
    MST,
    MWEM,
    CliqueTree,
    Independent,
    PrivBayes,
    PublishedMST,
)
from dp_synth.unit_weights import UnitWeights

BUDGET = PrivacyBudget(4.0, 1e-5)
SMALL = worst_case(columns=2)
EVERY = [
    MST(),
    PublishedMST(),
    CliqueTree(),
    Independent(),
    AIM(rounds=1, all_gaussian=True),
    PrivBayes(degree=1),
    MWEM(rounds=1),
]
NULL_LEVEL = 1e-6  # so that a test of a correct mechanism fails once in a million


def shrink_gaussian_noise(monkeypatch, by=2):
    exact = gaussian.rounded_gaussian
    monkeypatch.setattr(
        gaussian, "rounded_gaussian", lambda stddev, shape, bits: exact(stddev / by, shape, bits)
    )


@pytest.mark.parametrize("synthesizer", EVERY, ids=lambda one: one.name)
def test_a_correct_synthesizer_passes(synthesizer):
    report = audit(synthesizer, BUDGET, design=SMALL, runs=40, level=NULL_LEVEL, seed=0)
    assert report.passed
    assert not report.violations
    assert report.claimed_epsilon <= BUDGET.epsilon
    assert report.total.permitted <= 0.8
    assert all(stage.permitted <= report.total.permitted + 1e-9 for stage in report.stages.values())


@pytest.mark.parametrize(
    ("synthesizer", "columns", "stage"),
    [
        (MST(), 2, "answers: one-way marginals"),
        (PublishedMST(), 2, "ones: one-way marginals"),
        (CliqueTree(), 2, "answers: one-way marginals"),
        (Independent(), 2, "ones: one-way marginals"),
        (AIM(rounds=1, all_gaussian=True), 1, "ones: one-way marginals"),
        (PrivBayes(), 1, "tables: an attribute with its parents"),
        (MWEM(rounds=1), 1, "answer 1: the marginal that fitted worst"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_noise_much_smaller_than_charged_is_caught_by_its_stage_and_by_the_total(
    synthesizer, columns, stage, monkeypatch
):
    # Half of what MWEM pays goes to choices, of which a lone column leaves nothing to tell; a third
    # of what MST pays as published, whose total is seen in three of four audits at half the noise.
    published = isinstance(synthesizer, PublishedMST)
    by = 4 if isinstance(synthesizer, MWEM) else 3 if published else 2
    shrink_gaussian_noise(monkeypatch, by=by)
    budget, design = PrivacyBudget(10.0, 1e-5), worst_case(columns=columns)
    report = audit(synthesizer, budget, design=design, runs=150, level=0.2, seed=1)
    assert {"total", stage} <= set(report.violations)
    assert report.total.p_value < report.total.level
    assert report.total.low > report.total.permitted


def test_a_claim_without_delta_is_audited(monkeypatch):
    budget, exact = PrivacyBudget(6.0, 0.0), gaussian.laplace_noise
    report = audit(MST(), budget, design=SMALL, runs=40, level=NULL_LEVEL, seed=0)
    assert report.passed
    assert [bound.method for bound in report.bounds] == ["clopper_pearson"]
    monkeypatch.setattr(
        gaussian,
        "laplace_noise",
        lambda event, shape, bits: exact(
            replace(event, noise_multiplier=event.noise_multiplier / 3), shape, bits
        ),
    )
    report = audit(MST(), budget, design=SMALL, runs=150, level=0.2, seed=1)
    assert "answers: a first look" in report.violations


def choices(inside, runs):
    """Return runs of one choice whose two candidates the target moves apart as far as can be."""
    domain, rng = Domain(("a", "b"), (2, 2)), np.random.default_rng(int(inside))
    fewer, more = (np.array(codes, dtype=np.int32) for codes in ([[0, 0]], [[0, 0], [1, 1]]))
    here, there = (more, fewer) if inside else (fewer, more)
    # One candidate fits the table without the target, the other the one with it.
    expected = {("a",): np.array([1.0, 0.0]), ("b",): np.array([1.0, 1.0])}
    accountant = Accountant(BUDGET, simulate=True)
    piece = accountant.admit("choice", Plan({"one": Selections(1)}), randomness="seeded")
    found = []
    for _ in range(runs):
        payer = accountant.repeat(piece)
        ratios = LikelihoodRatios(PrivateTable(there, domain, payer))
        table = PrivateTable(here, domain, payer, auditor=ratios)
        distances = Distances(table, expected.__getitem__)
        exponential.select(distances, list(expected), piece.plan.selections("one"), rng)
        found.append(ComparedRun(tuple(ratios.comparisons), payer.accountant.ledger))
    return found


def test_choices_of_too_wide_a_range_are_caught_by_their_stage(monkeypatch):
    (stage,) = stages_of(choices(True, 300), choices(False, 300))
    coins = np.random.default_rng(0)
    correct = area_test(stage.worlds, stage.claim, 1e-5, level=NULL_LEVEL, rng=coins)
    assert correct.passed
    assert correct.area == pytest.approx(correct.permitted, abs=5 / np.sqrt(300))
    exact = exponential.exact_choice
    monkeypatch.setattr(exponential, "exact_choice", lambda odds, bits: exact(2 * odds, bits))
    (stage,) = stages_of(choices(True, 300), choices(False, 300))
    assert not area_test(stage.worlds, stage.claim, 1e-5, rng=coins).passed


@pytest.mark.parametrize("published", [False, True])
def test_at_epsilon_10_the_white_box_reaches_most_of_the_ledger(published):
    recipe, budget = (PublishedMST if published else MST)(), PrivacyBudget(10.0, 1e-5)
    design = contrast() if published else worst_case()
    report = audit(recipe, budget, design=design, runs=250, level=0.2, seed=0)
    assert report.passed
    assert report.total.epsilon_if_curve > 0.7 * report.claimed_epsilon


def test_neighbours_in_the_values_of_one_record_are_audited_as_such(monkeypatch):
    budget = replace(BUDGET, adjacency="replace_one")
    report = audit(MST(), budget, runs=150, level=NULL_LEVEL, seed=0)
    assert report.passed
    assert report.total.area > 0.6
    shrink_gaussian_noise(monkeypatch)
    assert not audit(MST(), budget, runs=150, level=0.2, seed=0).passed


def test_noise_for_the_wrong_adjacency_is_caught(monkeypatch):
    # Sensitivities of add_remove under replace_one: the noise is too small by sqrt(2).
    monkeypatch.setattr(gaussian, "marginal_sensitivity", lambda adjacency, max_rows: 1.0)
    budget = PrivacyBudget(10.0, 1e-5, adjacency="replace_one")
    report = audit(Independent(), budget, runs=300, level=0.2, seed=0)
    assert "total" in report.violations
    assert report.total.noise_factor < 1
    assert report.total.epsilon_if_curve > report.claimed_epsilon
    assert "VIOLATED: total" in str(report)


def test_a_design_of_another_adjacency_is_refused():
    with pytest.raises(InputError, match="are replace_one neighbours, the budget says add_remove"):
        audit(MST(), BUDGET, design=worst_case("replace_one"))


def test_the_report_is_plain_values_and_says_all_that_was_decided():
    report = audit(Independent(), BUDGET, design=SMALL, runs=60, seed=0)
    fields = json.loads(json.dumps(report.to_dict()))
    promised = {"claimed_epsilon", "delta", "bounds", "ceiling", "noise_factor", "passed"}
    assert promised <= set(fields)
    assert fields["bounds"].keys() == fields["holds_for"].keys()
    assert "area_if_curve" in fields["bounds"]
    assert "epsilon_lower_bound" not in fields["bounds"]
    assert fields["ceiling"] == pytest.approx(ceiling(40, 0.05 / 4))
    assert fields["stages"]["ones: one-way marginals"]["method"] == "pairs"
    levels = [stage.level for stage in report.stages.values()]
    parts = report.total.level + report.bounds[0].level + sum(levels)
    assert parts == pytest.approx(report.level)


def test_the_same_seed_gives_the_same_audit_and_another_seed_another():
    first, second, third = (audit(MST(), BUDGET, design=SMALL, runs=30, seed=s) for s in (0, 0, 1))
    assert first == second
    assert first.total.area != third.total.area


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_a_level_must_be_a_chance(level):
    with pytest.raises(InputError, match=r"level must lie in \(0, 1\)"):
        audit(MST(), BUDGET, level=level)


def test_too_few_runs_for_the_level_are_refused_and_the_ceiling_is_said():
    with pytest.raises(InputError, match="10 runs a world can prove nothing at level"):
        audit(MST(), BUDGET, runs=10)
    assert audit(Independent(), BUDGET, design=SMALL, runs=13, seed=0).ceiling > 0


def test_synthesizers_whose_answers_are_not_compared_are_refused(monkeypatch):
    monkeypatch.setattr(auditor, "COMPARED", (Gaussians,))
    with pytest.raises(InputError, match="mst cannot be audited: answers of its part 'answers'"):
        audit(MST(), BUDGET)


UNITS = PrivacyBudget(1.0, 1e-5, unit="person", max_rows=6)


def test_a_design_of_records_does_not_audit_units_nor_the_other_way_round():
    with pytest.raises(InputError, match="differ in all records of one record, the budget prot"):
        audit(MST(), UNITS, design=SMALL)
    with pytest.raises(InputError, match="one person, the budget protects one record"):
        audit(MST(), BUDGET, design=worst_case(unit="person", rows=2))
    with pytest.raises(InputError, match="differ in the records of one person"):
        NeighbouringTables(
            "two",
            SMALL.schema,
            *(
                worst_case(unit="person", rows=rows).inside.assign(person=range(2 + rows))
                for rows in (3, 1)
            ),
            "person",
        )
    with pytest.raises(InputError, match="rows of the target are 1"):
        worst_case(rows=2)


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("rows", [1, 4, 6, 9])
def test_a_unit_is_protected_however_many_rows_it_has(adjacency, rows):
    design = worst_case(adjacency, unit="person", rows=rows)
    assert design.adjacency == adjacency
    budget = replace(UNITS, adjacency=adjacency)
    for recipe in (Independent(), CliqueTree()):
        report = audit(recipe, budget, design=design, runs=400, level=1e-4, seed=rows)
        assert report.passed, str(report)


@pytest.mark.parametrize("rows", [3, 6])
def test_weights_by_which_a_unit_adds_too_much_are_refuted(rows, monkeypatch):
    design = worst_case(unit="person", rows=rows)
    each = property(lambda own: np.full(len(own.largest), float(own.max_rows)))
    monkeypatch.setattr(UnitWeights, "weights", each)
    report = audit(Independent(), UNITS, design=design, runs=400, level=1e-4, seed=0)
    assert not report.passed


def test_a_stage_that_some_runs_lack_is_held_against_those_that_have_it():
    tables = (SMALL.inside, SMALL.outside)
    inside = compare(Independent(), tables, SMALL.schema, BUDGET, runs=4, seed=0)
    outside = compare(Independent(), tables[::-1], SMALL.schema, BUDGET, runs=4, seed=1)
    (expected,) = stages_of(inside, outside)
    without = [ComparedRun((), replace(run.ledger, entries=())) for run in inside[:2]]
    (stage,) = stages_of([*without, *inside[2:]], outside)
    assert stage.claim == expected.claim
    assert stage.claim.mu > 0.5
    assert len(stage.worlds) == 4


def test_stage_scores_follow_their_own_gaussian_law_in_both_worlds():
    recipe, budget = Independent(), PrivacyBudget(10.0, 1e-5)
    tables, runs = (SMALL.inside, SMALL.outside), 300
    inside = compare(recipe, tables, SMALL.schema, budget, runs=runs, seed=0)
    outside = compare(recipe, tables[::-1], SMALL.schema, budget, runs=runs, seed=1)
    (stage,) = stages_of(inside, outside)
    mu = stage.claim.mu
    for scores, mean in ((stage.worlds.inside, mu**2 / 2), (stage.worlds.outside, -(mu**2) / 2)):
        assert abs(scores.mean() - mean) < 5 * mu / np.sqrt(runs)
        assert scores.std() == pytest.approx(mu, rel=5 / np.sqrt(2 * runs))


def test_a_search_finds_the_tables_on_which_choices_tell():
    recipe, budget = PublishedMST(), PrivacyBudget(10.0, 1e-5)
    blunt = worst_case(columns=1)
    found = search_design(recipe, budget, designs=[blunt, contrast()], runs=100, seed=0)
    assert found.name == contrast().name
    with pytest.raises(InputError, match="needs a design and two runs"):
        search_design(recipe, budget, designs=[])
    with pytest.raises(InputError, match="replace_one neighbours"):
        search_design(recipe, budget, designs=[worst_case("replace_one")])


def test_made_designs_are_the_neighbours_that_they_say():
    for adjacency in ("add_remove", "replace_one"):
        for design in (worst_case(adjacency), contrast(adjacency), contrast(adjacency, columns=5)):
            assert design.adjacency == adjacency
    target = worst_case().inside.iloc[-1]
    assert all(worst_case("replace_one").outside.iloc[-1] != target)
    for make in (lambda: worst_case(categories=2), lambda: contrast(columns=1)):
        with pytest.raises(InputError, match="needs"):
            make()


def test_an_own_table_is_audited_with_and_without_its_oddest_record():
    fields = [{"name": n, "type": "categorical", "categories": ["x", "y"]} for n in "ab"]
    schema = Schema.from_dict({"name": "own", "columns": fields})
    frame = pd.DataFrame({"a": list("xxxxxxxy"), "b": list("xxxxxxxy"), "other": range(8)})
    design = of_table(frame, schema)
    assert design.name == "table(row 7)"
    assert len(design.outside) == 7
    replaced = of_table(frame, schema, "replace_one", seed=1)
    assert replaced.adjacency == "replace_one"
    assert (replaced.outside["a"] == "x").all()
    assert of_table(frame, schema, target=0).outside["other"].tolist() == list(range(1, 8))
    assert audit(Independent(), BUDGET, design=design, runs=30, seed=0).design == design.name
    with pytest.raises(InputError, match="from 0 to 7, got 8"):
        of_table(frame, schema, target=8)
    with pytest.raises(InputError, match="none differs"):
        of_table(frame.head(3), schema, "replace_one")
    with pytest.raises(InputError, match="must differ in one record"):
        NeighbouringTables("none", schema, frame, frame.head(3))
