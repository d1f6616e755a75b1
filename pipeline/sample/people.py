"""Someone who smokes a pipe: a sailor, a farmer or a woman, head and shoulders."""

from __future__ import annotations

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
from pipeline.sample.surroundings import INK, paint_room, paint_window

SKIN: Colour = (0.90, 0.66, 0.50)


def paint_smoker(canvas: Canvas, scene: Scene) -> None:
    """A sailor, a farmer or a woman with a pipe, by a window or by candlelight."""
    candlelit = scene.light == "candlelight"
    paint_room(canvas, candlelit=candlelit)
    if not candlelit:
        paint_window(canvas, canvas.uniform(0.02, 0.16), moonlit=False)
    scale = canvas.uniform(0.40, 0.45)
    pen = Pen(
        canvas,
        canvas.uniform(0.46, 0.56),
        canvas.uniform(0.52, 0.57),
        scale,
        canvas.uniform(-0.05, 0.05),
    )
    draw_person(pen, scene.sort, PAINTS[scene.colour])
    draw_pipe(pen)
    if candlelit:
        canvas.veil((1.0, 0.86, 0.66), 0.5)


def draw_person(pen: Pen, sort: str, coat: Colour) -> None:
    """Head and shoulders; the chin is at about y = 0.2."""
    shoulders = smooth(
        (-0.25, 0.2), (0.25, 0.2), (0.95, 0.48), (1.15, 1.5), (-1.15, 1.5), (-0.95, 0.48)
    )
    grey, straw, linen, navy = (
        (0.78, 0.75, 0.70),
        (0.86, 0.68, 0.30),
        (0.95, 0.93, 0.88),
        (0.12, 0.14, 0.26),
    )
    if sort == "woman":
        pen.fill(ellipse(0.0, -0.26, 0.58, 0.64), linen, shade=0.35)
    pen.fill(box(-0.18, -0.05, 0.18, 0.4), mix(SKIN, INK, 0.2), shade=0.2)
    pen.fill(shoulders, coat, shade=0.42)
    if sort == "woman":
        pen.fill(smooth((-0.5, 0.28), (0.5, 0.28), (0.0, 0.85)), linen, shade=0.3)
    else:
        pen.fill(smooth((-0.26, 0.22), (0.26, 0.22), (0.0, 0.62)), linen, shade=0.2)
    pen.fill(ellipse(0.0, -0.20, 0.40, 0.48), SKIN, shade=0.35)
    if sort == "sailor":
        beard = smooth(
            (-0.42, -0.15),
            (-0.2, -0.02),
            (0.2, -0.02),
            (0.42, -0.15),
            (0.38, 0.3),
            (0.0, 0.52),
            (-0.38, 0.3),
        )
        pen.fill(beard, grey, shade=0.35)
        pen.fill(
            smooth((-0.46, -0.40), (-0.5, -0.85), (0.5, -0.85), (0.46, -0.40)), navy, shade=0.35
        )
        pen.fill(
            smooth((-0.46, -0.48), (0.46, -0.48), (0.56, -0.34), (-0.56, -0.34)),
            (0.06, 0.06, 0.12),
            shade=0.2,
        )
    elif sort == "farmer":
        pen.fill(ellipse(0.0, -0.50, 0.92, 0.20), mix(straw, INK, 0.25), shade=0.3)
        pen.fill(smooth((-0.44, -0.50), (-0.4, -1.0), (0.4, -1.0), (0.44, -0.50)), straw, shade=0.4)
        pen.fill(ellipse(0.0, -0.54, 0.90, 0.14), straw, shade=0.3)
    else:
        hair = smooth(
            (-0.42, -0.15),
            (-0.42, -0.7),
            (0.42, -0.7),
            (0.42, -0.15),
            (0.22, -0.46),
            (-0.22, -0.46),
        )
        pen.fill(hair, (0.36, 0.20, 0.10), shade=0.3)
        bonnet = smooth(
            (-0.56, -0.30),
            (-0.58, -0.95),
            (0.58, -0.95),
            (0.56, -0.30),
            (0.30, -0.60),
            (-0.30, -0.60),
        )
        pen.fill(bonnet, linen, shade=0.4)
    for x in (-0.15, 0.17):
        pen.fill(ellipse(x, -0.22, 0.06, 0.05), INK, shade=0.0)
    pen.fill(
        ellipse(0.03, -0.07, 0.09, 0.14), mix(SKIN, (0.85, 0.35, 0.25), 0.4), shade=0.2, soft=0.02
    )
    pen.fill(ellipse(0.05, 0.10, 0.13, 0.035), (0.55, 0.20, 0.16), shade=0.0)


def draw_pipe(pen: Pen) -> None:
    """A long clay pipe from the mouth to the right, and its smoke."""
    clay = (0.93, 0.90, 0.82)
    stem = smooth((0.10, 0.10), (0.45, 0.20), (0.78, 0.30), closed=False)
    pen.fill(ribbon(stem, 0.07, 0.08), clay, shade=0.0)
    drift = pen.canvas.uniform(-0.12, 0.12)
    for step in range(5):
        puff = ellipse(0.84 + drift * step * 0.6, -0.12 - 0.24 * step, 0.11 + 0.035 * step, 0.15)
        pen.fill(puff, (0.90, 0.89, 0.88), shade=0.0, soft=0.06, opacity=0.55 - 0.07 * step)
    pen.fill(smooth((0.70, 0.02), (1.0, 0.02), (0.96, 0.40), (0.74, 0.40)), clay, shade=0.35)
    pen.fill(ellipse(0.85, 0.06, 0.11, 0.05), (0.75, 0.25, 0.10), shade=0.0)
