"""`codebrush repaint`: an area of a picture painted anew, its surroundings as they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from apps.painting import load_painter, write_paintings
from pipeline.errors import UserError

WHITE = 128  # of a mask's grey: from here on it is painted anew
Area = Callable[[int], np.ndarray]  # a picture's side in pixels → (side, side) bool


def read_area(box: str, mask: Path | None) -> Area:
    """What is painted anew, by a box "X,Y,W,H" or a mask's file.

    Raises:
        UserError: both are given or neither, or what is given is none.
    """
    if (box != "") == (mask is not None):
        raise UserError("expected --box X,Y,W,H or --mask FILE, one of them")
    if mask is not None:
        white = np.asarray(_opened(mask).convert("L")) >= WHITE
        return lambda side: _fitting(white, side, where=str(mask))
    parts = box.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise UserError(f"--box {box!r}: expected four whole numbers, X,Y,W,H")
    x, y, width, height = map(int, parts)

    def area(side: int) -> np.ndarray:
        if not (0 < width <= side - x and 0 < height <= side - y):
            raise UserError(f"--box {box}: expected an area inside of {side} x {side} pixels")
        inside = np.zeros((side, side), dtype=bool)
        inside[y : y + height, x : x + width] = True
        return inside

    return area


def repaint_files(
    picture: Path,
    area: Area,
    prompt: str,
    *,
    models: str,
    out: Path,
    samples: int,
    seed: int,
    changes: Mapping[str, Any],
) -> None:
    """Paint the area of a picture anew, `samples` times, into `out`.

    Raises:
        UserError: the picture or the area does not fit, the prompt or a setting cannot be painted
            with, the prior cannot draw this area, or the models are not there.
    """
    pixels = np.asarray(_opened(picture).convert("RGB"))
    painter, settings, facts = load_painter(models, changes)
    side = painter.image_size
    inside = area(side)
    paintings = painter.repaint(
        _fitting(pixels, side, where=str(picture)),
        inside,
        prompt,
        settings,
        samples=samples,
        seed=seed,
    )
    repainted = f"{int(inside.sum())} pixels of {picture.name}"
    write_paintings(paintings, out, seed=seed, facts={**facts, "repainted": repainted})


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError):
        raise UserError(f"{path}: no picture that can be read") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'no picture that can be read'}") from None


def _fitting(pixels: np.ndarray, side: int, *, where: str) -> np.ndarray:
    height, width = pixels.shape[:2]
    if (height, width) != (side, side):
        raise UserError(f"{where}: {width} x {height} pixels, expected {side} x {side}")
    return pixels
