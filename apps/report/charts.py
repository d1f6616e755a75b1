"""Curves and points as SVG in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 380, 230  # about what a chart is given on a page, so that its letters can be read
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 12, 38
POINTS = 420  # the side of a scatter plot
# Okabe and Ito's, told apart by colour-blind readers too, and visible on white and on black.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8a8a94")


@dataclass(frozen=True)
class Line:
    """A curve: its name, and its points by rising x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Point:
    """A latent: where it lies, whose it is, and which picture it opens; None: none is here."""

    x: float
    y: float
    label: str
    picture: str | None


def curves(title: str, x_name: str, lines: Sequence[Line]) -> str:
    """A chart of curves over one axis, its values on a logarithmic scale where all are positive."""
    points = [point for line in lines for point in line.points]
    if not points:
        return ""
    log = min(y for _, y in points) > 0
    across = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, log=False)
    up = _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, log=log)
    label = escape(f"{title}: {', '.join(line.name for line in lines)} over {x_name}")
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">']
    for value in up.ticks():
        y = up(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="end">{value:.3g}</text>')
    for value in across.ticks():
        x, y = across(value), HEIGHT - BOTTOM + 16
        parts.append(f'<text x="{x:.1f}" y="{y}" class="middle">{value:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" class="end">{escape(x_name)}</text>')
    for number, line in enumerate(lines):
        way = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in line.points)
        parts.append(f'<path class="line" stroke="{_color(number)}" d="M{way}"/>')
    return "".join(parts) + "</svg>" + _legend([line.name for line in lines])


def scatter(title: str, points: Sequence[Point]) -> str:
    """Points that open their pictures; the first can be reached by Tab, the others by arrows."""
    if not points:
        return ""
    side = 14, POINTS - 14
    across = _Axis([point.x for point in points], *side, log=False)
    up = _Axis([point.y for point in points], *reversed(side), log=False)
    labels = sorted({point.label for point in points})
    parts = [
        f'<svg class="points" viewBox="0 0 {POINTS} {POINTS}" role="group" '
        f'aria-label="{escape(title)}">'
    ]
    first = True
    for point in points:
        number, name = labels.index(point.label), escape(point.label)
        opens = ""
        if point.picture is not None:
            opens = (
                f'tabindex="{0 if first else -1}" role="button" aria-label="{name}" '
                f'data-open="{escape(point.picture)}"'
            )
            first = False
        parts.append(_mark(number, across(point.x), up(point.y), opens, name))
    return "".join(parts) + "</svg>" + _legend(labels)


class _Axis:
    """Values onto pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float, *, log: bool) -> None:
        self.log = log
        self.low, self.high = min(values), max(values)
        self.begin, self.end = begin, end

    def __call__(self, value: float) -> float:
        low, high, at = (self._scaled(v) for v in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> Iterator[float]:
        low, high = self._scaled(self.low), self._scaled(self.high)
        if high == low:
            yield self.low
        elif self.log:
            yield from (10 ** (low + number / 4 * (high - low)) for number in range(5))
        else:
            step = _round_step((high - low) / 4)
            first, last = math.ceil(low / step), math.floor(high / step)
            yield from (number * step for number in range(first, last + 1))

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least)


def _mark(number: int, x: float, y: float, attributes: str, name: str) -> str:
    """A label's mark: discs in all colours first, then squares, then squares on their tips."""
    turned = f'transform="rotate(45 {x:.1f} {y:.1f})"' if number // len(COLORS) % 3 == 2 else ""
    corner = 4 if number < len(COLORS) else 0
    return (
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" rx="{corner}" {turned} '
        f'class="point" fill="{_color(number)}" {attributes}><title>{name}</title></rect>'
    )


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><svg viewBox="-6 -6 12 12" aria-hidden="true">{_mark(number, 0, 0, "", "")}</svg>'
        f"{escape(name)}</li>"
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]


def lines_of(rows: Sequence[Mapping[str, str]], x: str, columns: Sequence[str]) -> list[Line]:
    """A table's columns as curves; what is no finite number is left out.

    Where rows are of several levels, each has curves of its own.
    """
    levels = list(dict.fromkeys(row.get("level", "") for row in rows))
    found = []
    for level in levels:
        own = [row for row in rows if row.get("level", "") == level]
        for column in columns:
            pairs = [(_number(row.get(x)), _number(row.get(column))) for row in own]
            points = [(a, b) for a, b in pairs if a is not None and b is not None]
            name = f"{column}, level {level}" if len(levels) > 1 else column
            if points:
                found.append(Line(name, points))
    return found


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
