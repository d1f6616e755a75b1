"""A small oil canvas: washes, shaded shapes and glows, drawn supersampled, smooth by intention.

Arrays see only + - * /, roots and comparisons, which every processor rounds alike: numpy's sin or
exp take other instructions on another one, and a seed would give other bytes there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[float, float, float]  # red, green, blue in [0, 1]
Points = np.ndarray  # (N, 2) float: x to the right, y down


def _column(colour: Colour) -> np.ndarray:
    """A colour as (3, 1, 1) float32, to meet (H, W) or (3, H, W)."""
    return np.array(colour, dtype=np.float32).reshape(3, 1, 1)


SUPERSAMPLING = 4
UNSTEADINESS = 0.012  # of an outline, as a share of the picture
BRISTLES = 0.07  # how far the strokes in a shape go towards light and shadow
SOFTNESS = 0.0075  # standard deviation of every edge, as of a wet brush: a share of the picture

WARM_WHITE = _column((1.0, 0.96, 0.86))
DEEP_SHADOW = _column((0.10, 0.07, 0.10))
OCHRE = _column((0.80, 0.66, 0.42))  # the priming that shines through

CIRCLE = np.array([(math.cos(k * math.pi / 12), math.sin(k * math.pi / 12)) for k in range(24)])

PAINTS: dict[str, Colour] = {
    "red": (0.80, 0.13, 0.11),
    "yellow": (0.97, 0.78, 0.14),
    "green": (0.22, 0.56, 0.20),
    "blue": (0.13, 0.33, 0.80),
    "white": (0.95, 0.93, 0.88),
    "purple": (0.52, 0.22, 0.66),
    "brown": (0.50, 0.27, 0.12),
    "black": (0.12, 0.11, 0.14),
}


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` of the way from `a` to `b`."""
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """An upright rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Points:
    """An ellipse about (x, y), its axes turned clockwise by `turn` radians."""
    across, down = rx * CIRCLE[:, 0], ry * CIRCLE[:, 1]
    c, s = math.cos(turn), math.sin(turn)
    return np.stack([x + c * across - s * down, y + s * across + c * down], axis=1)


def smooth(*points: tuple[float, float], closed: bool = True) -> Points:
    """The curve that Chaikin's corner cutting makes of a polygon or, if not closed, of a line."""
    line = np.array(points, dtype=np.float64)
    for _ in range(3):
        here, there = (line, np.roll(line, -1, axis=0)) if closed else (line[:-1], line[1:])
        cut = np.stack([0.75 * here + 0.25 * there, 0.25 * here + 0.75 * there], axis=1)
        cut = cut.reshape(-1, 2)
        line = cut if closed else np.concatenate([line[:1], cut, line[-1:]])
    return line


def ribbon(line: Points, start: float, end: float) -> Points:
    """A band along `line` whose width goes from `start` to `end`."""
    along = np.gradient(line, axis=0)
    along = along / np.maximum(np.sqrt((along * along).sum(axis=1, keepdims=True)), 1e-9)
    half = np.linspace(start, end, len(line))[:, None] / 2
    side = np.stack([-along[:, 1], along[:, 0]], axis=1) * half
    return np.concatenate([line + side, (line - side)[::-1]])


class Canvas:
    """A square picture in progress.

    Attributes:
        pixels: (3, size, size) float32 in [0, 1]; channels first, so that inner loops are long.
        light: unit vector (x, y) towards the light.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.rng = rng
        self.pixels = np.zeros((3, size, size), dtype=np.float32)
        self.light = (-0.6, -0.8)
        axis = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.x, self.y = axis[None, :], axis[:, None]
        # Broad, level brush strokes: low frequencies only, or the VQ-VAE spends its codes on them.
        self.strokes = self._field(14, 7)
        # An unsteady hand: every outline is pushed along these, about a hundredth of the picture.
        self.tremor = np.stack([self._field(9, 9), self._field(9, 9)], axis=-1) * UNSTEADINESS

    def _field(self, rows: int, columns: int) -> np.ndarray:
        """A smooth random field, (size, size) in about [-1, 1]."""
        knots = self.rng.random((rows, columns), dtype=np.float32) * 2 - 1
        shape = (self.size, self.size)
        return np.asarray(Image.fromarray(knots).resize(shape, Image.Resampling.BICUBIC))

    def uniform(self, low: float, high: float) -> float:
        """A random number in [low, high)."""
        return float(low + (high - low) * self.rng.random())

    def wash(self, *stops: tuple[float, Colour], waviness: float = 0.06) -> None:
        """Cover all with a vertical gradient through (height, colour) stops, broken by strokes."""
        heights = [height for height, _ in stops]
        y = self.y + waviness * self.strokes
        for channel in range(3):
            self.pixels[channel] = np.interp(y, heights, [c[channel] for _, c in stops])

    def fill(
        self,
        points: Points,
        colour: Colour,
        *,
        shade: float = 0.3,
        soft: float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        """Paint a polygon as a rounded body in the light.

        Args:
            points: (N, 2) in picture coordinates: [0, 1] from left to right, from top to bottom.
            shade: how far its sides go towards light and shadow, in [0, 1]; 0 is flat.
            soft: standard deviation of its edge, as a share of the picture.
            opacity: in [0, 1].
        """
        columns, rows = (points * self.size).astype(int).clip(0, self.size - 1).T
        outline = (points + self.tremor[rows, columns]) * self.size
        margin = 2 + math.ceil(2.5 * soft * self.size)
        left, top = outline.min(axis=0).tolist()
        right, bottom = outline.max(axis=0).tolist()
        x0, y0 = max(0, int(left) - margin), max(0, int(top) - margin)
        x1, y1 = min(self.size, int(right) + margin), min(self.size, int(bottom) + margin)
        if x0 >= x1 or y0 >= y1:
            return
        outline = (outline - (x0, y0)) * SUPERSAMPLING
        drawing = Image.new("L", ((x1 - x0) * SUPERSAMPLING, (y1 - y0) * SUPERSAMPLING))
        ImageDraw.Draw(drawing).polygon(outline.ravel().tolist(), fill=255)
        drawing = drawing.reduce(SUPERSAMPLING)
        if soft:
            drawing = drawing.filter(ImageFilter.GaussianBlur(soft * self.size))
        window = (slice(y0, y1), slice(x0, x1))
        paint = _column(colour)
        if shade:
            tone = self._relief(drawing, window) * np.float32(shade)
            tone += self.strokes[window] * np.float32(BRISTLES)
            body = 0.70 * paint - 0.35 * DEEP_SHADOW  # what is lost in full shadow
            paint = paint + np.maximum(tone, 0) * (WARM_WHITE - paint) + np.minimum(tone, 0) * body
        mask = np.asarray(drawing, dtype=np.float32) * np.float32(opacity / 255)
        under = self.pixels[:, *window]
        under += mask * (paint - under)

    def _relief(self, drawing: Image.Image, window: tuple[slice, slice]) -> np.ndarray:
        """How much each pixel of a pillow over the drawing faces the light, about [-1, 1]."""
        width, height = drawing.size
        radius = max(1.0, 0.16 * min(width, height))
        pillow = np.asarray(drawing.filter(ImageFilter.BoxBlur(radius)), dtype=np.float32)
        toward_x, toward_y = self.light
        x, y = self.x[:, window[1]], self.y[window[0]]
        across = (x - 0.5 * (x[0, 0] + x[0, -1])) * np.float32(1.2 * toward_x * self.size / width)
        down = (y - 0.5 * (y[0, 0] + y[-1, 0])) * np.float32(1.2 * toward_y * self.size / height)
        lit = across + down
        slope = 1.1 * radius / 255
        lit[:, 1:-1] -= (pillow[:, 2:] - pillow[:, :-2]) * np.float32(slope * toward_x)
        lit[1:-1, :] -= (pillow[2:, :] - pillow[:-2, :]) * np.float32(slope * toward_y)
        return lit

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Add light that falls off from (x, y); half is left at about 0.6 `radius`."""
        distance = ((self.x - x) ** 2 + (self.y - y) ** 2) / np.float32(radius * radius)
        light = np.float32(strength) / ((1 + distance) * (1 + distance))
        self.pixels += light * _column(colour) * (1 - self.pixels)

    def shadow(self, x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> None:
        """Darken a soft ellipse under something that stands there."""
        self.fill(
            ellipse(x, y, rx, ry, turn), (0.09, 0.06, 0.05), shade=0.0, soft=0.02, opacity=0.6
        )

    def veil(self, colour: Colour, share: float) -> None:
        """Pull the whole picture towards a colour, as a glaze does: dark paints stay dark."""
        self.pixels *= 1 - np.float32(share) * (1 - _column(colour))

    def finish(self) -> Image.Image:
        """Let the priming shine through, darken the corners, and give the picture."""
        pixels = self.pixels + np.float32(0.05) * (OCHRE - self.pixels)
        corner = (self.x - 0.5) ** 2 + (self.y - 0.5) ** 2
        pixels *= 1 - np.float32(0.9) * corner * corner
        channels = (pixels * 255 + 0.5).clip(0, 255).astype(np.uint8)
        picture = Image.merge("RGB", [Image.fromarray(channel) for channel in channels])
        return picture.filter(ImageFilter.GaussianBlur(SOFTNESS * self.size))


@dataclass(frozen=True, slots=True)
class Pen:
    """A canvas seen from a motif's own coordinates: (0, 0) is its middle, 1 its half size.

    Attributes:
        turn: radians clockwise.
    """

    canvas: Canvas
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    turn: float = 0.0

    def at(self, x: float, y: float, scale: float = 1.0, turn: float = 0.0) -> Pen:
        """A pen for a part of this motif."""
        ((px, py),) = self.place(np.array([(x, y)])).tolist()
        return Pen(self.canvas, px, py, self.scale * scale, self.turn + turn)

    def place(self, points: Points) -> Points:
        """Motif coordinates as picture coordinates."""
        c, s = math.cos(self.turn) * self.scale, math.sin(self.turn) * self.scale
        x, y = points[:, 0], points[:, 1]
        return np.stack([self.x + c * x - s * y, self.y + s * x + c * y], axis=1)

    def fill(
        self,
        points: Points,
        colour: Colour,
        *,
        shade: float = 0.3,
        soft: float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        """`Canvas.fill` in the motif's coordinates (`soft` too)."""
        self.canvas.fill(
            self.place(points), colour, shade=shade, soft=soft * self.scale, opacity=opacity
        )
