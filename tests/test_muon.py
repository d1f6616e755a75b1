"""Muon: steps of one size in every direction, and as large as the learning rate says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.training.muon import STEP, Muon, orthogonalized


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (40, 8)])
def test_singular_values_far_apart_come_out_alike_and_the_vectors_stay(shape) -> None:
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(shape[0], 8, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(shape[1], 8, generator=generator))
    matrix = left @ torch.logspace(0, -1.5, 8).diag() @ right.T
    found, again = orthogonalized(torch.stack([matrix, 1e-3 * matrix]))
    torch.testing.assert_close(again, found, atol=1e-3, rtol=0)
    inner = left.T @ found @ right
    assert 0.6 < float(inner.diagonal().min()) <= float(inner.diagonal().max()) < 1.3
    torch.testing.assert_close(inner, inner.diagonal().diag(), atol=1e-4, rtol=0)
    torch.testing.assert_close(left @ inner @ right.T, found, atol=1e-4, rtol=0)


def test_nothing_stays_nothing() -> None:
    assert not orthogonalized(torch.zeros(2, 3, 5)).any()


@pytest.mark.parametrize("size", [1e-6, 1e3])
def test_a_step_is_as_large_as_lr_says_whatever_the_gradient(size) -> None:
    weight = nn.Parameter(torch.zeros(16, 8, 3, 3))
    optimizer = Muon([{"params": [weight]}], lr=0.1)
    weight.grad = size * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    rms = float(weight.detach().square().mean().sqrt())
    assert rms == pytest.approx(0.1 * STEP, rel=0.3)
    assert float((weight.detach() * weight.grad).sum()) < 0  # downhill


def test_it_finds_a_minimum_that_lies_in_a_narrow_valley() -> None:
    torch.manual_seed(0)
    wanted, scales = torch.randn(6, 6), torch.logspace(0, -1, 6)
    weight = nn.Parameter(torch.zeros(6, 6))
    optimizer = Muon([{"params": [weight]}], lr=0.1)
    for step in range(200):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - step / 200)
        optimizer.zero_grad()
        ((weight - wanted) * scales).square().sum().backward()
        optimizer.step()
    assert float((weight.detach() - wanted).abs().max()) < 0.1


def test_weight_decay_draws_towards_nothing_what_has_no_gradient_left() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    optimizer = Muon([{"params": [weight], "weight_decay": 0.5}], lr=0.1)
    weight.grad = torch.zeros(4, 4)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((4, 4), 0.95))


def test_what_has_no_gradient_stays() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    Muon([{"params": [weight], "weight_decay": 0.5}], lr=0.1).step()
    assert torch.equal(weight.detach(), torch.ones(4, 4))
