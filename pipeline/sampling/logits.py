"""From logits to a code: classifier-free guidance, temperature, top-k, top-p, Gumbel-max.

Noise is drawn apart from the network, for each picture from its own generator if it has one, so a
picture's codes depend neither on the others of its batch nor on how its logits were computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator] | None
Pick = Callable[[Tensor, Tensor], Tensor]
OPEN = -1  # among given codes, one that is to be drawn


def guide(logits: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: null + scale · (conditional - null).

    Takes logits (2B, n), the conditional rows first, then the null's; returns (B, n).
    """
    if logits.dtype.itemsize < torch.float32.itemsize:  # the difference would lose its digits
        logits = logits.float()
    conditional, null = logits.chunk(2)
    return torch.lerp(null, conditional, scale)


def picker(n_class: int, *, temperature: float, top_k: int, top_p: float) -> Pick:
    """Build the choice of a code from logits and noise, (B, n) each → (B,) int64.

    Raises:
        ValueError: a setting outside of its range.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, must be above 0")
    if not 0 <= top_k <= n_class:
        raise ValueError(f"top_k is {top_k}, must be from 0 (all) to n_class = {n_class}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, must be above 0 and at most 1")

    def pick(logits: Tensor, noise: Tensor) -> Tensor:
        logits = logits.to(noise.dtype)
        if temperature != 1:
            logits = logits / temperature
        if top_k:
            logits = keep_top_k(logits, top_k)
        if top_p < 1:
            logits = keep_top_p(logits, top_p)
        return (logits + noise).argmax(dim=-1)

    return pick


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Logits (B, n) with all but each row's k largest at -inf; equals of the k-th stay too."""
    least = logits.topk(k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < least, -torch.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Logits (B, n) with all at -inf but the fewest likeliest whose probabilities reach p."""
    ordered, places = logits.sort(dim=-1, descending=True, stable=True)
    share = ordered.softmax(dim=-1)
    reached = share.cumsum(dim=-1) - share >= p  # by those before it; never so for the first
    return logits.masked_fill(reached.scatter(-1, places, reached), -torch.inf)


def gumbel(
    width: int,
    batch: int,
    n_class: int,
    generator: Generators,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Gumbel noise of a row of the grid, (width, batch, n_class).

    argmax(logits + noise) is then a draw from softmax(logits).
    """
    if isinstance(generator, Sequence):
        waits = [_exponential((width, n_class), each, dtype) for each in generator]
        return torch.stack(waits, dim=1).log_().neg_()
    return _exponential((width, batch, n_class), generator, dtype).log_().neg_()


def _exponential(
    shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype
) -> Tensor:
    device = "cpu" if generator is None else generator.device
    return torch.empty(shape, dtype=dtype, device=device).exponential_(generator=generator)
