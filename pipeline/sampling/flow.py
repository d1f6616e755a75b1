"""From noise along a velocity to what was learned: the flow's equation, in a few steps.

After rectified flow (https://arxiv.org/abs/2209.03003): dx/dt = velocity(x, t), from noise at 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]  # x (B, ...), times (B,) → dx/dt (B, ...)


def integrate(velocity: Velocity, noise: Tensor, *, steps: int) -> Tensor:
    """Follow `velocity` from `noise` (B, ...) at time 0 to time 1, by Euler's method.

    Raises:
        ValueError: there is no step.
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}: expected at least 1")
    x = noise
    for step in range(steps):
        times = torch.full((len(x),), step / steps, dtype=x.dtype, device=x.device)
        x = x + velocity(x, times) / steps
    return x
