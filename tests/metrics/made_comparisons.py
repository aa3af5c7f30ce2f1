"""Small tables beside each other, from columns given in short."""

import pandas as pd

from dp_synth.metrics import Compared, RealTables
from dp_synth.schema import Schema


def number(low=0, high=100, **more):
    return {"type": "integer", "lower": low, "upper": high} | more


def kinds(*categories, **more):
    return {"type": "categorical", "categories": list(categories)} | more


def schema_of(columns, **more):
    listed = [{"name": name, **column} for name, column in columns.items()]
    return Schema.from_dict({"name": "t", "columns": listed, **more})


def compare(schema, train, synthetic, holdout=None):
    """The comparison of tables given as frames or dicts; the hold-out is the training table."""
    train, holdout, synthetic = (
        pd.DataFrame(table) for table in (train, train if holdout is None else holdout, synthetic)
    )
    return Compared(RealTables(train, holdout, schema), synthetic)
