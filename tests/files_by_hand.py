"""Picture files written byte by byte, where Pillow would not write them so."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's colour types


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    samples: np.ndarray, *, colour: int, depth: int, before: Sequence[bytes] = (),
    after: Sequence[bytes] = (),
) -> bytes:  # fmt: skip
    """A PNG file of (H, W, channels) samples of `depth` bits, with further chunks around IDAT."""
    height, width = samples.shape[:2]
    rows = b""
    for row in samples.reshape(height, -1).astype(np.uint16):
        bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
        rows += b"\0" + np.packbits(bits.astype(np.uint8)).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(rows)), *after]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def exif(orientation: int, *, odd: str = "", order: str = "<") -> bytes:
    """EXIF data with an orientation and, behind or before it, a tag of some oddity."""
    entries = [struct.pack(f"{order}HHIHH", 274, 3, 1, orientation, 0)]
    if odd:
        kind, count, value = {
            "srational": (10, 1, 8 + 2 + 24 + 4),  # -1/0
            "nowhere": (5, 1, 0x7FFFFFF0),
            "huge": (2, 0xFFFFFFFF, 26),
            "unknown": (99, 3, 0),
            "short": (3, 0, 0),
        }[odd]
        entries.append(struct.pack(f"{order}HHII", 282, kind, count, value))
    body = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", 8) + body + struct.pack(f"{order}ii", -1, 0)


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG file with further marker segments at its beginning."""
    added = [
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments
    ]
    return jpeg[:2] + b"".join(added) + jpeg[2:]


def profile_segments(profile: bytes, size: int = 400) -> list[tuple[int, bytes]]:
    """A colour profile as JPEG's APP2 segments, in the wrong order."""
    parts = [profile[at : at + size] for at in range(0, len(profile), size)]
    count = len(parts)
    named = [(0xE2, b"ICC_PROFILE\0" + bytes([n, count]) + p) for n, p in enumerate(parts, 1)]
    return named[::-1]


def gif_with_profile(gif: bytes, profile: bytes) -> bytes:
    """A GIF file with a colour profile behind its palette."""
    at = 13 + (3 << ((gif[10] & 7) + 1))
    blocks = [profile[n : n + 255] for n in range(0, len(profile), 255)]
    body = b"\x21\xff\x0bICCRGBG1012" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"
    return gif[:at] + body + gif[at:]


def bmp_with_profile(pixels: np.ndarray, profile: bytes) -> bytes:
    """A BMP file of (H, W, 3) uint8 with a header of version 5 and a colour profile."""
    height, width = pixels.shape[:2]
    rows = b"".join(row[:, ::-1].tobytes() + bytes(-3 * width % 4) for row in pixels[::-1])
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
    head += (
        bytes(16)
        + b"DEBM"
        + bytes(36 + 12)
        + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    )
    assert len(head) == 124
    size = 14 + len(head) + len(rows) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 14 + 124) + head + rows + profile


def jp2_with_profile(jp2: bytes, profile: bytes) -> bytes:
    """A JPEG 2000 file whose colour box holds a profile instead of a number."""
    at = jp2.index(b"colr") - 4
    old = int.from_bytes(jp2[at : at + 4], "big")
    new = struct.pack(">I", 11 + len(profile)) + b"colr\x02\0\0" + profile
    outer = jp2.index(b"jp2h") - 4
    size = int.from_bytes(jp2[outer : outer + 4], "big") + len(new) - old
    return jp2[:outer] + struct.pack(">I", size) + jp2[outer + 4 : at] + new + jp2[at + old :]
