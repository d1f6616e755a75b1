"""ICC profiles made byte by byte, and what colour each stands for, by arithmetic alone."""

from __future__ import annotations

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
# Colorants adapted to D50, a row each for red, green, blue.
ADOBE = np.array(
    [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]]
)
SRGB = np.array(
    [[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]]
)
GAMMA = 2.19921875  # a whole number of 256ths
PAPER = {  # CMYK at full or no ink → Lab; each other corner is black
    (0, 0, 0, 0): (100.0, 0.0, 0.0),
    (1, 0, 0, 0): (60.0, -15.0, -25.0),
    (0, 1, 0, 0): (50.0, 50.0, 0.0),
    (0, 0, 1, 0): (90.0, -5.0, 50.0),
    (0, 0, 0, 1): (0.0, 0.0, 0.0),
}


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value
    head = b"none" + bytes.fromhex("02400000") + kind + space + pcs + bytes(12) + b"acsp"
    head += bytes(28) + _fixed(*D50)
    head = head.ljust(124, b"\0")
    return struct.pack(">I", 128 + len(table) + len(body)) + head + table + body


def _curve() -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(GAMMA * 256))


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def adobe_rgb() -> bytes:
    """A profile like Adobe RGB's."""
    tags = {b"wtpt": _xyz(D50)}
    for name, colorant in zip((b"r", b"g", b"b"), ADOBE, strict=True):
        tags |= {name + b"XYZ": _xyz(colorant), name + b"TRC": _curve()}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey() -> bytes:
    """Greys of the same gamma."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(D50), b"kTRC": _curve()})


def cmyk() -> bytes:
    """A printer with the inks of `PAPER`."""
    grid = bytearray()
    for corner in np.ndindex(2, 2, 2, 2):
        light, a, b = PAPER.get(corner, (0.0, 0.0, 0.0))
        grid += bytes([round(light * 2.55), round(a + 128), round(b + 128)])
    straight = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += straight * 4 + bytes(grid) + straight * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(D50), b"A2B0": lut})


def _encoded(linear: np.ndarray) -> np.ndarray:
    linear = linear.clip(0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curved * 255


def from_adobe(colours: np.ndarray) -> np.ndarray:
    """(..., 3) in [0, 255] of Adobe RGB → the same of sRGB."""
    return _encoded((colours / 255.0) ** GAMMA @ ADOBE @ np.linalg.inv(SRGB))


def from_grey(values: np.ndarray) -> np.ndarray:
    """(...) in [0, 255] of the grey profile → sRGB's (..., 3)."""
    return np.repeat(_encoded((values / 255.0) ** GAMMA)[..., None], 3, axis=-1)


def from_ink(corner: tuple[int, int, int, int]) -> np.ndarray:
    """The colour of a corner of `PAPER` in sRGB, (3,) in [0, 255]."""
    light, a, b = PAPER[corner]
    y = (light + 16) / 116
    parts = np.array([y + a / 500, y, y - b / 200])
    xyz = D50 * np.where(parts > 6 / 29, parts**3, (parts - 4 / 29) * 3 * (6 / 29) ** 2)
    return _encoded(xyz @ np.linalg.inv(SRGB))
