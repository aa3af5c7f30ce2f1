"""How objects show themselves, how far long work is, and text that is only text."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

ROWS = 10  # that are shown of many
TOLD = 100  # times that a watcher is told of one part of the work

Part = TypeVar("Part")
Watcher = Callable[[float], None]
"""Is told which share of the work is done, from 0 to 1: nothing else, rows may be private."""

_watched: ContextVar[tuple[Watcher, float, float] | None] = ContextVar("watched", default=None)
# Control characters but the end of a line and the tab; marks that turn the order of writing, have
# no width or end lines; tags; and halves of characters.
_ACTING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\U000e0000-\U000e007f]|\r(?!\n)"
)


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
    body = [_row("td", row) for row in rows[:most]]
    if len(rows) > most:
        body.append(f'<tr><td colspan="{len(head)}">and {len(rows) - most:,} more</td></tr>')
    lines = "".join(f"<p>{escape(text)}</p>\n" for text in below)
    top = f"<thead>{_row('th', head)}</thead>\n" if any(head) else ""
    return f"<table>\n{top}<tbody>{''.join(body)}</tbody>\n</table>\n{lines}"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Have ``watcher`` told how much of the work inside the block is done."""
    token = _watched.set((watcher, 0.0, 1.0))
    try:
        yield
    finally:
        _watched.reset(token)


@contextmanager
def part_of_work(place: int, parts: int) -> Iterator[None]:
    """Have what is told inside the block count as one of several parts, each about as long.

    >>> with watching(lambda done: print(f"{done:.0%}")):
    ...     for half in range(2):
    ...         with part_of_work(half, 2):
    ...             list(told([1, 2]))
    25%
    50%
    [1, 2]
    75%
    100%
    [1, 2]
    """
    watched = _watched.get()
    if watched is None:
        yield
        return
    watcher, start, size = watched
    token = _watched.set((watcher, start + size * place / parts, size / parts))
    try:
        yield
    finally:
        _watched.reset(token)


def told(steps: Sequence[Part]) -> Iterator[Part]:
    """Yield steps that take about as long each, and tell who watches, if anybody does."""
    watched = _watched.get()
    often = max(1, len(steps) // TOLD)
    for place, step in enumerate(steps, start=1):
        yield step
        if watched and (place % often == 0 or place == len(steps)):
            watcher, start, size = watched
            watcher(start + size * place / len(steps))
