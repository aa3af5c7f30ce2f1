"""The classifier attack: what a model that tells synthetic from reference rows says of a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import logit

from dp_synth.attacks.base import Attack
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.metrics.models import MODELS, features_of, learn_and_predict
from dp_synth.types import Floats

MIN_PROBABILITY = 1e-12  # of a probability, so that its logit is finite


@dataclass(frozen=True)
class SyntheticClassifier(Attack):
    """Score by the log odds that a record is synthetic, learned against reference records.

    LOGAN without access to the model (Hayes, Melis, Danezis & De Cristofaro 2019,
    arXiv:1705.07663), with a classifier in place of a discriminator. Ties are left as they are.
    """

    model: str = "gradient_boosting"
    seed: int = 0
    name: ClassVar[str] = "classifier"
    figure_label: ClassVar[str] = "classifier"
    question: ClassVar[str] = (
        "Does a model that tells the table from other people know fitted records?"
    )
    cites: ClassVar[tuple[str, ...]] = ("hayes2019",)
    needs_reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model not in MODELS:
            raise InputError(f"model must be one of {', '.join(MODELS)}, got {self.model!r}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        tables = (view.synthetic, self._reference(view))
        schema = view.schema.model_copy(update={"label": None, "positive": None})
        aims, kinds = features_of(targets, schema)
        features = [features_of(table, schema)[0] for table in tables]
        if not (len(targets) and all(map(len, tables))):
            return np.zeros(len(targets))
        labels = np.repeat(np.array([1, 0], dtype=np.int32), [len(table) for table in tables])
        model = MODELS[self.model](kinds, self.seed)
        chances = learn_and_predict(model, np.concatenate(features), labels, aims)[:, 1]
        odds: Floats = logit(np.clip(chances, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
        return odds
