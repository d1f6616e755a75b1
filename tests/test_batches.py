"""The rows of a step: each once an epoch, shuffled, by (seed, step) alone."""

from __future__ import annotations

import pytest
import torch

from pipeline.seeds import derive_seed
from pipeline.training import batches
from pipeline.training.batches import BLOCK, BUFFER, batch_rows


def test_an_epoch_meets_each_row_once_and_the_next_one_in_another_order():
    stream = torch.cat([batch_rows(10, 4, step=step, seed=3) for step in range(5)])
    first, second = stream[:10], stream[10:]
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert first.tolist() != second.tolist()


def test_a_batch_larger_than_the_data_goes_round():
    rows = batch_rows(3, 8, step=0, seed=0)
    assert len(rows) == 8
    assert sorted(rows[:3].tolist()) == [0, 1, 2]


def test_up_to_a_buffer_of_rows_an_epoch_is_one_permutation():
    generator = torch.Generator().manual_seed(derive_seed(7, 1))
    expected = torch.randperm(1000, generator=generator)
    assert torch.equal(batch_rows(1000, 250, step=5, seed=7), expected[250:500])


@pytest.mark.parametrize("rows", [BUFFER + 1, 2 * BUFFER, 3 * BUFFER - BLOCK - 5])
def test_more_rows_than_a_buffer_come_once_an_epoch_too(rows: int):
    size = 10_000
    steps = -(-2 * rows // size)
    stream = torch.cat([batch_rows(rows, size, step=step, seed=3) for step in range(steps)])
    first, second = stream[:rows], stream[rows : 2 * rows]
    assert torch.equal(first.sort().values, torch.arange(rows))
    assert torch.equal(second.sort().values, torch.arange(rows))
    assert not torch.equal(first, second)


def test_a_batch_is_the_same_whichever_were_asked_for_before():
    rows, step = 2 * BUFFER + 77, 20
    asked = batch_rows(rows, 9_999, step=step, seed=1)
    for cached in (batches._buffer, batches._blocks, batches._permuted):
        cached.cache_clear()
    for other in (3, 40, 0):
        batch_rows(rows, 9_999, step=other, seed=1)
    assert torch.equal(batch_rows(rows, 9_999, step=step, seed=1), asked)


def test_a_buffer_holds_whole_blocks_of_neighbours_well_mixed():
    first = batch_rows(20 * BUFFER, BUFFER, step=0, seed=2)
    blocks, counts = (first // BLOCK).unique(return_counts=True)
    assert len(blocks) == BUFFER // BLOCK
    assert (counts == BLOCK).all()
    assert blocks.max() - blocks.min() > 10 * BUFFER // BLOCK  # from anywhere, not a stretch
    batch = first[:256] // BLOCK
    assert len(batch.unique()) > 50  # of 64
