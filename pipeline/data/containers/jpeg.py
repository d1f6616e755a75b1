"""JPEG files (ITU-T T.81) without the segments that only describe; are their scans whole?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.data.containers.parts import Container, CutShort

SIGNATURE = b"\xff\xd8\xff"
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def open_jpeg(data: bytes) -> Container:
    """Take a JPEG file apart; profiles as ICC.1, annex B.4, has them.

    Raises:
        CutShort: the file ends before its end-of-image marker.
    """
    kept, exif, xmp = [data[:2]], b"", b""
    profile: dict[int, bytes] = {}  # its parts, by their numbers
    for marker, segment in _segments(data):
        body = segment[4:]
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            kept.append(JFIF)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            xmp = xmp or body
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile.setdefault(body[12], body[14:])
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            kept.append(segment)  # says how the colours are coded
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(segment)
    icc = b"".join(profile[number] for number in sorted(profile))
    return Container(b"".join(kept), exif, xmp, icc)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each marker after the first, with its bytes; a scan's entropy-coded data go with its SOS."""
    at = 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 2 > len(data):
            raise CutShort("no end-of-image marker")
        marker = data[at + 1]
        if marker == 0xD9:
            yield marker, data[at : at + 2]
            return
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # nothing that has a length
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            end = _scan_end(data, end)
        yield marker, data[at:end]
        at = end


def _scan_end(data: bytes, at: int) -> int:
    """Where a scan's entropy-coded data end: at the next marker that does not restart it."""
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 1:
        following = data[at + 1]
        if following == 0xFF:
            at += 1
        elif following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        else:
            return at
    raise CutShort("no end-of-image marker")


# No byte of it is 0xFF, and no decoder takes it for the zeros that it makes up where data end.
FILLER = bytes.fromhex("a5935b6dd2b4c96b35dac756") * 24


def probe_of_jpeg(data: bytes) -> bytes | None:
    """A JPEG file with more data than it needs behind each part of its scans.

    A decoder that runs out of data in the middle of a scan makes up the rest, in grey, without a
    word. A scan that is whole is over before it comes to what is added; so where the two files give
    other pixels, the first was cut short.

    Returns:
        None for what cannot be tried so: arithmetic coding has no spare data.

    Raises:
        CutShort: a progressive file lacks its last scans.
    """
    parts, huffman = [data[:2]], 0
    missing: dict[int, set[int]] = {}  # of each component, the coefficients without their last bit
    for marker, segment in _segments(data):
        if marker in (0xC0, 0xC1, 0xC2):
            huffman = marker
            missing = {name: set(range(64)) for name in segment[10::3][: segment[9]]}
        if marker == 0xDA and huffman:
            count = segment[4]
            first, last, bits = segment[5 + 2 * count : 8 + 2 * count]
            if huffman != 0xC2:  # not progressive: a component comes in one piece
                first, last, bits = 0, 63, 0
            for name in segment[5 : 5 + 2 * count : 2]:
                if bits & 0x0F == 0:
                    missing.get(name, set()).difference_update(range(first, last + 1))
            segment = _filled(segment)
        parts.append(segment)
    if not huffman:
        return None
    if any(missing.values()):
        raise CutShort("the last scans are missing")
    return b"".join(parts)


def _filled(segment: bytes) -> bytes:
    head = 2 + int.from_bytes(segment[2:4], "big")
    restarts = re.split(rb"(\xff[\xd0-\xd7])", segment[head:])
    ends = [part if number % 2 else part + FILLER for number, part in enumerate(restarts)]
    return segment[:head] + b"".join(ends)
