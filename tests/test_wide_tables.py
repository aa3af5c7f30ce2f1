"""Tables of hundreds of columns: fitted within bounds that do not grow with their pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.counting import CodeCounts
from dp_synth.counting.marginals import CELLS_A_PASS
from dp_synth.domain import Domain
from dp_synth.inference import JunctionTreeModel
from dp_synth.mechanisms import Distances, measure_distances
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, CliqueTree, _one_shot
from dp_synth.types import Clique

COLUMNS = 100
BUDGET = PrivacyBudget(20.0, 1e-6)


def wide_frame(count: int = 2000) -> pd.DataFrame:
    """Blocks of ten columns, each block about one hidden number of its own."""
    rng = np.random.default_rng(0)
    hidden = rng.integers(0, 3, (count, COLUMNS // 10)).repeat(10, axis=1)
    noisy = np.where(rng.random(hidden.shape) < 0.2, rng.integers(0, 3, hidden.shape), hidden)
    return pd.DataFrame(noisy, columns=[f"c{i}" for i in range(COLUMNS)])


SCHEMA = Schema.from_dict(
    {
        "name": "wide",
        "columns": [{"name": f"c{i}", "type": "ordinal", "size": 3} for i in range(COLUMNS)],
    }
)


@pytest.mark.parametrize("synthesizer", [MST(), CliqueTree(max_cells=4000)], ids=["mst", "tree"])
def test_a_wide_table_keeps_what_its_columns_share(synthesizer: MST | CliqueTree) -> None:
    frame = wide_frame()
    release = synthesizer.fit(frame, SCHEMA, BUDGET, seed=0)
    rows = release.sample(2000, seed=0).astype(int)
    assert list(rows.columns) == list(frame.columns)
    # Two columns of a block agree in 1/3 + 2/3 0.8^2 = 0.76 of the records, by two edges of a tree
    # in 1/3 + 2/3 0.8^4 = 0.61, and in 1/3 where they are independent.
    same = [(rows[f"c{i}"] == rows[f"c{i + 1}"]).mean() for i in range(0, COLUMNS, 10)]
    assert np.mean(same) > 0.5
    apart = [(rows[f"c{i}"] == rows[f"c{i + 10}"]).mean() for i in range(0, COLUMNS - 10, 10)]
    assert abs(np.mean(apart) - 1 / 3) < 0.05


class Watched(CodeCounts):
    """Counts that remember how many cells were handed out together."""

    most = 0

    def marginals(self, cliques: Sequence[Clique]) -> list[NDArray[np.float64]]:
        self.most = max(self.most, sum(self.domain.cells(clique) for clique in cliques))
        return super().marginals(cliques)


def test_marginals_of_all_pairs_are_never_held_at_once() -> None:
    rng = np.random.default_rng(0)
    domain = Domain(tuple(f"c{i}" for i in range(12)), (700,) * 12)
    codes = rng.integers(0, 700, (500, 12), dtype=np.int32)
    counts = Watched(CodeCounts.of(codes, domain)._columns, domain)
    pairs: list[Clique] = list(combinations(domain, 2))
    plan = Plan({"scores": Gaussians(len(pairs), noise_multiplier=5.0)})
    payer = Accountant(PrivacyBudget(1e9, 1e-6)).admit("test", plan)
    distances = Distances(PrivateTable(counts, domain, payer), lambda pair: np.zeros((700, 700)))
    measure_distances(distances, pairs, payer.plan.gaussians("scores"), rng)
    assert sum(map(domain.cells, pairs)) > 7 * CELLS_A_PASS
    assert 0 < counts.most <= CELLS_A_PASS


@pytest.mark.parametrize("kind", [MST, CliqueTree])
def test_pairs_too_large_to_be_held_are_left_out_not_refused(
    kind: type[MST] | type[CliqueTree], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = wide_frame().iloc[:, :12]
    schema = SCHEMA.select(frame.columns)
    monkeypatch.setattr(_one_shot, "LARGEST_PAIR", 8)
    release = kind().fit(frame, schema, BUDGET, seed=0)
    model = release.model
    coarse = model if isinstance(model, JunctionTreeModel) else model.coarse
    assert all(len(clique) == 1 for clique in coarse.tree.cliques)
    monkeypatch.undo()
    assert any(len(clique) == 2 for clique in kind().select_only(frame, schema, BUDGET, seed=0)[0])
