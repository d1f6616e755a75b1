"""Numbers spread over a batch: one that is by chance all high or all low would teach little.

After the low-discrepancy sampler of variational diffusion (https://arxiv.org/abs/2107.00630, I.1).
"""

from __future__ import annotations

import torch
from torch import Tensor


def stratified(count: int) -> Tensor:
    """(count,) numbers, one in each of as many equal parts of [0, 1), shuffled."""
    return (torch.randperm(count) + torch.rand(count)) / count
