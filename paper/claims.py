"""Sentences that rank or judge, beside the numbers that they rest on.

A number that changes with its record changes in the text by itself; what a sentence says of it
does not. Each entry is a piece of a template, and what must be true for it to stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paper.number import Number
from paper.utility_numbers import METHODS, OF_NETWORKS

Names = Mapping[str, Number]


@dataclass(frozen=True)
class Claim:
    """A piece of a template, word for word, and whether the numbers bear it out."""

    text: str
    holds: Callable[[Names], bool]


def broken(numbers: Names) -> list[str]:
    """Return the claims that the numbers no longer bear out."""
    return [claim.text for claim in CLAIMS if not claim.holds(numbers)]


def _value(numbers: Names, name: str) -> float:
    return numbers[name].value


def _least_error(numbers: Names) -> bool:
    ours = numbers["clique_tree_tv_adult"]
    others = [numbers[f"{method}_tv_adult"] for method in METHODS if method != "clique_tree"]
    return all((ours.high or ours.value) < (other.low or other.value) for other in others)


def _networks_behind(numbers: Names) -> bool:
    ours = _value(numbers, "clique_tree_tv_adult")
    return all(_value(numbers, f"{method}_tv_coded") > ours for method in OF_NETWORKS)


def _order_of_ends(numbers: Names) -> bool:
    ends = (("mst_saved_least", "mst_saved_most"), ("sampled_saved_least", "sampled_saved_most"))
    return all(0 < _value(numbers, low) <= _value(numbers, high) for low, high in ends)


def _limited(numbers: Names) -> bool:
    return numbers["power_clopper_pearson_sqrt2"].more_than


def _attacks_below(numbers: Names) -> bool:
    names = ("closest_record", "density_ratio", "marginal_ratio", "transcript_ratio")
    largest = _value(numbers, "risk_largest")
    return all(_value(numbers, f"risk_{name}") < largest for name in names)


CLAIMS = (
    Claim("has the least error of the methods here", _least_error),
    Claim("has a larger error than the clique tree", _networks_behind),
    Claim(
        "although its delta is larger",
        lambda n: _value(n, "networks_delta") > _value(n, "adult_delta"),
    ),
    Claim("is never more than {{mst_gap_most}} % above", lambda n: _value(n, "mst_gap_most") >= 0),
    Claim("Private gradients need {{sampled_saved_least}} to", _order_of_ends),
    Claim("for plans of this kind little is left to gain", lambda n: _value(n, "mst_gap_most") < 1),
    Claim("and not within {{power_clopper_pearson_sqrt2}} runs by the customary", _limited),
    Claim("where the ledger permits {{risk_largest}}", _attacks_below),
    Claim(
        "with half the noise\nthe first becomes",
        lambda n: (n["roc_halved_tpr"].low or 0) > (n["roc_transcript_tpr"].high or 1),
    ),
)
