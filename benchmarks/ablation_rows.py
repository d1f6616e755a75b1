"""The rows of `benchmarks.ablations`: what each changes, and the budget that all train with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUDGET: Mapping[str, Any] = {
    "vqvae.steps": 300, "decoder.steps": 400, "pixelsnail.steps": 600, "pixelsnail.lr": 3.0e-3,
    "diffusion.steps": 975, "generate.candidates": 1,
    # The default had these two when the table was made, and is without them since.
    "vqvae.max_shift": 4, "pixelsnail.dropout": 0.1,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One change; `name` tells it from others, `part` and `change` are for readers.

    Attributes:
        settings: what differs from the run's params.yaml, by the key there.
        pictures: the share of the training pictures that is trained on, BLIP apart.
    """

    name: str
    part: str
    change: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    pictures: float = 1.0


BASE = "base"
ROWS = (
    Row(BASE, "nothing", "as committed, with this budget"),
    Row("no-text", "text in the VQ-VAE", "trained without it", {"vqvae.text_dropout": 1.0}),
    Row("no-text-drawn", "text in the decoder", "off", {"decoder.text_dropout": 1.0}),
    Row("quarter", "pictures", "a quarter", pictures=1 / 4),
    Row("sixteenth", "pictures", "a sixteenth", pictures=1 / 16),
    Row("fine-grid", "grid", "16×16", {"vqvae.downsample": 4}),
    Row("two-levels", "levels", "two", {"vqvae.levels": 2}),
    Row("codes-512", "codes", "512", {"vqvae.n_embed": 512}),
    Row("cosine", "quantiser", "cosine codebook", {"vqvae.quantizer": "cosine"}),
    Row("fsq", "quantiser", "FSQ", {"vqvae.quantizer": "fsq"}),
    Row("unshifted", "augmentation", "none in the VQ-VAE", {"vqvae.max_shift": 0}),
    Row("shifted", "augmentation", "in the decoder, too", {"decoder.max_shift": 4}),
    Row("two-views", "augmentation", "two views for the prior", {"dump_codes.views": 2}),
    Row("diffusion", "prior", "masked diffusion", {"prior": "diffusion"}),
    Row("pooled", "cross-attention", "pooled text alone", {"pixelsnail.cross_attention": False}),
    Row("no-attention", "PixelSNAIL's attention", "off", {"pixelsnail.attention": False}),
    # A step of the 5×5 block takes 2.35 times as long (32 grids, channel 96), so it has fewer.
    Row(
        "port-block", "PixelSNAIL's block", "5×5 of the port, equal time",
        {"pixelsnail.kernel_size": 5, "pixelsnail.steps": 255},
    ),
    Row("uncorrupted", "token corruption", "off", {"pixelsnail.token_corruption": 0.0}),
    Row("no-dropout", "PixelSNAIL's dropout", "off", {"pixelsnail.dropout": 0.0}),
    Row("ema", "EMA weights", "of PixelSNAIL, too", {"pixelsnail.ema_decay": 0.99}),
    Row("guided-1", "guidance", "1", {"generate.guidance_scale": 1.0}),
    Row("guided-4", "guidance", "4", {"generate.guidance_scale": 4.0}),
    Row("cold", "temperature", "0.8", {"generate.temperature": 0.8}),
    Row("best-of-4", "reranking", "the likeliest caption of 4", {"generate.candidates": 4}),
    Row("least-error", "decoder", "least error alone", {"generate.decoder_steps": 0}),
    Row("narrow", "decoder's width", "half", {"decoder.channels": [32, 64]}),
    Row("two-steps", "decoder's steps", "2", {"generate.decoder_steps": 2}),
    Row("eight-steps", "decoder's steps", "8", {"generate.decoder_steps": 8}),
    Row("unguided", "decoder's guidance", "1", {"generate.decoder_guidance": 1.0}),
)  # fmt: skip
