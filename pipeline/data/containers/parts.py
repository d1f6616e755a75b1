"""What a picture's file is taken apart into."""

from __future__ import annotations

from dataclasses import dataclass


class CutShort(Exception):
    """The file ends early, or a part that holds pixels is damaged; says which."""


@dataclass(frozen=True)
class Container:
    """A picture's file.

    Attributes:
        data: what the decoder gets.
        exif: the EXIF data, a TIFF structure; b"" for none.
        xmp: Adobe's XML.
        profile: the ICC colour profile.
        depth: bits of a sample, of a PNG file.
        clear: the grey level or the colour that is transparent, of a PNG file.
    """

    data: bytes
    exif: bytes = b""
    xmp: bytes = b""
    profile: bytes = b""
    depth: int = 8
    clear: tuple[int, ...] = ()
