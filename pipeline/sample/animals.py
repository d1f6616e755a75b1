"""Fish in water or on a plate, birds on a branch or in flight: one to three of them."""

from __future__ import annotations

import numpy as np

from pipeline.sample.canvas import (
    PAINTS,
    Canvas,
    Colour,
    Pen,
    ellipse,
    mix,
    ribbon,
    smooth,
)
from pipeline.sample.scene import Scene
from pipeline.sample.surroundings import (
    GLAZES,
    INK,
    PEWTER,
    WOOD,
    hills,
    paint_sky,
    paint_table,
)


def paint_fish(canvas: Canvas, scene: Scene) -> None:
    """One to three fish, swimming or on a plate."""
    count = scene.count
    x, y = canvas.uniform(0.46, 0.54), canvas.uniform(0.46, 0.54)
    if scene.setting == "water":
        canvas.wash(
            (0.0, (0.50, 0.80, 0.72)),
            (0.45, (0.14, 0.50, 0.48)),
            (1.0, (0.03, 0.20, 0.24)),
            waviness=0.15,
        )
        canvas.glow(canvas.uniform(0.1, 0.9), 0.0, 0.5, (0.80, 1.0, 0.85), 0.4)
        bed = hills(canvas, canvas.uniform(0.88, 0.93), 0.03)
        for _ in range(4):
            foot, sway = canvas.uniform(0.0, 1.0), canvas.uniform(-0.1, 0.1)
            top = canvas.uniform(0.45, 0.70)
            weed = smooth(
                (foot, 1.0),
                (foot + sway, 0.85),
                (foot - sway, 0.8 * top + 0.15),
                (foot + sway, top),
                closed=False,
            )
            canvas.fill(ribbon(weed, 0.07, 0.02), (0.12, 0.40, 0.16), shade=0.25, opacity=0.85)
        canvas.fill(bed, (0.42, 0.40, 0.26), shade=0.2)
    else:
        paint_table(canvas, -0.1, dark=True)
        turned = canvas.uniform(-0.12, 0.12)
        canvas.shadow(x + 0.02, y + 0.03, 0.48, 0.38, turned)
        canvas.fill(ellipse(x, y, 0.47, 0.37, turned), PEWTER, shade=0.3)
        canvas.fill(ellipse(x, y, 0.38, 0.29, turned), (0.26, 0.29, 0.32), shade=0.2)
    scale = (0.36, 0.27, 0.23)[count - 1] * canvas.uniform(0.95, 1.1)
    gap = 0.62 * scale if scene.setting == "plate" else 0.95 * scale
    for k in range(count):
        row = k - (count - 1) / 2
        swing = 0.0 if scene.setting == "plate" else 0.12
        at = x + (0.06 if k % 2 else -0.06) * (count > 1) + canvas.uniform(-swing, swing) * 0.6
        turn = (
            canvas.uniform(-0.16, 0.16) if scene.setting == "water" else canvas.uniform(-0.06, 0.06)
        )
        draw_fish(Pen(canvas, at, y + row * gap, scale, turn), PAINTS[scene.colour])


def draw_fish(pen: Pen, colour: Colour) -> None:
    """A fish that looks to the right."""
    fin = mix(colour, INK, 0.35)
    pen.fill(smooth((-0.62, 0.0), (-1.12, -0.46), (-1.0, 0.0), (-1.12, 0.46)), fin, shade=0.3)
    pen.fill(smooth((-0.35, -0.25), (-0.1, -0.62), (0.35, -0.48), (0.35, -0.2)), fin, shade=0.3)
    pen.fill(smooth((-0.2, 0.25), (-0.15, 0.55), (0.15, 0.3)), fin, shade=0.3)
    body = smooth(
        (1.12, 0.05),
        (0.75, -0.36),
        (0.1, -0.46),
        (-0.5, -0.2),
        (-0.85, 0.0),
        (-0.5, 0.2),
        (0.1, 0.46),
        (0.75, 0.36),
    )
    pen.fill(body, colour, shade=0.42)
    pen.fill(
        ellipse(0.15, 0.20, 0.55, 0.13, -0.08),
        mix(colour, (1.0, 0.96, 0.86), 0.6),
        shade=0.0,
        soft=0.05,
        opacity=0.7,
    )
    gill = ribbon(smooth((0.46, -0.3), (0.34, 0.0), (0.46, 0.3), closed=False), 0.06, 0.06)
    pen.fill(gill, fin, shade=0.0, opacity=0.8)
    pen.fill(ellipse(0.70, -0.10, 0.11, 0.11), (0.98, 0.94, 0.80), shade=0.0)
    pen.fill(ellipse(0.72, -0.10, 0.06, 0.06), INK, shade=0.0)


def paint_birds(canvas: Canvas, scene: Scene) -> None:
    """One to three birds, perched on a branch or flying."""
    paint_sky(canvas, scene.light, 1.0)
    colour, count = PAINTS[scene.colour], scene.count
    if scene.setting == "perched":
        scale = (0.34, 0.23, 0.18)[count - 1] * canvas.uniform(0.92, 1.1)
        height, slope = canvas.uniform(0.62, 0.76), canvas.uniform(-0.10, 0.10)
        line = smooth(
            (-0.1, height - slope),
            (0.3, height),
            (0.7, height + 0.02),
            (1.1, height + slope),
            closed=False,
        )
        canvas.fill(ribbon(line, 0.075, 0.045), WOOD, shade=0.35)
        for _ in range(5):
            x = canvas.uniform(0.05, 0.95)
            y = float(np.interp(x, line[:, 0], line[:, 1]))
            leaf = ellipse(
                x, y + canvas.uniform(0.04, 0.08), 0.022, 0.055, canvas.uniform(-0.7, 0.7)
            )
            canvas.fill(leaf, (0.24, 0.36, 0.14), shade=0.3)
        shift = canvas.uniform(-0.10, 0.10) if count == 1 else canvas.uniform(-0.03, 0.03)
        for k in range(count):
            x = 0.5 + shift + (k - (count - 1) / 2) * (0.42, 0.42, 0.30)[count - 1]
            y = float(np.interp(x, line[:, 0], line[:, 1]))
            draw_perched_bird(Pen(canvas, x, y - 0.80 * scale, scale), colour)
    else:
        scale = (0.40, 0.27, 0.22)[count - 1] * canvas.uniform(0.92, 1.1)
        places = (
            [(0.5, 0.5)],
            [(0.33, 0.33), (0.67, 0.68)],
            [(0.30, 0.28), (0.70, 0.46), (0.34, 0.76)],
        )[count - 1]
        mirrored = canvas.rng.random() < 0.5
        for x, y in places:
            x, y = (
                (1 - x if mirrored else x) + canvas.uniform(-0.05, 0.05),
                y + canvas.uniform(-0.05, 0.05),
            )
            draw_flying_bird(Pen(canvas, x, y, scale, canvas.uniform(-0.25, 0.15)), colour)
    canvas.veil(*GLAZES[scene.light])


def draw_perched_bird(pen: Pen, colour: Colour) -> None:
    """A plump bird that looks to the right; its feet are at y = 0.8."""
    dark = mix(colour, (0.10, 0.08, 0.12), 0.45)
    pen.fill(smooth((-0.45, 0.2), (-0.2, 0.5), (-0.85, 1.25), (-1.1, 1.15)), dark, shade=0.3)
    for x in (-0.02, 0.16):
        pen.fill(
            ribbon(np.array([(x, 0.5), (x + 0.02, 0.85)]), 0.06, 0.06),
            (0.45, 0.26, 0.12),
            shade=0.0,
        )
    pen.fill(ellipse(0.0, 0.12, 0.52, 0.66, 0.5), colour, shade=0.42)
    pen.fill(smooth((0.66, -0.62), (1.06, -0.50), (0.66, -0.38)), (0.90, 0.52, 0.12), shade=0.1)
    pen.fill(ellipse(0.40, -0.52, 0.37, 0.36), colour, shade=0.42)
    pen.fill(
        ellipse(0.20, 0.28, 0.24, 0.34, 0.4),
        mix(colour, (1.0, 0.96, 0.86), 0.45),
        shade=0.1,
        soft=0.05,
        opacity=0.7,
    )
    pen.fill(
        smooth((-0.05, -0.25), (0.12, 0.25), (-0.35, 0.75), (-0.62, 0.62), (-0.45, 0.05)),
        dark,
        shade=0.35,
    )
    pen.fill(ellipse(0.50, -0.58, 0.085, 0.085), (0.05, 0.04, 0.06), shade=0.0)


def draw_flying_bird(pen: Pen, colour: Colour) -> None:
    """A bird that flies to the right, one wing up and one behind."""
    dark = mix(colour, (0.10, 0.08, 0.12), 0.45)
    beat = pen.canvas.uniform(-0.15, 0.15)
    pen.fill(
        smooth(
            (0.10, -0.05), (0.35, -0.35), (0.30, -1.0 + beat), (-0.10, -0.80 + beat), (-0.30, 0.0)
        ),
        dark,
        shade=0.35,
    )
    pen.fill(
        smooth((-0.45, 0.0), (-0.45, 0.22), (-1.12, 0.42), (-1.0, 0.12), (-1.15, -0.08)),
        dark,
        shade=0.3,
    )
    pen.fill(smooth((0.78, -0.26), (1.16, -0.10), (0.78, -0.02)), (0.90, 0.52, 0.12), shade=0.1)
    pen.fill(ellipse(0.0, 0.08, 0.66, 0.30, -0.12), colour, shade=0.42)
    pen.fill(ellipse(0.66, -0.12, 0.25, 0.24), colour, shade=0.42)
    wing = smooth(
        (0.30, 0.05),
        (0.05, -0.25),
        (-0.45, -0.95 + beat),
        (-0.80, -0.85 + beat),
        (-0.75, -0.35),
        (-0.40, 0.10),
    )
    pen.fill(wing, mix(colour, (1.0, 0.96, 0.86), 0.12), shade=0.42)
    pen.fill(ellipse(0.74, -0.17, 0.06, 0.06), (0.05, 0.04, 0.06), shade=0.0)
