"""Bytes to pictures: any file that claims to be one is decoded to RGB, or refused with a reason."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.data.colour import to_srgb
from pipeline.data.containers import open_container
from pipeline.data.containers.jpeg import probe_of_jpeg
from pipeline.data.containers.parts import Container, CutShort
from pipeline.data.containers.tiff import orientation

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
# Above this Pillow itself warns of a decompression bomb, so no limit of ours can be higher.
MOST_PIXELS = 89_000_000
# Its warning says nothing that `decode_image` does not check itself.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF's orientation → what sets it right


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


@dataclass(frozen=True)
class Decoded:
    """A picture and what became of its file.

    Attributes:
        image: RGB, upright.
        ending: the file name extension of the format that the bytes truly have.
        note: one line on what the file says that was not followed; "" for nothing.
    """

    image: Image.Image
    ending: str
    note: str


def decode_image(data: bytes, *, max_pixels: int) -> Image.Image:
    """Decode a picture to its last pixel, upright, as 8-bit sRGB.

    The first frame of an animation is taken, EXIF's orientation is applied, a colour profile is
    converted, what is transparent shows white, 16-bit and floating-point samples are scaled.
    Metadata that are damaged or huge are passed over.

    Args:
        data: a file's bytes, from anywhere.
        max_pixels: width times height that is refused before any pixel is decoded.

    Raises:
        ImageError: the bytes are empty, no picture, too large, cut short or damaged. Damage in the
            middle of a JPEG, lossy WebP, AVIF or JPEG 2000 may pass for a picture: these formats
            have no checksum, and their decoders go on.
    """
    return decode(data, max_pixels=max_pixels).image


def decode(data: bytes, *, max_pixels: int, checked: bool = False) -> Decoded:
    """`decode_image`, and what became of the file.

    Args:
        checked: these very bytes were decoded before: no second look for missing data.
    """
    if not data:
        raise ImageError("empty", "no bytes")
    # Pillow's plugins raise nearly anything on bytes made to hurt (struct.error, SyntaxError,
    # IndexError, MemoryError, ...), so every exception here is the picture's fault.
    try:
        container = open_container(data)
    except CutShort as error:
        raise ImageError("broken", str(error)) from None
    image = _open(container.data)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError("too_many_pixels", f"{width}x{height}, at most {max_pixels} pixels")
    if width * height == 0:
        raise ImageError("broken", "no pixels")
    kind = str(image.format)
    try:
        alpha = _transparent_colour(image, container)
        image.load()
        if kind == "JPEG" and not checked:
            _check_scans(image, container.data)
        exif = container.exif or _bytes(image.info.get("exif"))
        xmp = container.xmp or _bytes(image.info.get("xmp"))
        profile = container.profile or _bytes(image.info.get("icc_profile"))
        colours, note = to_srgb(image, profile, alpha)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError("broken", _line(error)) from None
    turn = TURNS.get(orientation(exif, xmp))
    upright = colours if turn is None else colours.transpose(turn)
    return Decoded(upright, FORMATS[kind], note)


def _open(data: bytes) -> Image.Image:
    try:
        Image.init()  # a format that this Pillow has no decoder for would end the search
        known = [name for name in FORMATS if name in Image.OPEN]
        return Image.open(io.BytesIO(data), formats=known)
    except Image.DecompressionBombError as error:
        raise ImageError("too_many_pixels", _line(error)) from None
    except Exception as error:
        raise ImageError("not_a_picture", _what_it_is(data) or _line(error)) from None


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _transparent_colour(image: Image.Image, container: Container) -> Image.Image | None:
    """Where a PNG file's one transparent colour is not; None if it has none.

    Pillow compares pixels that it has scaled to 8 bits with a colour of the file's own depth.
    """
    clear, depth = container.clear, container.depth
    if image.mode == "P" or len(clear) != len(image.getbands()):
        return None
    image.info.pop("transparency", None)
    if depth == 16 and image.mode == "RGB":
        # Pillow gives the high bytes of such samples; asked for the other order, the low ones.
        high, low = np.asarray(image), _open(container.data)
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # type: ignore[attr-defined]
        samples = high.astype(np.uint16) << 8 | np.asarray(low)
    else:
        samples = np.asarray(image.convert("L") if image.mode == "1" else image)
        steps = 1 if depth == 16 else 255 // ((1 << depth) - 1)  # Pillow spreads 1, 2, 4 bits
        clear = tuple(value * steps for value in clear)
    same = samples == np.asarray(clear)
    hidden = same.all(axis=2) if same.ndim == 3 else same
    return Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8))


def _check_scans(image: Image.Image, data: bytes) -> None:
    """Refuse a JPEG file whose scans end before the picture does.

    Raises:
        ImageError: it does.
    """
    try:
        probe = probe_of_jpeg(data)
    except CutShort as error:
        raise ImageError("broken", str(error)) from None
    if probe is not None and _open(probe).tobytes() != image.tobytes():
        raise ImageError("broken", "its data end before the picture does")


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
