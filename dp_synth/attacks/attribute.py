"""Attribute inference: guess a secret column of known people from the synthetic table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from dp_synth.attacks.distance import Points, nearest
from dp_synth.attacks.excess_risk import AttackedTables, ExcessRisk, Guess, cites
from dp_synth.errors import InputError
from dp_synth.metrics import Binning
from dp_synth.metrics.fidelity import attributes_of
from dp_synth.metrics.models import short_seed
from dp_synth.schema import DiscreteColumn, Schema
from dp_synth.types import Integers

Method = Literal["nearest", "bayes", "predictor"]

NEIGHBOURS = 1  # a copy of the target says more than a crowd around it
SECRET_CELLS = 10  # a secret number is guessed to a tenth of the synthetic records
SMOOTHING = 0.5  # pseudo-records in each cell of a conditional frequency


@dataclass(frozen=True, eq=False)
class Secret:
    """A secret column: what its values are, and who knows everything but it.

    A secret number is a cell of a tenth of the synthetic records; a category is itself.
    """

    column: str
    schema: Schema
    synthetic: pd.DataFrame

    def __post_init__(self) -> None:
        names = [column.name for column in attributes_of(self.schema)]
        if self.column not in names:
            raise InputError(f"secret {self.column!r} is no attribute of the schema")
        if len(names) < 2:
            raise InputError("to guess a secret column there must be another one")

    @cached_property
    def _binning(self) -> Binning:
        return Binning.from_frame(self.schema.select([self.column]), self.synthetic, SECRET_CELLS)

    @property
    def known(self) -> Schema:
        """The schema of all other columns."""
        return self.schema.select([name for name in self.schema.names if name != self.column])

    @property
    def size(self) -> int:
        """The number of values that the secret may have."""
        return self._binning.sizes[0]

    def values(self, frame: pd.DataFrame) -> Integers:
        """Return the secret of each record, as a number from 0."""
        return self._binning.codes(frame)[:, 0].astype(np.int64)

    def commonest(self) -> int:
        """Return the commonest synthetic value: the guess that knows nothing of the target."""
        return int(np.bincount(self.values(self.synthetic), minlength=self.size).argmax())


def guess_nearest(targets: pd.DataFrame, secret: Secret, seed: int = 0) -> Integers:
    """Return the secret of the synthetic record that is nearest in all other columns.

    The inference attack of Giomi, Boenisch, Wehmeyer & Tasnádi 2023 (arXiv:2211.10459).
    """
    rng = np.random.default_rng(seed)
    known = secret.known
    records = Points.of(secret.synthetic, known)
    found = nearest(Points.of(targets, known), records, NEIGHBOURS, rng)
    votes: Integers = secret.values(secret.synthetic)[found[:, 0]]
    return votes


def guess_bayes(targets: pd.DataFrame, secret: Secret, seed: int = 0) -> Integers:
    """Return the likeliest secret by the synthetic pairs of the secret and each other column.

    Naive Bayes over the two-way marginals that most synthesizers keep; nothing is fitted.
    """
    binning = Binning.from_frame(secret.known, secret.synthetic)
    codes, asked = binning.codes(secret.synthetic), binning.codes(targets)
    values, size = secret.values(secret.synthetic), secret.size
    total = np.bincount(values, minlength=size) + SMOOTHING
    scores = np.tile(np.log(total), (len(targets), 1))
    for axis, cells in enumerate(binning.sizes):
        joint = np.bincount(values * cells + codes[:, axis], minlength=size * cells)
        table = joint.reshape(size, cells) + SMOOTHING / cells
        scores += np.log(table / total[:, None]).T[asked[:, axis]]
    guesses: Integers = np.argmax(scores, axis=1).astype(np.int64)
    return guesses


def guess_predictor(targets: pd.DataFrame, secret: Secret, seed: int = 0) -> Integers:
    """Return what gradient boosting, trained on the synthetic records, predicts."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    values = secret.values(secret.synthetic)
    if len(np.unique(values)) < 2:
        return np.full(len(targets), secret.commonest(), dtype=np.int64)
    known = secret.known
    columns = Points.of(secret.synthetic, known)
    model = HistGradientBoostingClassifier(
        max_iter=50, early_stopping=False, random_state=short_seed(seed)
    )
    with threadpool_limits(limits=1):  # threads for so few records wait more than they work
        model.fit(columns.values, values)
        guesses: Integers = model.predict(Points.of(targets, known).values).astype(np.int64)
    return guesses


GUESSES: dict[Method, Callable[[pd.DataFrame, Secret, int], Integers]] = {
    "nearest": guess_nearest,
    "bayes": guess_bayes,
    "predictor": guess_predictor,
}


@cites("giomi2023")
def attribute_inference(
    members: pd.DataFrame,
    controls: pd.DataFrame,
    secret: Secret,
    *,
    method: Method = "nearest",
    seed: int = 0,
) -> ExcessRisk:
    """Return how much oftener a secret is guessed for fitted records than for fresh ones.

    What the table teaches about the population is guessed equally often for both, and so cancels.
    The baseline guesses the commonest synthetic value for everyone.
    """
    if method not in GUESSES:
        raise InputError(f"method must be one of {', '.join(GUESSES)}, got {method!r}")
    if not len(secret.synthetic):
        raise InputError("to guess a secret the synthetic table must have records")
    frames = (members, controls)
    truths = [secret.values(frame) for frame in frames]
    right = [
        GUESSES[method](frame, secret, seed) == truth
        for frame, truth in zip(frames, truths, strict=True)
    ]
    baseline = float(np.mean(truths[0] == secret.commonest())) if len(members) else 0.0
    return ExcessRisk.of(right[0], right[1], baseline)


def secret_of(tables: AttackedTables) -> Secret | None:
    """Return the label as the secret, else the last categorical column; None without either."""
    columns = attributes_of(tables.schema)
    named = [column.name for column in columns if isinstance(column, DiscreteColumn)]
    column = tables.schema.label or (named[-1] if named else None)
    if column is None or len(columns) < 2:
        return None
    return Secret(column, tables.schema, tables.synthetic)


def _run(tables: AttackedTables, method: Method) -> ExcessRisk | None:
    secret = secret_of(tables)
    if secret is None:
        return None
    given = (tables.members, tables.controls, secret)
    return attribute_inference(*given, method=method, seed=tables.seed)


SEES = "the synthetic table, the record without the secret"
NEAREST = Guess(
    "inference_nearest",
    "inference, nearest record",
    "Does the most similar synthetic record tell a fitted person's secret?",
    "The secret of a {who} record was guessed from the most similar one",
    lambda tables: _run(tables, "nearest"),
    sees=SEES,
    cites=("giomi2023",),
)
BAYES = Guess(
    "inference_bayes",
    "inference, pairs of columns",
    "Do pairs of columns tell a fitted person's secret?",
    "The secret of a {who} record was guessed from pairs of columns",
    lambda tables: _run(tables, "bayes"),
    sees=SEES,
    cites=("giomi2023",),
)
PREDICTOR = Guess(
    "inference_predictor",
    "inference, trained model",
    "Does a model of the synthetic table tell a fitted person's secret?",
    "The secret of a {who} record was guessed by a trained model",
    lambda tables: _run(tables, "predictor"),
    sees=SEES,
    cites=("giomi2023",),
)
