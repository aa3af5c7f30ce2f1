"""What the numbers of an attack say, in one plain sentence."""

from __future__ import annotations

from math import isfinite

from dp_synth.metrics.estimate import Estimate
from dp_synth.report.guarantee import upward

SEES = {
    "closest_record": "the synthetic table",
    "density_ratio": "the synthetic table, records of other people",
    "singling_out_univariate": "the synthetic table",
    "singling_out_multivariate": "the synthetic table",
    "linkability": "the synthetic table, the record in two halves",
    "inference_nearest": "the synthetic table, the record without the secret",
    "inference_bayes": "the synthetic table, the record without the secret",
    "inference_predictor": "the synthetic table, the record without the secret",
    "reconstruction": "the synthetic table, all records without the secret",
}
"""What the attacks that are no `Attack` see; the others say themselves what they need."""

UNKNOWN_QUESTION = "Are fitted records scored higher than fresh ones?"

QUESTIONS = {
    "closest_record": "Are fitted records closer to the synthetic table?",
    "density_ratio": "Are fitted records likelier in the table than elsewhere (pairs of columns)?",
    "nearest_records": "Are fitted records close to several synthetic ones?",
    "records_within_radius": "Do more synthetic records lie around fitted records?",
    "distance_difference": "Are fitted records closer to the table than to other people?",
    "domias": "Are fitted records likelier in the table than elsewhere (kernel densities)?",
    "gen_lra": "Would the table be likelier, had the record been among the fitted ones?",
    "classifier": "Does a model that tells the table from other people know fitted records?",
    "marginal_ratio": "Are the counts that the method keeps higher where fitted records are?",
    "transcript_ratio": "Do the released noisy counts tell who was fitted?",
}

DID = {
    "singling_out_univariate": "A guess of one rare value singled out exactly one {who} record",
    "singling_out_multivariate": "A guess of three values singled out exactly one {who} record",
    "linkability": "The two halves of a {who} record were linked",
    "inference_nearest": "The secret of a {who} record was guessed from the most similar one",
    "inference_bayes": "The secret of a {who} record was guessed from pairs of columns",
    "inference_predictor": "The secret of a {who} record was guessed by a trained model",
    "reconstruction": "The secret of a {who} record was reconstructed from counts",
}
GUESSED = "A guess about a {who} record was right"


def of_membership(area: Estimate, *, similarity: bool, largest_auc: float | None) -> str:
    """Return what an AUC says to somebody who has to decide.

    >>> print(of_membership(Estimate(0.62, 0.6, 0.64), similarity=False, largest_auc=None))
    Shown a fitted and a fresh record, the attack picks the fitted one in 62.0 % of cases \
(60.0 to 64.0 %); a coin in 50 %. It tells them apart.
    """
    shares = f"{_share(area.value)} of cases ({_range(area.low, area.high)}); a coin in 50 %."
    text = f"Shown a fitted and a fresh record, the attack picks the fitted one in {shares}"
    if largest_auc is not None and area.low > largest_auc:
        text += (
            f" That is more than the ledger permits ({upward(largest_auc)}): look for a defect, or "
            "for a holdout of other people than those who were fitted."
        )
    elif area.low > 0.5:
        text += " It tells them apart."
    else:
        text += " It did no better than a coin, which proves nothing."
    return text + (" This is similarity, not privacy." if similarity else "")


def of_guess(name: str, attacked: float, control: float, risk: Estimate) -> str:
    """Return what a guess was worth on fitted records, beside records that were never fitted.

    >>> print(of_guess("linkability", 0.3, 0.1, Estimate(0.2222, 0.1, 0.3)))
    The two halves of a fitted record were linked in 30.0 % of tries, those of a fresh one in \
10.0 %. Being fitted adds 22.2 % (10.0 to 30.0 %) of what was left to gain.
    """
    did = DID.get(name, GUESSED).format(who="fitted")
    those = "those of a fresh one" if name == "linkability" else "a fresh one"
    text = f"{did} in {_share(attacked)} of tries, {those} in {_share(control)}."
    if not isfinite(risk.low) and not isfinite(risk.value):
        return f"{text} Fresh records left nothing to gain."
    if risk.low > 0:
        gain = f"{_share(risk.value)} ({_range(risk.low, risk.high)}) of what was left to gain."
        return f"{text} Being fitted adds {gain}"
    within = _range(risk.low, risk.high)
    return f"{text} Being fitted adds nothing that shows ({within} of what was left to gain)."


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _range(low: float, high: float) -> str:
    return f"{_number(low)} to {_number(high)} %"


def _number(share: float) -> str:
    return f"{100 * share:.1f}" if isfinite(share) else "less than -1000"
