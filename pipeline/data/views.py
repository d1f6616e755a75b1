"""Pictures on their way into a model: uint8 arrays in memory, float tensors in [-1, 1] out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) → float (B, 3, H, W) in [-1, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """float (B, 3, H, W) in [-1, 1] → uint8 (B, H, W, 3)."""
    return images.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


def shifted(images: Tensor, *, max_shift: int, generator: torch.Generator | None = None) -> Tensor:
    """Move each picture by up to `max_shift` pixels each way, mirroring its edge into the gap.

    Args:
        images: (B, 3, H, W); no flips, for a text may say left or right.
        generator: of the machine's own memory; None: torch's global one.
    """
    if max_shift == 0:
        return images
    batch, _, height, width = images.shape
    padded = F.pad(images, [max_shift] * 4, mode="reflect")
    offsets = torch.randint(2 * max_shift + 1, (2, batch, 1), generator=generator)
    rows = (offsets[0] + torch.arange(height)).to(images.device)  # (B, H)
    columns = (offsets[1] + torch.arange(width)).to(images.device)  # (B, W)
    index = torch.arange(batch, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)
