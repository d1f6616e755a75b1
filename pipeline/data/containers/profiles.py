"""The colour profiles of formats that are otherwise left to the decoder: GIF, BMP, JPEG 2000."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pipeline.data.containers.parts import CutShort


def gif_profile(data: bytes) -> bytes:
    """The profile of a GIF file, in the application block of the ICC's.

    Raises:
        CutShort: the file ends before its trailer.
    """
    at = 13 + _palette_size(data[10])
    profile = b""
    while True:
        if at >= len(data):
            raise CutShort("the file ends before its trailer")
        if data[at] == 0x3B:
            return profile
        if data[at] == 0x21:
            at, blocks = _gif_blocks(data, at + 2)
            if blocks[:1] == [b"ICCRGBG1012"]:
                profile = b"".join(blocks[1:])
        elif data[at] == 0x2C and at + 10 < len(data):
            at, _ = _gif_blocks(data, at + 11 + _palette_size(data[at + 9]))
        else:
            return profile  # no block that we know: for the decoder to judge


def _palette_size(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_blocks(data: bytes, at: int) -> tuple[int, list[bytes]]:
    blocks = []
    while at < len(data) and data[at]:
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return at + 1, blocks


def bmp_profile(data: bytes) -> bytes:
    """The profile of a BMP file whose header is of version 5."""
    if int.from_bytes(data[14:18], "little") < 124 or data[70:74] != b"DEBM":  # "MBED", embedded
        return b""
    offset, size = struct.unpack_from("<II", data, 126)
    return data[14 + offset : 14 + offset + size]


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box (ISO/IEC 14496-12) in a stretch of a file."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        stop = at + size if size else end
        if stop <= at or stop > end:
            return
        yield name, at + head, stop
        at = stop


def jp2_profile(data: bytes) -> bytes:
    """The profile of a JPEG 2000 file."""
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"jp2h":
            for inner, first, last in _boxes(data, start, end):
                if inner == b"colr" and data[first] in (2, 3):
                    return data[first + 3 : last]
    return b""


def without_exif_item(data: bytes) -> bytes:
    """An AVIF file whose EXIF has no name: how it is turned stands in boxes of its own."""
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"meta":
            return data[:start] + data[start:end].replace(b"Exif", b"none") + data[end:]
    return data
