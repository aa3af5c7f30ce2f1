"""Peers end to end: ours always, others where their environments are installed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asking import ROWS, request
from pydantic import JsonValue

from dp_synth import PrivacyBudget
from dp_synth.accounting import Ledger
from dp_synth.benchmark import run_grid
from dp_synth.benchmark.peers import PeerAnswer, PeerError, environment, run_peer
from dp_synth.schema import Schema

PAIR = Schema.from_dict(
    {
        "name": "pair",
        "columns": [
            {"name": "a", "type": "categorical", "size": 3},
            {"name": "b", "type": "ordinal", "size": 4},
            {"name": "c", "type": "categorical", "size": 2},
        ],
    }
)


def coded_table(records: int) -> pd.DataFrame:
    """Return a table in which a decides c, and b leans towards its last code."""
    rng = np.random.default_rng(0)
    a = rng.choice(3, size=records, p=[0.6, 0.3, 0.1])
    b = rng.choice(4, size=records, p=[0.1, 0.1, 0.2, 0.6])
    return pd.DataFrame({"a": a, "b": b, "c": np.where(a == 0, 1, 0)}).astype(str)


@pytest.fixture(scope="module")
def ours() -> PeerAnswer:
    return run_peer(request(peer="dp_synth", method="independent"))


def test_our_own_synthesizers_run_as_a_whole_process_with_a_ledger(ours: PeerAnswer) -> None:
    answer = ours
    assert answer.rows.shape == (ROWS, 3)
    assert set(answer.rows["job"]) <= {"NA", "b, c", "d"}
    assert answer.budget == "ledger"
    ledger = Ledger.from_fields(json.loads(answer.ledger))
    assert 0.99 <= ledger.epsilon <= 1.0
    assert ledger.budget == PrivacyBudget(1.0, 1e-6)
    assert answer.seconds > 0
    assert answer.peak_mb > 10


def test_settings_reach_the_synthesizer_and_bad_ones_are_the_reason() -> None:
    wrong = request(peer="dp_synth", method="aim", settings={"degree": "two"})
    with pytest.raises(PeerError, match="dp_synth/aim: "):
        run_peer(wrong)


def test_one_seed_gives_the_same_rows(ours: PeerAnswer) -> None:
    again = run_peer(request(peer="dp_synth", method="independent"))
    pd.testing.assert_frame_equal(ours.rows, again.rows)


# Seconds on the clock: each method is given several times what it needs.
REAL: list[tuple[str, str, dict[str, JsonValue]]] = [
    ("smartnoise", "mst", {}),
    ("smartnoise", "mwem", {}),
    ("smartnoise", "pategan", {}),
    ("dpmm", "mst", {"gen_kwargs": {"n_iters": 300}}),
    ("dpmm", "privbayes", {"gen_kwargs": {"n_iters": 300}}),
    ("mbi", "mst", {"iterations": 500, "steps": 200}),
    ("mbi", "aim", {"max_model_size": 0.01}),
]


def needs(peer: str) -> None:
    try:
        environment(peer)
    except PeerError as error:
        pytest.skip(str(error))


def asked_of(peer: str, method: str, settings: dict[str, JsonValue]) -> PeerAnswer:
    needs(peer)
    return run_peer(
        request(
            peer=peer,
            method=method,
            settings=settings,
            table=coded_table(2_000),
            schema=PAIR,
            budget=PrivacyBudget(5.0, 1e-6),
            rows=2_000,
            seed=2**62 + 5,  # grids give seeds of 63 bits
            seconds=300.0,
        )
    )


@pytest.mark.parametrize(("peer", "method", "settings"), REAL)
def test_a_real_peer_gives_rows_of_the_public_codes(
    peer: str, method: str, settings: dict[str, JsonValue]
) -> None:
    answer = asked_of(peer, method, settings)
    assert answer.rows.shape == (2_000, 3)
    assert answer.budget == "peer-declared"
    assert answer.notes
    if method in ("mst", "aim", "privbayes"):  # those that have learned something at epsilon 5
        shares = answer.rows["a"].value_counts(normalize=True)
        assert math.isclose(shares["0"], 0.6, abs_tol=0.1)


def test_a_grid_of_one_cell_of_smartnoise_is_run_as_one_of_ours_is(tmp_path: Path) -> None:
    needs("smartnoise")
    coded_table(2_000).to_csv(tmp_path / "pair.csv", index=False)
    PAIR.save(tmp_path / "pair.meta.json")
    grid = {
        "name": "one-cell",
        "dataset": str(tmp_path / "pair.csv"),
        "delta": 1e-6,
        "seeds": 1,
        "synthesizers": ["smartnoise/mst"],
        "utility": {"epsilons": [5], "metrics": ["tv2"]},
    }
    records = run_grid(grid, tmp_path / "store")
    rows = records[records["epsilon"].notna() & (records["metric"] == "tv2")]
    (row,) = rows.to_dict("records")
    assert row["error"] == ""
    assert row["budget"] == "peer-declared"
    assert 0 < row["value"] < 0.2  # 0.5 for rows that have nothing to do with the table
    assert row["seconds"] > 0
    assert row["peak_mb"] > 10


def test_smartnoise_is_asked_for_add_remove_alone() -> None:
    needs("smartnoise")
    asked = request(peer="smartnoise", method="mst", budget=PrivacyBudget(1.0, 1e-6, "replace_one"))
    with pytest.raises(PeerError, match="to add_remove alone, not replace_one"):
        run_peer(asked)
