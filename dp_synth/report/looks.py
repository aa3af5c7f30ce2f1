"""How the series of a benchmark look on its page: colours of two themes, dashes, marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dp_synth.figures.style import BASELINES, GREY, Line, lines_of

SURFACES = {"light": "#ffffff", "dark": "#15181d"}  # benchmark.css draws charts on these
LEAST_CONTRAST = 3.0  # of a line beside its surface: WCAG 2.2, success criterion 1.4.11
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # WCAG 2.2, definitions
SHAPES = {  # matplotlib's markers, as Vega names them
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "D": "diamond",
    "P": "cross",
    "X": "M-.9 -.5L-.5 -.9L0 -.4L.5 -.9L.9 -.5L.4 0L.9 .5L.5 .9L0 .4L-.5 .9L-.9 .5L-.4 0Z",
    "h": "M0 -1L.87 -.5V.5L0 1L-.87 .5V-.5Z",
    "p": "M0 -1L.95 -.31L.59 .81H-.59L-.95 -.31Z",
    "*": "M0 -1L.25 -.35L.95 -.31L.4 .12L.59 .81L0 .42L-.59 .81L-.4 .12L-.95 -.31L-.25 -.35Z",
    "d": "M0 -1L.6 0L0 1L-.6 0Z",
}
SOLID, PEER_DASHES = [1, 0], [9, 3, 2, 3, 2, 3]
DASHES = {"-": SOLID, "--": [7, 4], "-.": [8, 3, 2, 3], ":": [2, 3]}


@dataclass(frozen=True)
class Look:
    """Colours of a series on the light and the dark page, its dashes and the shape of its marks."""

    light: str
    dark: str
    dashes: tuple[float, ...]
    shape: str


def looks(fitted: Sequence[str], peers: Sequence[str]) -> dict[str, Look]:
    """Return the look of each fitted series, no two alike; peers are those of others' code."""
    found: dict[str, Look] = {}
    for name, line in lines_of(fitted).items():
        found[name] = next(
            (look for look in _choices(line, peer=name in peers) if look not in found.values()),
            _look(line),
        )
    return found


def baseline_look(name: str) -> Look:
    """Return the look of a baseline; a share of the real rows is dotted."""
    return _look(BASELINES.get(name, Line(GREY, ":", "d")))


def _choices(line: Line, *, peer: bool) -> Iterator[Look]:
    """Yield a line's look, then others that differ in their marks alone: a palette has few."""
    first = _look(line)
    dashes = tuple(PEER_DASHES) if peer else first.dashes
    for shape in dict.fromkeys([first.shape, *SHAPES.values()]):
        yield Look(first.light, first.dark, dashes, shape)


def _look(line: Line) -> Look:
    dashes = (
        DASHES[line.dashes] if isinstance(line.dashes, str) else [2 * n for n in line.dashes[1]]
    )
    light, dark = (readable(line.color, surface) for surface in SURFACES.values())
    return Look(light, dark, tuple(dashes), SHAPES[line.marker])


def readable(color: str, surface: str) -> str:
    """Return the colour nearest to ``color``, towards black or white, that shows on ``surface``.

    >>> readable("#0072B2", "#ffffff"), contrast(readable("#E69F00", "#ffffff"), "#ffffff") >= 3
    ('#0072b2', True)
    """
    from matplotlib.colors import to_hex, to_rgb

    towards = max("#000000", "#ffffff", key=lambda end: contrast(surface, end))
    start, end = np.array(to_rgb(color)), np.array(to_rgb(towards))
    mixtures = (to_hex((1 - share) * start + share * end) for share in np.linspace(0, 1, 51))
    return next(found for found in mixtures if contrast(found, surface) >= LEAST_CONTRAST)


def contrast(color: str, other: str) -> float:
    """Return the contrast ratio of two colours, between 1 and 21 (WCAG 2.2, definitions)."""
    from matplotlib.colors import to_rgb

    parts = np.array([to_rgb(color), to_rgb(other)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    darker, lighter = sorted(linear @ LUMINANCE)
    return float((lighter + 0.05) / (darker + 0.05))
