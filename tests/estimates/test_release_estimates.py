"""Estimates of a release: what they are made of, whom they cover, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, chi2
from scipy.stats import t as student

import dp_synth as dps
from dp_synth.estimates import (
    Count,
    Difference,
    Distribution,
    Estimate,
    Mean,
    Share,
    intervals,
    read_question,
)
from dp_synth.estimates.estimate import SOURCES, written
from dp_synth.estimates.intervals import Answerer
from dp_synth.inference import MixtureModel, independent_model
from dp_synth.inference.bootstrap import Replica, replicas
from dp_synth.transcript import MarginalAnswer, Measurement

SCHEMA = dps.Schema.from_dict(
    {
        "name": "made",
        "columns": [
            *({"name": name, "type": "categorical", "categories": ["0", "1"]} for name in "abc"),
            {"name": "g", "type": "ordinal", "size": 3},
            {"name": "rare", "type": "categorical", "categories": ["usual", "never"]},
        ],
    }
)
REPLICAS = 8  # of each fit of which many are made


def rows(n: int, seed: int) -> pd.DataFrame:
    """Records of a population in which c depends on b, b on a, and c on a besides."""
    rng = np.random.default_rng(seed)
    a = rng.random(n) < 0.5
    b = np.where(rng.random(n) < 0.75, a, ~a)
    c = np.where(rng.random(n) < 0.75, b, ~b) | (a & (rng.random(n) < 0.35))
    columns = {
        name: one.astype(int).astype(str) for name, one in zip("abc", (a, b, c), strict=True)
    }
    return pd.DataFrame({**columns, "g": rng.integers(0, 3, n), "rare": "usual"})


# P(c | a) = 1 - P(not c by b) * P(not c by a), where b = a has the chance 3/4.
RISK_1 = 1 - (0.75 * 0.25 + 0.25 * 0.75) * 0.65
RISK_0 = 0.25 * 0.75 + 0.75 * 0.25
TRUTH = {"share a=1": 0.5, "mean g": 1.0, "share c=1 between a=1 and a=0": RISK_1 - RISK_0}


def fitted(synthesizer: dps.Synthesizer, epsilon: float, n: int, seed: int) -> dps.Release:
    """A release of fresh records of the population."""
    budget = dps.PrivacyBudget(epsilon=epsilon, delta=1e-5)
    return synthesizer.fit(rows(n, seed), SCHEMA, budget, seed=seed)


@lru_cache(maxsize=1)
def independent() -> dps.Release:
    """A release of independent columns."""
    return fitted(dps.Independent(), 1.0, 2_000, 0)


def one(release: dps.Release, question: str, level: float = 0.95) -> Estimate:
    """The estimate of a question that has one."""
    found = release.estimate(question, level=level)
    assert isinstance(found, Estimate)
    return found


def test_a_value_is_the_models_and_its_sampling_that_of_as_many_records() -> None:
    release = independent()
    counts, total = release.model.marginal(("a",)), release.model.total
    p = counts[1] / counts.sum()
    share, count = one(release, "share a=1"), one(release, "count where a=1")
    assert share.value == pytest.approx(p)
    assert share.sampling == pytest.approx(np.sqrt(p * (1 - p) / total))
    assert count.value == pytest.approx(counts[1])
    assert count.sampling == pytest.approx(np.sqrt(p * (1 - p) * total))
    reach = student.ppf(0.95, 49) * np.hypot(share.noise, share.sampling)
    narrow = one(release, "share a=1", 0.9)
    assert (narrow.low, narrow.high) == (pytest.approx(p - reach), pytest.approx(p + reach))
    assert (share.drawing, share.misfit, share.not_covered) == (0, 0, "")


def exact_variances(release: dps.Release) -> dict[str, float]:
    """Variances of independent columns' answers by noise and sampling, in closed form.

    With stddev s, the total is a mean of the columns' sums, each of variance k s^2 for k cells, and
    counts are the noisy ones plus an equal part of what their sum is short of it: so the mean of
    numbers x has the noise s^2 sum (x - mean of x)^2 + V (mean of x - mean of records)^2 over n^2.
    """
    n = release.model.total
    stddev = {a.stddev for a in release.transcript if isinstance(a, MarginalAnswer)}
    [noise] = [one**2 for one in stddev]
    of_total = noise / sum(1 / size for size in SCHEMA.domain.sizes)
    found = {"count": of_total}
    for question, name, numbers in (("share a=1", "a", [0, 1]), ("mean g", "g", [0, 1, 2])):
        counts, x = release.model.marginal((name,)), np.array(numbers, dtype=float)
        mean = float(counts @ x) / n
        own = noise * float(np.square(x - x.mean()).sum()) + of_total * (x.mean() - mean) ** 2
        found[question] = own / n**2 + float(counts @ np.square(x - mean)) / n**2
    return found


@pytest.mark.parametrize("question", ["count", "share a=1", "mean g"])
def test_noise_and_sampling_together_are_those_of_the_closed_form(question: str) -> None:
    release = fitted(dps.Independent(), 0.1, 2_000, 1)
    asked, count = read_question(question, SCHEMA), 400
    [found] = Answerer(release, count).answer(asked)
    ratio = found.stderr**2 / exact_variances(release)[question]
    low, high = chi2.ppf([1e-6, 1 - 1e-6], count) / count
    assert low < ratio < high
    assert found.noise > found.sampling


CASES = [  # a term, and fits in whose answers it is needed
    ("noise", dps.Independent(), 0.1, 300, "mean g", 80),
    ("noise", dps.MST(), 0.02, 1_000, "mean g", 60),
    ("sampling", dps.Independent(), 20.0, 300, "mean g", 80),
    ("sampling", dps.MST(), 3.0, 1_500, "share a=1", 50),
    ("misfit", dps.MST(), 3.0, 1_500, "share c=1 between a=1 and a=0", 50),
]


@lru_cache
def answers(synthesizer: dps.Synthesizer, epsilon: float, n: int, fits: int) -> list[Answerer]:
    """What knows of the errors of many fits."""
    return [Answerer(fitted(synthesizer, epsilon, n, seed), REPLICAS) for seed in range(fits)]


@pytest.mark.parametrize(("term", "synthesizer", "epsilon", "n", "question", "fits"), CASES)
def test_intervals_cover_the_population_and_do_not_without_a_term(
    term: str, synthesizer: dps.Synthesizer, epsilon: float, n: int, question: str, fits: int
) -> None:
    asked = read_question(question, SCHEMA)
    found = [one.answer(asked)[0] for one in answers(synthesizer, epsilon, n, fits)]
    covered = sum(one.low <= TRUTH[question] <= one.high for one in found)
    assert binom.cdf(covered, fits, 0.95) > 1e-6
    quantile = student.ppf(0.975, REPLICAS - 1)
    short = [replace(one, **{term: 0.0}).stderr * quantile for one in found]
    away = [abs(one.value - TRUTH[question]) for one in found]
    left = sum(off <= reach for off, reach in zip(away, short, strict=True))
    assert binom.cdf(left, fits, 0.95) < 1e-6


def test_intervals_from_drawn_rows_cover_and_do_not_without_the_drawing(monkeypatch) -> None:
    question, truth, fits = "share a=1 where g=2", 0.5, 80
    monkeypatch.setattr(intervals, "MOST_EXACT", 0)
    monkeypatch.setattr(intervals, "ROWS", 30)
    found = []
    for seed, kept in enumerate(answers(dps.Independent(), 20.0, 300, fits)):
        monkeypatch.setattr(intervals, "SEED", seed)
        fresh = Answerer(kept.release, REPLICAS)  # with rows of its own
        fresh.__dict__["replicas"] = kept.replicas
        found += fresh.answer(read_question(question, SCHEMA))
    covered = sum(one.low <= truth <= one.high for one in found)
    assert binom.cdf(covered, fits, 0.95) > 1e-6
    reach = student.ppf(0.975, REPLICAS - 1)
    short = [replace(one, drawing=0.0).stderr * reach for one in found]
    away = [abs(one.value - truth) for one in found]
    left = sum(off <= own for off, own in zip(away, short, strict=True))
    assert binom.cdf(left, fits, 0.95) < 1e-6


def test_a_regression_is_a_mapping_of_terms_that_nobody_changes() -> None:
    found = independent().estimate("linear g ~ a + b")
    assert isinstance(found, Mapping)
    assert list(found) == ["Intercept", "a[T.1]", "b[T.1]"]
    assert found["Intercept"].asked == "linear g ~ a + b: Intercept"
    with pytest.raises(TypeError):
        found["a[T.1]"] = found["Intercept"]  # type: ignore[index]


def test_a_question_and_its_text_have_the_same_answer_from_the_same_replicas() -> None:
    release = independent()
    assert release.estimate(Share({"a": "1"}, {"b": "0"})) == release.estimate(
        "share a=1 where b=0"
    )
    assert release.estimate(Mean("g")) == release.estimate("mean g")
    assert release._answerer is release._answerer


QUESTIONS = [
    Share({"c": "1"}, {"b": "0", "a": ["0", "1"]}),
    Difference(Share({"c": "1"}), {"a": "1"}, {"a": "0"}),
    read_question("odds ratio c=1 between a=1 and a=0", SCHEMA),
    read_question("linear g ~ a", SCHEMA),
]


@lru_cache(maxsize=1)
def declared() -> dps.Release:
    """A release whose fit paid for answers."""
    budget = dps.PrivacyBudget(epsilon=3, delta=1e-5)
    return dps.MST().fit(rows(2_000, 3), SCHEMA, budget, seed=3, questions=QUESTIONS)


def test_a_declared_question_has_its_corrected_answer_in_whatever_words() -> None:
    release = declared()
    difference, answer = one(release, "share c=1 between a=1 and a=0"), release.answers[1]
    assert difference.value == answer.value
    assert (difference.low, difference.high) == answer.interval()
    parts = difference.noise, difference.sampling, difference.misfit
    assert parts == (answer.noise, answer.sampling, answer.curvature)
    assert difference.is_corrected
    assert difference.low < TRUTH["share c=1 between a=1 and a=0"] < difference.high
    turned = one(release, "share c=1 where a=0|1, b=0")
    assert turned.value == release.answers[0].value
    ratio = one(release, "odds ratio c=1 between a=1 and a=0", 0.9)
    assert ratio.scale == "log"
    assert (ratio.low, ratio.high) == release.answers[2].interval(0.9)
    terms = release.estimate("linear g ~ a")
    assert isinstance(terms, Mapping)
    assert [x.value for x in terms.values()] == [x.value for x in release.answers[3:]]
    assert not one(release, "share c=1 where a=0").is_corrected


def network(release: dps.Release) -> dps.Release:
    """The release as if a network had been fitted."""
    tables = tuple(np.full((1, size), 1 / size) for size in SCHEMA.domain.sizes)
    return replace(release, model=MixtureModel(SCHEMA.domain, np.ones(1), tables, 2_000.0))


def test_a_declared_question_needs_no_replicas() -> None:
    release = network(declared())
    assert one(release, "share c=1 between a=1 and a=0").is_corrected
    with pytest.raises(dps.InputError, match="this release has a network"):
        release.estimate("mean g")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("mean nobody", "no column 'nobody'"),
        ("median a", "column 'a' has no numbers"),
        ("share a=2", "column 'a' has no category '2'"),
        ("mean g where rare=never", "no record of the release"),
        ("risk ratio rare=never between a=1 and a=0", "there is no risk ratio"),
        ("best g", "no question 'best'"),
        ("", "a question is empty"),
        (Count({"nobody": "1"}), "no column 'nobody'"),
        (17, "a question is one of dp_synth.estimates or a text, got 17"),
    ],
)
def test_what_has_no_answer_is_told_in_one_line(question: str, said: str) -> None:
    release = fitted(dps.Independent(), 1_000.0, 2_000, 4)
    with pytest.raises(dps.InputError, match=said) as error:
        release.estimate(question)
    assert "\n" not in str(error.value)


def test_a_ratio_of_which_nothing_is_known_may_be_anything(monkeypatch) -> None:
    schema = SCHEMA.select(["a", "b", "c"])
    budget = dps.PrivacyBudget(1.0, 1e-6)
    release = dps.MST().fit(rows(200, 0)[["a", "b", "c"]], schema, budget, seed=0)
    monkeypatch.setattr(Answerer, "_hidden", lambda *_: np.array([1e9]))
    one = release.estimate("risk ratio c=1 between a=1 and a=0")
    assert isinstance(one, Estimate)
    assert (one.low, one.high) == (0.0, np.inf)
    assert "inf" in one.sentence


def test_a_ratio_of_0_has_no_interval_of_its_logarithm() -> None:
    tables = [np.full((2, size), 1 / size) for size in SCHEMA.domain.sizes]
    tables[0] = tables[2] = np.eye(2)  # a and c are the same
    model = MixtureModel(SCHEMA.domain, np.full(2, 0.5), tuple(tables), 100.0)
    answerer = Answerer(replace(independent(), model=model))
    answerer.__dict__["replicas"] = (Replica(model),) * 2  # type: ignore[arg-type]
    with pytest.raises(dps.InputError, match="is 0 in the release, and 0 has no logarithm"):
        answerer.answer(read_question("risk ratio c=1 between a=0 and a=1", SCHEMA))


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, float("nan"), "high", True])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    for release in (independent(), declared()):
        with pytest.raises(dps.InputError, match="a level lies between 0 and 1"):
            release.estimate("share c=1 between a=1 and a=0", level=level)


def test_a_release_without_a_transcript_has_no_intervals() -> None:
    with pytest.raises(dps.InputError, match="this release has no transcript"):
        replace(independent(), transcript=()).estimate("mean g")


MADE = Estimate("share a=1", "share", 0.331, 0.3271, 0.3349, 0.001, 0.0017, 0.0, 0.0)


def test_an_estimate_is_one_line_with_as_many_digits_as_it_tells() -> None:
    assert str(MADE) == "0.3310 [0.3271, 0.3349]"
    assert repr(MADE) == (
        "<Estimate: share a=1: 0.3310 [0.3271, 0.3349] at 95 %; "
        "noise 0.001, sampling 0.0017, drawing 0, misfit 0>"
    )
    assert "\n" not in repr(replace(MADE, question="share `a\nb`=1"))
    assert written(-0.0001, -1.0, 1.0) == ("0.00", "-1.00", "1.00")
    assert written(5.0, -np.inf, np.inf) == ("5", "-inf", "inf")
    assert written(3e18, 2e18, 4e18) == ("3e+18", "2e+18", "4e+18")
    assert written(7.0, 7.0, np.inf) == ("7", "7", "inf")


@pytest.mark.parametrize("part", SOURCES)
def test_a_sentence_names_the_largest_part(part: str) -> None:
    assert f"due to {SOURCES[part]}" in replace(MADE, **{part: 1.0}).sentence


def test_a_sentence_says_what_is_not_certified_and_only_then() -> None:
    assert MADE.sentence == (
        "share a=1: 0.3310, between 0.3271 and 0.3349 with 95 % confidence; most of that width is "
        "due to the records being a sample."
    )
    judged, unknown = replace(MADE, misfit=0.0005), replace(MADE, not_covered="three columns")
    corrected = replace(judged, is_corrected=True)
    assert judged.sentence.endswith(
        "Not certified: how much the model leaves out is judged, not known."
    )
    assert unknown.sentence.endswith("Not certified: not covered: three columns.")
    assert "how much the correction leaves out" in corrected.sentence
    assert "certified" not in replace(MADE, misfit=1e-12).sentence
    assert "width" not in replace(MADE, noise=0.0, sampling=0.0).sentence
    assert "Not certified" in one(independent(), "share a=1 where b=0").sentence


def test_noise_counts_what_it_may_hide_in_cells_that_were_cut_at_0():
    schema = dps.Schema.from_dict(
        {"name": "one", "columns": [{"name": "g", "type": "ordinal", "size": 30}]}
    )
    stddev, counts = 20.0, np.array([900.0, 100.0, *[0.0] * 27, 3.0])
    model = independent_model(schema.domain, [Measurement(("g",), counts, stddev)])
    answer = MarginalAnswer("ones", "", ("g",), counts, stddev, {})
    facts = {"schema": schema, "model": model, "counted_model": model, "transcript": [answer]}
    fresh = partial(replicas, model, [answer])
    answerer = Answerer(SimpleNamespace(**facts, replicas=fresh, design_effect=1.0))
    found = model.marginal(("g",))
    here, phi = Distribution.of_counts(schema, ("g",), found), np.arange(30.0)[:, None]
    hidden = found < 2 * stddev
    assert hidden.sum() == 28
    variance = float(np.square(phi[hidden, 0]) @ (stddev * np.minimum(found[hidden], stddev)))
    np.testing.assert_allclose(answerer._hidden(here, phi), variance / model.total**2)
    (with_hidden,) = answerer.answer(Share({"g": "29"}))  # a count of 3 that replicas hardly move
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answerer, "_hidden", lambda self, here, phi: np.zeros(phi.shape[1]))
        (without,) = answerer.answer(Share({"g": "29"}))
    assert without.noise < with_hidden.noise


def test_an_interval_ends_where_no_records_could_have_more() -> None:
    ends = {
        "share a=1 where b=1": (0.0, 1.0),
        "count where a=1, b=0": (0.0, np.inf),
        "share c=1 between a=1 and a=0": (-1.0, 1.0),
        "correlation a g": (-1.0, 1.0),
        "mean g between a=1 and a=0": (-np.inf, np.inf),
    }
    schema = dps.Schema.from_dict(
        {
            "name": "made",
            "columns": [{"name": n, "type": "ordinal", "size": 2 + (n == "g")} for n in "abcg"],
        }
    )
    asked = [read_question(text, schema) for text in list(ends)[:3]]
    budget = dps.PrivacyBudget(0.1, 1e-6)
    records = rows(80, 0).drop(columns="rare")
    for questions in (None, asked):
        release = dps.MST().fit(records, schema, budget, seed=0, questions=questions)
        cut = 0
        for text, (least, largest) in ends.items():
            one = release.estimate(text)
            assert isinstance(one, Estimate)
            low, high = min(least, one.value), max(largest, one.value)
            assert low <= one.low <= one.value <= one.high <= high
            cut += one.low == least or one.high == largest
        assert cut >= 2  # these intervals would go on
