"""Contrast that knows what belongs together, in one process and over several."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

from pipeline.training.blip_settings import NegativeShares
from pipeline.training.contrast import contrast, gather_contrast
from pipeline.training.negatives import draw_negatives

PICTURES = torch.tensor([0, 1, 2, 3, 4])
CAPTIONS = torch.tensor([0, 1, 2, 1, 3])  # pictures 1 and 3 bear the same
BELONG = CAPTIONS[:, None] == CAPTIONS
HARD = NegativeShares(even=0.0, hard=1.0, same_label=0.0, changed=0.0)


def loss_of(similarity: torch.Tensor, belong: torch.Tensor) -> torch.Tensor:
    return contrast(similarity, belong, (~belong).float())


def hard_negatives(
    similarity: torch.Tensor, belong: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    return draw_negatives(similarity, (~belong).float(), torch.zeros_like(belong), HARD)


def test_where_every_pair_stands_alone_it_is_plain_cross_entropy():
    similarity = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    wanted = torch.arange(4)
    expected = (F.cross_entropy(similarity, wanted) + F.cross_entropy(similarity.T, wanted)) / 2
    torch.testing.assert_close(loss_of(similarity, torch.eye(4, dtype=torch.bool)), expected)


def test_pictures_of_one_caption_do_not_push_each_other_away():
    similarity = torch.zeros(5, 5, requires_grad=True)
    loss_of(similarity, BELONG).backward()
    assert similarity.grad is not None
    assert (similarity.grad[BELONG] < 0).all()
    assert (similarity.grad[~BELONG] > 0).all()


def test_a_pair_without_weight_is_no_negative_and_gets_no_gradient():
    similarity = torch.zeros(5, 5, requires_grad=True)
    weights = (~BELONG).float()
    weights[0, 1] = 0.0
    loss = contrast(similarity, BELONG, weights)
    loss.backward()
    assert torch.isfinite(loss)
    assert similarity.grad is not None
    assert abs(float(similarity.grad[0, 1])) < float(similarity.grad[0, 2])


def test_no_pair_is_no_loss():
    assert float(loss_of(torch.zeros(0, 0), torch.zeros(0, 0, dtype=torch.bool))) == 0


def test_a_negative_never_belongs():
    torch.manual_seed(0)
    for _ in range(50):
        rows, columns = hard_negatives(torch.randn(5, 5) * 10, BELONG)
        assert rows.tolist() == [0, 1, 2, 3, 4]
        assert not BELONG[rows, columns].any()


def test_a_softmax_that_leaves_strangers_nothing_still_draws_one():
    rows, columns = hard_negatives(torch.eye(3) * 1e6, torch.eye(3, dtype=torch.bool))
    assert rows.tolist() == [0, 1, 2]
    assert (rows != columns).all()


def test_the_more_similar_stranger_is_drawn_more_often():
    torch.manual_seed(0)
    similarity = torch.tensor([[0.0, 3.0, 0.0]]).repeat(200, 1)
    belong = torch.tensor([[True, False, False]]).repeat(200, 1)
    _, columns = hard_negatives(similarity, belong)
    assert int((columns == 1).sum()) > 170


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_a_batch_of_one_picture_has_no_negatives_and_does_not_crash(pictures: int):
    everything = torch.ones(pictures, pictures, dtype=torch.bool)
    rows, columns = hard_negatives(torch.zeros(pictures, pictures), everything)
    assert len(rows) == len(columns) == 0


def _features() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(F.normalize(torch.randn(5, 4, generator=generator), dim=1) for _ in range(2))  # type: ignore[return-value]


def _one_rank(rank: int, meeting: str, folder: str) -> None:
    """Rank 0 has two of the pairs, rank 1 three, rank 2 none."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=3)
    mine = [torch.tensor([0, 1]), torch.tensor([2, 3, 4]), torch.tensor([], dtype=torch.int64)][
        rank
    ]
    weight = torch.eye(4, requires_grad=True)
    temperature = torch.tensor(0.5, requires_grad=True)
    images, texts = _features()
    images, texts, pictures, captions = gather_contrast(
        images[mine] @ weight, texts[mine] @ weight, PICTURES[mine], CAPTIONS[mine]
    )
    assert torch.equal(pictures, PICTURES)
    assert torch.equal(captions, CAPTIONS)
    loss = loss_of(images @ texts.T / temperature, captions[:, None] == captions)
    loss.backward()
    for parameter in (weight, temperature):  # as DistributedDataParallel averages
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)
        parameter.grad /= 3
    if rank == 0:
        torch.save({"loss": loss.detach(), "weight": weight.grad, "t": temperature.grad}, folder)
    dist.destroy_process_group()


@pytest.mark.skipif(os.name == "nt", reason="gloo meets through a file")
def test_three_processes_learn_what_one_would_with_all_pairs(tmp_path: Path):
    result = tmp_path / "result.pt"
    mp.spawn(_one_rank, (str(tmp_path / "meeting"), str(result)), nprocs=3)
    shared = torch.load(result, weights_only=True)

    weight = torch.eye(4, requires_grad=True)
    temperature = torch.tensor(0.5, requires_grad=True)
    images, texts = _features()
    loss = loss_of((images @ weight) @ (texts @ weight).T / temperature, BELONG)
    loss.backward()
    torch.testing.assert_close(shared["loss"], loss.detach())
    torch.testing.assert_close(shared["weight"], weight.grad)
    torch.testing.assert_close(shared["t"], temperature.grad)
