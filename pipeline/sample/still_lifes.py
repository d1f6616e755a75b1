"""Still lifes on a table: flowers in a vase, fruit, candles beside a skull or a book."""

from __future__ import annotations

import math

import numpy as np

from pipeline.sample.canvas import (
    PAINTS,
    Canvas,
    Colour,
    Pen,
    box,
    ellipse,
    mix,
    ribbon,
    smooth,
)
from pipeline.sample.scene import Scene
from pipeline.sample.surroundings import (
    FLAME,
    LEAF,
    PEWTER,
    paint_room,
    paint_table,
    paint_window,
)

BRASS: Colour = (0.72, 0.52, 0.20)

ANGLES = [k * math.pi / 20 for k in range(40)]
REACHES = [0.78 + 0.24 * math.cos(5 * angle) for angle in ANGLES]
PETALS = np.array(
    [(r * math.cos(a), r * math.sin(a)) for r, a in zip(REACHES, ANGLES, strict=True)]
)


def paint_flowers(canvas: Canvas, scene: Scene) -> None:
    """A bunch of flowers in a vase, by a window or by candlelight."""
    table = canvas.uniform(0.76, 0.84)
    candlelit, moonlit = scene.light == "candlelight", scene.light == "moonlit window"
    paint_room(canvas, candlelit=candlelit)
    if moonlit:
        canvas.veil((0.30, 0.30, 0.42), 1.0)
    if not candlelit:
        paint_window(canvas, canvas.uniform(0.28, 0.72), moonlit=moonlit)
    paint_table(canvas, table, dark=candlelit or moonlit)
    scale = canvas.uniform(0.40, 0.46)
    x = canvas.uniform(0.42, 0.58)
    canvas.shadow(x + 0.06, table + 0.09, 0.20, 0.035)
    draw_flowers(Pen(canvas, x, table + 0.10 - scale, scale), PAINTS[scene.colour])
    if candlelit:
        canvas.veil((1.0, 0.84, 0.66), 0.6)
    elif moonlit:
        canvas.veil((0.70, 0.78, 1.0), 0.6)


def draw_flowers(pen: Pen, colour: Colour) -> None:
    """Vase, leaves and six to eight blooms; its foot is at y = 1."""
    canvas = pen.canvas
    vase = ((0.70, 0.72, 0.74), (0.28, 0.26, 0.26), (0.58, 0.38, 0.24))[canvas.rng.integers(3)]
    belly = canvas.uniform(0.28, 0.36)
    for angle in np.linspace(-1.25, 1.25, 7):
        reach = canvas.uniform(0.62, 0.85)
        tip = (reach * math.sin(angle), 0.22 - reach * math.cos(angle))
        stem = smooth((0.0, 0.35), (0.4 * tip[0], 0.0), tip, closed=False)
        pen.fill(ribbon(stem, 0.07, 0.05), LEAF, shade=0.2)
        leaf = ellipse(0.9 * tip[0], tip[1] + 0.14, 0.11, 0.25, angle)
        pen.fill(leaf, mix(LEAF, (0.45, 0.60, 0.22), canvas.uniform(0, 0.6)), shade=0.35)
    pen.fill(
        smooth(
            (-0.16, 0.22),
            (0.16, 0.22),
            (0.14, 0.36),
            (belly, 0.62),
            (0.2, 1.02),
            (-0.2, 1.02),
            (-belly, 0.62),
            (-0.14, 0.36),
        ),
        vase,
        shade=0.42,
    )
    blooms = [
        (-0.56, -0.02),
        (0.56, 0.0),
        (-0.34, -0.48),
        (0.36, -0.46),
        (0.0, -0.74),
        (-0.02, -0.12),
    ]
    if canvas.rng.random() < 0.5:
        blooms.append((0.0, -0.40))
    for x, y in blooms:
        x, y = x + canvas.uniform(-0.07, 0.07), y + canvas.uniform(-0.07, 0.07)
        draw_bloom(pen.at(x, y, canvas.uniform(0.24, 0.29), canvas.uniform(0, 6.3)), colour)


def draw_bloom(pen: Pen, colour: Colour) -> None:
    """Five petals about a heart."""
    pen.fill(PETALS, colour, shade=0.34)
    pen.fill(0.5 * PETALS, mix(colour, (0.12, 0.05, 0.08), 0.35), shade=0.0, soft=0.10, opacity=0.8)
    heart = (0.42, 0.22, 0.06) if colour == PAINTS["yellow"] else (0.95, 0.76, 0.22)
    pen.fill(ellipse(0, 0, 0.27, 0.27), heart, shade=0.2)


def paint_fruit(canvas: Canvas, scene: Scene) -> None:
    """One to three apples or pears on a pewter plate or on blue cloth."""
    candlelit = scene.light == "candlelight"
    table = canvas.uniform(0.46, 0.56)
    paint_room(canvas, candlelit=candlelit)
    paint_table(canvas, table, dark=candlelit)
    count = scene.count
    x, y = canvas.uniform(0.45, 0.55), canvas.uniform(0.70, 0.76)
    if scene.setting == "plate":
        wide = canvas.uniform(0.40, 0.45)
        canvas.shadow(x + 0.02, y + 0.06, wide, 0.16)
        canvas.fill(ellipse(x, y + 0.02, wide, 0.165), PEWTER, shade=0.3)
        canvas.fill(
            ellipse(x, y + 0.015, 0.74 * wide, 0.11), mix(PEWTER, (0.4, 0.4, 0.45), 0.5), shade=0.2
        )
    else:
        drape = smooth(
            (x - 0.55, table + 0.10),
            (x - 0.1, table + 0.06),
            (x + 0.5, table + 0.12),
            (x + 0.6, 0.9),
            (x + 0.25, 1.1),
            (x - 0.25, 0.98),
            (x - 0.6, 1.1),
        )
        canvas.fill(drape, (0.20, 0.32, 0.58), shade=0.35)
        for fold in (-0.28, 0.06, 0.34):
            line = smooth(
                (x + fold, table + 0.22),
                (x + 1.3 * fold, 0.85),
                (x + 1.2 * fold, 1.05),
                closed=False,
            )
            canvas.fill(
                ribbon(line, 0.03, 0.07), (0.10, 0.16, 0.36), shade=0.0, soft=0.015, opacity=0.7
            )
    scale = (0.27, 0.205, 0.175)[count - 1] * canvas.uniform(0.95, 1.12)
    middle = (count - 1) / 2
    for k in range(count):
        fx = x + (k - middle) * 1.62 * scale
        fy = y - 0.02 + (0.05 if count == 3 and k == 1 else 0.0)
        canvas.shadow(fx + 0.03, fy, 0.95 * scale, 0.25 * scale)
        pen = Pen(canvas, fx, fy - 0.78 * scale, scale, canvas.uniform(-0.12, 0.12))
        draw = draw_apple if scene.sort == "apple" else draw_pear
        draw(pen, mix(PAINTS[scene.colour], (1.0, 0.9, 0.4), canvas.uniform(0, 0.08)))
    if candlelit:
        canvas.veil((1.0, 0.82, 0.60), 0.5)


def draw_apple(pen: Pen, colour: Colour) -> None:
    """A round apple with its stalk and a leaf."""
    apple = smooth(
        (0.0, -0.68),
        (0.5, -0.98),
        (1.1, -0.55),
        (1.0, 0.5),
        (0.45, 1.05),
        (0.0, 0.85),
        (-0.45, 1.05),
        (-1.0, 0.5),
        (-1.1, -0.55),
        (-0.5, -0.98),
    )
    pen.fill(apple, colour, shade=0.5)
    pen.fill(
        ellipse(0.0, -0.66, 0.30, 0.10), mix(colour, (0.1, 0.06, 0.02), 0.6), shade=0.0, soft=0.03
    )
    pen.fill(
        ribbon(smooth((0.0, -0.62), (0.03, -0.9), (0.15, -1.15), closed=False), 0.12, 0.12),
        (0.28, 0.18, 0.08),
        shade=0.0,
    )
    pen.fill(ellipse(0.46, -1.05, 0.34, 0.14, -0.35), LEAF, shade=0.3)
    pen.fill(
        ellipse(-0.42, -0.36, 0.20, 0.26, 0.5),
        (1.0, 0.98, 0.92),
        shade=0.0,
        soft=0.07,
        opacity=0.75,
    )


def draw_pear(pen: Pen, colour: Colour) -> None:
    """A pear: a narrow neck over a wide belly."""
    pear = smooth(
        (0.0, -1.75),
        (0.36, -1.6),
        (0.42, -0.8),
        (1.0, 0.0),
        (0.9, 0.85),
        (0.3, 1.05),
        (-0.3, 1.05),
        (-0.9, 0.85),
        (-1.0, 0.0),
        (-0.42, -0.8),
        (-0.36, -1.6),
    )
    pen.fill(
        ribbon(smooth((0.0, -1.5), (0.02, -1.75), (0.16, -2.0), closed=False), 0.13, 0.13),
        (0.28, 0.18, 0.08),
        shade=0.0,
    )
    pen.fill(pear, colour, shade=0.5)
    pen.fill(
        ellipse(-0.34, -0.05, 0.18, 0.34, 0.3), (1.0, 0.98, 0.92), shade=0.0, soft=0.08, opacity=0.7
    )


def paint_candles(canvas: Canvas, scene: Scene) -> None:
    """One to three burning candles beside a skull or a book, in the dark."""
    table = canvas.uniform(0.60, 0.76)
    canvas.wash((0.0, (0.07, 0.05, 0.06)), (1.0, (0.17, 0.09, 0.06)))
    paint_table(canvas, table, dark=True)
    count = scene.count
    foot = table + canvas.uniform(0.08, 0.13)
    gap = (0.0, 0.21, 0.155)[count - 1]
    x = (
        canvas.uniform(0.22, 0.40)
        if count == 1
        else 0.11 + gap * (count - 1) / 2 + canvas.uniform(0, 0.05)
    )
    heights = [canvas.uniform(0.30, 0.46) + (0.08 if k == 1 else 0.0) for k in range(count)]
    places = [(x + (k - (count - 1) / 2) * gap, foot - heights[k]) for k in range(count)]
    for cx, cy in places:
        canvas.glow(cx, cy - 0.05, 0.36, FLAME, (0.75, 0.55, 0.45)[count - 1])
    at = canvas.uniform(0.69, 0.78) if count < 3 else canvas.uniform(0.74, 0.79)
    if scene.setting == "skull":
        draw_skull(Pen(canvas, at, foot - 0.10, canvas.uniform(0.23, 0.26)))
    else:
        draw_book(Pen(canvas, at - 0.02, foot - 0.04, canvas.uniform(0.23, 0.26)))
    for (cx, cy), height in zip(places, heights, strict=True):
        draw_candle(canvas, cx, cy, height, PAINTS[scene.colour])
    canvas.veil((1.0, 0.90, 0.76), 0.5)


def draw_candle(canvas: Canvas, x: float, y: float, height: float, wax: Colour) -> None:
    """A candle in a brass holder, its top at (x, y), and its flame."""
    canvas.fill(ellipse(x, y + height, 0.095, 0.032), BRASS, shade=0.4)
    canvas.fill(box(x - 0.052, y + height - 0.06, x + 0.052, y + height), BRASS, shade=0.4)
    canvas.fill(box(x - 0.042, y, x + 0.042, y + height - 0.03), wax, shade=0.3)
    canvas.fill(ellipse(x, y, 0.042, 0.014), mix(wax, (1.0, 0.9, 0.6), 0.6), shade=0.0)
    flame = smooth(
        (x, y - 0.19),
        (x + 0.045, y - 0.07),
        (x + 0.03, y - 0.005),
        (x - 0.03, y - 0.005),
        (x - 0.045, y - 0.07),
    )
    canvas.glow(x, y - 0.07, 0.075, (1.0, 0.70, 0.25), 0.9)
    canvas.fill(flame, (1.0, 0.80, 0.30), shade=0.0, soft=0.006)
    canvas.fill(ellipse(x, y - 0.055, 0.018, 0.04), (1.0, 0.98, 0.85), shade=0.0, soft=0.006)


def draw_skull(pen: Pen) -> None:
    """A skull that looks at us."""
    bone, hollow = (0.86, 0.78, 0.62), (0.12, 0.07, 0.05)
    pen.fill(ellipse(0.0, 0.50, 1.0, 0.16), (0.06, 0.03, 0.02), shade=0.0, soft=0.08, opacity=0.7)
    pen.fill(smooth((-0.5, 0.0), (0.5, 0.0), (0.42, 0.62), (-0.42, 0.62)), bone, shade=0.3)
    pen.fill(ellipse(0.0, -0.32, 0.82, 0.72), bone, shade=0.42)
    for side in (-1, 1):
        pen.fill(ellipse(side * 0.32, -0.16, 0.23, 0.24), hollow, shade=0.0)
    pen.fill(np.array([(0.0, 0.06), (0.12, 0.28), (-0.12, 0.28)]), hollow, shade=0.0)
    pen.fill(box(-0.34, 0.40, 0.34, 0.45), hollow, shade=0.0)


def draw_book(pen: Pen) -> None:
    """An open book whose two pages curve up towards us."""
    leather, page = (0.46, 0.12, 0.09), (0.92, 0.86, 0.70)
    pen.fill(
        np.array([(-0.95, -0.55), (0.95, -0.55), (1.2, 0.62), (-1.2, 0.62)]), leather, shade=0.2
    )
    for side in (-1, 1):
        leaf = smooth(
            (0.0, -0.52), (side * 0.35, -0.75), (side * 0.95, -0.62), (side * 0.95, -0.62),
            (side * 1.14, 0.46), (side * 1.14, 0.46), (side * 0.45, 0.34), (0.0, 0.52),
        )  # fmt: skip
        pen.fill(leaf, page, shade=0.25)
        for row in (-0.38, -0.15, 0.08):
            pen.fill(
                box(min(side * 0.22, side * 0.84), row, max(side * 0.22, side * 0.84), row + 0.06),
                (0.50, 0.42, 0.32),
                shade=0.0,
                opacity=0.7,
            )
    pen.fill(
        ribbon(np.array([(0.0, -0.55), (0.0, 0.52)]), 0.05, 0.05), (0.45, 0.35, 0.22), shade=0.0
    )
