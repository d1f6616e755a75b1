"""PNG files (https://www.w3.org/TR/png-3/) without the chunks that only describe."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from pipeline.data.containers.parts import Container, CutShort

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PROFILE = 16 << 20  # bytes, unpacked; printers' are of a few megabytes
UNREADABLE = b"?"  # stands for a profile that is there and cannot be unpacked


def open_png(data: bytes) -> Container:
    """Take a PNG file apart.

    Raises:
        CutShort: the file ends early, or a chunk that decides over pixels is damaged.
    """
    kept, exif, xmp, profile, clear, depth = [SIGNATURE], b"", b"", b"", b"", 8
    for name, body, chunk, whole in _png_chunks(data):
        if name == b"IHDR":
            depth = body[8]
        if not name[0] & 0x20 or name == b"tRNS":  # critical ones, and the one that hides pixels
            if not whole:
                raise CutShort(f"the chunk {name.decode('latin-1')} has another checksum")
            kept.append(chunk)
            clear = body if name == b"tRNS" else clear
        elif not whole:
            continue
        elif name == b"eXIf":
            exif = body
        elif name == b"iCCP":
            profile = _inflated(body.partition(b"\0")[2][1:]) or UNREADABLE
        elif name in (b"tEXt", b"zTXt") and body.startswith(b"Raw profile type exif\0"):
            text = body.split(b"\0", 1)[1]
            exif = exif or _from_hex(_inflated(text[1:]) if name == b"zTXt" else text)
        elif name == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0\0"):
            xmp = body
    values = struct.unpack(f">{len(clear) // 2}H", clear[: len(clear) // 2 * 2])
    return Container(
        b"".join(kept), exif, xmp, profile, depth, tuple(v & ((1 << depth) - 1) for v in values)
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes, bool]]:
    """Each chunk's name, body, bytes, and whether its checksum is right; the last is IEND."""
    at, name = len(SIGNATURE), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"")
        chunk = data[at : at + 12 + length]
        if not name or len(chunk) < 12 + length:
            raise CutShort("the file ends before its last chunk")
        body = chunk[8:-4]
        yield name, body, chunk, zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        at += len(chunk)


def _from_hex(text: bytes) -> bytes:
    """EXIF as ImageMagick writes it into a PNG: a name, a length, then hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _inflated(packed: bytes) -> bytes:
    """What was packed; b"" if it is damaged or larger than any profile."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, LARGEST_PROFILE + 1)
    except zlib.error:
        return b""
    return text if unpacker.eof and len(text) <= LARGEST_PROFILE else b""
