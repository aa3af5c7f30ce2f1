"""Questions declared before a fit: what is charged, what a record moves, what intervals cover."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import dp_synth as dps
from dp_synth import estimates
from dp_synth.accounting import ADJACENCIES, Accountant, Adjacency, Gaussians, Plan, PrivacyBudget
from dp_synth.audit.checks import answers_are_charged, ledger_adds_up
from dp_synth.audit.likelihood_ratio import GaussianComparison, LikelihoodRatios
from dp_synth.errors import InputError
from dp_synth.estimates import Correlation, Count, Difference, Distribution, Mean, Question, Share
from dp_synth.estimates.corrected import PART, CorrectedAnswer
from dp_synth.inference import independent_model
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema import Schema
from dp_synth.synthesizers import Questions
from dp_synth.synthesizers import questions as module
from dp_synth.synthesizers.fitting import Request
from dp_synth.synthesizers.questions import answer_questions
from dp_synth.transcript import MarginalAnswer, Measurement, SumsAnswer

RARE = 1e-6  # the chance at which a correct program fails a test
SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "age", "type": "integer", "lower": 20, "upper": 59, "bins": 8},
            {"name": "grade", "type": "ordinal", "size": 5},
            {"name": "paid", "type": "categorical", "categories": ["no", "yes"]},
        ],
    }
)
BUDGET = PrivacyBudget(1.0, 1e-6)
ASKED: list[Question] = [
    Share({"paid": "yes"}, {"sex": "F"}),
    Mean("age", {"paid": "yes"}),
    Difference(Mean("grade"), {"sex": "M"}, {"sex": "F"}),
    Correlation("age", "grade"),
    Count({"sex": "F", "paid": "yes"}),
]


def population() -> np.ndarray:
    """Chances of all records, where every pair of columns depends a little on each other."""
    sex, age, grade, paid = np.indices(SCHEMA.domain.sizes)
    older = (age - 3.5) / 3.5
    up = 0.5 * older + 0.4 * sex
    chances = np.exp(0.3 * (grade - 2) * up) * np.where(sex, 0.55, 0.45)
    logit = -0.5 + 0.5 * older + 0.6 * sex + 0.2 * (grade - 2)
    yes = 1 / (1 + np.exp(-logit))
    chances = chances * np.where(paid, yes, 1 - yes)
    return np.asarray(chances / chances.sum())


def rows_of(count: int, seed: int) -> pd.DataFrame:
    rng, chances = np.random.default_rng(seed), population()
    cells = rng.choice(chances.size, count, p=chances.ravel())
    codes = np.array(np.unravel_index(cells, chances.shape), dtype=np.int32).T
    return SCHEMA.decode(codes, rng)


def truth(question: Question) -> np.ndarray:
    """Return the values of a question in the population."""
    places = [SCHEMA.names.index(name) for name in question.columns]
    others = tuple(axis for axis in range(4) if axis not in places)
    marginal = population().sum(axis=others)
    order = np.argsort(np.argsort(places))
    found = question.evaluate(
        Distribution.of_counts(SCHEMA, question.columns, marginal.transpose(order))
    )
    return found.values


def fitted(count: int, seed: int, asked: object = ASKED, **more: object) -> dps.Release:
    synthesizer = dps.Independent()
    return synthesizer.fit(rows_of(count, seed), SCHEMA, BUDGET, seed=seed, questions=asked, **more)  # type: ignore[arg-type]


def regressions() -> list[Question]:
    """Return a linear and a logistic regression, where the package has them."""
    if not hasattr(estimates, "Regression"):
        return []
    return [
        estimates.Regression("grade ~ sex + age"),
        estimates.Regression("paid ~ sex + age", logistic=True),
    ]


def test_intervals_cover_the_population_though_the_model_has_no_pair() -> None:
    asked, fits, budget = [*ASKED[:3], *regressions()], 200, PrivacyBudget(4.0, 1e-6)
    wanted = np.concatenate([truth(question) for question in asked])
    covered, bare = np.zeros((fits, len(wanted))), np.zeros((fits, len(wanted)))
    for seed in range(fits):
        how, rows = Questions(tuple(asked), 0.3), rows_of(1000, seed)
        answers = dps.Independent().fit(rows, SCHEMA, budget, seed=seed, questions=how).answers
        for place, (one, value) in enumerate(zip(answers, wanted, strict=True)):
            low, high = one.interval()
            covered[seed, place] = low <= value <= high
            wide = (high - low) / 2
            bare[seed, place] = abs(one.model - value) <= wide
    # Of an interval that covers with a chance of 95 %, fewer than so many cover almost never.
    least = binom.ppf(RARE, fits, 0.95)
    assert np.all(covered.sum(axis=0) >= least), covered.sum(axis=0)
    far = bare.sum(axis=0)[:3]
    assert np.all(far < least), far
    # Nor are the intervals wide for nothing: all of them together cover near 95 %.
    assert covered.mean() < 0.98


def test_a_correction_is_that_of_the_records_up_to_noise() -> None:
    """With little noise a linear answer is that of the records, whatever the model says."""
    rows = rows_of(3000, 1)
    budget = PrivacyBudget(1e4, 1e-6)
    asked = [Share({"paid": "yes", "sex": "F"}), Mean("grade"), Count({"sex": "F", "paid": "yes"})]
    release = dps.Independent().fit(rows, SCHEMA, budget, seed=0, questions=asked)
    share = float(((rows.sex == "F") & (rows.paid == "yes")).mean())
    grade = float(rows.grade.astype(int).mean())
    found = [one.value for one in release.answers]
    assert found[0] == pytest.approx(share, abs=1e-3)
    assert found[1] == pytest.approx(grade, abs=5e-3)
    assert found[2] == pytest.approx(3000 * share, abs=3)
    assert abs(release.answers[0].model - share) > 0.02


def test_a_fit_spends_its_share_on_answers_and_keeps_them(tmp_path) -> None:
    release = fitted(300, 0, validation=0.05)
    assert 0.99 <= release.epsilon <= 1.0
    assert len(release.answers) == len(ASKED)
    assert [one.question for one in release.answers] == [str(question) for question in ASKED]
    assert release.validation is not None
    release.save(tmp_path / "r.npz")
    assert dps.Release.load(tmp_path / "r.npz").answers == release.answers
    assert fitted(300, 0, validation=0.05).answers == release.answers
    rho = {entry.part: entry.event.rho * entry.count for entry in release.ledger.reservations}  # type: ignore[operator]
    assert rho[PART] / sum(rho.values()) == pytest.approx(0.1, rel=1e-6)
    assert list(rho)[-1] == PART
    assert answers_are_charged(release.ledger, release.transcript).passed
    assert ledger_adds_up(release.ledger).passed
    assert fitted(300, 0, None).answers == ()
    assert fitted(300, 0, Questions((Mean("age"),), 0.4)).answers[0].name == "mean"


@pytest.mark.parametrize("recipe", [dps.MST(), dps.CliqueTree(interactions=False)])
def test_pairs_that_are_asked_of_are_measured_before_others(recipe: dps.Synthesizer) -> None:
    """A pair of columns that hardly depend on each other, which no fit would choose."""
    rng, n = np.random.default_rng(5), 20_000
    first, second = rng.integers(4, size=(2, n))
    codes = np.column_stack([first, first, (first + (rng.random(n) < 0.1)) % 4, second])
    names = ["a", "b", "c", "d"]
    rows = pd.DataFrame({name: codes[:, k].astype(str) for k, name in enumerate(names)})
    columns = [{"name": name, "type": "ordinal", "size": 4} for name in names]
    schema = Schema.from_dict({"name": "four", "columns": columns})
    asked: list[Question] = [Correlation("d", "b")]
    pairs = []
    for questions in (None, asked):
        release = recipe.fit(rows, schema, BUDGET, seed=0, questions=questions)
        cliques = [one.clique for one in release.transcript if isinstance(one, MarginalAnswer)]
        pairs.append({clique for clique in cliques if len(clique) == 2})
    assert ("b", "d") not in pairs[0]
    assert ("b", "d") in pairs[1]
    assert Questions(tuple(asked)).pairs(schema) == [("b", "d")]


def test_noise_from_the_operating_system_differs_each_time() -> None:
    def once() -> float:
        release = dps.Independent().fit(rows_of(50, 0), SCHEMA, BUDGET, questions=ASKED[:1])
        return release.answers[0].value - release.answers[0].model

    assert once() != once()


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("records", [0, 1, 40])
def test_no_table_stops_an_answer(records: int, adjacency: Adjacency) -> None:
    budget = PrivacyBudget(1.0, 1e-6, adjacency)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model of noise may have no answer
        release = dps.Independent().fit(
            rows_of(records, 0), SCHEMA, budget, seed=1, questions=ASKED
        )
    for one in release.answers:
        assert np.isfinite([one.value, one.noise, one.sampling, *one.interval()]).all()


@pytest.mark.parametrize("records", [0, 1])
def test_a_group_of_next_to_no_chance_in_the_model_stops_no_fit(records: int) -> None:
    """Its influences are so large that their variance is no number: the question is left out."""
    budget = PrivacyBudget(1.0, 1e-6, "replace_one")
    asked = [Share({"paid": "yes"}, {"sex": "F"}), Share({"paid": "yes"}, {"sex": "M"})]
    with pytest.warns(UserWarning, match="no finite answer in the model"):
        release = dps.PrivBayes().fit(rows_of(records, 0), SCHEMA, budget, seed=0, questions=asked)
    assert answers_are_charged(release.ledger, release.transcript).passed


@pytest.mark.parametrize("name", ["clique_tree", "aim", "privbayes"])
def test_every_kind_of_plan_has_room_for_questions(name: str) -> None:
    release = dps.SYNTHESIZERS[name]().fit(
        rows_of(200, 0), SCHEMA, BUDGET, seed=0, questions=ASKED, validation=0.05
    )
    assert len(release.answers) == len(ASKED)
    assert answers_are_charged(release.ledger, release.transcript).passed
    assert ledger_adds_up(release.ledger).passed
    assert 0.99 <= release.epsilon <= 1.0


def test_fits_that_share_a_budget_have_answers_of_their_own() -> None:
    accountant = Accountant(BUDGET)
    releases = dps.fit_jointly(
        {dps.Independent(): 1.0, dps.MST(): 2.0},
        rows_of(200, 0),
        SCHEMA,
        accountant,
        seed=0,
        questions=ASKED,
    )
    first, second = (one.answers for one in releases.values())
    assert len(first) == len(second) == len(ASKED)
    assert first[0].value != second[0].value
    assert ledger_adds_up(accountant.ledger).passed


def test_wrong_requests_spend_nothing_and_read_nothing() -> None:
    accountant = Accountant(BUDGET)
    wide = Schema.from_dict(
        {
            "name": "wide",
            "columns": [{"name": n, "type": "ordinal", "size": 2000} for n in ("a", "b")],
        }
    )
    wrong: list[tuple[Schema, object, str]] = [
        (SCHEMA, [], "a list of one or more"),
        (SCHEMA, "mean age", "a list of one or more"),
        (SCHEMA, ["mean age"], "must be those of dp_synth.estimates"),
        (SCHEMA, [Mean("agee")], "did you mean 'age'"),
        (SCHEMA, [Mean("sex")], "sex"),
        (SCHEMA, [Count()], "asks of no column"),
        (SCHEMA, [Mean("age"), Mean("age")], "mean age: is asked twice"),
        (wide, [Correlation("a", "b")], "4,000,000 cells together"),
    ]
    for schema, asked, said in wrong:
        with pytest.raises(InputError, match=said) as caught:
            dps.Independent().fit("absent.csv", schema, accountant, questions=asked)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError, match=said):
            dps.Independent().check_budget(schema, accountant, questions=asked)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"share of questions must lie in \(0, 0.5\]"):
        Questions((Mean("age"),), 0.7)
    with pytest.raises(InputError, match="is that of questions"):
        Questions((Mean("age"),)).added_to(Plan({PART: Gaussians(1)}))
    assert not accountant.ledger.entries


def test_planned_recipes_leave_no_room_for_questions() -> None:
    planned = Accountant(BUDGET, planned=[(dps.Independent(), 1.0)])
    with pytest.raises(InputError, match="no room for questions; fit jointly, or from an adaptive"):
        dps.Independent().fit(rows_of(9, 0), SCHEMA, planned, questions=ASKED)


def test_adaptive_budgets_pay_for_answers_as_for_all_else() -> None:
    adaptive = Accountant(BUDGET, adaptive=True)
    for recipe in (dps.Independent(), dps.MST()):
        release = recipe.fit(
            rows_of(999, 0), SCHEMA, adaptive.portion(0.3), seed=0, questions=ASKED
        )
        assert len(release.answers) == len(ASKED)
    assert adaptive.epsilon() <= 1.0


def test_columns_whose_codes_the_fit_finds_are_answered_over_these() -> None:
    schema = Schema.from_dict(
        {
            "name": "people",
            "columns": [
                {"name": "wage", "type": "real", "lower": 0, "upper": 100},
                {"name": "job", "type": "categorical", "categories": ["other"], "open": True},
            ],
        }
    )
    rng = np.random.default_rng(0)
    wage, job = rng.uniform(20, 40, 900), rng.choice(["a", "b"], 900)
    rows = pd.DataFrame({"wage": np.where(job == "a", wage, wage + 20).astype(str), "job": job})
    asked: list[Question] = [Mean("wage", {"job": "a"}), Share({"job": "never seen"})]
    with pytest.warns(UserWarning, match="share job=`never seen` is left out"):
        release = dps.Independent().fit(
            rows, schema, PrivacyBudget(5.0, 1e-4), seed=0, questions=asked
        )
    [one] = release.answers
    assert one.model > 35
    assert one.value == pytest.approx(30, abs=2)
    with pytest.raises(InputError, match="did you mean 'wage'"):
        dps.Independent().fit(rows, schema, BUDGET, questions=[Mean("wages")])


def test_a_checkpoint_knows_which_questions_were_asked() -> None:
    asked = Questions.of(ASKED[:2])
    accountant = Accountant(BUDGET)
    plain, other = (
        Request({dps.Independent(): 1.0}, SCHEMA, accountant, 0, questions=one).identity()
        for one in (None, asked)
    )
    assert plain["questions"] is None  # as a checkpoint says that knows of no questions
    texts = ["share paid=yes where sex=F", "mean age where paid=yes"]
    assert other["questions"] == {"asked": texts, "share": 0.1}


def test_answers_that_were_charged_before_a_stop_are_not_asked_again() -> None:
    plan = Plan({PART: Gaussians(1, noise_multiplier=1.0)})
    payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit("test", plan, randomness="seeded")
    table = PrivateTable(np.zeros((5, 4), dtype=np.int32), SCHEMA.domain, payer)
    ones = [Measurement((name,), np.ones(SCHEMA.domain.size(name)), 1.0) for name in SCHEMA.names]
    model, rng = independent_model(SCHEMA.domain, ones), np.random.default_rng(0)
    answer_questions(Questions((Mean("age"),)), SCHEMA, table, model, rng)
    assert len(table.transcript) == 1
    with pytest.warns(UserWarning, match="cannot be asked again"):
        answer_questions(Questions((Mean("age"),)), SCHEMA, table, model, rng)
    assert len(table.transcript) == table.reads == 1


def test_a_question_that_the_model_cannot_answer_is_left_out_and_said() -> None:
    rows = rows_of(200, 0)
    rows["paid"] = "no"
    budget = PrivacyBudget(1e6, 1e-6)
    ratio = estimates.RiskRatio({"paid": "yes"}, {"sex": "F"}, {"sex": "M"})
    asked = [ratio, Mean("age", {"sex": "F"})]
    with pytest.warns(UserWarning, match=r"risk ratio paid=yes .* is left out: "):
        release = dps.Independent().fit(rows, SCHEMA, budget, seed=0, questions=asked)
    assert [one.question for one in release.answers] == [str(asked[1])]


def test_what_the_model_has_nowhere_is_heard_all_the_same() -> None:
    """A cell of chance 0 in the model has no variance there: its influence is not cut."""
    ones = [
        Measurement((name,), np.r_[100.0, np.zeros(size - 1)], 1.0)
        for name, size in zip(SCHEMA.names, SCHEMA.domain.sizes, strict=True)
    ]
    model = independent_model(SCHEMA.domain, ones)
    codes = np.zeros((100, 4), dtype=np.int32)
    codes[:30, 3] = 1
    plan = Plan({PART: Gaussians(1, noise_multiplier=0.01)})
    payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit("test", plan, randomness="seeded")
    table = PrivateTable(codes, SCHEMA.domain, payer)
    asked = Questions((Share({"paid": "yes"}), Mean("age"), Share({"paid": "yes", "sex": "F"})))
    answer_questions(asked, SCHEMA, table, model, np.random.default_rng(0))
    [answer] = table.transcript
    assert isinstance(answer, SumsAnswer)
    corrected = answer.asked.models + answer.asked.units * (
        answer.values / 100 - answer.asked.means
    )
    assert corrected[[0, 2]] == pytest.approx([0.3, 0.3], abs=0.01)


@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_a_record_moves_the_answers_by_no_more_than_was_charged(adjacency: Adjacency) -> None:
    """All records, added, removed and replaced; some move as far as is charged for."""
    rng = np.random.default_rng(0)
    ones = [
        Measurement((name,), 60 * rng.dirichlet(np.ones(size)), 1.0)
        for name, size in zip(SCHEMA.names, SCHEMA.domain.sizes, strict=True)
    ]
    model, multiplier = independent_model(SCHEMA.domain, ones), 3.0
    plan = Plan({PART: Gaussians(1, noise_multiplier=multiplier)})
    accountant = Accountant(PrivacyBudget(1e3, 1e-6, adjacency), simulate=True)
    piece, asked = accountant.admit("test", plan), Questions(tuple(ASKED))
    largest = 0.0
    cells = np.array(list(product(*map(range, SCHEMA.domain.sizes))), dtype=np.int32)
    if adjacency == "replace_one":
        pairs = [(cells[i : i + 1], cells[-1 - i : len(cells) - i]) for i in range(len(cells))]
    else:
        pairs = [(cells[i : i + 1], cells[:0]) for i in range(len(cells))]
    for here, there in pairs[::2]:
        payer = accountant.repeat(piece)
        auditor = LikelihoodRatios(PrivateTable(there, SCHEMA.domain, payer))
        table = PrivateTable(here, SCHEMA.domain, payer, auditor=auditor)
        answer_questions(asked, SCHEMA, table, model, rng)
        [comparison] = auditor.comparisons
        assert isinstance(comparison, GaussianComparison)
        largest = max(largest, comparison.distance)
    assert largest <= 1 / multiplier * (1 + 1e-12)
    if adjacency == "add_remove":
        assert largest >= 0.95 / multiplier


def test_many_columns_together_are_answered_by_rows_of_the_model(monkeypatch) -> None:
    whole = fitted(400, 3)
    monkeypatch.setattr(module, "MOST_CELLS", 100)  # of the four columns: 160
    by_rows = fitted(400, 3)
    for one, other in zip(whole.answers, by_rows.answers, strict=True):
        assert isinstance(one, CorrectedAnswer)
        assert one.model == other.model
        assert abs(one.value - other.value) < 3 * (one.noise + other.noise)
        assert other.noise == pytest.approx(one.noise, rel=0.05)
