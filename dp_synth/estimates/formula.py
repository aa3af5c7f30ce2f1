"""Regression formulas: response, terms, and how the columns of a design are coded by them.

Formulaic's parser expands the operators, over names of its own for the columns: nothing of a
formula but operators and numbers reaches it, and nothing is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from dp_synth.errors import InputError
from dp_synth.estimates.grammar import QUOTED, WORDS, Alternatives, Reader
from dp_synth.types import Clique

MOST_POWER = 3
TOKEN = re.compile(
    rf"\s*(?:{QUOTED.pattern}|(?P<name>[^\W\d][\w.]*)|(?P<number>\d+)|(?P<sign>\*\*|[-+*:()]))\s*"
)
PARTS = re.compile(rf"{QUOTED.pattern}|(?P<tilde>~)|[^`~]+|`")
READ = "terms are column names with + - : * ** and ( ) between them, names of other signs in `..`"


@dataclass(frozen=True)
class Formula:
    """A response and the terms that tell of it; each is a product of columns, () the intercept.

    ``event`` says which values of the response count, None where the formula names it alone.
    """

    response: str
    event: Alternatives | None
    terms: tuple[Clique, ...]

    @property
    def columns(self) -> Clique:
        """The response, then the columns of the terms, each once."""
        return tuple(dict.fromkeys([self.response, *self.predictors]))

    @property
    def predictors(self) -> Clique:
        """The columns of the terms, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term))


@lru_cache(maxsize=256)
def read_formula(text: str) -> Formula:
    """Return the formula in ``text``; InputError for what is none, or would have to be evaluated.

    >>> read_formula("wage ~ age * sex - 1").terms
    (('age',), ('sex',), ('age', 'sex'))
    """
    left, right = _sides(text)
    reader, event = Reader(left), None
    response, others = reader.name() if left else "", {}
    if reader.rest:
        reader = Reader(left)
        others = reader.conditions()
        event = others.pop(response)
    if reader.rest or others or not response:
        raise InputError(f"formula {text!r}: one column stands left of '~', as in 'wage ~ age'")
    terms = _terms(text, right)
    if not terms:
        raise InputError(f"formula {text!r}: no term stands right of '~', as in 'wage ~ age'")
    if any(response in term for term in terms):
        raise InputError(f"formula {text!r}: {response!r} stands on both sides of '~'")
    return Formula(response, event, terms)


def _sides(text: str) -> tuple[str, str]:
    places = [part.start() for part in PARTS.finditer(text) if part.group("tilde")]
    if len(places) != 1:
        raise InputError(
            f"formula {text!r}: must hold one '~' between response and terms, as in 'wage ~ age'"
        )
    return text[: places[0]].strip(), text[places[0] + 1 :].strip()


def _terms(text: str, right: str) -> tuple[Clique, ...]:
    """Return the terms that formulaic's parser finds, those of fewer columns first."""
    from formulaic.errors import FormulaicError
    from formulaic.parser import DefaultFormulaParser

    names: dict[str, str] = {}
    plain = _with_plain_names(text, right, names)
    columns = {alias: name for name, alias in names.items()}
    try:
        # Without feature flags: one part on one side.
        found = list(DefaultFormulaParser(feature_flags=set()).get_terms(plain))
        terms = [
            tuple(columns[factor.expr] for factor in term.factors if factor.expr in columns)
            for term in found
        ]
    except (FormulaicError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"formula {text!r} cannot be read: {READ}") from error
    return tuple(sorted(dict.fromkeys(terms), key=len))


def _with_plain_names(text: str, right: str, names: dict[str, str]) -> str:
    """Return the terms with a plain name for each column, which ``names`` then holds."""
    written: list[str] = []
    place = 0
    while place < len(right):
        found = TOKEN.match(right, place)
        if found is None:
            sign = right[place:].strip()[0]
            raise InputError(f"formula {text!r}: {sign!r} is not read; {READ}")
        place = found.end()
        quoted, name = found.group(1), found.group("name")
        if name is not None or quoted is not None:
            column = name if quoted is None else quoted.replace("``", "`")
            if name in WORDS:
                raise InputError(f"formula {text!r}: write the column {name!r} in backticks")
            if right[place : place + 1] == "(":
                raise InputError(
                    f"formula {text!r}: {column}(..) is a call, and nothing is evaluated; {READ}"
                )
            written.append(names.setdefault(column, f"x{len(names)}"))
        elif (number := found.group("number")) is not None:
            _check_number(text, number, written)
            written.append(number)
        else:
            written.append(found.group("sign"))
    return " ".join(written)


def _check_number(text: str, number: str, before: Sequence[str]) -> None:
    """Raise InputError for a number that neither tells of the intercept nor is a small power."""
    powers = [str(power) for power in range(1, MOST_POWER + 1)]
    if before[-1:] == ["**"]:
        if number not in powers or before.count("**") > 1:
            raise InputError(
                f"formula {text!r}: has one power at most, of {' or '.join(powers[1:])}"
            )
    elif number not in ("0", "1"):
        raise InputError(f"formula {text!r}: the number {number} is no term; {READ}")


@dataclass(frozen=True)
class Coefficient:
    """A column of a design: the product of numbers, and of being of a code, of some columns."""

    name: str
    numbers: Clique
    codes: Mapping[str, int]


def coefficients(
    terms: Sequence[Clique], levels: Mapping[str, Sequence[int]], texts: Mapping[str, Sequence[str]]
) -> list[Coefficient]:
    """Return the columns of a design of full rank, term by term.

    ``levels`` has the possible codes of each column without numbers, and ``texts`` how each of
    its codes is called. Codes are compared with the first one, where what such a column adds is in
    no term before; else each has its own column (the rule of patsy, after Chambers & Hastie 1992,
    section 2.4.1).

    >>> [c.name for c in coefficients([(), ("a",)], {"a": [0, 2]}, {"a": ["x", "y", "z"]})]
    ['Intercept', 'a[T.z]']
    >>> [c.name for c in coefficients([("a",), ("a", "b")], {"a": [0, 2]}, {"a": ["x", "y", "z"]})]
    ['a[x]', 'a[z]', 'a[x]:b', 'a[z]:b']
    """
    used: set[tuple[frozenset[str], frozenset[str]]] = set()
    found = []
    for term in terms:
        factors = [name for name in term if name in levels]
        numbers = tuple(name for name in term if name not in levels)
        for coding in _codings(factors, frozenset(numbers), used):
            own = [name for name in term if name in numbers or name in coding]
            found += _columns(own, coding, levels, texts)
    return found


def _codings(
    factors: Sequence[str],
    numbers: frozenset[str],
    used: set[tuple[frozenset[str], frozenset[str]]],
) -> list[dict[str, bool]]:
    """Return how a term's factors are coded: parts of it, each with whether a factor is full.

    A full factor spans what it spans when it is compared with its first code, and what the term
    spans without it: so a part without a factor is joined to the same part with it.
    """
    subsets = [frozenset(c) for n in range(len(factors) + 1) for c in combinations(factors, n)]
    new = [dict.fromkeys(part, False) for part in subsets if (part, numbers) not in used]
    used |= {(part, numbers) for part in subsets}
    joined = True
    while joined:
        joined = False
        for without in new:
            wider = [
                (part, name)
                for part in new
                for name in part.keys() - without.keys()
                if not part[name] and {k: v for k, v in part.items() if k != name} == without
            ]
            if wider:
                part, name = wider[0]
                new[new.index(part)] = {**part, name: True}
                new.remove(without)
                joined = True
                break
    return new


def _columns(
    term: Sequence[str],
    coding: Mapping[str, bool],
    levels: Mapping[str, Sequence[int]],
    texts: Mapping[str, Sequence[str]],
) -> list[Coefficient]:
    """Return the columns of one part of a term, the first factor's codes changing first."""
    found = [Coefficient("", (), {})]
    for name in reversed(term):
        if name not in coding:
            found = [_times(name, one, (name,), {}) for one in found]
            continue
        codes = levels[name] if coding[name] else levels[name][1:]
        sign = "" if coding[name] else "T."
        found = [
            _times(f"{name}[{sign}{texts[name][code]}]", one, (), {name: code})
            for one in found
            for code in codes
        ]
    return found if term else [Coefficient("Intercept", (), {})]


def _times(name: str, one: Coefficient, numbers: Clique, codes: Mapping[str, int]) -> Coefficient:
    joined = f"{name}:{one.name}" if one.name else name
    return Coefficient(joined, numbers + one.numbers, {**codes, **one.codes})
