"""From noise along a velocity to what was learned: the flow's equation, in a few steps.

After rectified flow (https://arxiv.org/abs/2209.03003): dx/dt = velocity(x, t), from noise at 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]  # x (B, ...), times (B,) → dx/dt (B, ...)


def integrate(
    velocity: Velocity,
    noise: Tensor,
    *,
    steps: int,
    guide: Velocity | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """Follow `velocity` from `noise` (B, ...) at time 0 to time 1, by Euler's method.

    With a guide, away from it (autoguidance, https://arxiv.org/abs/2406.02507): where a model errs,
    one that learned less errs the same way and more. At time t the way is

        velocity + (weight - 1) (velocity - guide),    weight = 1 + (guidance - 1) (1 - t)²

    and in the last step the velocity alone. The weight falls, for at first it brings shapes, and at
    last grain.

    Args:
        guide: the velocity of a weaker model of the same.
        guidance: the weight at time 0; 1: the guide is not asked.

    Raises:
        ValueError: there is no step.
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}: expected at least 1")
    x = noise
    for step in range(steps):
        times = torch.full((len(x),), step / steps, dtype=x.dtype, device=x.device)
        way = velocity(x, times)
        if guide is not None and guidance != 1 and step < steps - 1:
            way = way + (guidance - 1) * (1 - step / steps) ** 2 * (way - guide(x, times))
        x = x + way / steps
    return x
