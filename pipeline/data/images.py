"""What a picture is called, by its bytes, and the square of it that models see."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

NAME_DIGITS = 20  # of the SHA-256: 80 bits tell any two pictures apart


def content_name(data: bytes) -> str:
    """What a file of these bytes is called among the pictures, without the ending."""
    return hashlib.sha256(data).hexdigest()[:NAME_DIGITS]


def square(image: Image.Image, size: int) -> np.ndarray:
    """The middle square of a picture, resized with antialiasing: uint8 (size, size, 3)."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=box))
