"""Decoded pixels of any mode, depth, profile and transparency to 8-bit sRGB on white."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

WHITE = (255, 255, 255, 255)
SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}  # of profiles


def to_srgb(
    image: Image.Image, profile: bytes, alpha: Image.Image | None = None
) -> tuple[Image.Image, str]:
    """A picture as a viewer shows it on a white page.

    Args:
        image: as Pillow decoded it.
        profile: the ICC profile that the file holds; b"" for none.
        alpha: how much each pixel covers, where the file has no channel that says so.

    Returns:
        The picture as RGB, and "" or why its profile was not used.
    """
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(to_8_bits(np.asarray(image)))
    if alpha is None and image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert(image.mode[:-1])
    if image.mode not in ("L", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    colours, note = _convert(image, profile)
    if alpha is None:
        return colours, note
    colours.putalpha(alpha)
    white = Image.new("RGBA", colours.size, WHITE)
    return Image.alpha_composite(white, colours).convert("RGB"), note


def _convert(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """Pixels of L, RGB, CMYK or LAB to sRGB, by the profile if it is one for them."""
    note = ""
    if profile:
        space = SPACES.get(profile[16:20], "")
        # A grey is a colour of three equal parts, for files and for Pillow.
        if (image.mode, space) == ("L", "RGB"):
            image = image.convert("RGB")
        elif (image.mode, space) == ("RGB", "L") and _is_grey(image):
            image = image.getchannel("R")
        if space == image.mode:
            try:
                return _by_lcms(image, ImageCms.ImageCmsProfile(io.BytesIO(profile))), ""
            except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
                pass
            note = "its colour profile is damaged and was not used"
        else:
            note = "its colour profile is damaged or for other pixels and was not used"
    if image.mode == "LAB":
        return _by_lcms(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))), note
    return image.convert("RGB"), note


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = (channel.tobytes() for channel in image.split())
    return red == green == blue


def _by_lcms(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    transform = ImageCms.buildTransform(profile, srgb, image.mode, "RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None, "without `inPlace` a new picture comes back"
    return converted


def to_8_bits(samples: np.ndarray) -> np.ndarray:
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
