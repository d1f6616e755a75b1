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

from pipeline.download.registration import aligned_pairs, thumbnail

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
    near = _near_hashes(np.stack([s.hash for s in signatures]), distance)
    aligned = aligned_pairs(np.stack([s.thumbnail for s in signatures]))
    group = list(range(len(signatures)))

    def first(member: int) -> int:
        while group[member] != member:
            group[member] = group[group[member]]
            member = group[member]
        return member

    for one, other in np.concatenate([near, aligned]).tolist():
        low, high = sorted((first(one), first(other)))
        group[high] = low
    return [first(member) for member in group]


def _near_hashes(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Pairs of (N, 4) hashes at most `distance` bits apart: int64 (E, 2)."""
    found = []
    for row in range(len(hashes) - 1):
        apart = np.bitwise_count(hashes[row + 1 :] ^ hashes[row]).sum(axis=1)
        others = np.flatnonzero(apart <= distance) + row + 1
        found.append(np.stack([np.full_like(others, row), others], axis=1))
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *found])
