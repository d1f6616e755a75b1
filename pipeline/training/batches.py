"""Which rows a step trains on: a function of (seed, step), at any number of rows.

Up to `BUFFER` rows an epoch is one permutation. More are taken in blocks of neighbours, so that
what lies in files is read in long stretches: the blocks are permuted, and each `BUFFER` rows of
them shuffled, as loaders of shards do (WebDataset, https://arxiv.org/abs/2001.01858).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pipeline.seeds import derive_seed

BLOCK = 1024  # rows
OF_BUFFER = 64  # blocks
BUFFER = OF_BUFFER * BLOCK  # rows that are mixed


def batch_rows(rows: int, batch_size: int, *, step: int, seed: int) -> Tensor:
    """The indices of one batch: a window on the endless row of epochs, each shuffled anew.

    Returns:
        (batch_size,) int64 in [0, rows).
    """
    found: list[Tensor] = []
    position, left = step * batch_size, batch_size
    while left:
        epoch, place = divmod(position, rows)
        window = _window(rows, seed, epoch, place)
        found.append(window[:left])
        position, left = position + len(found[-1]), left - len(found[-1])
    return torch.cat(found)


def _window(rows: int, seed: int, epoch: int, place: int) -> Tensor:
    """What follows from `place` in the order of an epoch, up to the end of its buffer."""
    if rows <= BUFFER:
        return _permuted(rows, derive_seed(seed, epoch))[place:]
    _, ends = _blocks(rows, derive_seed(seed, epoch))
    number = int(torch.searchsorted(ends, place, right=True))
    start = int(ends[number - 1]) if number else 0
    return _buffer(rows, seed, epoch, number)[place - start :]


@lru_cache(maxsize=4)  # a batch may end one buffer and begin the next
def _buffer(rows: int, seed: int, epoch: int, number: int) -> Tensor:
    """A buffer's rows in the order in which they come."""
    starts, _ = _blocks(rows, derive_seed(seed, epoch))
    own = starts[number * OF_BUFFER :][:OF_BUFFER]
    inside = (own[:, None] + torch.arange(BLOCK)).flatten()
    inside = inside[inside < rows]  # the last block is short
    return inside[_permuted(len(inside), derive_seed(seed, epoch, number))]


@lru_cache(maxsize=2)
def _blocks(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Where each block starts, in an epoch's order, and how many rows come up to a buffer's end."""
    starts = _permuted(-(-rows // BLOCK), seed) * BLOCK
    ends = (rows - starts).clamp(max=BLOCK).cumsum(0)
    return starts, ends[OF_BUFFER - 1 :: OF_BUFFER].contiguous()


@lru_cache(maxsize=4)
def _permuted(count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))
