"""Which 256-bit hashes belong together, directly or through others: found by bands, exactly.

Cut into `distance` + 1 bands, two hashes that differ in at most `distance` bits agree in a whole
band, so only hashes that share one are compared (Manku et al. 2007, "Detecting near-duplicates for
web crawling", https://doi.org/10.1145/1242572.1242592). Who is tied to whom is not listed, only who
belongs together: 100,000 hashes about one middle are 5 · 10⁹ ties and one group.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.data.on_disk import gathered

CROWD = 128  # hashes with the same band, above which groups are grown instead of all compared
AT_A_TIME = 4096  # hashes that are copied
BLOCK = 16  # members of a growing group that the others are compared with at a time


def near_groups(hashes: np.ndarray, distance: int, folder: Path) -> np.ndarray:
    """Put hashes that differ in few bits into groups.

    With random hashes and a distance of 16, each of N is compared with N / 4000 others. The further
    the distance, the shorter the bands and the more comparisons: with 32, N / 8.

    Args:
        hashes: uint64 (N, 4).
        distance: bits in which two hashes of one group may differ.
        folder: for copies of the hashes, see `on_disk`.

    Returns:
        int64 (N,): for each hash the smallest index in its group.
    """
    first, where = distinct_rows(hashes)
    distinct = gathered(hashes, first, folder)
    groups = np.arange(len(distinct))
    for band in range(distance + 1 if distance else 0):
        keys = _keys(distinct, band, distance)
        ties = [ties_of(groups)]
        ties += _ties(distinct, keys, groups, distance)
        groups = connected(len(groups), np.concatenate(ties))
    return connected(len(hashes), ties_of(first[groups[where]]))


def distinct_rows(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which hashes differ from one another, as `numpy.unique` tells it, but without copies of all.

    Args:
        hashes: uint64 (N, words).

    Returns:
        int64 (M,), where each distinct hash comes first; and (N,), which of those each hash is.
    """
    order = np.lexsort([hashes[:, word] for word in reversed(range(hashes.shape[1]))])
    is_new = np.ones(len(order), dtype=bool)
    for start in range(1, len(order), AT_A_TIME):
        here, before = (order[start - back : start - back + AT_A_TIME] for back in (0, 1))
        changes = (hashes[here] != hashes[before[: len(here)]]).any(axis=1)
        is_new[start : start + AT_A_TIME] = changes
    where = np.empty_like(order)
    where[order] = np.cumsum(is_new) - 1
    return order[is_new], where


def bits_apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """In how many bits hashes differ.

    Args:
        one, other: uint64 (…, words), which broadcast together.

    Returns:
        uint16 (…): all of 256 are more than uint8 holds.
    """
    gaps = np.bitwise_count(one[..., 0] ^ other[..., 0]).astype(np.uint16)
    for word in range(1, one.shape[-1]):
        gaps += np.bitwise_count(one[..., word] ^ other[..., word])
    return gaps


def connected(count: int, ties: np.ndarray) -> np.ndarray:
    """Who is tied to whom, directly or through others.

    Args:
        ties: int (E, 2), of indices below `count`.

    Returns:
        int64 (count,): for each the smallest index in its group.
    """
    graph = coo_array((np.ones(len(ties), bool), (ties[:, 0], ties[:, 1])), shape=(count, count))
    group = connected_components(graph, directed=False)[1]
    return np.unique(group, return_index=True)[1][group]


def ties_of(groups: np.ndarray) -> np.ndarray:
    """What `connected` makes such groups of: each member tied to the first, int64 (E, 2)."""
    rows = np.flatnonzero(groups != np.arange(len(groups)))
    return np.stack([groups[rows], rows], axis=1)


def _keys(hashes: np.ndarray, band: int, distance: int) -> np.ndarray:
    """A band of hashes, up to 64 of its bits, as one number: uint64 (N,)."""
    keys = np.zeros((len(hashes), 8), dtype=np.uint8)
    for start in range(0, len(hashes), AT_A_TIME):
        here = slice(start, start + AT_A_TIME)
        bits = np.unpackbits(hashes[here].view(np.uint8), axis=1)
        # Every so manieth bit: neighbours are alike, and a band of them would tell less apart.
        packed = np.packbits(bits[:, band :: distance + 1][:, :64], axis=1)
        keys[here, : packed.shape[1]] = packed
    return keys.view(np.uint64)[:, 0]


def _ties(
    hashes: np.ndarray, keys: np.ndarray, groups: np.ndarray, distance: int
) -> Iterator[np.ndarray]:
    """Enough pairs of near hashes with the same key to join all of those: int64 (E, 2) each."""
    order = np.argsort(keys)
    keys, groups = keys[order], groups[order]
    starts = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
    ends = np.append(starts[1:], len(keys))
    sizes = ends - starts
    for start, end in zip(starts[sizes > CROWD], ends[sizes > CROWD], strict=True):
        roots = _grown(hashes[order[start:end]], groups[start:end], distance)
        yield np.stack([order[start + roots], order[start:end]], axis=1)

    end_of = np.repeat(ends, sizes)
    left = np.flatnonzero(np.repeat(sizes <= CROWD, sizes))
    for step in range(1, CROWD):  # each with the one after it, the one after that, …
        left = left[left + step < end_of[left]]
        if not len(left):
            return
        gaps = bits_apart(hashes[order[left]], hashes[order[left + step]])
        near = left[gaps <= distance]
        near = near[groups[near] != groups[near + step]]
        yield np.stack([order[near], order[near + step]], axis=1)


def _grown(hashes: np.ndarray, groups: np.ndarray, distance: int) -> np.ndarray:
    """Grow the groups of a crowd, one after the other, each from its first member, the root.

    All that could join a group is compared with each of its members, unless the root rules it out:
    whose distances to that differ by more than `distance` are further apart. What has joined is
    not compared again, so that a dense crowd takes time in proportion to its size.

    Returns:
        int64 (M,): for each the root of its group.
    """
    roots = np.arange(len(hashes))
    left = np.arange(len(hashes))  # whoever is in no group yet
    away = np.zeros(len(hashes), dtype=np.uint16)  # from the root
    while len(left):
        root, own = left[0], groups[left[0]]
        away[left] = bits_apart(hashes[left], hashes[root])
        joins = (away[left] <= distance) | (groups[left] == own)
        frontier, left = left[joins][1:], left[~joins]  # the root is compared with all
        while len(frontier):
            roots[frontier] = root
            frontier = frontier[np.argsort(away[frontier])]
            joined = [frontier[:0]]
            for start in range(0, len(frontier) if len(left) else 0, BLOCK):
                block = frontier[start : start + BLOCK]
                low, high = int(away[block[0]]) - distance, int(away[block[-1]]) + distance
                reach = left[(away[left] >= low) & (away[left] <= high)]
                gaps = bits_apart(hashes[reach, None], hashes[block])
                near = reach[(gaps <= distance).any(axis=1)]
                if len(near):
                    joins = np.isin(groups[left], groups[near])
                    joined.append(left[joins])
                    left = left[~joins]
            frontier = np.concatenate(joined)
    return roots
