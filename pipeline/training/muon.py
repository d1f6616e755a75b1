"""Muon: each step of a matrix goes equally far in all its directions.

After https://kellerjordan.github.io/posts/muon/, with the step's size after
https://arxiv.org/abs/2502.16982, which lets it share its learning rate with AdamW.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
# A quintic that takes singular values of 0.01 to 1 near 1 in five rounds; from the post.
QUINTIC = (3.4445, -4.7750, 2.0315)
STEP = 0.5  # root mean square of the step of an entry, as a share of the learning rate


class Muon(torch.optim.Optimizer):
    """For hidden weights of at least two dimensions, the first one the outputs'."""

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float) -> None:
        """Take groups of parameters; each may have its own `weight_decay`."""
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
                ahead = parameter.grad.lerp(momentum, MOMENTUM).flatten(1)  # Nesterov's
                alike.setdefault(ahead.shape, []).append((parameter, ahead))
            for shape, moved in alike.items():
                ways = orthogonalized(torch.stack([ahead for _, ahead in moved]))
                size = STEP * math.sqrt(max(shape))
                for (parameter, _), way in zip(moved, ways, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(way.reshape(parameter.shape), alpha=-group["lr"] * size)


def orthogonalized(matrices: Tensor) -> Tensor:
    """The same matrices (N, R, C), their singular values brought near 1 by Newton-Schulz rounds.

    A round multiplies x by a polynomial of x xᵀ. All of these commute, so that the rounds can work
    on the small square x xᵀ alone, and x is multiplied once. That, and all matrices of a shape at
    once, takes a third of the time, where they are small and many.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    a, b, c = QUINTIC
    gram = x @ x.mT
    whole = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(gram)
    for round_ in range(ITERATIONS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        whole = factor @ whole
        if round_ < ITERATIONS - 1:
            gram = factor @ gram @ factor
    x = whole @ x
    return x.mT if tall else x
