"""Dropout (https://jmlr.org/papers/v15/srivastava14a.html) that costs little on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWN = torch.int64
LEVELS = 256  # of a byte


def dropout(x: Tensor, share: float, *, training: bool) -> Tensor:
    """Set a share of the values to zero and raise the others, so that their mean stays.

    On a CPU a byte decides on each value, so `share` is rounded to a 256th. PyTorch's own draws a
    number for each, one after another on one thread: a twelfth of a step of the default's prior.
    """
    if not training or share == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, share)
    dropped = min(round(share * LEVELS), LEVELS - 1)
    drawn = torch.empty(-(-x.numel() // DRAWN.itemsize), dtype=DRAWN)
    drawn.random_(torch.iinfo(DRAWN).min, None)  # up to the largest: all bits are random
    kept = drawn.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - dropped))
