import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.attacks import AttackerView, TranscriptRatio
from dp_synth.attacks.density import log_odds
from dp_synth.attacks.transcript_ratio import count_records, tables_of
from dp_synth.audit import Roc
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import AIM, MST, CliqueTree, Independent, PrivBayes, PublishedMST
from dp_synth.transcript import ChoiceAnswer, MarginalAnswer

SIZES = {"a": 3, "b": 4, "c": 2}
SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [{"name": n, "type": "categorical", "size": k} for n, k in SIZES.items()],
    }
)
MERGED = np.array([0, 1, 0, 1], dtype=np.int32)
REFERENCE = pd.DataFrame(np.random.default_rng(0).integers(0, 2, (90, 3)), columns=list(SIZES))


def answer(clique, values, stddev=0.5, groups=None, part="pairs"):
    values = np.asarray(values, dtype=np.float64)
    return MarginalAnswer(part, "a test", clique, values, stddev, groups or {})


PAIR = answer(("a", "b"), [[20, 3], [5, 30], [0.5, -1]], groups={"b": MERGED})
SINGLE = answer(("c",), [40, 15], stddev=2.0)


def view_of(*answers, records=55, **more):
    return AttackerView(
        REFERENCE.head(0), SCHEMA, REFERENCE, transcript=answers, records=records, **more
    )


def slow_odds(target, clique, counts, variance):
    """The odds of a count of a target's cell, b merged in its groups."""
    same = np.ones(len(REFERENCE), dtype=bool)
    for name in clique:
        mine, theirs = target[name], REFERENCE[name].to_numpy()
        same &= (MERGED[mine] == MERGED[theirs]) if name == "b" else (mine == theirs)
    expected = (same.sum() + 0.5) * 55 / 90
    noise = expected * 55 / 90 + variance
    return float(log_odds(np.array([counts]), np.array([expected]), noise)[0])


def slow_terms(target):
    pair, b = PAIR.values, MERGED[target["b"]]
    return {
        "ab": slow_odds(target, "ab", pair[target["a"], b], 0.25),
        "a": slow_odds(target, "a", pair[target["a"]].sum(), 2 * 0.25),
        "b": slow_odds(target, "b", pair[:, b].sum(), 3 * 0.25),
        "c": slow_odds(target, "c", SINGLE.values[target["c"]], 4.0),
    }


def slow_joint(target, *answers):
    """The normal law's ratio of all counts at once, as the reference shows it."""
    records, people = 55, len(REFERENCE)
    codes = pd.concat([REFERENCE, target.to_frame().T], ignore_index=True).astype(int)
    codes["b"] = MERGED[codes["b"]] if any("b" in a.clique for a in answers) else codes["b"]
    marks = []
    for one in answers:
        cells = np.ravel_multi_index([codes[name] for name in one.clique], one.values.shape)
        marks.append(np.eye(one.values.size)[cells])
    marks = np.hstack(marks)
    covariance, shares = np.cov(marks[:-1].T, bias=True), marks[:-1].mean(axis=0)
    covariance = 0.9 * covariance + np.diag(0.1 * np.diag(covariance) + 0.5 / people)
    noise = np.concatenate([np.full(one.values.size, one.stddev**2) for one in answers])
    law = records * (1 + records / people) * covariance + np.diag(noise)
    shift = np.linalg.solve(law, marks[-1] - shares)
    counts = np.concatenate([one.values.ravel() for one in answers])
    return (counts - records * shares) @ shift - (marks[-1] - shares) @ shift / 2


TARGETS = pd.DataFrame({"a": [0, 1, 2, 0], "b": [0, 1, 2, 3], "c": [1, 0, 1, 0]})


def test_measured_counts_are_compared_with_the_reference_under_their_own_noise():
    scores = TranscriptRatio().scores(TARGETS, view_of(PAIR, SINGLE))
    for score, (_, target) in zip(scores, TARGETS.iterrows(), strict=True):
        odds = slow_terms(target)
        # One table holds a and b: what it says of each alone is not taken off.
        cell_by_cell = odds["ab"] + odds["c"]
        assert score == pytest.approx((cell_by_cell + slow_joint(target, PAIR, SINGLE)) / 2)


@pytest.mark.parametrize(("most", "together"), [(7, True), (4000, False)])
def test_many_cells_are_compared_cell_by_cell_alone(monkeypatch, most, together):
    monkeypatch.setattr("dp_synth.attacks.transcript_ratio.MOST_CELLS", most)  # there are 8
    scores = TranscriptRatio(together=together).scores(TARGETS, view_of(PAIR, SINGLE))
    for score, (_, target) in zip(scores, TARGETS.iterrows(), strict=True):
        odds = slow_terms(target)
        assert score == pytest.approx(odds["ab"] + odds["c"])


def test_a_column_of_two_tables_counts_once():
    other = answer(("a", "c"), [[9, 8], [7, 6], [5, 4]])
    scores = TranscriptRatio().scores(TARGETS, view_of(PAIR, other, SINGLE))
    for score, (_, target) in zip(scores, TARGETS.iterrows(), strict=True):
        odds = slow_terms(target)
        of_other = slow_odds(target, "ac", other.values[target["a"], target["c"]], 0.25)
        again = slow_odds(target, "a", other.values[target["a"]].sum(), 2 * 0.25)
        cell_by_cell = odds["ab"] + of_other - (odds["a"] + again) / 2
        assert score == pytest.approx((cell_by_cell + slow_joint(target, PAIR, other, SINGLE)) / 2)


def test_a_network_is_scored_by_each_attribute_given_its_parents():
    scores = TranscriptRatio().scores(TARGETS, view_of(PAIR, SINGLE, algorithm="privbayes"))
    for score, (_, target) in zip(scores, TARGETS.iterrows(), strict=True):
        odds = slow_terms(target)
        cell_by_cell = odds["ab"] - odds["b"] + odds["c"]
        assert score == pytest.approx((cell_by_cell + slow_joint(target, PAIR, SINGLE)) / 2)


def test_answers_to_the_same_question_are_combined_by_precision():
    first, second = answer(("c",), [10.0, 20.0], stddev=1.0), answer(("c",), [16.0, 26.0], 0.5)
    (table,) = tables_of([first, second], SCHEMA)
    np.testing.assert_allclose(table.values, [10 + 6 * 0.8, 20 + 6 * 0.8])
    assert table.variance == pytest.approx(0.2)


def test_the_number_of_records_is_what_precise_answers_sum_to():
    vague, precise = answer(("c",), [10.0, 20.0], 100.0), answer(("c",), [40.0, 15.0], 0.1)
    assert count_records([vague, precise]) == pytest.approx(55, abs=1e-3)
    assert count_records([answer(("c",), [-3.0, -4.0])]) == 0


def test_answers_over_fine_cells_are_left_out():
    fine = answer(("a",), np.ones(999), part="bins")
    scores = [TranscriptRatio().scores(TARGETS, view_of(*extra, PAIR)) for extra in ([], [fine])]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("other", [answer(("a",), [1, 2]), answer(("z",), [1, 2, 3])])
def test_answers_over_other_cells_ask_for_the_schema_of_the_release(other):
    with pytest.raises(InputError, match="give the schema of the release"):
        TranscriptRatio().scores(TARGETS, view_of(other))


def test_a_transcript_without_marginals_is_refused():
    choice = ChoiceAnswer("tree", "an edge", (("a", "b"),), ("a", "b"), 1.0, 1.0, {})
    with pytest.raises(InputError, match="no noisy marginal"):
        TranscriptRatio().scores(TARGETS, view_of(choice))
    with pytest.raises(InputError, match="no noisy marginal"):
        TranscriptRatio().scores(TARGETS, view_of())


def test_no_reference_record_and_no_fitted_one_leave_ties():
    empty = AttackerView(REFERENCE, SCHEMA, REFERENCE.head(0), transcript=(PAIR,))
    for view in (empty, view_of(PAIR, records=0)):
        assert not TranscriptRatio().scores(TARGETS, view).any()


@pytest.mark.parametrize(
    "synthesizer",
    [Independent(), MST(), PublishedMST(), CliqueTree(), AIM(rounds=1), PrivBayes()],
    ids=str,
)
def test_almost_no_noise_gives_members_away(synthesizer):
    columns = [{"name": f"c{i}", "type": "categorical", "size": 20} for i in range(5)]
    schema = Schema.from_dict({"name": "t", "columns": columns})
    codes = np.random.default_rng(1).integers(0, 20, (800, 5))
    members, others, reference = (
        pd.DataFrame(part, columns=schema.names) for part in np.split(codes, [100, 200])
    )
    accountant = Accountant(PrivacyBudget(1e4, 1e-6), simulate=True)
    release = synthesizer.fit(members, schema, accountant, seed=0)
    view = AttackerView(
        release.sample(100, seed=0),
        release.schema,
        reference,
        algorithm=release.synthesizer,
        transcript=release.transcript,
    )
    attack = TranscriptRatio()
    roc = Roc(attack.scores(members, view), attack.scores(others, view))
    # Five columns of 20 values: a member adds 1 to five counts of 5 +- 2.2, whose odds differ by
    # 5 / 5 over a spread of sqrt(5 / 5): an AUC of 0.76, with a standard deviation of 0.04. The
    # reference's own error takes 0.02 off, pairs add to it.
    assert roc.auc().value > 0.55
