"""Metrics, attacks and reports take the frames that fit takes, and say the same of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dp_synth import AttackerView, Schema, attacks, metrics, report
from dp_synth.attacks import AttackerView as View
from dp_synth.attacks.membership_game import MembershipGame, Panel
from dp_synth.errors import InputError
from dp_synth.frames import as_frame, overlap

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "label": "ill",
        "positive": "yes",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 90},
            {"name": "pay", "type": "real", "lower": 0, "upper": 100},
            {"name": "ward", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "ill", "type": "categorical", "categories": ["yes", "no"]},
        ],
    }
)


def people(seed: int, records: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 91, records)
    return pd.DataFrame(
        {
            "age": age,
            "pay": rng.random(records) * 100,
            "ward": rng.choice(["a", "b", "c"], records),
            "ill": np.where(rng.random(records) < age / 120, "yes", "no"),
        }
    )


TRAIN, HOLDOUT, OTHERS, MADE = (people(seed) for seed in range(4))


def polars_of(frame: pd.DataFrame) -> object:
    return pytest.importorskip("polars").from_pandas(frame)


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "polars": polars_of,
    "lazy polars": lambda frame: polars_of(frame).lazy(),  # type: ignore[attr-defined]
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "arrow-backed": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
}


def game(form: Callable[[pd.DataFrame], Any]) -> object:
    played = MembershipGame(lambda members, seed: members, form(TRAIN), fixed=form(OTHERS))
    panel = Panel(
        {"closest": attacks.ClosestRecord()}, form(TRAIN), View(form(MADE), SCHEMA), form(HOLDOUT)
    )
    return [seen.tolist() for seen in played.play(panel, 2, seed=0).seen if seen is not None]


USES: dict[str, Callable[[Callable[[pd.DataFrame], Any]], object]] = {
    "workload_error": lambda form: metrics.workload_error(form(TRAIN), form(MADE), SCHEMA),
    "cuts_from": lambda form: metrics.workload_error(
        form(TRAIN), form(MADE), SCHEMA, cuts_from=form(HOLDOUT)
    ),
    "kmarginal_score": lambda form: metrics.kmarginal_score(form(TRAIN), form(MADE), SCHEMA),
    "utility": lambda form: metrics.utility(form(TRAIN), form(HOLDOUT), SCHEMA),
    "evaluate": lambda form: metrics.evaluate(
        form(TRAIN), form(HOLDOUT), form(MADE), SCHEMA, more=["consistency", "correlation"]
    ),
    "compared": lambda form: metrics.equivalent_sample(
        metrics.Compared(metrics.RealTables(form(TRAIN), form(HOLDOUT), SCHEMA), form(MADE))
    ),
    "scores": lambda form: (
        attacks.DensityRatio()
        .scores(form(TRAIN), AttackerView(form(MADE), SCHEMA, form(OTHERS)))
        .tolist()
    ),
    "vulnerability": lambda form: attacks.vulnerability(form(TRAIN), SCHEMA, "rarity").tolist(),
    "isolation": lambda form: attacks.isolation(form(TRAIN), SCHEMA, form(OTHERS)).tolist(),
    "make_canary": lambda form: attacks.make_canary(SCHEMA, form(OTHERS)).to_dict(),
    "split_pool": lambda form: attacks.split_pool(
        form(TRAIN), SCHEMA, form(OTHERS), members=9, isolated=3, rng=np.random.default_rng(0)
    ).member_isolated.tolist(),
    "attribute_inference": lambda form: attacks.attribute_inference(
        form(TRAIN), form(HOLDOUT), attacks.Secret("ward", SCHEMA, form(MADE))
    ),
    "singling_out": lambda form: attacks.singling_out(
        form(TRAIN), form(HOLDOUT), form(MADE), SCHEMA
    ),
    "linkability": lambda form: attacks.linkability(form(TRAIN), form(HOLDOUT), form(MADE), SCHEMA),
    "reconstruct": lambda form: attacks.reconstruct(
        form(TRAIN), attacks.Secret("ill", SCHEMA, form(MADE))
    ).tolist(),
    "hidden": lambda form: attacks.HiddenColumns(("ward",), SCHEMA, form(MADE)).commonest(),
    "game": game,
    "risk_report": lambda form: report.risk_report(
        form(TRAIN.head(40)),
        form(HOLDOUT),
        form(MADE),
        SCHEMA,
        reference=form(OTHERS),
    ).table.to_json(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("use", USES)
def test_what_is_said_of_other_frames_is_what_is_said_of_pandas(use: str, form: str) -> None:
    if use == "risk_report" and form != "polars":
        pytest.skip("it takes seconds, and converts as evaluate does")
    assert repr(USES[use](FORMS[form])) == repr(USES[use](lambda frame: frame))


def test_tables_that_share_records_are_refused_whatever_their_library() -> None:
    assert overlap(FORMS["pyarrow"](TRAIN), polars_of(TRAIN))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="real and holdout share records"):
        metrics.evaluate(FORMS["pyarrow"](TRAIN), FORMS["pyarrow"](TRAIN), MADE, SCHEMA)


def test_what_is_no_table_is_named_in_one_line() -> None:
    with pytest.raises(InputError, match=r"^synthetic must be a pandas, Arrow or polars table"):
        AttackerView([1, 2], SCHEMA)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^holdout must be a pandas"):
        metrics.evaluate(TRAIN, None, MADE, SCHEMA)  # type: ignore[arg-type]
    assert as_frame(TRAIN) is TRAIN
