"""Where no pair pays, pairs of the label are measured all the same, and believed with care."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.accounting.filters import cost
from dp_synth.domain import Domain
from dp_synth.inference import Compression, JunctionTreeModel, RefinedModel
from dp_synth.inference.label_pairs import standing_out, told_by_pairs
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import AIM, MST, CliqueTree, MarginalGenerator, Synthesizer
from dp_synth.synthesizers import _one_shot as one_shot
from dp_synth.synthesizers._one_shot import FilterBudget
from dp_synth.transcript import MarginalAnswer, Measurement

TOLD = [f"x{number}" for number in range(10)]
LABELLED: tuple[Synthesizer, ...] = (CliqueTree(), MST(), AIM())
BUDGET = PrivacyBudget(0.3, 1e-6)


def _schema(label: str | None = "y", letters: str = "abcdefgh") -> Schema:
    columns = [{"name": name, "type": "categorical", "categories": list(letters)} for name in TOLD]
    answer = {"name": "y", "type": "categorical", "categories": ["no", "yes"]}
    return Schema.from_dict({"name": "t", "columns": [*columns, answer], "label": label})


def _table(count: int, *, told: float = 0.6, seed: int = 0) -> pd.DataFrame:
    """Return columns each of which, with this chance, has the label's half of its categories."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, count)
    frame = {}
    for name in TOLD:
        half = np.where(rng.random(count) < told, label, rng.integers(0, 2, count))
        frame[name] = np.array(list("abcdefgh"))[4 * half + rng.integers(0, 4, count)]
    return pd.DataFrame({**frame, "y": np.where(label, "yes", "no")})


def _measured(release: Release) -> list[MarginalAnswer]:
    answers = [one for one in release.transcript or () if isinstance(one, MarginalAnswer)]
    return [answer for answer in answers if len(answer.clique) > 1]


def _together(release: Release, name: str = "x0") -> float:
    """Return how much more often the label's half of the categories stands beside it than not."""
    counts = release.model.marginal((name, "y")).reshape(2, 4, 2).sum(axis=1)
    return float((counts[0, 0] + counts[1, 1] - counts[0, 1] - counts[1, 0]) / counts.sum())


@pytest.mark.parametrize("synthesizer", LABELLED, ids=lambda one: str(one.name))
def test_the_label_is_told_where_no_pair_pays_and_is_not_without_being_named(
    synthesizer: Synthesizer,
) -> None:
    frame = _table(1500)
    named = synthesizer.fit(frame, _schema(), BUDGET, seed=0)
    assert {answer.why for answer in _measured(named)} == {one_shot.WITH_LABEL}
    assert {answer.clique for answer in _measured(named)} == {(name, "y") for name in TOLD}
    unnamed = synthesizer.fit(frame, _schema(None), BUDGET, seed=0)
    assert not _measured(unnamed)
    assert np.mean([_together(named, name) for name in TOLD]) > 0.1
    assert abs(np.mean([_together(unnamed, name) for name in TOLD])) < 0.02


@pytest.mark.parametrize("synthesizer", LABELLED, ids=lambda one: str(one.name))
def test_pairs_of_the_label_cost_their_share_and_columns_all_that_is_left(
    synthesizer: Synthesizer,
) -> None:
    ledger = synthesizer.fit(_table(1500), _schema(), BUDGET, seed=0).ledger
    [amount] = [
        cost(one.event, "gdp") for one in ledger.reservations if one.part in ("answers", "rounds")
    ]
    charged = [one for one in ledger if one.part in ("answers", "rounds")]
    spent = dict.fromkeys((one.why for one in charged), 0.0)
    for one in charged:
        spent[one.why] += one.count * cost(one.event, "gdp")
    assert (1 - 1e-6) * amount <= sum(spent.values()) <= amount
    before = spent[one_shot.WITH_LABEL] + spent["one-way marginals"]
    share = one_shot.LABEL_SHARE
    assert spent[one_shot.WITH_LABEL] == pytest.approx(share * before, rel=1e-6)


@pytest.mark.parametrize("synthesizer", LABELLED, ids=lambda one: str(one.name))
def test_pairs_that_noise_would_drown_are_not_asked_for(synthesizer: Synthesizer) -> None:
    release = synthesizer.fit(_table(300), _schema(), PrivacyBudget(0.2, 1e-6), seed=0)
    assert not _measured(release)


@pytest.mark.parametrize("synthesizer", LABELLED, ids=lambda one: str(one.name))
def test_nor_are_those_of_columns_whose_codes_cannot_be_merged(synthesizer: Synthesizer) -> None:
    frame = _table(300)
    frame[list(TOLD)] = np.where(frame[list(TOLD)] < "e", "a", "b")
    release = synthesizer.fit(frame, _schema(letters="ab"), PrivacyBudget(0.2, 1e-6), seed=0)
    assert not _measured(release)  # all of them, were the limit a hundred times as high


def test_pairs_of_the_label_tell_the_columns_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_in_the_first(columns: Sequence[Measurement], *given: object) -> list[Measurement]:
        told = told_by_pairs(columns, *given)  # type: ignore[arg-type]
        return [replace(one, values=1e6 * (np.arange(one.values.size) == 0)) for one in told]

    monkeypatch.setattr(one_shot, "told_by_pairs", all_in_the_first)
    model = MST().fit(_table(1500), _schema(), BUDGET, seed=0).model
    for name in TOLD:
        assert model.marginal((name,))[0] > 0.9 * model.total


def test_a_label_that_nothing_tells_of_stays_apart_from_all() -> None:
    release = CliqueTree().fit(_table(1500, told=0.0), _schema(), BUDGET, seed=0)
    assert len(_measured(release)) == len(TOLD)
    counts = [release.model.marginal((name, "y")) for name in TOLD]
    apart = [np.outer(c.sum(axis=1), c.sum(axis=0)) / c.sum() for c in counts]
    noise = [a.values.size * a.stddev for a in _measured(release)]
    moved = [np.abs(c - e).sum() for c, e in zip(counts, apart, strict=True)]
    assert np.mean(moved) < 0.1 * np.sqrt(2 / np.pi) * np.mean(noise)  # 0.3 where all is believed


def test_no_network_is_trained_on_pairs_that_are_mostly_noise() -> None:
    pytest.importorskip("torch")
    tree, generator = (
        synthesizer.fit(_table(1500), _schema(), BUDGET, seed=0)
        for synthesizer in (CliqueTree(interactions=False), MarginalGenerator())
    )
    assert {answer.why for answer in _measured(generator)} == {one_shot.WITH_LABEL}
    pair = (TOLD[0], "y")
    np.testing.assert_array_equal(generator.model.marginal(pair), tree.model.marginal(pair))


@pytest.mark.parametrize("max_cells", [30, 40])
def test_a_tree_of_the_label_is_no_larger_than_the_user_allows(max_cells: int) -> None:
    frame = _table(1200, told=0.2)
    frame[TOLD] = frame[TOLD].replace(dict(zip("abcdefgh", "aaaabbbb", strict=True)))
    synthesizer = CliqueTree(max_cells=max_cells)  # columns alone need 22, a tree of pairs 40
    release = synthesizer.fit(frame, _schema(letters="ab"), BUDGET, seed=0)
    assert isinstance(release.model, JunctionTreeModel | RefinedModel)
    assert release.model.tree.cells <= max_cells
    assert len(_measured(release)) == (len(TOLD) if max_cells == 40 else 0)


def test_what_pairs_tell_of_columns_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    domain = Domain(("x0", "y"), (8, 2))
    groups = {
        "x0": np.array([0, 0, 0, 1, 1, 1, 1, 2], dtype=np.int32),
        "y": np.arange(2, dtype=np.int32),
    }
    shares = {"x0": np.ones(8), "y": np.ones(2)}
    compression = Compression(domain.coarsened(groups), groups, shares)
    columns = [
        Measurement(("x0",), rng.normal(50, 9, 8), 2.0),
        Measurement(("y",), rng.normal(9, 9, 2), 3.0),
    ]
    pair = Measurement(("x0", "y"), rng.normal(20, 9, (3, 2)), 5.0)
    for one, axis in zip(columns, (0, 1), strict=True):
        (name,) = one.clique
        sums = np.equal.outer(np.arange(groups[name].max() + 1), groups[name]).astype(float)
        design = np.concatenate(
            [np.eye(len(one.values)) / one.stddev, sums / np.sqrt(25 * pair.values.shape[1 - axis])]
        )
        seen = np.concatenate(
            [
                one.values / one.stddev,
                pair.values.sum(axis=1 - axis) / np.sqrt(25 * pair.values.shape[1 - axis]),
            ]
        )
        expected = np.linalg.lstsq(design, seen, rcond=None)[0]
        found = {m.clique: m for m in told_by_pairs(columns, [pair], compression)}[one.clique]
        np.testing.assert_allclose(found.values, expected, rtol=1e-9)
        np.testing.assert_allclose(
            np.square(found.stddev), np.diag(np.linalg.inv(design.T @ design)), rtol=1e-9
        )


def test_noise_without_a_signal_is_shrunk_and_a_signal_is_kept() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (40, 40, 30))
    left = [np.square(standing_out(one, 9.0)).sum() / np.square(one).sum() for one in noise]
    assert np.mean(left) < 0.01  # the square of a part that is 1 / root(600) on average
    signal = np.outer(np.tile([1.0, -1.0], 20), np.tile([1.0, -1.0], 15))
    kept = standing_out(300 * signal + noise[0] + 50, 9.0)
    np.testing.assert_allclose(kept, 300 * signal, atol=6 * 3)


def test_what_was_measured_before_a_checkpoint_is_known_for_pairs_of_the_label() -> None:
    found: list[one_shot.Measured] = []

    class Remembering(CliqueTree):
        """A clique tree that also reads back what its table's transcript holds."""

        def _release(self, table: PrivateTable, plan, rng):  # type: ignore[no-untyped-def]
            budget = FilterBudget(table, plan.filtered("answers"), rng)
            found.append(super()._release(table, plan, rng))
            again = one_shot.measured_before(table, budget.part, coarseness=self.coarseness)
            assert again is not None
            found.append(again)
            return found[0]

    Remembering(interactions=False).fit(_table(1500), _schema(), BUDGET, seed=0)
    first, again = found
    assert first.unchosen
    assert again.unchosen
    domain = _schema().domain
    pair = (TOLD[0], "y")
    one, two = first.model(domain).marginal(pair), again.model(domain).marginal(pair)
    np.testing.assert_allclose(one, two, rtol=1e-9)
    assert isinstance(first.compression, Compression)
