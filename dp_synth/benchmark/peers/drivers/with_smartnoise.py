"""Rows by smartnoise-synth, through its own factory, with columns of public codes."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
from folder import Request, serve

TREES = ("mst", "aim", "mwem")  # take a column as labels; the networks take it one-hot
NOTES = {
    "mst": ["reads the exact number of records, as if it were public"],
    "aim": ["reads the exact number of records, as if it were public"],
    "mwem": [
        "pure epsilon; delta is not used",
        "reads the exact number of records, and the smallest and largest code of each column",
    ],
    "dpctgan": ["reads the exact frequencies of categories, for its conditional vectors"],
    "patectgan": ["reads the exact frequencies of categories, for its conditional vectors"],
    "pategan": [],
}


def make_rows(request: Request) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of codes, and what is known of how they were made."""
    import torch
    from snsynth import Synthesizer

    request.only_add_remove("smartnoise-synth")
    random.seed(request.seed)
    np.random.seed(request.short_seed)  # noqa: NPY002 - it draws from no other generator
    torch.manual_seed(request.seed)
    options = {} if request.method == "mwem" else {"delta": request.delta}
    if request.method != "pategan":
        options["verbose"] = False
    synthesizer = Synthesizer.create(
        request.method, epsilon=request.epsilon, **{**options, **request.settings}
    )
    table = request.codes()
    synthesizer.fit(table, transformer=_public_transformer(request), preprocessor_eps=0.0)
    rows = synthesizer.sample(request.rows)
    notes = [
        "public codes of every column are declared, so that all of epsilon goes to the fit",
        "its noise cannot be seeded; what it draws otherwise is",
        *NOTES[request.method],
    ]
    return pd.DataFrame(rows, columns=table.columns), notes


def _public_transformer(request: Request) -> object:
    """Return a transformer that knows every code, so that it reads none from the private table."""
    from snsynth.transform import ChainTransformer, LabelTransformer, OneHotEncoder
    from snsynth.transform.table import TableTransformer

    transformers = []
    for size in request.sizes.values():
        label = LabelTransformer(nullable=False)
        one = label if request.method in TREES else ChainTransformer([label, OneHotEncoder()])
        one.fit(range(size))
        transformers.append(one)
    return TableTransformer(transformers)


if __name__ == "__main__":
    serve(make_rows, packages=("smartnoise-synth", "mbi", "opacus", "opendp", "torch"))
