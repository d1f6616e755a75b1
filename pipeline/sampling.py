"""Drawing codes from a PixelSNAIL: logits → temperature, top-k, top-p → Gumbel-max.

Noise is drawn apart from the network, for each picture from its own generator if it has one, so a
picture's codes depend neither on the others of its batch nor on how its logits were computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipeline.models.condition import TextCondition
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.pixelsnail_cache import CachedPixelSNAIL

Generators = torch.Generator | Sequence[torch.Generator] | None
Pick = Callable[[Tensor, Tensor], Tensor]


@torch.inference_mode()
def sample_codes(
    prior: PixelSNAIL,
    cond: TextCondition | None = None,
    *,
    upper: Tensor | None = None,
    batch_size: int | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    guidance_scale: float = 1.0,
    generator: Generators = None,
) -> Tensor:
    """Draw grids of codes, each code computed once.

    Args:
        prior: a PixelSNAIL; sampling runs in evaluation mode on its device and in its weights'
            type, the choice among the logits always in float32.
        cond: the texts, a row a grid; None: unconditional.
        upper: (B, h', w') int64, codes of the level above, where the prior has one.
        batch_size: B; needed only where neither `cond` nor `upper` nor `generator` says it.
        temperature: logits are divided by it; small is likely and dull.
        top_k: only the k likeliest codes; 0: all.
        top_p: only the fewest likeliest codes that together reach this probability.
        guidance_scale: 1: the condition as learned; above: logits moved away from the null's by
            this factor (https://arxiv.org/abs/2207.12598), at the price of twice the batch.
        generator: one for all, or one a row: then a row does not depend on the batch that it is
            in, except for the last bits of its logits. None: torch's global one.

    Returns:
        (B, h, w) int64 in [0, n_class), on the prior's device.

    Raises:
        ValueError: an argument outside of its range, or shapes that do not fit.
    """
    rows = _rows(cond, upper, batch_size, generator)
    pick = picker(prior.n_class, temperature=temperature, top_k=top_k, top_p=top_p)
    if guidance_scale < 0:
        raise ValueError(f"guidance_scale is {guidance_scale}, must not be negative")
    guidance = guidance_scale if guidance_scale != 1 and cond is not None else None
    was_training = prior.training
    prior.eval()
    try:
        return _sample(prior, cond, upper, rows, guidance, pick, generator)
    finally:
        prior.train(was_training)


def _sample(
    prior: PixelSNAIL,
    cond: TextCondition | None,
    upper: Tensor | None,
    rows: int,
    guidance: float | None,
    pick: Pick,
    generator: Generators,
) -> Tensor:
    h, w = prior.shape
    device = prior.out.weight.device
    if cond is not None:
        cond = cond.to(device, prior.out.weight.dtype)
    drop = None
    if guidance is not None:  # the rows with their text, then the same without
        twice = torch.arange(rows).repeat(2)
        cond = None if cond is None else cond[twice]
        upper = None if upper is None else upper[twice]
        drop = torch.arange(2 * rows, device=device) >= rows
    total = rows if guidance is None else 2 * rows
    cache = CachedPixelSNAIL(prior, prior.context(total, cond, upper=upper, drop=drop), rows=total)
    codes = torch.zeros(h, w, rows, dtype=torch.int64, device=device)
    for row in codes:
        noise = gumbel(w, rows, prior.n_class, generator).to(device, non_blocking=True)
        cache.start_row()
        for column in range(w):
            logits = cache.logits(column)
            if guidance is not None:
                logits = guide(logits, guidance)
            row[column] = picked = pick(logits, noise[column])
            cache.take(column, picked if guidance is None else picked.repeat(2))
    return codes.permute(2, 0, 1).contiguous()


def guide(logits: Tensor, scale: float) -> Tensor:
    """null + scale · (conditional - null), of logits (2B, n): conditional rows first, then null."""
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


def gumbel(width: int, rows: int, n_class: int, generator: Generators) -> Tensor:
    """Gumbel noise of a row of the grid, (width, rows, n_class) float32.

    argmax(logits + noise) is then a draw from softmax(logits).
    """
    if isinstance(generator, Sequence):
        waits = [_exponential((width, n_class), each) for each in generator]
        return torch.stack(waits, dim=1).log_().neg_()
    return _exponential((width, rows, n_class), generator).log_().neg_()


def _exponential(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    device = "cpu" if generator is None else generator.device
    return torch.empty(shape, dtype=torch.float32, device=device).exponential_(generator=generator)


def _rows(
    cond: TextCondition | None,
    upper: Tensor | None,
    batch_size: int | None,
    generator: Generators,
) -> int:
    said = {
        "cond": None if cond is None else len(cond),
        "upper": None if upper is None else len(upper),
        "generator": len(generator) if isinstance(generator, Sequence) else None,
        "batch_size": batch_size,
    }
    counts = {name: count for name, count in said.items() if count is not None}
    if not counts:
        raise ValueError("batch_size is needed where cond, upper and generator are not given")
    if len(set(counts.values())) > 1 or min(counts.values()) < 1:
        raise ValueError(f"how many grids? {', '.join(f'{k} says {v}' for k, v in counts.items())}")
    return next(iter(counts.values()))
