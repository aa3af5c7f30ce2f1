"""How near audits come to what is claimed: every method, at three claims, beside their ceilings.

The records are those of ``audits.py``, beside this; nothing is measured that is not there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measured import RESULTS, ROOT, Record, read
from dp_synth.figures import audit_bounds, bounds_of
from dp_synth.figures.style import is_network, named
from dp_synth.formatting import at_least
from experiments.outline import RUN_TIME, Experiment, in_words
from paper.documents import markdown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
AUDITS = RESULTS / "audits.jsonl"
CHOOSING = ("aim", "mwem", "privbayes")  # in rounds, after having seen earlier answers
PROVEN, GAUSSIAN, IF_CURVE = "clopper_pearson", "gaussian_threshold", "area_if_curve"


def measure(resume: bool) -> None:
    """Audit every method anew, or those of which there is no record."""
    command = [sys.executable, "-m", "experiments.audit_tightness.audits"]
    subprocess.run([*command, *(["--resume"] if resume else [])], check=True, cwd=ROOT)


def bounds() -> pd.DataFrame:
    """Return a row a bound, with the claim as it was asked for."""
    found = bounds_of(read(AUDITS))
    return found.assign(asked=found["claimed"].round(3))


def claims(found: pd.DataFrame) -> list[float]:
    """Return the claims, the smallest first."""
    return sorted(float(claim) for claim in found["asked"].unique())


def tightness_table(found: pd.DataFrame) -> str:
    """Return what audits find of each method at each claim, and what they could at most prove."""
    head = ["method", "runs"]
    for claim in claims(found):
        head += [f"ε = {claim:g}: proven (at most)", "if Gaussian", "if curve"]
    rows = []
    for name, group in found.groupby("series", sort=False):
        row = [f"`{name}`", f"{group['runs'].iloc[0]:,}"]
        for claim in claims(found):
            at = group[group["asked"] == claim].set_index("method")
            row += _cells(at)
        rows.append(row)
    return markdown(head, rows)


def _cells(at: pd.DataFrame) -> list[str]:
    if at.empty:
        return ["-"] * 3
    epsilon = at["epsilon"].reindex([PROVEN, GAUSSIAN, IF_CURVE])
    proven = f"{at_least(epsilon[PROVEN], 2)} ({at_least(at['ceiling'][PROVEN], 2)})"
    return [proven, *(_number(epsilon[method]) for method in (GAUSSIAN, IF_CURVE))]


def _number(value: float) -> str:
    return "-" if np.isnan(value) else at_least(value, 2)


def shares(found: pd.DataFrame, method: str, claim: float) -> pd.Series[float]:
    """Return what a method of audit finds of each claim, as shares of it."""
    rows = found[(found["method"] == method) & (found["asked"] == claim)]
    return (rows["epsilon"] / rows["claimed"]).set_axis(rows["series"])


def families(of_claim: pd.Series[float]) -> dict[str, str]:
    """Return the least and the largest share of a claim in each kind of method."""
    kinds = [
        "choosing" if name in CHOOSING else "networks" if is_network(name) else "fixed"
        for name in of_claim.index
    ]
    ends = (100 * of_claim).groupby(kinds).agg(["min", "max"])
    return {str(kind): f"{row['min']:.0f} to {row['max']:.0f} %" for kind, row in ends.iterrows()}


def texts() -> dict[str, str]:
    """Return what the README says in numbers."""
    found, records = bounds(), read(AUDITS)
    said = {"tightness": tightness_table(found), RUN_TIME: _minutes(records)}
    said["audits"] = f"{len(records)}"
    said["methods"] = f"{found['series'].nunique()}"
    said["refuted"] = f"{sum(not record['passed'] for record in records)}"
    proven = found[found["method"] == PROVEN]
    said["above"] = f"{int((proven['epsilon'] > proven['claimed']).sum())}"
    for claim in claims(found):
        for method, word in ((PROVEN, "proven"), (GAUSSIAN, "gaussian"), (IF_CURVE, "curve")):
            of_claim = shares(found, method, claim).dropna()
            best, median = 100 * of_claim.max(), 100 * of_claim.median()
            whose = f" ({named(str(of_claim.idxmax()))})" if best else ""
            said[f"{word} {claim:g}"] = f"{best:.0f} %{whose}"
            said[f"{word} median {claim:g}"] = f"{median:.0f} %"
    said |= families(shares(found, IF_CURVE, 4.0).dropna())
    ceilings = proven["ceiling"]
    said["ceilings"] = f"{at_least(ceilings.min(), 2)} to {at_least(ceilings.max(), 2)}"
    return said


def _minutes(records: Sequence[Record]) -> str:
    """Return how long the audits took, without the search for their designs."""
    return in_words(sum(record["seconds"] for record in records))


def draw() -> Figure:
    """Return a panel a claim: what audits find of each method, beside claim and ceiling."""
    figure = audit_bounds(bounds())[0].get_figure(root=True)
    assert figure is not None
    return figure


EXPERIMENT = Experiment(HERE, (AUDITS,), texts, draw, measure)
