"""How series of a page look: the figures' colours, markers and dashes, for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dp_synth.figures.style import BASELINES, GREY, INK, Dashes, Line, lines_of

SURFACES = {"light": "#ffffff", "dark": "#15181d"}  # page.css draws figures on these
LEAST_CONTRAST = 3.0  # of a line beside its surface: WCAG 2.2, success criterion 1.4.11
BLACK, WHITE = "#000000", "#ffffff"
NIGHT = {INK: "#e8eaed", GREY: "#a9b1bc"}  # what is nearly black on white is nearly white on black

# One path a marker, around the origin, about nine units wide.
MARKS = {
    "o": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "s": "M-3.7-3.7h7.4v7.4h-7.4Z",
    "^": "M0-4.8L4.5 3.4H-4.5Z",
    "<": "M-4.8 0L3.4-4.5V4.5Z",
    ">": "M4.8 0L-3.4-4.5V4.5Z",
    "h": "M0-5L4.3-2.5V2.5L0 5L-4.3 2.5V-2.5Z",
    "D": "M0-5L5 0L0 5L-5 0Z",
    "v": "M0 4.8L4.5-3.4H-4.5Z",
    "P": "M-1.7-4.7h3.4v3h3v3.4h-3v3h-3.4v-3h-3v-3.4h3Z",
    "X": (
        "M-4.5-2.3L-2.3-4.5L0-2.2L2.3-4.5L4.5-2.3L2.2 0"
        "L4.5 2.3L2.3 4.5L0 2.2L-2.3 4.5L-4.5 2.3L-2.2 0Z"
    ),
    "p": "M0-4.9L4.7-1.5L2.9 4H-2.9L-4.7-1.5Z",
    "*": "M0-5.8L1.5-2L5.5-1.8L2.4.7L3.4 4.7L0 2.5L-3.4 4.7L-2.4.7L-5.5-1.8L-1.5-2Z",
    "d": "M0-5L3 0L0 5L-3 0Z",
}
DASHES = {"-": "", "--": "7 4", "-.": "8 3 2 3", ":": "2 3"}
UNIT = 2.0  # pixels of a line's width: dashes of a figure count in such widths
PEER_DASHES = "9 3 2 3 2 3"


@dataclass(frozen=True)
class Look:
    """Colours of the light and the dark page, the pattern of the line, the path of the marker."""

    light: str
    dark: str
    dashes: str
    mark: str


def looks(fitted: Sequence[str], peers: Sequence[str]) -> dict[str, Look]:
    """Return the look of each fitted series, no two alike; peers are those of others' code."""
    found: dict[str, Look] = {}
    for name, line in lines_of(fitted).items():
        dashes = PEER_DASHES if name in peers else _dashes(line.dashes)
        found[name] = _unlike(_look(line, dashes), found)
    return found


def baseline_look(name: str) -> Look:
    """Return the look of a baseline; a share of the real rows is dotted.

    >>> baseline_look("fresh_rows").dashes, baseline_look("sample_of_rows (share=0.1)").dashes
    ('8 3 2 3', '2 3')
    """
    line = BASELINES.get(name, Line(GREY, ":", "d"))
    return _look(line, _dashes(line.dashes))


def _unlike(look: Look, others: dict[str, Look]) -> Look:
    """Return ``look`` with the first marker that sets it apart: a palette has few colours."""
    marks = [look.mark, *(mark for mark in MARKS.values() if mark != look.mark)]
    choices = [Look(look.light, look.dark, look.dashes, mark) for mark in marks]
    return next((choice for choice in choices if choice not in others.values()), look)


def _look(line: Line, dashes: str) -> Look:
    light = readable(line.color, SURFACES["light"])
    dark = readable(NIGHT.get(line.color, line.color), SURFACES["dark"])
    return Look(light, dark, dashes, MARKS[line.marker])


def _dashes(dashes: Dashes) -> str:
    if isinstance(dashes, str):
        return DASHES[dashes]
    return " ".join(f"{UNIT * part:g}" for part in dashes[1])


def readable(color: str, surface: str) -> str:
    """Return the colour nearest to ``color``, towards black or white, that shows on ``surface``.

    >>> readable("#0072B2", "#ffffff"), contrast(readable("#E69F00", "#ffffff"), "#ffffff") >= 3
    ('#0072b2', True)
    """
    towards = BLACK if contrast(surface, BLACK) > contrast(surface, WHITE) else WHITE
    mixtures = (_mixed(color, towards, i / 50) for i in range(51))
    return next(found for found in mixtures if contrast(found, surface) >= LEAST_CONTRAST)


def contrast(color: str, other: str) -> float:
    """Return the contrast ratio of two colours, between 1 and 21 (WCAG 2.2, definitions)."""
    darker, lighter = sorted((_luminance(color), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(color))
    ]
    return sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _mixed(color: str, other: str, share: float) -> str:
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round((1 - share) * a + share * b):02x}" for a, b in pairs)


def _channels(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]
