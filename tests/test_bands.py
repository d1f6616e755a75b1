"""Hashes in groups: the very groups of comparing all with all, also of crowds, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.download import bands
from pipeline.download.bands import bits_apart, connected, distinct_rows, near_groups

FOLDER = Path(gettempdir())


def around(middles: np.ndarray, flips: int, count: int, seed: int) -> np.ndarray:
    """Hashes that differ in up to `flips` bits from one of the middles: uint64 (count, 4)."""
    generator = np.random.default_rng(seed)
    bits = np.unpackbits(middles.view(np.uint8), axis=1)[
        generator.integers(len(middles), size=count)
    ]
    for _ in range(flips):
        bits[np.arange(count), generator.integers(256, size=count)] ^= 1
    return np.packbits(bits, axis=1).view(np.uint64)


def random_hashes(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**64, size=(count, 4), dtype=np.uint64)


def by_comparing_all(hashes: np.ndarray, distance: int) -> list[int]:
    near = bits_apart(hashes[:, None], hashes[None]) <= distance
    return connected(len(hashes), np.argwhere(near)).tolist()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    middles=st.integers(1, 6),
    flips=st.integers(0, 24),
    count=st.integers(1, 300),
    distance=st.sampled_from([0, 1, 2, 7, 16, 33, 64]),
    crowd=st.sampled_from([1, 8, 128]),
)
def test_the_groups_are_those_of_comparing_all_with_all(
    seed: int, middles: int, flips: int, count: int, distance: int, crowd: int
) -> None:
    far = random_hashes(1, seed)
    near = around(far, 60, middles, seed + 1)  # groups that share bands without belonging together
    hashes = around(near, flips, count, seed + 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "CROWD", crowd)
        assert near_groups(hashes, distance, FOLDER).tolist() == by_comparing_all(hashes, distance)


@pytest.mark.parametrize("count", [0, 1, 5000, 10_000])
def test_distinct_hashes_are_those_that_numpy_tells_apart(count: int) -> None:
    hashes = np.random.default_rng(0).integers(5, size=(count, 4), dtype=np.uint64)
    _, first, where = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    found = distinct_rows(hashes)
    assert found[0].tolist() == first.tolist()
    assert found[1].tolist() == where.ravel().tolist()


def test_a_hash_and_its_opposite_are_all_bits_apart() -> None:
    hashes = np.array([[0] * 4, [2**64 - 1] * 4], dtype=np.uint64)
    assert near_groups(hashes, 64, FOLDER).tolist() == [0, 1]


@pytest.mark.parametrize("flips", [0, 4, 8])
def test_a_hundred_thousand_nearly_alike_hashes_are_one_group_in_no_time(flips: int) -> None:
    middles = around(random_hashes(1, 1), 60, 2, 2)
    hashes = around(middles, flips, 100_000, 3)
    start = time.process_time()
    groups = near_groups(hashes, 16, FOLDER)
    # Compared all with all they would take minutes.
    assert time.process_time() - start < 30
    assert len(np.unique(groups)) == 2
