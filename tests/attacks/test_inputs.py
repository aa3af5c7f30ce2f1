"""What attacks refuse, each in one line, and scores of sets."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks import Attack, AttackerView, refuse_overlap, set_scores
from dp_synth.datasets import load
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST

SCHEMA = Schema.from_dict(
    {"name": "t", "columns": [{"name": "x", "type": "integer", "lower": 0, "upper": 9}]}
)
FRAME = pd.DataFrame({"x": range(5)})


@dataclass(frozen=True)
class Given(Attack):
    scores_given: tuple[float, ...] = ()
    name: ClassVar[str] = "given"

    def _scores(self, targets, view):
        return np.array(self.scores_given)


@pytest.mark.parametrize("scores", [(1.0, np.nan), (1.0, np.inf), (1.0,), (1.0, 2.0, 3.0)])
def test_scores_that_are_no_numbers_or_not_as_many_as_targets_are_refused(scores):
    with pytest.raises(InputError, match="'given' must give one finite number a target") as raised:
        Given(scores).scores(FRAME.head(2), AttackerView(FRAME, SCHEMA))
    assert "\n" not in str(raised.value)


def test_the_synthesizer_is_known_with_its_budget_and_by_its_own_name():
    budget = PrivacyBudget(1, 1e-6)
    assert AttackerView(FRAME, SCHEMA, synthesizer=MST(), budget=budget).algorithm == "mst"
    with pytest.raises(InputError, match="must know the budget"):
        AttackerView(FRAME, SCHEMA, synthesizer=MST())
    with pytest.raises(InputError, match="'mst', got 'aim'"):
        AttackerView(FRAME, SCHEMA, algorithm="aim", synthesizer=MST(), budget=budget)
    with pytest.raises(InputError, match="records must be 0 or more, got -1"):
        AttackerView(FRAME, SCHEMA, records=-1)


def test_members_that_stand_among_the_non_members_are_refused():
    adult = load("adult").train
    for others in (adult.head(200), adult.head(1000), adult.iloc[100:400]):
        with pytest.raises(InputError, match="members and non-members share records"):
            refuse_overlap(adult.head(200), others.sample(frac=1, random_state=0))
    with pytest.raises(InputError, match="share records"):
        refuse_overlap(FRAME, FRAME.copy())


@pytest.mark.parametrize("values", [2, 50, 10_000])
def test_equal_records_of_different_people_are_not(values):
    # By design at most one in a million draws is refused.
    for seed in range(20):
        x = np.random.default_rng(seed).integers(0, values, 300)
        refuse_overlap(pd.DataFrame({"x": x[:100]}), pd.DataFrame({"x": x[100:]}))


@pytest.mark.parametrize("others", [20, 1000, 20_000])
def test_twenty_people_on_both_sides_are_refused_and_a_few_are_not(others):
    members, strangers = np.arange(1000.0), np.arange(1e6, 1e6 + others)
    for shared, refused in ((20, True), (3, False)):
        frames = [
            pd.DataFrame({"x": x})
            for x in (members, np.append(strangers[shared:], members[:shared]))
        ]
        if refused:
            with pytest.raises(InputError, match="members and non-members share records"):
                refuse_overlap(*frames)
        else:
            refuse_overlap(*frames)


def test_real_records_drawn_apart_are_let_through_and_empty_tables_too():
    data = load("adult")
    refuse_overlap(data.train, data.holdout)
    refuse_overlap(FRAME.head(0), FRAME)
    refuse_overlap(FRAME, FRAME.head(0))


def test_a_set_scores_the_mean_of_its_members():
    scores, names = set_scores([1.0, 2.0, 6.0, 4.0], ["b", "a", "b", "a"])
    assert scores.tolist() == [3.0, 3.5]
    assert names.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="4 scores need as many set names, got 1"):
        set_scores([1.0, 2.0, 6.0, 4.0], ["a"])
