from __future__ import annotations

import numpy as np
import pandas as pd

from dp_synth.schema import Schema
from experiments.coverage.questions import Generator, Population


def test_a_table_without_numbers_is_asked_what_can_be_asked_and_nothing_twice():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 500)
    rows = pd.DataFrame(
        {"a": first, "b": np.where(rng.random(500) < 0.7, first, 1 - first), "c": first ^ 1}
    ).astype(str)
    columns = [{"name": name, "type": "categorical", "size": 2} for name in "abc"]
    schema = Schema.from_dict({"name": "letters", "columns": columns})
    found = Generator(Population(schema, schema, rows, schema.encode(rows)), 0).draw(20)
    kinds = {kind for kind, _ in found}
    assert {"count", "share", "risk ratio"} <= kinds
    assert not kinds & {"mean", "quantile", "difference of means", "correlation"}
    assert len({str(question) for _, question in found}) == len(found) > 5
