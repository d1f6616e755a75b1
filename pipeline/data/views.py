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
    shifts = random_shifts(len(images), max_shift=max_shift, generator=generator)
    return shift_by(images, shifts)


def random_shifts(
    count: int, *, max_shift: int, generator: torch.Generator | None = None
) -> Tensor:
    """(count, 2) int64 in [-max_shift, max_shift]: pixels down, and to the right."""
    drawn = torch.randint(2 * max_shift + 1, (2, count, 1), generator=generator)
    return max_shift - drawn[..., 0].T


def shift_by(images: Tensor, shifts: Tensor) -> Tensor:
    """Move each picture (B, 3, H, W) by its `shifts` (B, 2), pixels down and to the right.

    Its edge is mirrored into the gap.
    """
    batch, _, height, width = images.shape
    most = int(shifts.abs().max())
    padded = F.pad(images, [most] * 4, mode="reflect")
    down, right = (most - shifts).T[..., None]  # (B, 1) each
    rows = (down + torch.arange(height)).to(images.device)  # (B, H)
    columns = (right + torch.arange(width)).to(images.device)  # (B, W)
    index = torch.arange(batch, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, 3, H, W) by `sigma` pixels, cut off at three pixels."""
    steps = torch.arange(-3, 4, device=images.device)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (weights / weights.sum()).expand(3, 1, 1, 7)
    wide = F.conv2d(F.pad(images, [3, 3, 0, 0], mode="reflect"), kernel, groups=3)
    return F.conv2d(F.pad(wide, [0, 0, 3, 3], mode="reflect"), kernel.mT.contiguous(), groups=3)


def coarsened(images: Tensor, factor: int) -> Tensor:
    """(B, 3, H, W) as if it had been stored `factor` times smaller."""
    return F.interpolate(F.avg_pool2d(images, factor), images.shape[2:], mode="bilinear")
