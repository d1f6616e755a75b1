"""Of which few others may a picture be a crop? Those with a window like it, at low resolution.

Of a few thousand pictures, all are compared with all. Of more, at a fixed cost for each: every
window has a sketch, on which side of random planes it lies, and alike windows have like sketches
(Charikar 2002, https://doi.org/10.1145/509907.509965). Sorted by their sketches, read from a
different byte on each time, they lie near each other in one order or another (LSH forest, Bawa et
al. 2005, https://doi.org/10.1145/1060745.1060840), and only neighbours are compared.
"""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.data.on_disk import on_disk
from pipeline.download.bands import bits_apart

SIDE = 64  # of a thumbnail, whatever the picture's shape
COARSE = 12
# Windows (left, top, side) that a crop of up to about 14 % a side is near one of; the first is all.
WINDOWS = [(0.0, 0.0, 1.0), (0.025, 0.025, 0.95)] + [
    (left, top, 1.0 - 2 * margin)
    for margin in (0.05, 0.1)
    for top in (0.0, margin, 2 * margin)
    for left in (0.0, margin, 2 * margin)
]
CANDIDATES = 4  # a picture; a picture with more twins than this is tied to them through each other
COARSE_ENOUGH = 0.75  # correlation at low resolution below which nothing is a candidate
FEW = 16_384  # pictures, up to which comparing all with all takes no longer and misses none
SKETCH = 64  # bytes
ORDERS = 32
REACH = 8  # neighbours each way in an order, for each window
KEPT = 6  # of those, by how much the sketches agree
LOOKED_AT = 64  # of all that were kept, so many are compared exactly
CHUNK = 1024
# A candidate in one number: in how many bits its sketch differs, then which picture it is.
INDEX = (1 << 40) - 1
NOBODY = (1 << 60) - 1


def thumbnail(image: Image.Image) -> np.ndarray:
    """The picture in grey, squeezed into a square: uint8 (SIDE, SIDE)."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(grey)


def candidates(
    thumbnails: np.ndarray, pool: Executor, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each picture up to CANDIDATES others of which it may be a crop.

    Args:
        thumbnails: uint8 (N, SIDE, SIDE), N > 1.
        pool: of threads; more of them change nothing but the time.
        folder: for what grows with the pictures, see `on_disk`.

    Returns:
        int64 (P, 2), sorted: a picture, and the one that it may be a crop of; and float32 (P, 4):
        that one's most similar window, left, top, width, height in shares of the side.
    """
    search = among_all if len(thumbnails) <= FEW else by_sketches
    return search(thumbnails, pool, folder)


def among_all(
    thumbnails: np.ndarray, pool: Executor, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """`candidates` by comparing every picture with every other."""
    count = len(thumbnails)
    looks = on_disk((len(WINDOWS), count, COARSE * COARSE), np.float32, folder)

    def shrink(start: int) -> None:
        looks[:, start : start + CHUNK] = low_resolution(thumbnails[start : start + CHUNK])

    others = np.empty((count, min(CANDIDATES, count - 1)), dtype=np.int64)

    def compare(start: int) -> None:
        rows = np.arange(start, min(start + CHUNK, count))
        best = looks[0, rows] @ looks[0].T
        for look in looks[1:]:
            np.maximum(best, looks[0, rows] @ look.T, out=best)
        best[rows - start, rows] = -1.0
        np.negative(best, out=best)
        for row, likeness in zip(rows, best, strict=True):  # of all at once: 8 bytes for each pair
            others[row] = np.argpartition(likeness, others.shape[1] - 1)[: others.shape[1]]

    list(pool.map(shrink, range(0, count, CHUNK)))
    list(pool.map(compare, range(0, count, CHUNK)))
    return _compared(thumbnails, others, pool, folder)


def by_sketches(
    thumbnails: np.ndarray, pool: Executor, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """`candidates` by comparing pictures with their neighbours in ORDERS orders of sketches."""
    count = len(thumbnails)
    sketches = _sketches(thumbnails, pool, folder)
    found = on_disk((count, LOOKED_AT), np.int64, folder)
    found[:] = NOBODY
    orders = on_disk((len(WINDOWS), count), np.int64, folder)
    places = on_disk((len(WINDOWS), count), np.int64, folder)
    for first in range(0, SKETCH, SKETCH // ORDERS):
        turned = np.roll(np.arange(SKETCH), -first)[:8]
        own = _numbers(sketches[0][:, turned])

        def arrange(window: int, turned=turned, own=own) -> None:  # type: ignore[no-untyped-def]
            key = _numbers(sketches[window][:, turned])
            order = orders[window] = np.argsort(key, kind="stable")
            places[window] = np.searchsorted(key[order], own)

        def look(start: int) -> None:
            rows = slice(start, start + CHUNK)
            found[rows] = _nearer(found[rows], start, sketches, orders, places)

        list(pool.map(arrange, range(len(WINDOWS))))
        list(pool.map(look, range(0, count, CHUNK)))
    np.bitwise_and(found, INDEX, out=found)
    return _compared(thumbnails, found, pool, folder)


def _sketches(thumbnails: np.ndarray, pool: Executor, folder: Path) -> np.ndarray:
    """On which side of random planes all windows lie: uint8 (windows, N, SKETCH)."""
    size = (COARSE * COARSE, 8 * SKETCH)
    planes = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    sketches = on_disk((len(WINDOWS), len(thumbnails), SKETCH), np.uint8, folder)

    def draw(start: int) -> None:
        for sketch, look in zip(
            sketches, low_resolution(thumbnails[start : start + CHUNK]), strict=True
        ):
            sketch[start : start + CHUNK] = np.packbits(look @ planes > 0, axis=1)

    list(pool.map(draw, range(0, len(thumbnails), CHUNK)))
    return sketches


def _numbers(sketches: np.ndarray) -> np.ndarray:
    """Eight bytes as a number each, the first the highest: uint64 (N,)."""
    return np.ascontiguousarray(sketches).view(">u8")[:, 0].astype(np.uint64)


def _nearer(
    found: np.ndarray,
    start: int,
    sketches: np.ndarray,
    orders: np.ndarray,
    places: np.ndarray,
) -> np.ndarray:
    """The candidates of pictures from `start` on: those found before, or nearer ones of an order.

    Args:
        found: int64 (C, LOOKED_AT), as above.
        orders: of each window the pictures by their keys.
        places: of each window where in its order the pictures themselves, whole, would be.
    """
    rows = np.arange(start, start + len(found))
    wholes = sketches[0, rows].view(np.uint64)[:, None]
    nearest = [found]
    for sketch, order, place in zip(sketches, orders, places, strict=True):
        around = np.clip(place[rows, None] + np.arange(-REACH, REACH), 0, len(order) - 1)
        others = order[around]
        gaps = bits_apart(sketch[others].view(np.uint64), wholes)
        codes = gaps.astype(np.int64) * (INDEX + 1) + others
        codes[others == rows[:, None]] = NOBODY
        nearest.append(np.partition(codes, KEPT, axis=1)[:, :KEPT])
    codes = np.sort(np.concatenate(nearest, axis=1), axis=1)
    # A picture that is there by several windows stays once, by the most similar one.
    by_picture = np.argsort(codes & INDEX, axis=1, kind="stable")
    codes = np.take_along_axis(codes, by_picture, axis=1)
    codes[:, 1:][np.diff(codes & INDEX, axis=1) == 0] = NOBODY
    return np.sort(codes, axis=1)[:, :LOOKED_AT]


def _compared(
    thumbnails: np.ndarray, others: np.ndarray, pool: Executor, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Compare pictures with all windows of `others`, (N, LOOKED_AT), and keep the most similar."""
    count, width = others.shape
    wholes = on_disk((count, COARSE * COARSE), np.float32, folder)
    likeness = on_disk(others.shape, np.float32, folder)
    likeness[:] = -1.0
    window = on_disk(others.shape, np.uint8, folder)
    # In the order of the others, so that their windows need be made only once.
    order, pairs_compared = _by_value(others, folder)

    def shrink(start: int) -> None:
        wholes[start : start + CHUNK] = low_resolution(thumbnails[start : start + CHUNK], 1)[0]

    def compare(start: int) -> None:
        at = np.divmod(order[start : min(start + CHUNK, pairs_compared)], width)
        which, place = np.unique(others[at], return_inverse=True)
        whole = wholes[at[0]]
        looks = low_resolution(thumbnails[which])
        products = np.stack([np.einsum("cd,cd->c", whole, look[place]) for look in looks])
        likeness[at], window[at] = products.max(axis=0), products.argmax(axis=0)

    list(pool.map(shrink, range(0, count, CHUNK)))
    list(pool.map(compare, range(0, pairs_compared, CHUNK)))
    found = [_most_similar(others, likeness, window, start) for start in range(0, count, CHUNK)]
    pairs, boxes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return pairs, boxes


def _by_value(others: np.ndarray, folder: Path) -> tuple[np.ndarray, int]:
    """The places of (N, width) numbers in the order of those, equal ones as they come.

    Returns:
        int64, of the flat array, and how many they are: without what is not below N.
    """
    count, width = others.shape
    counts = np.zeros(count, dtype=np.int64)
    blocks = [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]
    for block in blocks:
        values = others[block]
        which, how_many = np.unique(values[values < count], return_counts=True)
        counts[which] += how_many
    order = on_disk((max(int(counts.sum()), 1),), np.int64, folder)
    free = np.cumsum(counts) - counts  # where the next of each goes
    for block in blocks:
        values = others[block].ravel()
        places = np.flatnonzero(values < count)
        places = places[np.argsort(values[places], kind="stable")]
        which, first, how_many = np.unique(values[places], return_index=True, return_counts=True)
        rank = np.arange(len(places)) - np.repeat(first, how_many)
        order[np.repeat(free[which], how_many) + rank] = block.start * width + places
        free[which] += how_many
    return order, int(counts.sum())


def _most_similar(
    others: np.ndarray, likeness: np.ndarray, window: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of the pictures of a chunk the candidates, and their windows, as `candidates` gives them."""
    here = slice(start, start + CHUNK)
    alike = np.where(likeness[here] < COARSE_ENOUGH, np.float32(-1.0), likeness[here])
    most = np.argsort(-alike, axis=1, kind="stable")[:, :CANDIDATES]
    chosen, alike, at = (
        np.take_along_axis(a, most, axis=1) for a in (others[here], alike, window[here])
    )
    row, column = np.nonzero(alike > 0)
    pairs = np.stack([start + row, chosen[row, column]], axis=1)
    boxes = np.array(WINDOWS, np.float32)[at[row, column]][:, [0, 1, 2, 2]]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], boxes[order]


def low_resolution(thumbnails: np.ndarray, windows: int = len(WINDOWS)) -> np.ndarray:
    """Pictures' first windows at low resolution, of mean 0 and length 1.

    Returns:
        float32 (windows, N, COARSE²).
    """
    pixels = thumbnails.astype(np.float32)
    looks = np.empty((windows, len(pixels), COARSE * COARSE), dtype=np.float32)
    for look, (left, top, side) in zip(looks, WINDOWS, strict=False):
        small = _averaging(top, side) @ pixels @ _averaging(left, side).T
        look[:] = small.reshape(len(pixels), -1)
        look -= look.mean(axis=1, keepdims=True)
        look /= np.maximum(np.linalg.norm(look, axis=1, keepdims=True), 1e-3)
    return looks


def _averaging(start: float, length: float) -> np.ndarray:
    """The matrix that averages SIDE pixels of a line to COARSE, from a part of it: float32."""
    edges = (start + length * np.linspace(0, 1, COARSE + 1)) * SIDE
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(SIDE)
    overlap = np.minimum(pixel + 1, high) - np.maximum(pixel, low)
    return np.asarray(np.maximum(overlap, 0) / (high - low), dtype=np.float32)
