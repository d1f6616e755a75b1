"""What survives a picture's codes, what the text adds, and whether the codebook is at work."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.data.captioned import PaintedTexts
from pipeline.data.views import to_float
from pipeline.evaluation.codebook import codebook_use
from pipeline.evaluation.reconstruction import bits_per_pixel, mean_psnr, reconstruction
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.vqvae import VQVAE, unpack_levels

BATCH = 128


def encoded(vqvae: VQVAE, painted: PaintedTexts, texts: Tensor) -> Tensor:
    """Codes (N, h, w) of the pictures, each beside its row of `texts` (N, text_dim)."""
    device = next(vqvae.parameters()).device
    rows = torch.arange(len(painted)).split(BATCH)
    return torch.cat(
        [
            vqvae.encode(to_float(painted.images[r].to(device)), texts[r].to(device)).cpu()
            for r in rows
        ]
    )


def decoded(vqvae: VQVAE, codes: Tensor, texts: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] of the codes, each beside its row of `texts`."""
    device = next(vqvae.parameters()).device
    rows = torch.arange(len(codes)).split(BATCH)
    return torch.cat([vqvae.decode(codes[r].to(device), texts[r].to(device)).cpu() for r in rows])


def latent_vectors(vqvae: VQVAE, codes: Tensor) -> Tensor:
    """What the codes (N, h, w) stand for, a vector a picture: (N, D)."""
    device = next(vqvae.parameters()).device
    return torch.cat([vqvae.latents(c.to(device)).flatten(1).cpu() for c in codes.split(BATCH)])


def vqvae_scores(
    vqvae: VQVAE, test: PaintedTexts, captions: list[str], *, codes: Tensor, seed: int
) -> Scores:
    """Judge reconstructions of the test pictures.

    Args:
        captions: (N,) the pictures' texts.
        codes: (N, h, w), of the test pictures beside their texts.
        seed: of the draw of other pictures' texts.
    """
    scores = Scores()
    c = vqvae.config
    images = to_float(test.images)
    texts = test.text_embeds

    def psnr_with(given: Tensor) -> float:
        return mean_psnr(images, decoded(vqvae, encoded(vqvae, test, given), given))

    scores.measure_all(
        lambda: reconstruction(images, decoded(vqvae, codes, texts)), name="mse, psnr, ssim"
    )
    scores.measure(
        "text_shuffled.psnr", lambda: psnr_with(texts[shuffled_rows(captions, seed=seed)])
    )
    scores.measure("text_none.psnr", lambda: psnr_with(torch.zeros_like(texts)))

    def codebooks() -> dict[str, float]:
        levels = unpack_levels(codes, vqvae.level_shapes)
        uses = [codebook_use(level.numpy(), c.n_embed) for level in levels]
        return {figure: min(use[figure] for use in uses) for figure in uses[0]}

    scores.measure("codebook", codebooks)  # each level has its own: a collapsed one must show
    scores.measure(
        "bits_per_pixel",
        lambda: bits_per_pixel(vqvae.code_shape, c.n_embed, image_size=c.image_size),
    )
    return scores
