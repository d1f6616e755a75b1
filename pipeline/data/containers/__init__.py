"""A picture's file taken apart: what a decoder needs for the pixels, and what describes them.

Pillow reads metadata while it opens a file, and gives a picture up for what it finds there: a text
that inflates to a megabyte, a checksum that is wrong, a resolution of -1/0. None of that changes a
pixel. So the parts of JPEG, PNG and TIFF files that describe are cut out before Pillow sees them,
and the three that matter to the eye are read here: orientation, colour profile, transparent colour.

A file that is not built as its format says goes to the decoder as it came, and is for it to judge.
"""

from __future__ import annotations

import struct

from pipeline.data.containers import jpeg, png, profiles, tiff
from pipeline.data.containers.parts import Container


def open_container(data: bytes) -> Container:
    """Take a file apart.

    Raises:
        CutShort: the file's own structure says that something is missing or damaged.
    """
    try:
        if data.startswith(png.SIGNATURE):
            return png.open_png(data)
        if data.startswith(jpeg.SIGNATURE):
            return jpeg.open_jpeg(data)
        if data.startswith((b"II*\0", b"MM\0*")):
            return tiff.open_tiff(data)
        if data.startswith(b"GIF8"):
            return Container(data, profile=profiles.gif_profile(data))
        if data.startswith(b"BM"):
            return Container(data, profile=profiles.bmp_profile(data))
        if data[4:8] == b"jP  ":
            return Container(data, profile=profiles.jp2_profile(data))
        if data[4:8] == b"ftyp":
            return Container(profiles.without_exif_item(data))
    except (struct.error, IndexError):
        pass
    return Container(data)
