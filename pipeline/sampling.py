"""Drawing codes from a PixelSNAIL: logits → temperature, top-k, top-p → Gumbel-max.

Noise is drawn apart from the network, for each picture from its own generator if it has one, so a
picture's codes depend neither on the others of its batch nor on how its logits were computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.models.pixelsnail import Context, PixelSNAIL
from pipeline.models.pixelsnail_cache import CachedPixelSNAIL
from pipeline.models.vqvae import pack_levels
from pipeline.progress import say

Generators = torch.Generator | Sequence[torch.Generator] | None
Pick = Callable[[Tensor, Tensor], Tensor]
Work = Callable[[], None]
RECORDED = ("cuda",)  # devices on which a row's kernels are recorded; ROCm goes by this name too


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
    sampler = Sampler(
        prior,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        guidance_scale=guidance_scale,
    )
    return sampler.draw(cond, upper=upper, batch_size=batch_size, generator=generator)


class Sampler:
    """Draws one batch of grids after the other from a prior, whose weights must not change.

    The arguments and what `draw` raises are those of `sample_codes`.
    """

    def __init__(
        self,
        prior: PixelSNAIL,
        *,
        temperature: float,
        top_k: int,
        top_p: float,
        guidance_scale: float,
    ) -> None:
        if guidance_scale < 0:
            raise ValueError(f"guidance_scale is {guidance_scale}, must not be negative")
        self.prior, self.guidance_scale = prior, guidance_scale
        self.pick = picker(prior.n_class, temperature=temperature, top_k=top_k, top_p=top_p)
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
    ) -> Tensor:
        """Draw a batch; one as large as the last, with as many tokens, uses its buffers again."""
        rows = _rows(cond, upper, batch_size, generator)
        weight = self.prior.out.weight
        guided = cond is not None and self.guidance_scale != 1
        drop, tokens = None, 0
        if cond is not None:
            cond, tokens = cond.to(weight.device, weight.dtype), cond.tokens.shape[1]
            if guided:  # the rows with their text, then the same without
                twice = torch.arange(rows).repeat(2)
                cond, upper = cond[twice], None if upper is None else upper[twice]
                drop = torch.arange(2 * rows, device=weight.device) >= rows
        context = self.prior.context(2 * rows if guided else rows, cond, upper=upper, drop=drop)
        sizes = (rows, tokens, guided)
        if self.grids is None or self.sizes != sizes:
            self.grids = None  # its buffers go before the new ones come
            guidance = self.guidance_scale if guided else None
            self.sizes, self.grids = sizes, _Grids(self.prior, rows, guidance, self.pick)
        return self.grids.draw(context, generator)


class PriorSampler:
    """Draws packed grids of codes, batch after batch, by a sampler for each of a prior's levels."""

    def __init__(self, levels: Iterable[Sampler]) -> None:
        self.levels = list(levels)

    def draw(
        self, condition: TextCondition | None, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw one packed grid a row, (B, h, w) int64.

        Args:
            condition: the texts, a row a grid; None: unconditional.
            generators: one a row, so that a grid does not depend on the others of its batch.
        """
        grids: list[Tensor] = []
        for level in self.levels:
            upper = grids[-1] if grids else None
            grids.append(
                level.draw(condition, upper=upper, batch_size=len(generators), generator=generators)
            )
        return pack_levels(grids)


class _Grids:
    """The buffers of a batch of grids, drawn row by row; a row's work never waits for the device.

    On a CUDA device starting the kernels takes far longer than they run. So there a row's work is
    recorded as a CUDA graph before the second batch, which is then drawn both ways; if the
    recording drew the same codes, which it must, it is replayed for every later batch.
    """

    def __init__(
        self,
        prior: PixelSNAIL,
        rows: int,
        guidance: float | None,
        pick: Pick,
    ) -> None:
        (h, w), self.device = prior.shape, prior.out.weight.device
        self.guidance, self.pick = guidance, pick
        self.cache = CachedPixelSNAIL(prior, rows=rows if guidance is None else 2 * rows)
        self.noise = torch.empty(h, w, rows, prior.n_class, device=self.device)
        self.codes = torch.empty(h, w, rows, dtype=torch.int64, device=self.device)
        self.recording: list[Work] = []
        self.batches = 0

    def draw(self, context: Context, generator: Generators) -> Tensor:
        """Codes (B, h, w)."""
        h, w, rows, n_class = self.noise.shape
        for noise in self.noise:
            noise.copy_(gumbel(w, rows, n_class, generator))
        steps = [partial(self._draw_row, row) for row in range(h)]
        self.batches += 1
        if self.batches == 2 and self.device.type in RECORDED:
            self._record(steps, context)
        else:
            self._run(self.recording or steps, context)
        # A copy in any case: the next batch's codes go where these are.
        return self.codes.permute(2, 0, 1).clone(memory_format=torch.contiguous_format)

    def _run(self, work: Sequence[Work], context: Context) -> None:
        self.cache.begin(context)
        for each in work:
            each()

    def _draw_row(self, row: int) -> None:
        self.cache.start_row(row)
        for column, noise in enumerate(self.noise[row]):
            logits = self.cache.logits(row, column)
            if self.guidance is not None:
                logits = guide(logits, self.guidance)
            picked = self.pick(logits, noise)
            self.codes[row, column] = picked
            self.cache.take(row, column, picked if self.guidance is None else picked.repeat(2))

    def _record(self, steps: Sequence[Work], context: Context) -> None:
        recording: list[Work] = []
        reason = "theirs were other codes"
        try:
            recording = record(steps)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:120]
        self._run(steps, context)
        drawn = self.codes.clone()
        self.codes.fill_(-1)
        self._run(recording, context)
        if torch.equal(self.codes, drawn):
            self.recording = recording
        else:
            say(f"sampling goes on without CUDA graphs: {reason}")
        self.codes.copy_(drawn)


def record(steps: Sequence[Work]) -> list[Work]:
    """Each step as a CUDA graph; they share their memory, so replay them in this order."""
    pool = torch.cuda.graph_pool_handle()
    replays = []
    with torch.cuda.stream(torch.cuda.current_stream()):  # a capture that fails leaves its own
        for step in steps:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                step()
            replays.append(graph.replay)
    return replays


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
