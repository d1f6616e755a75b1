"""Hiding codes, and what grids cost at most by how well hidden codes are told."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Noised(NamedTuple):
    """Grids with noise in them.

    Attributes:
        codes: (B, h, w) int64 in [0, n_class], as the model sees them; n_class is MASK.
        asked: (B, h, w) bool, the codes that it is asked for.
    """

    codes: Tensor
    asked: Tensor


def hide(
    codes: Tensor, times: Tensor, mask_id: int, generator: torch.Generator | None = None
) -> Noised:
    """Hide 1 to all codes of each grid (B, h, w), chosen at random.

    Args:
        times: (B,) in [0, 1): 0 hides one code, and exactly as many grids hide n codes as have a
            time in the n-th of as many equal parts.
        generator: of the choice, on the CPU; None: torch's global one.
    """
    cells = codes[0].numel()
    counts = 1 + (times * cells).long().clamp(max=cells - 1)
    chance = torch.rand(codes.flatten(1).shape, generator=generator)
    hidden = (chance.argsort(1).argsort(1) < counts[:, None]).reshape(codes.shape)
    hidden = hidden.to(codes.device)
    return Noised(codes.masked_fill(hidden, mask_id), hidden)


def bound(logits: Tensor, codes: Tensor, hidden: Tensor) -> Tensor:
    """The nats that each grid costs at most, if the number of hidden codes is any alike: (B,).

    With n of N codes hidden, N times the mean cost of a hidden code is on average the cost of the
    grid in a random order: the negative ELBO (https://arxiv.org/abs/2110.02037).

    Args:
        logits: (B, h, w, n_class), of codes (B, h, w) of which `hidden` (B, h, w) were not seen.

    Returns:
        (B,) float64.
    """
    costs = F.cross_entropy(logits.float().movedim(-1, 1), codes, reduction="none").double()
    mean = (costs * hidden).flatten(1).sum(1) / hidden.flatten(1).sum(1)
    return mean * codes[0].numel()
