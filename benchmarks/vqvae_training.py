"""Training the VQ-VAE: a step beside a plain one's, PSNR after equal seconds, seconds to its PSNR.

    python -m benchmarks.vqvae_training [--json results.json]

Both learn the painted sample at the scripts' sizes (128 channels, 512 codes), each at its own usual
learning rate, from equal pictures in equal order; ours also narrower, for what the same seconds buy
is the question, and in bfloat16 where the processor has it.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks.measure import has_bf16, interleaved_seconds, report
from benchmarks.plain_vqvae import PlainVQVAE
from pipeline.data.images import square
from pipeline.data.views import to_float
from pipeline.models.vqvae import VQVAE
from pipeline.sample import write_sample
from pipeline.training.batches import batch_rows

SIDE, BATCH, TEXT_DIM = 64, 32, 64
SIZES: dict[str, Any] = {
    "n_embed": 512,
    "embed_dim": 64,
    "channel": 128,
    "n_res_block": 2,
    "res_channel": 32,
}
WIDTHS = (SIZES["channel"], 80)
OUR_RATE = 2e-3
SECONDS = 60.0  # of training, each
REPEATS = 5
STRIDE = 5  # steps between two looks at the PSNR


def pictures() -> tuple[Tensor, Tensor]:
    """Training and test pictures, (N, 64, 64, 3) uint8."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder), train=600, test=100, size=SIDE, seed=0)
        files = sorted((Path(folder) / "images").iterdir())
        images = torch.from_numpy(np.stack([square(Image.open(f), SIDE) for f in files]))
    test = torch.tensor([f.name.startswith("test") for f in files])
    return images[~test], images[test]


def ours(channel: int) -> VQVAE:
    """The project's, but for its width at the plain one's sizes."""
    model = VQVAE(
        image_size=SIDE, downsample=4, levels=1, quantizer="ema", commitment_weight=0.25,
        text_dim=TEXT_DIM, **SIZES | {"channel": channel},
    )  # fmt: skip
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class Run:
    """A model in training; a picture's text is left out, which the plain one has no place for."""

    def __init__(self, model: nn.Module, train: Tensor, *, lr: float, bf16: bool) -> None:
        self.model, self.train, self.bf16 = model, train, bf16
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self.done = 0

    def paint(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction and the weighted commitment loss."""
        if isinstance(self.model, VQVAE):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                painted, _, commitment = self.model(images, torch.zeros(len(images), TEXT_DIM))
            return painted.float(), commitment
        painted, commitment = self.model(images)
        return painted, 0.25 * commitment

    def step(self) -> None:
        rows = batch_rows(len(self.train), BATCH, step=self.done, seed=0)
        images = to_float(self.train[rows])
        painted, commitment = self.paint(images)
        self.optimizer.zero_grad()
        (F.mse_loss(painted, images) + commitment).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.done += 1

    @torch.no_grad()
    def psnr(self, test: Tensor) -> float:
        self.model.eval()
        images = to_float(test)
        painted = self.paint(images)[0].clamp(-1, 1)
        self.model.train()
        return 10 * math.log10(4 / float(F.mse_loss(painted, images)))


def trained(run: Run, seconds: float) -> None:
    """Steps for some seconds of wall time, at a constant rate."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        run.step()


def seconds_to(psnr: float, run: Run, test: Tensor) -> float:
    """Wall time of the training that it takes to paint the test pictures as well as that."""
    spent = 0.0
    while run.psnr(test) < psnr:
        start = time.perf_counter()
        for _ in range(STRIDE):
            run.step()
        spent += time.perf_counter() - start
    return spent


def main() -> None:
    train, test = pictures()
    builds: dict[str, tuple[Callable[[], nn.Module], float, bool]] = {
        "plain": (lambda: PlainVQVAE(**SIZES), 3e-4, False),
        "plain, our rate": (lambda: PlainVQVAE(**SIZES), OUR_RATE, False),
    }
    for channel in WIDTHS:
        for bf16 in (False, True) if has_bf16() else (False,):
            name = f"ours, {channel} channels{', bf16' if bf16 else ''}"
            builds[name] = partial(ours, channel), OUR_RATE, bf16

    def started(name: str) -> Run:
        build, lr, bf16 = builds[name]
        torch.manual_seed(0)
        return Run(build(), train, lr=lr, bf16=bf16)

    runs = {name: started(name) for name in builds}
    seconds = interleaved_seconds(*(run.step for run in runs.values()), repeats=REPEATS)
    rows: list[dict[str, Any]] = []
    for (name, run), each in zip(runs.items(), seconds, strict=True):
        trained(run, SECONDS)
        rows.append(
            {
                "what": name,
                "seconds per step": each,
                "times as fast": seconds[0] / each,
                "steps": run.done,
                f"PSNR after {SECONDS:.0f} s": run.psnr(test),
            }
        )
    best = max(row[f"PSNR after {SECONDS:.0f} s"] for row in rows[:2])
    for row in rows[2:]:
        row["seconds to the best plain PSNR"] = seconds_to(best, started(row["what"]), test)
    report(rows)


if __name__ == "__main__":
    main()
