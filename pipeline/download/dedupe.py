"""Groups of pictures that show the same: other sizes, colours, scans and crops of one painting.

Two pictures are tied if their perceptual hashes differ in few bits, or if one can be laid over
the other so that their details fit (`registration`). Ties make groups, also through third pictures;
both tests are strict, so that no chain of merely similar pictures grows.
"""

from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from pipeline.data.on_disk import gathered, on_disk
from pipeline.download.bands import connected, distinct_rows, near_groups, ties_of
from pipeline.download.registration import aligned_pairs
from pipeline.download.windows import SIDE

HASH_SIDE = 16  # 256 bits; with 64 bits, dozens of different watercolours have the same hash
HASH_WORDS = HASH_SIDE**2 // 64


class Signatures:
    """What pictures are compared by, 4 KiB a picture, on the disk.

    Args:
        count: of pictures, one at least.
        folder: see `on_disk`.

    Attributes:
        hashes: uint64 (N, 4), of `hash_of`.
        thumbnails: uint8 (N, 64, 64), of `thumbnail`.
    """

    def __init__(self, count: int, folder: Path) -> None:
        self.folder = folder
        self.hashes = on_disk((count, HASH_WORDS), np.uint64, folder)
        self.thumbnails = on_disk((count, SIDE, SIDE), np.uint8, folder)


def hash_of(image: Image.Image) -> np.ndarray:
    """The 256 bits of `imagehash.phash`: uint64 (HASH_WORDS,)."""
    bits = imagehash.phash(image, hash_size=HASH_SIDE).hash
    return np.packbits(bits.ravel()).view(np.uint64)


def near_duplicate_groups(signatures: Signatures, rows: np.ndarray, distance: int) -> np.ndarray:
    """Put pictures that show the same into groups.

    Args:
        rows: int64 (N,), which pictures, in an order of their own.
        distance: bits, of 256, in which the hashes of two such pictures may differ.

    Returns:
        int64 (N,): for each of `rows` the smallest index in its group.
    """
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    hashes = gathered(signatures.hashes, rows, signatures.folder)
    near = near_groups(hashes, distance, signatures.folder)
    # Copies that have the very same hash are tied by it: one of them stands for all.
    distinct = np.sort(distinct_rows(hashes)[0])
    thumbnails = gathered(signatures.thumbnails, rows[distinct], signatures.folder)
    aligned = distinct[aligned_pairs(thumbnails, signatures.folder)]
    return connected(len(near), np.concatenate([ties_of(near), aligned]))
