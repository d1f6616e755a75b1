"""Where the subjects stand: skies and their light, ground, sea, rooms and windows."""

from __future__ import annotations

import numpy as np

from pipeline.sample.canvas import Canvas, Colour, Points, box, ellipse, mix, smooth

WOOD: Colour = (0.34, 0.19, 0.10)
LEAF: Colour = (0.20, 0.42, 0.16)
PEWTER: Colour = (0.74, 0.75, 0.76)
INK: Colour = (0.05, 0.04, 0.06)
FLAME: Colour = (1.0, 0.72, 0.30)
MOONLIGHT: Colour = (0.95, 0.93, 0.78)
OAK: Colour = (0.56, 0.36, 0.20)
DARK_OAK: Colour = (0.34, 0.18, 0.09)  # as it looks by candlelight

ROOMS: dict[bool, tuple[Colour, Colour]] = {  # candlelit or not: wall above, wall below
    True: ((0.16, 0.09, 0.07), (0.26, 0.14, 0.08)),
    False: ((0.72, 0.68, 0.58), (0.58, 0.54, 0.47)),
}

SKIES: dict[str, tuple[Colour, Colour, Colour]] = {  # above, middle, horizon
    "dawn": ((0.52, 0.50, 0.70), (0.95, 0.66, 0.58), (1.00, 0.86, 0.58)),
    "day": ((0.38, 0.62, 0.86), (0.66, 0.82, 0.92), (0.90, 0.93, 0.88)),
    "night": ((0.06, 0.07, 0.21), (0.12, 0.16, 0.36), (0.30, 0.38, 0.58)),
    "evening": ((0.30, 0.18, 0.36), (0.72, 0.30, 0.26), (0.96, 0.58, 0.24)),
}

GLAZES: dict[str, tuple[Colour, float]] = {  # what the light of the hour does to every paint
    "dawn": ((1.0, 0.88, 0.80), 0.5),
    "day": ((1.0, 1.0, 0.97), 1.0),
    "night": ((0.72, 0.78, 1.0), 0.7),
    "evening": ((1.0, 0.80, 0.70), 0.7),
}


def paint_sky(canvas: Canvas, light: str, horizon: float) -> None:
    """Sky, its sun or moon, and two or three clouds; the lower part is left for the ground."""
    above, middle, low = SKIES[light]
    canvas.wash((0.0, above), (0.55 * horizon, middle), (horizon, low), (1.0, low))
    x = canvas.uniform(0.12, 0.88)
    if light == "night":
        y = canvas.uniform(0.10, 0.22)
        canvas.glow(x, y, 0.22, MOONLIGHT, 0.55)
        canvas.fill(ellipse(x, y, 0.065, 0.065), MOONLIGHT, shade=0.1)
        for _ in range(5):
            star = canvas.uniform(0.04, 0.96), canvas.uniform(0.04, 0.6 * horizon)
            canvas.glow(*star, 0.022, MOONLIGHT, 0.9)
    elif light != "day":
        y = horizon - canvas.uniform(0.02, 0.12)
        canvas.glow(x, y, 0.30, (1.0, 0.80, 0.45), 0.8)
        canvas.fill(ellipse(x, y, 0.06, 0.06), (1.0, 0.95, 0.75), shade=0.0)
    cloud = mix(low, (1.0, 1.0, 1.0), 0.5) if light != "night" else mix(middle, low, 0.7)
    for _ in range(int(canvas.rng.integers(2, 4))):
        at = canvas.uniform(0.0, 1.0), canvas.uniform(0.08, 0.7) * horizon
        paint_cloud(canvas, *at, canvas.uniform(0.10, 0.20), cloud)


def paint_cloud(canvas: Canvas, x: float, y: float, size: float, colour: Colour) -> None:
    """Three soft strokes side by side."""
    for dx, rise, width in ((-0.8, 0.0, 0.9), (0.9, 0.05, 0.8), (0.0, -0.22, 0.8)):
        puff = ellipse(x + dx * size, y + rise * size, width * size, 0.36 * size)
        canvas.fill(puff, colour, shade=0.12, soft=0.018, opacity=0.75)


def hills(canvas: Canvas, height: float, swing: float) -> Points:
    """Everything below a gentle line that crosses the picture at about `height`."""
    rise = [canvas.uniform(-swing, swing) for _ in range(4)]
    line = smooth(
        *((x, height + r) for x, r in zip((-0.1, 0.3, 0.7, 1.1), rise, strict=True)), closed=False
    )
    return np.concatenate([line, np.array([(1.1, 1.1), (-0.1, 1.1)])])


def paint_room(canvas: Canvas, *, candlelit: bool) -> None:
    """A bare wall, brighter on the side that the light comes from."""
    wall, low = ROOMS[candlelit]
    tint = canvas.uniform(-0.035, 0.035)
    canvas.wash((0.0, (wall[0] + tint, wall[1], wall[2] - tint)), (1.0, low))
    x = canvas.uniform(-0.05, 0.25)
    if candlelit:
        canvas.glow(x, canvas.uniform(0.15, 0.5), 0.75, FLAME, 0.50)
    else:
        canvas.glow(x, canvas.uniform(0.0, 0.3), 0.60, (1.0, 0.97, 0.85), 0.55)


def paint_table(canvas: Canvas, height: float, *, dark: bool) -> None:
    """A wooden table top (or floor) from `height` down."""
    wood = DARK_OAK if dark else OAK
    canvas.fill(box(-0.1, height, 1.1, 1.1), wood, shade=0.15)
    edge = box(-0.1, height, 1.1, height + 0.02)
    canvas.fill(edge, mix(wood, (1.0, 0.85, 0.6), 0.25), shade=0.0, soft=0.006)


def paint_window(canvas: Canvas, x: float, *, moonlit: bool) -> None:
    """A tall window with crossbars about `x`, the day or the moon behind it."""
    y0, y1, half = 0.03, 0.70, 0.25
    above: Colour = (0.05, 0.07, 0.22) if moonlit else (0.58, 0.80, 0.96)
    below: Colour = (0.16, 0.24, 0.46) if moonlit else (0.94, 0.96, 0.88)
    frame = (0.12, 0.09, 0.12) if moonlit else (0.44, 0.30, 0.18)
    canvas.fill(box(x - half - 0.035, y0 - 0.05, x + half + 0.035, y1 + 0.035), frame, shade=0.15)
    for step in range(5):
        pane = box(x - half, y0 + (y1 - y0) * step / 5, x + half, y1)
        canvas.fill(pane, mix(above, below, step / 4), shade=0.0, soft=0.012)
    if moonlit:
        moon = x + canvas.uniform(-0.14, 0.14), canvas.uniform(0.10, 0.18)
        canvas.glow(*moon, 0.14, MOONLIGHT, 0.6)
        canvas.fill(ellipse(*moon, 0.05, 0.05), MOONLIGHT, shade=0.1)
    for bar in (box(x - 0.013, y0, x + 0.013, y1), box(x - half, 0.35, x + half, 0.376)):
        canvas.fill(bar, frame, shade=0.0)
