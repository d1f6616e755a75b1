"""Drawing codes one after the other from a PixelSNAIL, each computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.models.pixelsnail import Context, PixelSNAIL
from pipeline.models.pixelsnail_cache import CachedPixelSNAIL
from pipeline.sampling.logits import OPEN, Generators, Pick, guide, gumbel, picker
from pipeline.sampling.recorded import Recorded


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
        prior: a PixelSNAIL; sampling leaves dropout out and runs on its device and in its weights'
            type, the choice among the logits always in float32.
        cond: the texts, a row for each grid; None: unconditional.
        upper: (B, h', w') int64, codes of the level above, where the prior has one.
        batch_size: B; needed only where neither `cond` nor `upper` nor `generator` says it.
        temperature: logits are divided by it; small is likely and dull.
        top_k: only the k likeliest codes; 0: all.
        top_p: only the fewest likeliest codes that together reach this probability.
        guidance_scale: of classifier-free guidance (https://arxiv.org/abs/2207.12598): 1 is the
            condition as learned; above, logits move away from the null's by this factor, at the
            price of twice the batch.
        generator: one for all, or one for each grid: then a grid does not depend on the batch
            that it is in, except for the last bits of its logits. None: torch's global one.

    Returns:
        (B, h, w) int64 in [0, n_class), on the prior's device.

    Raises:
        ValueError: an argument outside of its range, or shapes that do not fit.
    """
    sampler = Sampler(
        prior,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        guidance_scale=guidance_scale,
    )
    return sampler.draw(cond, upper=upper, batch_size=batch_size, generator=generator)


class Sampler:
    """Draws one batch of grids after the other from a model, whose weights must not change.

    The arguments and what `draw` raises are those of `sample_codes`.
    """

    def __init__(
        self,
        model: PixelSNAIL,
        *,
        temperature: float,
        top_k: int,
        top_p: float,
        guidance_scale: float,
    ) -> None:
        if guidance_scale < 0:
            raise ValueError(f"guidance_scale is {guidance_scale}, must not be negative")
        self.model, self.guidance_scale = model, guidance_scale
        self.pick = picker(model.n_class, temperature=temperature, top_k=top_k, top_p=top_p)
        self.grids: _Grids | None = None
        self.sizes: tuple[int, ...] = ()

    @torch.inference_mode()
    def draw(
        self,
        cond: TextCondition | None = None,
        *,
        upper: Tensor | None = None,
        batch_size: int | None = None,
        generator: Generators = None,
        given: Tensor | None = None,
    ) -> Tensor:
        """Draw a batch; one as large as the last, with as many tokens, uses its buffers again.

        Args:
            given: (B, h, w) int64, codes that stay as they are, and -1 at those to be drawn; None:
                all are drawn. What comes before a code in raster order is all that it is drawn by.
        """
        batch = _batch_size(cond, upper, batch_size, generator)
        weight = self.model.out.weight
        guided = cond is not None and self.guidance_scale != 1
        drop, tokens = None, 0
        if cond is not None:
            cond, tokens = cond.to(weight.device, weight.dtype), cond.tokens.shape[1]
            if guided:  # each grid with its text, then the same without
                twice = torch.arange(batch).repeat(2)
                cond, upper = cond[twice], None if upper is None else upper[twice]
                drop = torch.arange(2 * batch, device=weight.device) >= batch
        context = self.model.context(2 * batch if guided else batch, cond, upper=upper, drop=drop)
        sizes = (batch, tokens, guided)
        if self.grids is None or self.sizes != sizes:
            self.grids = None  # its buffers go before the new ones come
            guidance = self.guidance_scale if guided else None
            self.sizes, self.grids = sizes, _Grids(self.model, batch, guidance, self.pick)
        return self.grids.draw(context, generator, given)


class _Grids:
    """The buffers of a batch of grids, drawn row by row."""

    def __init__(
        self,
        model: PixelSNAIL,
        batch: int,
        guidance: float | None,
        pick: Pick,
    ) -> None:
        (h, w), self.device = model.shape, model.out.weight.device
        self.guidance, self.pick = guidance, pick
        self.cache = CachedPixelSNAIL(model, batch=batch if guidance is None else 2 * batch)
        self.noise = torch.empty(h, w, batch, model.n_class, device=self.device)
        self.codes = torch.empty(h, w, batch, dtype=torch.int64, device=self.device)
        self.given = torch.empty_like(self.codes)
        self.rows = Recorded(self.codes)

    def draw(self, context: Context, generator: Generators, given: Tensor | None) -> Tensor:
        """Codes (B, h, w)."""
        h, w, batch, n_class = self.noise.shape
        self.given.fill_(OPEN) if given is None else self.given.copy_(given.permute(1, 2, 0))
        for noise in self.noise:
            noise.copy_(gumbel(w, batch, n_class, generator))
        steps = [partial(self._draw_row, row) for row in range(h)]
        self.rows.run(steps, partial(self.cache.begin, context))
        # A copy in any case: the next batch's codes go where these are.
        return self.codes.permute(2, 0, 1).clone(memory_format=torch.contiguous_format)

    def _draw_row(self, row: int) -> None:
        self.cache.start_row(row)
        for column, noise in enumerate(self.noise[row]):
            logits = self.cache.logits(row, column)
            if self.guidance is not None:
                logits = guide(logits, self.guidance)
            given = self.given[row, column]
            picked = torch.where(given == OPEN, self.pick(logits, noise), given)
            self.codes[row, column] = picked
            self.cache.take(row, column, picked if self.guidance is None else picked.repeat(2))


def _batch_size(
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
