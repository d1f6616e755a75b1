"""Pictures under the sky: a ship at sea, a house, a tree."""

from __future__ import annotations

import math

import numpy as np

from pipeline.sample.canvas import (
    PAINTS,
    Canvas,
    Colour,
    Pen,
    Points,
    box,
    ellipse,
    mix,
    ribbon,
    smooth,
)
from pipeline.sample.scene import Scene
from pipeline.sample.surroundings import GLAZES, SKIES, WOOD, hills, paint_cloud, paint_sky

FOAM: Colour = (0.88, 0.91, 0.90)

WATERS: dict[str, tuple[Colour, Colour]] = {  # far, near
    "dawn": ((0.86, 0.66, 0.60), (0.34, 0.38, 0.55)),
    "day": ((0.44, 0.68, 0.76), (0.10, 0.36, 0.50)),
    "night": ((0.15, 0.22, 0.40), (0.04, 0.07, 0.18)),
}


def paint_ship(canvas: Canvas, scene: Scene) -> None:
    """A three-master with coloured sails, on a calm sea or in a storm."""
    storm = scene.setting == "storm"
    horizon = canvas.uniform(0.56, 0.68)
    paint_sky(canvas, scene.light, horizon)
    far, near = WATERS[scene.light]
    if storm:
        dark = mix(SKIES[scene.light][0], (0.13, 0.14, 0.17), 0.75)
        for _ in range(3):
            at = canvas.uniform(0.0, 1.0), canvas.uniform(0.0, 0.28)
            paint_cloud(canvas, *at, canvas.uniform(0.28, 0.40), dark)
        far, near = (mix(c, (0.10, 0.20, 0.20), 0.6) for c in (far, near))
        canvas.fill(wave(horizon, 0.6, 0.03, canvas.uniform(0, 1)), far, shade=0.1)
    else:
        canvas.fill(wave(horizon, 1.0, 0.0, 0.0), far, shade=0.0)
    scale = canvas.uniform(0.34, 0.42)
    x, y = canvas.uniform(0.40, 0.60), horizon + canvas.uniform(0.0, 0.05) - 0.55 * scale
    tilt = canvas.uniform(0.16, 0.30) * (1 if canvas.rng.random() < 0.5 else -1) if storm else 0.0
    draw_ship(Pen(canvas, x, y, scale, tilt), PAINTS[scene.colour])
    waterline = y + 0.72 * scale
    if storm:
        phase = canvas.uniform(0, 1)
        for step, share in enumerate((0.25, 0.6, 0.95)):
            crest, shift = waterline + 0.02 + 0.13 * step, phase + 0.37 * step
            canvas.fill(wave(crest, 0.8, 0.06, shift), FOAM, shade=0.0, soft=0.004, opacity=0.85)
            body = wave(crest + 0.018, 0.8, 0.04, shift)  # the foam is thick on crests alone
            canvas.fill(body, mix(far, near, share), shade=0.0, soft=0.008)
    else:
        for step in range(4):
            height = waterline + (0.95 - waterline) * step / 4
            water = wave(height, 0.7, 0.006, canvas.uniform(0, 1))
            canvas.fill(water, mix(far, near, (step + 1) / 4), shade=0.0, soft=0.008)
        reflection = ellipse(x, waterline + 0.07, 0.75 * scale, 0.05)
        tone = mix(near, PAINTS[scene.colour], 0.45)
        canvas.fill(reflection, tone, shade=0.0, soft=0.02, opacity=0.7)
    canvas.veil(*GLAZES[scene.light])


def wave(height: float, length: float, swell: float, phase: float) -> Points:
    """Everything below a train of waves."""
    x = np.linspace(-0.05, 1.05, 45)
    angles = [2 * math.pi * (across / length + phase) for across in x.tolist()]
    rise = np.array([math.sin(angle + 0.5 * math.sin(angle)) for angle in angles])
    crest = np.stack([x, height - swell * rise], axis=1)
    return np.concatenate([crest, np.array([(1.05, 1.1), (-0.05, 1.1)])])


def draw_ship(pen: Pen, colour: Colour) -> None:
    """Hull, masts and billowing sails; the water will cover it from about y = 0.72."""
    masts = ((-0.55, 0.85), (0.05, 1.0), (0.58, 0.8))
    for x, height in masts:
        pen.fill(
            ribbon(np.array([(x, 0.5), (x, -0.15 - 0.95 * height)]), 0.07, 0.05), WOOD, shade=0.1
        )
    hull = smooth(
        (-1.05, 0.22), (-1.0, 0.3), (-0.6, 0.42), (0.5, 0.42), (0.95, 0.26), (1.12, 0.22),
        (0.85, 0.9), (-0.8, 0.9), (-1.0, 0.6),
    )  # fmt: skip
    pen.fill(ribbon(np.array([(0.9, 0.3), (1.35, -0.02)]), 0.07, 0.04), WOOD, shade=0.0)
    pen.fill(hull, WOOD, shade=0.4)
    pen.fill(
        ribbon(smooth((-0.9, 0.48), (0.0, 0.58), (0.95, 0.42), closed=False), 0.07, 0.07),
        (0.85, 0.66, 0.30),
        shade=0.0,
    )
    for x, height in masts:
        top, half = -0.15 - 0.85 * height, 0.30 * height
        for upper, lower, wide in (
            (top, top + 0.40 * height, 0.75),
            (top + 0.44 * height, 0.28, 1.0),
        ):
            h = half * wide
            belly = 0.4 * upper + 0.6 * lower
            sail = smooth(  # a corner given twice stays one
                (x - 0.72 * h, upper), (x - 0.72 * h, upper), (x + 0.72 * h, upper),
                (x + 0.72 * h, upper), (x + 1.28 * h, belly), (x + 0.95 * h, lower),
                (x + 0.95 * h, lower), (x, lower - 0.05), (x - h, lower), (x - h, lower),
                (x - 0.62 * h, belly),
            )  # fmt: skip
            pen.fill(sail, colour, shade=0.38)
    pen.fill(smooth((0.05, -1.12), (0.36, -1.06), (0.05, -0.98)), colour, shade=0.1)


def paint_house(canvas: Canvas, scene: Scene) -> None:
    """A cottage with a coloured roof, in summer fields or in snow."""
    winter, moonlit = scene.setting == "winter", scene.light == "moonlit"
    light = "night" if moonlit else "day"
    horizon = canvas.uniform(0.52, 0.64)
    paint_sky(canvas, light, horizon)
    meadow, far = (
        ((0.92, 0.94, 0.97), (0.74, 0.80, 0.88))
        if winter
        else ((0.40, 0.62, 0.20), (0.30, 0.50, 0.36))
    )
    if moonlit:
        meadow, far = mix(meadow, (0.16, 0.22, 0.40), 0.35), mix(far, (0.10, 0.14, 0.30), 0.5)
    canvas.fill(hills(canvas, horizon - 0.03, 0.06), far, shade=0.05)
    canvas.fill(hills(canvas, horizon + 0.10, 0.03), meadow, shade=0.08)
    scale = canvas.uniform(0.30, 0.38)
    pen = Pen(canvas, canvas.uniform(0.40, 0.60), horizon + canvas.uniform(0.02, 0.08), scale)
    path = smooth((0.0, 0.6), (0.25, 0.9), (-0.1, 1.3), (0.2, 1.9), closed=False)
    pen.fill(ribbon(path, 0.22, 0.7), mix(meadow, (0.72, 0.60, 0.42), 0.6), shade=0.0, soft=0.02)
    draw_house(pen, PAINTS[scene.colour], lamp=moonlit)
    side = -1 if canvas.rng.random() < 0.5 else 1
    for dx, size in ((1.25, 0.30), (1.55, 0.22)):
        bush = ellipse(side * dx, 0.62 - size / 2, size, size * 0.9)
        pen.fill(bush, mix(meadow, (0.10, 0.30, 0.16), 0.55), shade=0.4)
    canvas.veil(*GLAZES[light])
    if moonlit:  # lamplight is no part of the night's glaze
        canvas.glow(pen.x - 0.38 * scale, pen.y + 0.22 * scale, 0.07, (1.0, 0.75, 0.3), 0.7)


def draw_house(pen: Pen, roof: Colour, *, lamp: bool) -> None:
    """Front wall, big roof, chimney with smoke, door and two windows."""
    plaster, dark = (0.93, 0.86, 0.72), (0.25, 0.16, 0.12)
    glass = (1.0, 0.80, 0.35) if lamp else (0.30, 0.36, 0.42)
    for step in range(3):
        puff = ellipse(0.62 + 0.10 * step, -1.02 - 0.20 * step, 0.10 + 0.05 * step, 0.12)
        pen.fill(puff, (0.86, 0.85, 0.84), shade=0.0, soft=0.06, opacity=0.55)
    pen.fill(box(0.45, -0.9, 0.68, -0.2), (0.60, 0.30, 0.22), shade=0.2)
    pen.fill(box(-0.9, -0.05, 0.9, 0.66), plaster, shade=0.2)
    pen.fill(
        np.array([(-1.12, 0.04), (-0.74, -0.74), (0.74, -0.74), (1.12, 0.04)]), roof, shade=0.3
    )
    pen.fill(box(-0.12, 0.14, 0.18, 0.66), dark, shade=0.2)
    for x in (-0.52, 0.54):
        pen.fill(box(x - 0.17, 0.14, x + 0.17, 0.42), glass, shade=0.1)


def paint_tree(canvas: Canvas, scene: Scene) -> None:
    """One great tree beside a river or on a hill, in the morning or in the evening."""
    light = "dawn" if scene.light == "morning" else "evening"
    morning = light == "dawn"
    horizon = canvas.uniform(0.60, 0.70)
    paint_sky(canvas, light, horizon)
    if morning:  # a cool, misty, pale sky instead of the dawn's roses
        canvas.fill(box(0, 0, 1, 1), (0.66, 0.83, 0.92), shade=0.0, opacity=0.62)
    grass = (0.50, 0.60, 0.26) if morning else (0.26, 0.26, 0.12)
    canvas.fill(hills(canvas, horizon - 0.04, 0.04), mix(grass, (0.45, 0.50, 0.62), 0.6), shade=0.0)
    x = canvas.uniform(0.36, 0.64)
    if scene.setting == "river":
        water = mix(*WATERS["day"], 0.3) if morning else (0.42, 0.50, 0.80)
        canvas.fill(hills(canvas, horizon + 0.06, 0.015), grass, shade=0.1)
        foot = horizon + canvas.uniform(0.10, 0.14)
        bend = canvas.uniform(0.62, 0.95) if x < 0.5 else canvas.uniform(0.05, 0.38)
        bank = mix(grass, (0.2, 0.2, 0.1), 0.4)
        canvas.fill(river(bend, horizon + 0.06, 1.8), bank, shade=0.0, soft=0.01)
        canvas.fill(river(bend, horizon + 0.065, 1.5), water, shade=0.1)
    else:
        foot = horizon + canvas.uniform(-0.02, 0.04)
        mound = smooth(
            (x - 0.9, 1.25),
            (x - 0.4, foot + 0.16),
            (x, foot - 0.10),
            (x + 0.4, foot + 0.16),
            (x + 0.9, 1.25),
        )
        canvas.fill(
            hills(canvas, horizon + 0.10, 0.02), mix(grass, (0.2, 0.25, 0.2), 0.3), shade=0.1
        )
        canvas.fill(mound, grass, shade=0.25)
    scale = canvas.uniform(0.28, 0.35)
    draw_tree(Pen(canvas, x, foot + 0.02 - scale, scale), PAINTS[scene.colour])
    canvas.veil(*GLAZES["day" if morning else "evening"])


def river(x: float, y: float, width: float) -> Points:
    """A river that comes from far off at (x, y), winds, and leaves the picture below, broad."""
    along = np.linspace(0, 1, 16)
    wind = np.array([math.sin(2 * math.pi * t) for t in along.tolist()])
    middle = x + (0.5 - x) * along + (0.13 if x < 0.5 else -0.13) * wind
    half = width * (0.012 + 0.24 * along * along)
    down = y + (1.05 - y) * along
    banks = np.stack([middle - half, down], axis=1), np.stack([middle + half, down], axis=1)
    return np.concatenate([banks[0], banks[1][::-1]])


def draw_tree(pen: Pen, foliage: Colour) -> None:
    """A trunk that forks and a crown of broad dabs; its foot is at y = 1."""
    sway = pen.canvas.uniform(-0.08, 0.08)
    trunk = smooth((0.0, 1.05), (0.02, 0.6), (sway, 0.1), (sway, -0.5), closed=False)
    pen.fill(ribbon(trunk, 0.34, 0.10), WOOD, shade=0.4)
    for side in (-1, 1):
        branch = smooth((sway / 2, 0.45), (side * 0.2, 0.15), (side * 0.6, -0.15), closed=False)
        pen.fill(ribbon(branch, 0.16, 0.06), WOOD, shade=0.2)
    dabs = [(-0.62, -0.12, 0.36), (0.62, -0.10, 0.36), (0.0, -0.12, 0.42), (-0.42, -0.52, 0.38),
            (0.44, -0.52, 0.38), (0.0, -0.82, 0.38)]  # fmt: skip
    for x, y, r in dabs:
        dx, dy = (pen.canvas.uniform(-0.10, 0.10) for _ in range(2))
        leaf = mix(foliage, (0.16, 0.18, 0.08), 0.12 * pen.canvas.uniform(0, 1.6))
        pen.fill(
            ellipse(x + dx, y + dy, r * pen.canvas.uniform(1.0, 1.2), r),
            leaf,
            shade=0.42,
            soft=0.03,
        )
