"""Sampling: the cached sampler against full passes over the rows so far.

    python -m benchmarks.sampling [--json results.json]

One pass of the plain network is timed for each number of rows and counted once for each code of the
last row: the whole grid takes it minutes.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.measure import best_seconds, has_bf16, report
from benchmarks.plain_pixelsnail import PlainPixelSNAIL
from pipeline.data.condition import TextCondition
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.pixelsnail_cache import CachedPixelSNAIL
from pipeline.sampling.autoregressive import Sampler

SIDE, N_CLASS = 16, 512
SIZES = {"n_class": N_CLASS, "channel": 128, "n_block": 4, "n_res_block": 4, "res_channel": 128}
SMALL = {"n_class": 256, "channel": 64, "n_block": 2, "n_res_block": 2, "res_channel": 64}
TEXT_DIM, TOKENS = 256, 20


def texts(rows: int) -> TextCondition:
    pooled = F.normalize(torch.randn(rows, TEXT_DIM), dim=1)
    mask = torch.ones(rows, TOKENS, dtype=torch.bool)
    return TextCondition(pooled, torch.randn(rows, TOKENS, TEXT_DIM), mask)


def build(kernel_size: int, side: int = SIDE, **options: Any) -> PixelSNAIL:
    """A prior with noise in every weight: new ones are zero where it would hide a mistake."""
    torch.manual_seed(0)
    options = {**SIZES, "text_dim": TEXT_DIM, "token_dim": TEXT_DIM, **options}
    prior = PixelSNAIL((side, side), kernel_size=kernel_size, **options).eval()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
    return prior


@torch.inference_mode()
def check(prior: PixelSNAIL) -> float:
    """The largest difference of a cached step's logits from the full pass's, on random codes."""
    cond, (h, w) = texts(2), prior.shape
    codes = torch.randint(prior.n_class, (2, h, w))
    wanted = prior(codes, cond)
    cache = CachedPixelSNAIL(prior, batch=2)
    cache.begin(prior.context(2, cond, upper=None))
    worst = 0.0
    for i in range(h):
        cache.start_row(i)
        for j in range(w):
            worst = max(worst, (cache.logits(i, j) - wanted[:, :, i, j]).abs().max().item())
            cache.take(i, j, codes[:, i, j])
    if worst > 1e-4:
        raise AssertionError(f"the cached logits are off by {worst}")
    return worst


@torch.inference_mode()
def full_passes(plain: PlainPixelSNAIL, batch: int) -> float:
    """Seconds for a grid by full passes over the rows so far, at the best speed seen for each."""
    seconds = 0.0
    for rows in range(1, SIDE + 1):
        codes = torch.randint(N_CLASS, (batch, rows, SIDE))
        times = []
        for _ in range(2):
            start = time.perf_counter()
            plain(codes)
            times.append(time.perf_counter() - start)
        seconds += SIDE * min(times)
    return seconds


@torch.inference_mode()
def products_alone(prior: PixelSNAIL, batch: int) -> float:
    """Seconds for the matrix products of the gated blocks, and nothing else."""
    convs = [c for group in prior.groups for block in group for c in (block.enter, block.leave)]  # type: ignore[attr-defined]
    later, now = [], []
    for conv in convs:
        up, taps, out = conv.above.shape
        later.append((torch.randn(batch * SIDE, taps), torch.randn(taps, up * out)))
        now.append((torch.randn(batch, len(conv.beside)), conv.beside.detach()))

    def run() -> None:
        for _ in range(SIDE):
            for x, weight in later:
                torch.mm(x, weight)
            for _ in range(SIDE):
                for x, weight in now:
                    torch.mm(x, weight)

    return best_seconds(run, repeats=3)


def sampling(prior: PixelSNAIL, batch: int, *, repeats: int, guidance_scale: float = 1.0) -> float:
    """Seconds for a batch of grids, one of many."""
    cond = texts(batch)
    sampler = Sampler(prior, temperature=1.0, top_k=0, top_p=1.0, guidance_scale=guidance_scale)
    return best_seconds(lambda: sampler.draw(cond), repeats=repeats)


def main() -> None:
    plain = PlainPixelSNAIL(N_CLASS, 128, 5, 4, 4, 128).eval()
    rows: list[dict[str, Any]] = []
    for batch in (16, 1):
        reference = full_passes(plain, batch)
        rows.append({"what": "plain 5×5, full passes", "batch": batch, "seconds": reference})
        for kernel_size in (5, 2):
            prior = build(kernel_size)
            off = check(prior)
            seconds = sampling(prior, batch, repeats=5)
            floor = products_alone(prior, batch)
            rows.append(
                {
                    "what": f"cached {kernel_size}×{kernel_size}",
                    "batch": batch,
                    "seconds": seconds,
                    "times as fast": reference / seconds,
                    "products alone": floor,
                    "of them": seconds / floor,
                    "logits off by": off,
                }
            )
            if has_bf16():
                seconds = sampling(copy.deepcopy(prior).bfloat16(), batch, repeats=5)
                rows.append(
                    {
                        "what": f"cached {kernel_size}×{kernel_size}, bf16",
                        "batch": batch,
                        "seconds": seconds,
                        "times as fast": reference / seconds,
                    }
                )
    for kernel_size in (5, 2):
        small, large = (
            sampling(build(kernel_size, side), 16, repeats=2) / side**2 for side in (16, 32)
        )
        what = f"cached {kernel_size}×{kernel_size}: a code at 32×32 to one at 16×16"
        rows.append({"what": what, "batch": 16, "times": large / small})
    prior = build(2, cross_attention=True, **SMALL)
    for batch in (16, 32, 64, 128):
        seconds = sampling(prior, batch, repeats=2, guidance_scale=2.0) * 800 / batch
        what = "default prior, guidance, 800 grids"
        rows.append({"what": what, "batch": batch, "seconds": seconds})
    report(rows)


if __name__ == "__main__":
    main()
