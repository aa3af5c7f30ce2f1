"""Text for people: bounds in few digits, short tables, and signs that act on no terminal.

A lower bound is never shown higher than it is, an upper one never lower. The ceiling of an audit
is the largest lower bound that it could give, and is rounded as one.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Any, TextIO, cast

SHORT = 4  # digits of a bound in a sentence
ALL_DIGITS = 400  # of the largest number that there is, and some after the point
ROWS = 10  # that are shown of many

# Control characters but the end of a line and the tab; marks that turn the order of writing, have
# no width or end lines; tags; and halves of characters.
_ACTING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\U000e0000-\U000e007f]|\r(?!\n)"
)


def at_least(bound: float, decimals: int) -> str:
    """Return a lower bound with so many digits after the point, rounded down.

    >>> at_least(0.8996, 2), at_least(0.29, 2), at_least(-0.001, 2)
    ('0.89', '0.29', '-0.01')
    """
    return _rounded(bound, decimals, ROUND_FLOOR)


def at_most(bound: float, decimals: int) -> str:
    """Return an upper bound with so many digits after the point, rounded up.

    >>> at_most(1.0004, 2), at_most(1.1, 2), at_most(1234.5, 0)
    ('1.01', '1.10', '1,235')
    """
    return _rounded(bound, decimals, ROUND_CEILING)


def rounded_up(bound: float, digits: int = SHORT) -> str:
    """Return an upper bound in few significant digits, never below it.

    >>> rounded_up(0.99999999), rounded_up(7.7325154879), rounded_up(1e-5 / 3), rounded_up(0.1)
    ('1', '7.733', '3.334e-06', '0.1')
    >>> rounded_up(float("inf"))
    'infinite'
    """
    return _short(bound, digits, ROUND_CEILING)


def rounded_down(bound: float, digits: int = SHORT) -> str:
    """Return a lower bound in few significant digits, never above it.

    >>> rounded_down(0.99999999), rounded_down(3.73043), rounded_down(float("inf"))
    ('0.9999', '3.73', 'infinite')
    """
    return _short(bound, digits, ROUND_FLOOR)


def as_given(number: float) -> str:
    """Return a number in as many digits as tell it from any other.

    >>> as_given(1e-05), as_given(1.0), as_given(1e-5 / 3)
    ('1e-05', '1', '3.3333333333333337e-06')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def percent_at_most(share: float, decimals: int) -> str:
    """Return an upper bound on a share in percent, rounded up.

    >>> percent_at_most(0.50001, 1), percent_at_most(0.5, 1), percent_at_most(0.07, 1)
    ('50.1 %', '50.0 %', '7.0 %')
    """
    in_percent = (
        Decimal(repr(float(share))).scaleb(2).quantize(Decimal(1).scaleb(-decimals), ROUND_CEILING)
    )
    return f"{in_percent} %"


def _short(bound: float, digits: int, rounding: str) -> str:
    if not math.isfinite(bound):
        return "infinite"
    context = Context(prec=digits, rounding=rounding)
    return f"{float(context.create_decimal(repr(float(bound)))):.{digits}g}"


def _rounded(bound: float, decimals: int, rounding: str) -> str:
    if not math.isfinite(bound):
        return f"{bound:.{decimals}f}"
    # The shortest decimal of a number stands for it: 0.29 is meant, not the nearest binary number.
    meant, step = Decimal(repr(float(bound))), Decimal(1).scaleb(-decimals)
    shown = meant.quantize(step, rounding, Context(prec=ALL_DIGITS))
    return f"{shown or abs(shown):,.{decimals}f}"  # of zeros the one without a sign


def inert(text: str) -> str:
    r"""Return ``text`` with all that acts on a terminal, or reorders what it shows, spelled out.

    >>> print(inert("\x1b[2Jsigned by\u202e nobody"))
    \u001b[2Jsigned by\u202e nobody
    """
    return _ACTING.sub(lambda found: _spelled(found[0]), text)


def one_line(text: str) -> str:
    r"""Return ``text`` as `inert` does, with ends of lines and tabs spelled out as well.

    >>> print(one_line("mst\nhead found"))
    mst\u000ahead found
    """
    return re.sub(r"[\t\r\n]", lambda found: _spelled(found[0]), inert(text))


def _spelled(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")  # as JSON has it, so that JSON stays JSON
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


class InertText:
    """A text stream that shows all text that it is given as text; see `inert`."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text``, spelled out."""
        self._stream.write(inert(text))
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    @property
    def rich_proxied_file(self) -> TextIO:
        """The stream itself, where rich draws its bars."""
        return self._stream

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)


@contextmanager
def inert_streams() -> Iterator[None]:
    """Show what the block prints as text: on standard error, and on output that is a terminal.

    Output that goes to a file or another program stays as it is.
    """
    streams = sys.stdout, sys.stderr
    try:
        if sys.stdout is not None and sys.stdout.isatty():
            sys.stdout = cast("TextIO", InertText(sys.stdout))
        if sys.stderr is not None:
            sys.stderr = cast("TextIO", InertText(sys.stderr))
        yield
    finally:
        sys.stdout, sys.stderr = streams


def html_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[str] = (),
    *,
    most: int = ROWS,
) -> str:
    """Return an HTML table of the first rows, how many more there are, and lines below it.

    >>> html_table(["a"], [["<"]] * 3, most=2).count("&lt;")
    2
    """
    from html import escape

    body = [_row("td", row) for row in rows[:most]]
    if len(rows) > most:
        body.append(f'<tr><td colspan="{len(head)}">and {len(rows) - most:,} more</td></tr>')
    lines = "".join(f"<p>{escape(text)}</p>\n" for text in below)
    top = f"<thead>{_row('th', head)}</thead>\n" if any(head) else ""
    return f"<table>\n{top}<tbody>{''.join(body)}</tbody>\n</table>\n{lines}"


def _row(tag: str, cells: Sequence[str]) -> str:
    from html import escape

    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"
