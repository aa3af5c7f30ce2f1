"""Release files: what stands in one, and the checks of what is read.

A release file is a zip archive of .npy arrays (numpy's .npz), none of them pickled:

- ``header``: one text, a JSON object with ``format``, ``version``, ``dp_synth`` (the version that
  wrote it), ``synthesizer``, ``settings``, ``schema`` (as in a schema file), ``ledger``, ``total``
  (the noisy number of records), ``transcript`` (a JSON object for each answer, as the classes of
  `transcript`) and ``kind``: "tree" or "mixture". Of a tree also ``cliques``: a list of attribute
  names for each table of the model. ``output``, where rows are no plain frames of pandas: their
  ``backend``, and ``dtypes`` by column that were declared public.
- ``weights`` and ``attribute_<j>``: of a mixture, the probability of each component, and a row of
  probabilities of the j-th attribute's codes for each component, in which it is independent.
- ``clique_<i>``: of a tree, probabilities over the i-th of ``cliques``, one axis an attribute,
  summing to 1. The cliques form a junction tree; tables that share attributes agree on them.
- ``group_<j>`` and ``share_<j>``: of the j-th attribute, for each code, the group that stands for
  it in the tables and its part of that group. Left out where tables are over the codes
  themselves.
- ``answer_<k>``: the noisy values of the k-th answer of the transcript; a choice has none.
- ``answer_<k>_records``, ``_attributes``, ``_others``, ``_winners``: of an answer of votes, the
  made-up records that were asked about, the number of the attribute in which the twin of each
  differs, the twin's code there, and whether the record won; codes are bytes where they fit.
- ``answer_<k>_halves``, ``_sets``: of parities, the bit of each code of each attribute, a line
  each, and the bits of each set; -1 fills lines up.
- ``answer_<k>_logs``, ``_models``, ``_units``, ``_means``, ``_variances``: of noisy sums, what each
  corrects, as in `transcript.AskedSums`.
- ``answer_groups_<m>``: the new code of each code, named by the answers that were given over it.

Codes count the categories, or the cells of a numeric column, in the order of the schema; missing
marks come after them. Version 1 had no transcript, and its tables were over the codes; version 2
had no votes in its transcript, version 3 no histograms. Kinds of answers that came later,
parities and sums, changed nothing else in version 4, nor did ``output`` and ``counted_by``. Version
5 has ``keys``, version 6 ``unit_weights`` (their fields), and in the model the column of classes
behind the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Ledger
from dp_synth.errors import ReleaseError
from dp_synth.inference import MixtureModel, Model, RefinedModel
from dp_synth.schema import IdColumn, Schema
from dp_synth.settings import checked
from dp_synth.transcript import names_of
from dp_synth.unit_weights import UnitWeights

FORMAT, VERSION = "dp_synth.release", 4
KEYED_VERSION = 5  # of a release whose rows have new keys
WEIGHTED_VERSION = 6  # of one whose units' rows were counted by weights
READABLE = (1, 2, 3, VERSION, KEYED_VERSION, WEIGHTED_VERSION)

Keys = tuple[tuple[int, IdColumn], ...]
"""Columns that get new keys in synthetic rows, each with its place among all columns."""


def weights_of_file(fields: object, schema: Schema, ledger: Ledger) -> UnitWeights | None:
    """Return the weights that a header tells; ValueError for others than a fit has."""
    weights = UnitWeights.beside(schema.names, ledger.budget.max_rows)
    if fields is not None and (fields != asdict(weights) or weights.max_rows == 1):
        raise ValueError("unit weights must be those of the ledger's budget")
    return None if fields is None else weights


def keys_of_file(fields: object, schema: Schema) -> Keys:
    """Return the columns of keys that a header names; ValueError for others than rows can have."""
    found = checked({"keys": fields}, {"keys": tuple[tuple[Any, ...], ...]})["keys"]
    pairs = [(one[0], IdColumn.model_validate(one[1])) for one in found if len(one) == 2]
    keys = tuple((place, one) for place, one in pairs if type(place) is int and one.pattern)
    if len(keys) < len(found) or (keys and schema.with_keys(keys).keys != keys):
        raise ValueError("keys must be columns with a place and a pattern")
    return keys


def model_of_file(
    schema: Schema,
    weights: UnitWeights | None,
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray[np.generic]],
) -> Model:
    """Return the model of a file's arrays; KeyError or ValueError where they do not fit."""
    total, domain = float(header["total"]), schema.domain
    if weights is not None:
        domain = weights.beside_others(domain)
    if header.get("kind") == MixtureModel.kind:
        return MixtureModel.from_arrays(domain, arrays, total)
    cliques = [tuple(clique) for clique in header["cliques"]]
    model = RefinedModel.from_arrays(domain, cliques, arrays, total)
    return model if model.groups else model.coarse


def members_of_file(header: object, present: Iterable[str] = ()) -> list[str]:
    """Return the names of the arrays that a header may need; ReleaseError where it is none."""
    fields = _check_head(header)
    columns, cliques = fields["schema"].get("columns"), fields.get("cliques", ())
    several = len(columns) + 1 if isinstance(columns, list) else 0  # one of classes of units
    names = ["weights", *(f"clique_{place}" for place in range(len(cliques)))]
    for name in ("attribute", "group", "share"):
        names += (f"{name}_{axis}" for axis in range(several))
    return [*names, *names_of(fields["transcript"])]


def _check_head(header: object) -> dict[str, Any]:
    """Return the fields of a header with their kinds checked; ReleaseError where it is none."""
    if not isinstance(header, dict):
        raise ReleaseError(f"its head must be an object, got {type(header).__name__}")
    if header.get("format") != FORMAT or header.get("version") not in READABLE:
        raise ReleaseError(
            f"it is {header.get('format')!r} of version {header.get('version')!r}, not "
            f"{FORMAT!r} of version {' or '.join(map(str, READABLE))}"
        )
    kinds = dict(_HEAD)
    if header.get("kind") != MixtureModel.kind:
        kinds["cliques"] = tuple[tuple[str, ...], ...]
    if header["version"] > 1:
        kinds["transcript"] = tuple[dict[str, Any], ...]
    if "output" in header:
        kinds["output"] = dict
    if "counted_by" in header:
        kinds["counted_by"] = str
    return {"transcript": (), **checked(header, kinds)}


_HEAD = {"synthesizer": str, "settings": dict, "schema": dict, "ledger": dict, "total": float}
