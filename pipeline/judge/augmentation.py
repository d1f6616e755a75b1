"""Pictures made worse in the ways that a painter may fail at, while what they show stays the same.

A judge of clean pictures alone would call a soft or noisy one wrong whatever it shows: it must be
right about reconstructions, sharp decoders and blurred ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.views import blurred, coarsened, to_float

MOST_NOISE = 0.12  # standard deviation, of a range of 2
SIGMAS = (0.5, 1.5)  # of the blur, in pixels


def padded(pictures: Tensor, max_shift: int) -> Tensor:
    """uint8 (N, H, W, 3) → (N, H + 2 s, W + 2 s, 3), mirrored at the edges: room to move in."""
    planes = pictures.permute(0, 3, 1, 2).float()
    return F.pad(planes, [max_shift] * 4, mode="reflect").to(torch.uint8).permute(0, 2, 3, 1)


def views(pictures: Tensor, rows: Tensor, *, max_shift: int) -> Tensor:
    """Some pictures, moved, mirrored, and three quarters of them spoilt.

    The sample's painter mirrors half of its pictures itself, so no attribute depends on left and
    right.

    Args:
        pictures: uint8 (N, H + 2 s, W + 2 s, 3) as `padded` gives them.
        rows: (B,) int64, in a random order: each quarter is spoilt in another way.
        max_shift: s, in pixels.

    Returns:
        float (B, 3, H, W) in about [-1, 1]; drawn from torch's global generator.
    """
    batch, height = len(rows), pictures.shape[1] - 2 * max_shift
    device = pictures.device
    offsets = torch.randint(2 * max_shift + 1, (2, batch, 1), device=device)
    line = torch.arange(height, device=device)
    mirrored = torch.rand(batch, 1, device=device) < 0.5
    down = offsets[0] + line  # (B, H)
    across = offsets[1] + torch.where(mirrored, height - 1 - line, line)
    images = to_float(pictures[rows[:, None, None], down[:, :, None], across[:, None, :]])
    soft, coarse, noisy, clean = images.tensor_split(4)
    low, high = SIGMAS
    sigma = low + (high - low) * float(torch.rand(()))
    factor = 2 if float(torch.rand(())) < 0.5 else 4
    noise = torch.randn_like(noisy) * MOST_NOISE * torch.rand(len(noisy), 1, 1, 1, device=device)
    return torch.cat([blurred(soft, sigma), coarsened(coarse, factor), noisy + noise, clean])
