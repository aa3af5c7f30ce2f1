import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, number, schema_of

from dp_synth.metrics.cell_metrics import rare_combinations

SCHEMA = schema_of({"a": kinds("x", "y", "z"), "b": kinds("p", "q", "r")})


def table(cells):
    rows = [cell for cell, count in cells.items() for _ in range(count)]
    return pd.DataFrame([tuple(cell) for cell in rows], columns=["a", "b"])


TRAIN = {"xp": 996, "yq": 1, "zr": 1, "yp": 1, "zq": 1}  # 0.1 % of 1,000 records is one
HOLDOUT = {"xp": 95, "yq": 1, "zr": 2, "yp": 1, "xr": 1}


def found(synthetic, train=TRAIN, holdout=HOLDOUT):
    return rare_combinations(compare(SCHEMA, table(train), table(synthetic), table(holdout)))


def test_recall_is_the_share_of_rare_cells_of_both_real_tables_that_are_hit():
    # Of the four cells that hold one training record, the hold-out has three.
    assert found({"xp": 9})["rare_combinations:recall"].value == 0
    assert found({"xp": 9, "zq": 1})["rare_combinations:recall"].value == 0
    assert found({"yq": 5, "zr": 1})["rare_combinations:recall"].value == pytest.approx(2 / 3)
    assert found({"yq": 5, "zr": 1, "yp": 1})["rare_combinations:recall"].value == 1


def test_precision_is_the_share_of_records_where_either_real_table_has_one():
    values = found({"xp": 5, "zq": 1, "xr": 1, "zp": 3})
    assert values["rare_combinations:precision"].value == pytest.approx(7 / 10)


def test_a_cell_of_more_records_is_not_rare():
    crowded = TRAIN | {"yq": 2}
    assert found({"yq": 1}, crowded)["rare_combinations:recall"].value == 0
    assert found({"yq": 1})["rare_combinations:recall"].value == pytest.approx(1 / 3)


def test_without_a_rare_cell_there_is_no_recall():
    assert set(found({"xp": 4}, {"xp": 50}, {"xp": 50})) == {"rare_combinations:precision"}


def test_the_real_records_have_all_of_both():
    for estimate in found(TRAIN).values():
        assert estimate.value == 1


def test_pairs_count_alike():
    schema = schema_of({"a": number(0, 1), "b": number(0, 1), "c": number(0, 1)})
    real, other = {"a": [0, 0], "b": [0, 1], "c": [0, 0]}, {"a": [0], "b": [0], "c": [1]}
    # The cut of c takes both values into its one cell, so that all three pairs are real.
    values = rare_combinations(compare(schema, real, other))
    assert values["rare_combinations:precision"].value == 1
    ends = {"a": [0, 1], "b": [0, 1], "c": [0, 1]}
    values = rare_combinations(compare(schema, ends, {"a": [0], "b": [0], "c": [1]}))
    assert values["rare_combinations:precision"].value == pytest.approx(1 / 3)


def test_intervals_have_the_spread_of_tables_drawn_again():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.full(400, 0.4))
    wide = schema_of({"a": kinds(*map(str, range(20))), "b": kinds(*map(str, range(20)))})

    def draw(rows):
        cells = rng.choice(400, rows, p=weights)
        return pd.DataFrame({"a": (cells // 20).astype(str), "b": (cells % 20).astype(str)})

    train, holdout = draw(8000), draw(8000)
    values = [rare_combinations(compare(wide, train, draw(1500), holdout)) for _ in range(60)]
    for name in ("rare_combinations:recall", "rare_combinations:precision"):
        spread = np.std([of[name].value for of in values], ddof=1)
        widths = [(of[name].high - of[name].low) / (2 * 1.96) for of in values]
        # The spread of 60 values is known to 9 %; the jackknife's own is some 10 % too wide.
        assert 0.6 < np.mean(widths) / spread < 1.6
