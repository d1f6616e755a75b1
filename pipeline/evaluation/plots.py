"""Pictures of results: grids of images under their captions, scatter plots.

All are PNGs of few bytes, for git, and the same bytes for the same data: no date, no version, no
settings of the user's own matplotlib.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from pipeline.files import replacing

PAPER, INK = (255, 255, 255), (32, 32, 36)
GAP = 10  # pixels between pictures
FONT_SIZE = 13
LINE_HEIGHT = 16
CAPTION_LINES = 3
PALETTE = 256

# Okabe and Ito's colours, told apart by colour-blind readers too; yellow is too pale on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "^", "s")
SHOWN_LABELS = 14
FIGURE_STYLE = {
    "figure.dpi": 100,
    "font.size": 10,
    "axes.edgecolor": "#707078",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e8e8ec",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def image_grid(
    images: np.ndarray, captions: Sequence[str] | None, *, columns: int, scale: int
) -> Image.Image:
    """Lay pictures out in rows, each over its caption.

    Args:
        images: (N, H, W, 3) uint8, N >= 1.
        captions: (N,) wrapped to three lines at most; None for none.
        columns: pictures in a row.
        scale: how many times larger a pixel is drawn.
    """
    _check(images, captions)
    cells = _Cells(images.shape[2] * scale, images.shape[1] * scale, captions)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (cells.left(columns), GAP + rows * cells.height), PAPER)
    for i, image in enumerate(images):
        x, y = cells.left(i % columns), GAP + i // columns * cells.height
        page.paste(_enlarged(image, scale), (x, y))
        cells.write(page, i, x, y + images.shape[1] * scale)
    return page


def comparison_grid(
    rows: Mapping[str, np.ndarray],
    captions: Sequence[str] | None = None,
    *,
    columns: int,
    scale: int,
) -> Image.Image:
    """Lay out pictures that belong together one above the other, wrapped into blocks of rows.

    Args:
        rows: each row's title, a line or more, and its pictures (N, H, W, 3) uint8, as many each.
        captions: (N,) one for each column of pictures, under it; None for none.
        columns: pictures side by side before the next block begins.
        scale: how many times larger a pixel is drawn.
    """
    shapes = {images.shape for images in rows.values()}
    if len(shapes) != 1:
        raise ValueError(f"rows of the same shape are needed, found {sorted(shapes)}")
    count, height, width, _ = shapes.pop()
    _check(next(iter(rows.values())), captions)
    width, height = width * scale, height * scale
    cells = _Cells(width, height, captions)
    columns = min(columns, count)
    font = _font()
    margin = GAP + max(int(font.getlength(line)) for title in rows for line in title.split("\n"))
    block = (len(rows) - 1) * (height + GAP // 2) + cells.height + GAP
    blocks = -(-count // columns)
    page = Image.new("RGB", (margin + cells.left(columns), blocks * block), PAPER)
    draw = ImageDraw.Draw(page)
    for start in range(0, count, columns):
        top = GAP + start // columns * block
        for title, images in rows.items():
            draw.text((GAP, top + height // 2), title, INK, font, anchor="lm")
            for i, image in enumerate(images[start : start + columns]):
                page.paste(_enlarged(image, scale), (margin + cells.left(i), top))
            top += height + GAP // 2
        for i in range(start, min(start + columns, count)):
            cells.write(page, i, margin + cells.left(i - start), top - GAP // 2)
    return page


class _Cells:
    """Where a grid's pictures and captions go."""

    def __init__(self, width: int, height: int, captions: Sequence[str] | None) -> None:
        self.width = width
        self.font = _font()
        self.lines = [_wrapped(caption, self.font, width) for caption in captions or ()]
        below = max(map(len, self.lines), default=0) * LINE_HEIGHT
        self.height = height + below + (GAP // 2 if below else 0) + GAP

    def left(self, column: int) -> int:
        return GAP + column * (self.width + GAP)

    def write(self, page: Image.Image, index: int, x: int, y: int) -> None:
        draw = ImageDraw.Draw(page)
        for n, line in enumerate(self.lines[index] if self.lines else ()):
            place = (x + self.width / 2, y + GAP // 2 + n * LINE_HEIGHT)
            draw.text(place, line, INK, self.font, anchor="ma")


def _check(images: np.ndarray, captions: Sequence[str] | None) -> None:
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"pictures (N, H, W, 3) uint8 are needed: {images.dtype} {images.shape}")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(images)} pictures, {len(captions)} captions")


def _enlarged(image: np.ndarray, scale: int) -> Image.Image:
    return Image.fromarray(image.repeat(scale, axis=0).repeat(scale, axis=1))


def _font() -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    # the basic layout does not depend on what text library Pillow was built with
    return ImageFont.truetype(str(path), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a text between words; what three lines do not hold, and too long a word, is cut off."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > CAPTION_LINES:
        lines = [*lines[: CAPTION_LINES - 1], " ".join(lines[CAPTION_LINES - 1 :])]
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line.rstrip()}…"


def write_png(path: Path, image: Image.Image) -> None:
    """Write a picture as a PNG of at most 256 colours: a third of the bytes, and hardly to be seen.

    The colours are chosen to cover all that occur (by the usual median cut, a few red fruits among
    many yellow ones turn flat), and from every fourth pixel of every fourth row: as good as from
    all, in a twentieth of the time.
    """
    image = image.convert("RGB")
    sample = Image.fromarray(np.asarray(image)[::4, ::4])
    palette = sample.quantize(PALETTE, Image.Quantize.MAXCOVERAGE, kmeans=1)
    with replacing(path) as aside:
        small = image.quantize(palette=palette, dither=Image.Dither.NONE)
        small.save(aside, format="PNG", optimize=True)


def scatter(
    path: Path, points: np.ndarray, labels: Sequence[str], *, title: str, axes: tuple[str, str]
) -> None:
    """Draw points in the colours of their labels: the commonest fourteen, the others grey.

    Args:
        path: of the PNG.
        points: (N, 2).
        labels: (N,) one for each point; "" for none.
        title: over the plot.
        axes: the names of x and y.
    """
    if points.shape != (len(labels), 2):
        raise ValueError(f"points of {points.shape}, {len(labels)} labels")
    counts = Counter(label for label in labels if label)
    shown = sorted(counts, key=lambda label: (-counts[label], label))[:SHOWN_LABELS]
    of = np.array(labels, dtype=object)
    with matplotlib.style.context(["default", FIGURE_STYLE]):
        figure, plot = _figure((7.6, 5.2), title, axes)
        rest = ~np.isin(of, shown)
        if rest.any():
            name = "others" if shown else None
            plot.scatter(*points[rest].T, s=14, c="#c4c4cc", linewidths=0, label=name)
        for i, label in enumerate(shown):
            plot.scatter(
                *points[of == label].T,
                s=26,
                c=COLORS[i % len(COLORS)],
                marker=MARKERS[i // len(COLORS) % len(MARKERS)],
                edgecolors="white",
                linewidths=0.4,
                label=f"{label} ({counts[label]})",
            )
        if shown:
            plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)
        _save(figure, path)


def _figure(size: tuple[float, float], title: str, axes: tuple[str, str]):  # type: ignore[no-untyped-def]
    figure = Figure(figsize=size, layout="constrained")
    plot = figure.add_subplot(title=title, xlabel=axes[0], ylabel=axes[1])
    return figure, plot


def _save(figure: Figure, path: Path) -> None:
    drawn = io.BytesIO()
    FigureCanvasAgg(figure).print_png(drawn, metadata={"Software": None})
    write_png(path, Image.open(drawn))
