"""Pictures that `download` has checked: named by their bytes, loaded as squares of one size."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.data.decoding import MOST_PIXELS, decode
from pipeline.errors import UserError

NAME_DIGITS = 20  # of the SHA-256: 80 bits tell any two pictures apart


def content_name(data: bytes) -> str:
    """What a file of these bytes is called in the images folder, without the ending."""
    return hashlib.sha256(data).hexdigest()[:NAME_DIGITS]


def load_images(folder: Path | str, names: Sequence[str], size: int) -> np.ndarray:
    """Read pictures that `download` has checked, cropped at the centre to a square and resized.

    Args:
        folder: the images folder.
        names: file names in it; the answer keeps their order.
        size: side of the square, in pixels.

    Returns:
        uint8 (N, size, size, 3), the same bytes on every call.

    Raises:
        UserError: a file is missing or damaged.
    """
    folder = Path(folder)
    images = np.empty((len(names), size, size, 3), dtype=np.uint8)

    def read(row: int) -> None:
        try:
            data = (folder / names[row]).read_bytes()
        except FileNotFoundError:
            raise UserError(f"{folder / names[row]}: no such file; run download again") from None
        if names[row].partition(".")[0] != content_name(data):
            raise UserError(f"{folder / names[row]}: damaged (its bytes have another checksum)")
        picture = decode(data, max_pixels=MOST_PIXELS, checked=True).image
        images[row] = square(picture, size)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for _ in pool.map(read, range(len(names))):  # reading the results raises what went wrong
            pass
    return images


def square(image: Image.Image, size: int) -> np.ndarray:
    """The middle square of a picture, resized with antialiasing: uint8 (size, size, 3)."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=box))
