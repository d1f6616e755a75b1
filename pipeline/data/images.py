"""Bytes to pictures: any file that claims to be one is decoded to RGB, or refused with a reason."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import UserError

# What Pillow decodes by itself. Its other plugins stay shut: some start programs (EPS), some are
# containers of further files.
FORMATS = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "WEBP": "webp",
    "AVIF": "avif",
    "JPEG2000": "jp2",
    "TIFF": "tif",
    "BMP": "bmp",
}
NAME_DIGITS = 20  # of the SHA-256: 80 bits tell any two pictures apart
# Above this Pillow itself warns of a decompression bomb, so no limit of ours can be higher.
MOST_PIXELS = 89_000_000
# Its warning says nothing that `decode_image` does not check itself.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageError(Exception):
    """The bytes are no picture that we can use.

    Attributes:
        reason: one word for a report: "empty", "not_a_picture", "too_many_pixels", "broken".
        detail: one line that says more.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def decode_image(data: bytes, *, max_pixels: int) -> Image.Image:
    """Decode a picture to its last pixel, upright, as RGB.

    The first frame of an animation is taken, EXIF rotation is applied, what is transparent shows
    white, 16-bit and floating-point samples are scaled to 8 bits.

    Args:
        data: a file's bytes, from anywhere.
        max_pixels: width times height that is refused before any pixel is decoded.

    Raises:
        ImageError: the bytes are empty, no picture, too large, cut short or damaged.
    """
    return _decode(data, max_pixels)[0]


def picture_type(data: bytes, *, max_pixels: int) -> tuple[Image.Image, str]:
    """`decode_image`, and the file name extension of the format that the bytes truly have."""
    image, kind = _decode(data, max_pixels)
    return image, FORMATS[kind]


def _decode(data: bytes, max_pixels: int) -> tuple[Image.Image, str]:
    if not data:
        raise ImageError("empty", "no bytes")
    # Pillow's plugins raise nearly anything on bytes made to hurt (struct.error, SyntaxError,
    # IndexError, MemoryError, ...), so every exception here is the picture's fault.
    try:
        Image.init()  # a format that this Pillow has no decoder for would end the search
        known = [name for name in FORMATS if name in Image.OPEN]
        image = Image.open(io.BytesIO(data), formats=known)
    except Image.DecompressionBombError as error:
        raise ImageError("too_many_pixels", _line(error)) from None
    except Exception as error:
        raise ImageError("not_a_picture", _what_it_is(data) or _line(error)) from None
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError("too_many_pixels", f"{width}x{height}, at most {max_pixels} pixels")
    if width * height == 0:
        raise ImageError("broken", "no pixels")
    kind = str(image.format)
    try:
        image.load()
        return _to_rgb(_upright(image)), kind
    except Exception as error:
        raise ImageError("broken", _line(error)) from None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data is no reason to lose a picture that is whole
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_to_8_bits(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(samples: np.ndarray) -> np.ndarray:
    """Scale integers by the smallest of 8, 16, 32 bits that holds them, floats by their range.

    Args:
        samples: (H, W) of integers or floats.

    Returns:
        uint8 (H, W).
    """
    values = samples.astype(np.float64)
    if np.issubdtype(samples.dtype, np.floating):
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        return np.rint((values - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8)
    wide = samples.dtype.itemsize == 2
    top = 65535.0 if wide else next(t for t in (255.0, 65535.0, 2.0**32) if values.max() <= t)
    return np.rint(values.clip(0.0, top) * (255.0 / top)).astype(np.uint8)


def _what_it_is(data: bytes) -> str:
    """What bytes that no decoder knows look like, for a reader of the report."""
    head = data[:256].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if head.startswith((b"<?xml", b"<svg")):
        return "XML or SVG"
    if head.startswith((b"{", b"[")):
        return "JSON"
    return ""


def _line(error: BaseException) -> str:
    """An error as one line without memory addresses: a report has the same bytes each time."""
    text = " ".join(str(error).split()).split(" <")[0]
    return text[:200] if text else type(error).__name__


def content_name(data: bytes) -> str:
    """What a file of these bytes is called in the images folder, without the ending."""
    return hashlib.sha256(data).hexdigest()[:NAME_DIGITS]


def load_images(folder: Path, names: Sequence[str], size: int) -> np.ndarray:
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
    images = np.empty((len(names), size, size, 3), dtype=np.uint8)

    def read(row: int) -> None:
        try:
            data = (folder / names[row]).read_bytes()
        except FileNotFoundError:
            raise UserError(f"{folder / names[row]}: no such file; run download again") from None
        if names[row].partition(".")[0] != content_name(data):
            raise UserError(f"{folder / names[row]}: damaged (its bytes have another checksum)")
        images[row] = square(decode_image(data, max_pixels=MOST_PIXELS), size)

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
