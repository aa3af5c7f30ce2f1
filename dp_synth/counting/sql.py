"""Statements that count records where they are: codes by CASE, marginals by GROUPING SETS.

All that a statement holds is public: names of columns, and constants of the schema. What it gives
are codes and counts. Which cell has which code Python says (`codes` of a column); a statement only
compares. It is written in DuckDB's words, and sqlglot says it in those of other engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import NO_BIT, Domain, ParitySets
from dp_synth.errors import SchemaError, missing_extra
from dp_synth.schema import DiscreteColumn, NumericColumn
from dp_synth.schema.columns import Bins
from dp_synth.schema.constraints import Column
from dp_synth.schema.numeric import DatetimeColumn
from dp_synth.schema.parsing import Cells, narrowed, to_seconds
from dp_synth.types import Clique, Codes, Floats

Kind = Literal["whole", "double", "number", "truth", "text", "day", "moment"]
"""What an engine holds: integers, 64-bit floats, other numbers, logical values, text, dates."""

Case = tuple[str, int]  # a condition, and the code of cells that meet it

OWN = "duckdb"
LONGEST = 200  # signs of a text that may be a number, so that no engine's floats run over
BLANKS = " \t\n\r\f\v"
NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9][0-9]?)?$"


@dataclass(frozen=True)
class CodeExpression:
    """The code of each cell of one column, as an expression of SQL.

    ``kind`` is what the engine holds in the column; ``grid`` the cells of a column on a line,
    where they are not its own. SchemaError for a kind that the schema's column is not read from.
    """

    column: Column
    kind: Kind
    grid: Bins | None = None

    def __post_init__(self) -> None:
        """Check the kind."""
        column, kind = self.column, self.kind
        if isinstance(column, DatetimeColumn):
            fits, wanted = kind in ("day", "moment"), "a date or a timestamp without time zone"
        elif isinstance(column, NumericColumn):
            is_spelt = column.format is not None and kind == "text"
            fits, wanted = kind not in ("day", "moment") and not is_spelt, "a number"
        else:
            fits, wanted = kind != "moment", "text, a number or a date"
        if not fits:
            raise SchemaError(
                f"column {column.name!r}: the database holds another type than the schema's column "
                f"is counted from; give a view in which it is cast to {wanted}"
            )

    @property
    def cell(self) -> str:
        """The cell as `sql` compares it: as the engine holds it, or as text."""
        name = quoted(self.column.name)
        is_text = self.kind == "number" or (
            self.kind in ("day", "text") and not isinstance(self.column, DatetimeColumn)
        )
        return f"CAST({name} AS VARCHAR)" if is_text else name

    @property
    def number(self) -> str:
        """The number in the cell, seconds since 1970 of a date; NULL where there is none."""
        name = quoted(self.column.name)
        if isinstance(self.column, DatetimeColumn):
            return f"CAST(EXTRACT(EPOCH FROM {name}) AS DOUBLE)"
        if self.kind in ("whole", "double"):
            return f"CAST({name} AS DOUBLE)"
        if self.kind in ("text", "number") and self._may_be_number:
            return _number_in(self.cell)
        return "CAST(NULL AS DOUBLE)"

    @property
    def _may_be_number(self) -> bool:
        column = self.column
        return not isinstance(column, DiscreteColumn) or any(column.by_value)

    def sql(self, cell: str, number: str, group: Codes | None = None) -> str:
        """Return the expression over the names of ``cell`` and ``number``.

        Each code is replaced by its ``group`` where one is given.
        """
        if isinstance(self.column, DiscreteColumn):
            return self._discrete(cell, number, group)
        if isinstance(self.column, DatetimeColumn):
            return _case([self._absent(cell)], self._line(number), group)
        return self._numeric(cell, number, group)

    def _discrete(self, text: str, number: str, group: Codes | None) -> str:
        column, kind = self.column, self.kind
        assert isinstance(column, DiscreteColumn)
        numbers, narrow, truths = column.by_value
        other = self._code(np.array(["\ufffd no such category"], dtype=object))
        if kind == "truth":
            return _case(self._truths(text), other, group)
        if kind in ("whole", "double"):
            dtype = np.int64 if kind == "whole" else np.float64
            cases = [self._absent(text), *self._endless(number)]
            values = dict.fromkeys((*numbers, *truths))
            if kind == "whole":
                values = dict.fromkeys(v for v in values if v.is_integer())
            cases += [(f"{number} = {_literal(v)}", self._number(v, dtype)) for v in values]
            if kind == "double":
                cases += self._narrow(number, narrow)
            return _case(cases, other, group)
        cases = [self._absent(text)]
        cases += [(f"{text} = {_text(one)}", self._texts(one)) for one in column.codes_by_text]
        inner = [(f"{number} = {_literal(v)}", code) for v, code in numbers.items()]
        inner += self._narrow(number, narrow)
        inner += [(f"{number} = {_literal(v)}", c) for v, c in truths.items() if v not in numbers]
        words = ((f"{_word(text)} = '{'true' if v else 'false'}'", c) for v, c in truths.items())
        return _case([*cases, *inner, *words], other, group)

    def _numeric(self, text: str, number: str, group: Codes | None) -> str:
        kind = self.kind
        if kind == "truth":
            return _case(self._truths(text), self._texts(""), group)
        if kind in ("whole", "double"):
            cases = [self._absent(text), *self._endless(number)]
            return _case(cases, self._line(number), group)
        word, unread = _word(text), [self._absent(text)]
        unread += [(f"{text} = {_text(mark)}", self._texts(mark)) for mark in self.column.missing]
        unread += [(f"{word} = '{one}'", self._word(one)) for one in ("true", "false")]
        for sign, words in (("", ("inf", "infinity", "+inf", "+infinity")), ("-", ("-inf",))):
            found = ", ".join(map(_text, (*words, "-infinity") if sign else words))
            unread.append((f"{word} IN ({found})", self._word(f"{sign}inf")))
        is_number = f"{number} IS NOT NULL"
        read = _case([], self._line(number), group)
        return f"CASE WHEN {is_number} THEN {read} ELSE {_case(unread, self._texts(''), group)} END"

    def _line(self, number: str) -> Callable[[Codes | None], str]:
        """Return what gives the code of a number: marks first, then cells by halving."""
        column, grid = self.column, self.grid
        assert not isinstance(column, DiscreteColumn)
        own = column.grid if grid is None else grid  # type: ignore[union-attr]
        marks: list[Case] = []
        for place, mark in reversed([*enumerate(column.mark_numbers.tolist())]):  # type: ignore[union-attr]
            if not np.isnan(mark):
                marks += [(one, len(own) + place) for one in self._at_mark(number, mark)]
        cuts = [self._least(cut) for cut in own.cuts[1:-1].tolist()]

        def halved(first: int, last: int, group: Codes | None) -> str:
            """Return the expression of cells ``first`` to ``last``, one for equal groups."""
            codes = range(first, last + 1)
            groups = {code if group is None else int(group[code]) for code in codes}
            if len(groups) == 1:
                return str(groups.pop())
            middle = (first + last + 1) // 2
            below, above = halved(first, middle - 1, group), halved(middle, last, group)
            return (
                f"CASE WHEN {number} < {_literal(cuts[middle - 1])} THEN {below} ELSE {above} END"
            )

        def line(group: Codes | None) -> str:
            return _case(marks, lambda among: halved(0, len(own) - 1, among), group)

        return line

    def _least(self, number: float) -> float:
        """Return the least number in the engine that is read as ``number`` or more."""
        if isinstance(self.column, DatetimeColumn):
            return float(to_seconds(np.array([number]), self.column.step)[0])
        if isinstance(self.column, NumericColumn) and self.column.type == "integer":
            least = number - 0.5
            while np.rint(least) < number:
                least = float(np.nextafter(least, np.inf))
            return least
        return number

    def _at_mark(self, number: str, mark: float) -> list[str]:
        column = self.column
        if isinstance(column, DatetimeColumn) or column.type == "integer":
            low, beyond = self._least(mark), self._least(mark + 1)
            if low == beyond:
                return [f"{number} = {_literal(mark)}"]
            return [f"({number} >= {_literal(low)} AND {number} < {_literal(beyond)})"]
        found = [f"{number} = {_literal(mark)}"]
        held = narrowed(np.array([mark]))[0]
        if not np.isnan(held):
            assert isinstance(column, NumericColumn)
            least, most = _literal(column.grid.lower), _literal(column.grid.upper)
            found.append(f"({number} < {least} OR {number} > {most}) AND {_held(number, held)}")
        return found

    def _narrow(self, number: str, narrow: dict[float, int]) -> list[Case]:
        return [(_held(number, held), code) for held, code in narrow.items()]

    def _truths(self, name: str) -> list[Case]:
        true, false = (self._code(np.array([truth])) for truth in (True, False))
        return [self._absent(name), (name, true), (f"NOT {name}", false)]

    def _endless(self, number: str) -> list[Case]:
        """Return the codes of numbers that are none or infinite, where the engine has such."""
        if self.kind != "double":
            return []
        return [
            (f"{number} = CAST('NaN' AS DOUBLE)", self._texts("nan")),
            (f"{number} = CAST('Infinity' AS DOUBLE)", self._number(np.inf, np.float64)),
            (f"{number} = CAST('-Infinity' AS DOUBLE)", self._number(-np.inf, np.float64)),
        ]

    def _absent(self, name: str) -> Case:
        return f"{name} IS NULL", self._texts("")  # a null is an empty text, as in CSV

    def _texts(self, text: str) -> int:
        return self._code(np.array([text], dtype=object))

    def _word(self, word: str) -> int:
        """Return the code of a word with blanks, which is no mark's text."""
        return self._texts(f"{BLANKS}{word}")

    def _number(self, number: float, dtype: type[np.generic]) -> int:
        return self._code(np.array([number]).astype(dtype))

    def _code(self, distinct: NDArray[np.generic]) -> int:
        """Return the code that a fit in memory gives to one cell."""
        cells = Cells(distinct, np.zeros(1, dtype=np.intp))
        if isinstance(self.column, DiscreteColumn):
            return int(self.column.codes(cells)[0])
        return int(self.column.codes(cells, self.grid)[0])  # type: ignore[union-attr]


def counting_statement(
    table: str,
    expressions: Mapping[str, CodeExpression],
    cliques: Sequence[Clique],
    *,
    groups: Mapping[str, Codes] | None = None,
    dialect: str = OWN,
) -> str:
    """Return the statement that counts all ``cliques`` of a table at once.

    ``table`` is a name or ``schema.name``; ``groups`` relabel codes. A row has the code of each
    attribute of ``expressions`` that a clique names, in their order, -1 where its marginal is over
    others, and then the number of records. ``dialect`` is one of sqlglot's.

    >>> sex = DiscreteColumn(name="sex", type="categorical", categories=("F", "M"))
    >>> known = {"sex": CodeExpression(sex, "text")}
    >>> counting_statement("people", known, [()])
    'SELECT COUNT(*) FROM (SELECT 1 FROM "people") AS coded'
    """
    used = used_in(expressions, cliques)
    source = ".".join(map(quoted, table.split(".")))
    if not used:
        return translated(f"SELECT COUNT(*) FROM (SELECT 1 FROM {source}) AS coded", dialect)
    names = {name: f"c{place}" for place, name in enumerate(used)}
    cells, codes = [], []
    for place, name in enumerate(used):
        one, group = expressions[name], (groups or {}).get(name)
        cells.append(f"{one.cell} AS v{place}, {one.number} AS n{place}")
        codes.append(f"CAST({one.sql(f'v{place}', f'n{place}', group)} AS INTEGER) AS c{place}")
    sets = ", ".join(f"({', '.join(names[a] for a in c)})" for c in _sets(cliques))
    shown = ", ".join(f"COALESCE({name}, -1) AS s{name}" for name in names.values())
    return translated(
        f"SELECT {shown}, COUNT(*) AS records FROM (SELECT {', '.join(codes)} "
        f"FROM (SELECT {', '.join(cells)} FROM {source}) AS cells) AS coded "
        f"GROUP BY GROUPING SETS ({sets})",
        dialect,
    )


def parity_statement(
    table: str,
    expressions: Mapping[str, CodeExpression],
    asked: ParitySets,
    *,
    groups: Mapping[str, Codes] | None = None,
    dialect: str = OWN,
) -> str:
    """Return the statement that counts records with an odd number of the bits of each set.

    A row has these counts, a column a set; ``groups`` are those of codes of which ``asked`` speaks.
    """
    used = list(dict.fromkeys(asked.attributes))
    names = {name: f"c{place}" for place, name in enumerate(used)}
    patterns = {name: _patterns(name, asked) for name in used}
    cells, codes, bits = [], [], []
    for place, name in enumerate(used):
        one, own = expressions[name], (groups or {}).get(name)
        group = patterns[name] if own is None else patterns[name][own]
        cells.append(f"{one.cell} AS v{place}, {one.number} AS n{place}")
        codes.append(f"CAST({one.sql(f'v{place}', f'n{place}', group)} AS INTEGER) AS c{place}")
    for place, (name, half) in enumerate(zip(asked.attributes, asked.halves, strict=True)):
        ones = np.unique(patterns[name][half == 1]).tolist() or [-1]
        bits.append(f"{names[name]} IN ({', '.join(map(str, ones))}) AS b{place}")
    odd = ", ".join(
        f"COALESCE(COUNT_IF({_odd(line)}), 0) AS o{place}"
        for place, line in enumerate(asked.sets.tolist())
    )
    source = ".".join(map(quoted, table.split(".")))
    return translated(
        f"SELECT {odd} FROM (SELECT {', '.join(bits)} FROM (SELECT {', '.join(codes)} "
        f"FROM (SELECT {', '.join(cells)} FROM {source}) AS cells) AS coded) AS halves",
        dialect,
    )


def _patterns(name: str, asked: ParitySets) -> Codes:
    """Return a number for each code of an attribute: that of its bits, from 0 without gaps."""
    halves = [h for a, h in zip(asked.attributes, asked.halves, strict=True) if a == name]
    numbers = np.unique(np.stack(halves, axis=1), axis=0, return_inverse=True)[1]
    return numbers.reshape(-1).astype(np.int32)


def _odd(line: Sequence[int]) -> str:
    """Return the condition that an odd number of bits is 1, each of which stands there once."""
    found = ""
    for bit in sorted(b for b in set(line) if b != NO_BIT and line.count(b) % 2):
        found = f"({found} <> b{bit})" if found else f"b{bit}"
    return found or "1 = 0"


def used_in(names: Iterable[str], cliques: Sequence[Clique]) -> list[str]:
    """Return those names that a clique holds, in their order."""
    return [name for name in names if any(name in clique for clique in cliques)]


def _sets(cliques: Sequence[Clique]) -> list[Clique]:
    """Return one clique of each set of attributes: engines count a set twice if it stands twice."""
    return list({frozenset(clique): clique for clique in cliques}.values())


def translated(statement: str, dialect: str) -> str:
    """Return a statement of DuckDB's in another engine's words."""
    if dialect == OWN:
        return statement
    try:
        import sqlglot
    except ImportError:
        raise missing_extra("counting in this database", "sqlglot", "sql") from None
    if dialect != "spark":
        return sqlglot.transpile(statement, read=OWN, write=dialect)[0]
    parsed = sqlglot.parse_one(statement, read=OWN)
    return str(parsed.transform(_seconds_in_spark).sql(dialect))


def _seconds_in_spark(node: Any) -> Any:
    """Return the seconds since 1970 as Spark tells them, which has no EPOCH to extract."""
    from sqlglot import exp

    if not isinstance(node, exp.Extract):
        return node
    moment = exp.DataType.build("TIMESTAMP_NTZ", dialect="spark")
    first = exp.Cast(this=exp.Literal.string("1970-01-01"), to=moment)
    last = exp.Cast(this=node.expression.copy(), to=moment.copy())
    micros = exp.Anonymous(
        this="TIMESTAMPDIFF", expressions=[exp.Var(this="MICROSECOND"), first, last]
    )
    return exp.Div(this=exp.cast(micros, "DOUBLE"), expression=exp.Literal.number("1e6"))


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever signs it has.

    >>> quoted('age')
    '"age"'
    """
    return '"' + name.replace('"', '""') + '"'


def _case(
    cases: Iterable[Case], other: int | Callable[[Codes | None], str], group: Codes | None
) -> str:
    """Return CASE of the first condition that is met, with the groups of codes."""

    def told(code: int) -> int:
        return code if group is None else int(group[code])

    rest = other(group) if callable(other) else str(told(other))
    whens = " ".join(f"WHEN {condition} THEN {told(code)}" for condition, code in cases)
    return f"CASE {whens} ELSE {rest} END" if whens else rest


def _literal(number: float) -> str:
    """Return a number as a 64-bit float of SQL; negative ones in brackets."""
    text = repr(float(number))
    text = text if "e" in text else f"{text}e0"
    return f"({text})" if number < 0 else text


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _trimmed(text: str) -> str:
    return f"TRIM({text}, {_text(BLANKS)})"


def _word(text: str) -> str:
    return f"LOWER({_trimmed(text)})"


def _number_in(text: str) -> str:
    """Return the number that a text spells; NULL where it spells none, or in too many signs."""
    plain = _trimmed(text)
    return (
        f"CASE WHEN LENGTH({text}) <= {LONGEST} AND REGEXP_MATCHES({plain}, '{NUMBER}') "
        f"THEN CAST({plain} AS DOUBLE) END"
    )


def _held(number: str, held: float) -> str:
    """Return the condition that a 32-bit float holds ``held`` of a number that is not whole."""
    low, high = (_last(held, side) for side in (-np.inf, np.inf))
    return (
        f"({number} >= {_literal(low)} AND {number} <= {_literal(high)} "
        f"AND {number} <> FLOOR({number}))"
    )


def _last(held: float, side: float) -> float:
    """Return the number furthest to one side of which a 32-bit float holds ``held``."""
    own = np.float32(held)
    middle = (float(own) + float(np.nextafter(own, np.float32(side)))) / 2
    return middle if np.float32(middle) == own else float(np.nextafter(middle, -side))


def marginals_of(
    rows: NDArray[np.int64], used: Sequence[str], domain: Domain, cliques: Sequence[Clique]
) -> list[Floats]:
    """Return the counts over each clique from rows of `counting_statement`, over attributes used.

    A marginal without rows is one without records: no engine counts what is not there.
    """
    present = rows[:, :-1] >= 0
    found = []
    for clique in cliques:
        axes = [used.index(name) for name in clique]
        wanted = np.zeros(len(used), dtype=bool)
        wanted[axes] = True
        own = rows[(present == wanted).all(axis=1)]
        table = np.zeros(domain.shape(clique))
        table[tuple(own[:, axis] for axis in axes)] = own[:, -1].sum() if not axes else own[:, -1]
        found.append(table)
    return found
