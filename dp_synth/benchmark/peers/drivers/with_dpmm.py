"""Rows by dpmm, through its pipelines, with columns of public codes."""

from __future__ import annotations

import pandas as pd
from folder import Request, serve


def make_rows(request: Request) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of codes, and what is known of how they were made."""
    from dpmm.pipelines import AIMPipeline, MSTPipeline, PrivBayesPipeline

    request.only_add_remove("dpmm")
    pipelines = {"mst": MSTPipeline, "aim": AIMPipeline, "privbayes": PrivBayesPipeline}
    pipeline = pipelines[request.method](
        epsilon=request.epsilon,
        delta=request.delta,
        **{"disable_processing": True, "n_jobs": 1, **request.settings},
    )
    table = request.codes()
    pipeline.fit(table, domain=request.sizes, random_state=request.short_seed)
    rows = pipeline.generate(n_records=request.rows, random_state=request.short_seed)
    notes = [
        "public codes of every column are the domain: its own binning, which would cost epsilon "
        "beyond the stated one, is left out"
    ]
    return rows[list(table.columns)].astype("int64"), notes


if __name__ == "__main__":
    serve(make_rows, packages=("dpmm", "opendp", "numpy"))
