"""Training: a step of PixelSNAIL against one of the plain network of the same sizes.

python -m benchmarks.prior_training [--json results.json]
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.measure import has_bf16, interleaved_seconds, report
from benchmarks.plain_pixelsnail import PlainPixelSNAIL
from pipeline.models.causal_conv import CausalConv
from pipeline.models.pixelsnail import PixelSNAIL

SIDE, N_CLASS, BATCH, REPEATS = 16, 512, 16, 8
SIZES: dict[str, Any] = {"channel": 128, "n_block": 4, "n_res_block": 4, "res_channel": 128}


def check() -> float:
    """The largest difference of our convolution from a padded one whose dead taps are zero."""
    conv = CausalConv(8, 8, up=4, left=2, right=2, current=True)
    kernel = torch.zeros(5, 5, 8, 8)
    kernel[:4] = conv.above.detach().view(4, 5, 8, 8).flip(0)
    kernel[4, :3] = conv.beside.detach().view(3, 8, 8)
    x = torch.randn(SIDE, SIDE, 2, 8)  # (h, w, B, C)
    padded = F.pad(x.permute(2, 3, 0, 1), (2, 2, 4, 0))
    wanted = F.conv2d(padded, kernel.permute(3, 2, 0, 1)).permute(2, 3, 0, 1)
    off = (conv(x) - wanted).abs().max().item()
    if off > 1e-5:
        raise AssertionError(f"the convolution is off by {off}")
    return off


def step(model: nn.Module, *, bf16: bool) -> Callable[[], None]:
    """A training step on random codes: forward, backward, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    codes = torch.randint(N_CLASS, (BATCH, SIDE, SIDE))

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            logits = model(codes)
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), codes).backward()
        optimizer.step()

    return run


def main() -> None:
    off = check()
    plain = PlainPixelSNAIL(N_CLASS, kernel_size=5, **SIZES)
    priors = {k: PixelSNAIL((SIDE, SIDE), N_CLASS, kernel_size=k, **SIZES) for k in (5, 2)}
    steps = {
        "plain 5×5, float32": step(plain, bf16=False),
        "ours 5×5, float32": step(priors[5], bf16=False),
        "ours 2×2, float32": step(priors[2], bf16=False),
    }
    if has_bf16():
        steps |= {f"ours {k}×{k}, bf16": step(prior, bf16=True) for k, prior in priors.items()}
    seconds = interleaved_seconds(*steps.values(), repeats=REPEATS)
    rows: list[dict[str, Any]] = [
        {"step": name, "batch": BATCH, "seconds": each, "times as fast": seconds[0] / each}
        for name, each in zip(steps, seconds, strict=True)
    ]
    rows.append({"step": "convolution off by", "seconds": off})
    report(rows)


if __name__ == "__main__":
    main()
