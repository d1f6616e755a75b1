"""TIFF files (revision 6.0) without the tags that only describe; EXIF is written likewise."""

from __future__ import annotations

import re
import struct

from pipeline.data.containers.parts import Container

ORIENTATION, XMP, PROFILE = 274, 700, 34675
# The TIFF tags that say how the pixels are stored; the others are about the picture.
STORAGE_TAGS = frozenset(
    (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325,
     332, 334, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531, 532)
)  # fmt: skip


def _entries(data: bytes) -> tuple[str, int, list[tuple[int, bytes]]]:
    """Byte order, offset and entries (tag, 12 bytes) of the first directory, as far as it goes."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")
    if not order or len(data) < 8:
        return "<", 0, []
    (offset,) = struct.unpack_from(f"{order}I", data, 4)
    if offset + 2 > len(data):
        return order, offset, []
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    entries = [data[at : at + 12] for at in range(offset + 2, offset + 2 + 12 * count, 12)]
    whole = [entry for entry in entries if len(entry) == 12]
    return order, offset, [(struct.unpack_from(f"{order}H", e)[0], e) for e in whole]


def open_tiff(data: bytes) -> Container:
    """Take a TIFF file apart: its first picture, and that directory alone."""
    order, _, entries = _entries(data)
    kept = [entry for tag, entry in entries if tag in STORAGE_TAGS]
    if not kept:
        return Container(data)
    values = {tag: _value(data, order, e) for tag, e in entries if tag in (XMP, PROFILE)}
    body = data + b"\0" * (len(data) % 2)
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    pointer = struct.pack(f"{order}I", len(body))
    return Container(
        body[:4] + pointer + body[8:] + directory,
        data,
        values.get(XMP, b""),
        values.get(PROFILE, b""),
    )


def _value(data: bytes, order: str, entry: bytes) -> bytes:
    """A value of single bytes, which lie elsewhere in the file."""
    kind, count, offset = struct.unpack_from(f"{order}HII", entry, 2)
    return data[offset : offset + count] if kind in (1, 7) and count > 4 else b""


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """EXIF's orientation, 1 (upright) to 8, whatever else the data holds; 1 if it says nothing."""
    order, _, entries = _entries(exif.removeprefix(b"Exif\0\0"))
    for tag, entry in entries:
        kind = struct.unpack(f"{order}H", entry[2:4])[0]
        if tag == ORIENTATION and kind in (1, 3, 4):
            (value,) = struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], entry, 8)
            return value if 1 <= value <= 8 else 1
    found = re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp)
    return int(found[1]) if found else 1
