"""A dog: it sits on a cushion, or runs across a meadow or snow."""

from __future__ import annotations

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
    hills,
    paint_room,
    paint_sky,
    paint_table,
    paint_window,
)


def paint_dog(canvas: Canvas, scene: Scene) -> None:
    """A dog that sits on a cushion, or runs across a meadow or snow."""
    coat = PAINTS[scene.colour]
    if scene.colour == "yellow":
        coat = (0.90, 0.66, 0.22)
    if scene.setting in ("meadow", "snow"):
        horizon = canvas.uniform(0.42, 0.54)
        paint_sky(canvas, "day", horizon)
        ground, far = (
            ((0.90, 0.93, 0.97), (0.62, 0.70, 0.82))
            if scene.setting == "snow"
            else ((0.40, 0.62, 0.20), (0.24, 0.42, 0.26))
        )
        canvas.fill(hills(canvas, horizon - 0.04, 0.05), far, shade=0.05)
        canvas.fill(hills(canvas, horizon + 0.06, 0.02), ground, shade=0.1)
        scale = canvas.uniform(0.33, 0.39)
        x, y = canvas.uniform(0.43, 0.51), canvas.uniform(0.60, 0.68)
        shadow = mix(ground, (0.10, 0.14, 0.22), 0.45)
        canvas.fill(
            ellipse(x, y + 0.66 * scale, 0.85 * scale, 0.10 * scale), shadow, shade=0.0, soft=0.02
        )
        draw_running_dog(Pen(canvas, x, y, scale, canvas.uniform(-0.08, 0.06)), coat)
        canvas.veil(*GLAZES["day"])
    else:
        floor = canvas.uniform(0.62, 0.80)
        paint_room(canvas, candlelit=False)
        if canvas.rng.random() < 0.6:
            paint_window(canvas, canvas.uniform(0.05, 0.95), moonlit=False)
        paint_table(canvas, floor, dark=False)
        scale = canvas.uniform(0.30, 0.38)
        x, y = canvas.uniform(0.38, 0.60), canvas.uniform(0.45, 0.55)
        cushion = PAINTS[scene.setting.split()[0]]
        canvas.shadow(x, y + 1.18 * scale, 1.15 * scale, 0.2 * scale)
        pillow = smooth(
            (x - 1.3 * scale, y + 0.72 * scale),
            (x, y + 0.78 * scale),
            (x + 1.3 * scale, y + 0.72 * scale),
            (x + 1.22 * scale, y + 1.28 * scale),
            (x, y + 1.32 * scale),
            (x - 1.22 * scale, y + 1.28 * scale),
        )
        canvas.fill(pillow, cushion, shade=0.4)
        draw_sitting_dog(Pen(canvas, x, y, scale), coat)


def draw_sitting_dog(pen: Pen, coat: Colour) -> None:
    """A dog that sits and looks to the right; it sits at y = 1."""
    dark = mix(coat, INK, 0.45) if coat != PAINTS["black"] else (0.22, 0.21, 0.25)
    tail = smooth((-0.45, 0.8), (-0.85, 0.75), (-1.0, 0.35), (-0.85, 0.15), closed=False)
    pen.fill(ribbon(tail, 0.2, 0.1), coat, shade=0.3)
    pen.fill(
        smooth((0.1, -0.55), (0.42, -0.1), (0.45, 0.95), (-0.55, 1.0), (-0.62, 0.35), (-0.3, -0.3)),
        coat,
        shade=0.42,
    )
    pen.fill(ellipse(-0.28, 0.70, 0.38, 0.33), coat, shade=0.42)
    pen.fill(ellipse(-0.05, 0.96, 0.30, 0.10), coat, shade=0.3)
    for x, shade in ((0.16, 0.25), (0.36, 0.35)):
        pen.fill(
            smooth((x - 0.13, 0.1), (x + 0.13, 0.1), (x + 0.12, 1.0), (x - 0.12, 1.0)),
            coat,
            shade=shade,
        )
        pen.fill(ellipse(x + 0.07, 0.98, 0.19, 0.09), coat, shade=0.3)
    draw_dog_head(pen.at(0.22, -0.62, 1.0, pen.canvas.uniform(-0.4, 0.15)), coat, dark)


def draw_dog_head(pen: Pen, coat: Colour, dark: Colour) -> None:
    """Head, muzzle and a hanging ear, looking to the right."""
    pen.fill(ellipse(0.0, 0.0, 0.42, 0.38), coat, shade=0.42)
    pen.fill(
        smooth((0.1, -0.12), (0.55, -0.08), (0.78, 0.02), (0.75, 0.24), (0.2, 0.36)),
        coat,
        shade=0.35,
    )
    pen.fill(ellipse(0.71, 0.03, 0.11, 0.09), INK, shade=0.1)
    pen.fill(
        smooth((-0.25, -0.32), (0.02, -0.25), (-0.02, 0.30), (-0.22, 0.48), (-0.42, 0.25)),
        dark,
        shade=0.35,
    )
    eye = INK if coat != PAINTS["black"] else (0.85, 0.60, 0.25)
    pen.fill(ellipse(0.22, -0.10, 0.065, 0.065), eye, shade=0.0)


def draw_running_dog(pen: Pen, coat: Colour) -> None:
    """A dog at full stretch to the right; the ground is at about y = 0.66."""
    dark = mix(coat, INK, 0.45) if coat != PAINTS["black"] else (0.22, 0.21, 0.25)
    far = mix(coat, INK, 0.25)
    stride = pen.canvas.uniform(-0.08, 0.08)
    legs = (
        (far, (-0.50, 0.10), (-0.62, 0.35), (-0.72 + stride, 0.62)),
        (far, (0.42, 0.12), (0.72, 0.32), (0.86 + stride, 0.52)),
        (coat, (-0.55, 0.08), (-0.72, 0.36), (-1.02 - stride, 0.58)),
        (coat, (0.36, 0.12), (0.52, 0.42), (0.50 - stride, 0.68)),
    )
    for colour, *joints in legs:
        pen.fill(ribbon(smooth(*joints, closed=False), 0.26, 0.12), colour, shade=0.3)
    tail = smooth((-0.62, -0.05), (-0.95, -0.15), (-1.15, -0.42), closed=False)
    pen.fill(ribbon(tail, 0.18, 0.08), coat, shade=0.3)
    pen.fill(
        smooth(
            (-0.78, -0.12),
            (-0.3, -0.26),
            (0.2, -0.24),
            (0.58, -0.34),
            (0.62, 0.15),
            (0.3, 0.34),
            (-0.25, 0.18),
            (-0.72, 0.26),
        ),
        coat,
        shade=0.42,
    )
    draw_dog_head(pen.at(0.66, -0.36, 0.72, 0.1), coat, dark)
