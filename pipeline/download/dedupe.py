"""Groups of pictures that show the same: other sizes, colours, scans and crops of one painting.

Two pictures are tied if their perceptual hashes differ in few bits, or if one can be laid over
the other so that their details fit (`registration`). Ties make groups, also through third pictures;
both tests are strict, so that no chain of merely similar pictures grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image

from pipeline.download.bands import connected, near_groups
from pipeline.download.registration import aligned_pairs
from pipeline.download.windows import thumbnail

HASH_SIDE = 16  # 256 bits; with 64 bits, dozens of different watercolours have the same hash


@dataclass(frozen=True, eq=False)  # arrays are not simply equal or not
class Signature:
    """What pictures are compared by.

    Attributes:
        hash: uint64 (4,), the 256 bits of `imagehash.phash`.
        thumbnail: uint8 (64, 64).
    """

    hash: np.ndarray
    thumbnail: np.ndarray


def signature(image: Image.Image) -> Signature:
    """Sum a picture up in 4 KiB."""
    bits = imagehash.phash(image, hash_size=HASH_SIDE).hash
    return Signature(np.packbits(bits.ravel()).view(np.uint64), thumbnail(image))


def near_duplicate_groups(signatures: Sequence[Signature], distance: int) -> list[int]:
    """Put pictures that show the same into groups.

    Args:
        signatures: one for each picture.
        distance: bits, of 256, in which the hashes of two such pictures may differ.

    Returns:
        For each picture the smallest index in its group.
    """
    if not signatures:
        return []
    hashes = np.stack([s.hash for s in signatures])
    near = near_groups(hashes, distance)
    # Copies that have the very same hash are tied by it: one of them stands for all.
    distinct = np.sort(np.unique(hashes, axis=0, return_index=True)[1])
    aligned = distinct[aligned_pairs(np.stack([signatures[i].thumbnail for i in distinct]))]
    tied = np.stack([near, np.arange(len(near))], axis=1)
    groups: list[int] = connected(len(near), np.concatenate([tied, aligned])).tolist()
    return groups
