"""What survives a picture's codes, what the text adds, and whether the codebook is at work."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import to_float
from pipeline.evaluation.codebook import codebook_use
from pipeline.evaluation.reconstruction import bits_per_pixel, mean_psnr, reconstruction
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.vqvae import VQVAE, unpack_levels

BATCH = 128


def encoded(vqvae: VQVAE, pictures: CaptionedImages, texts: Tensor) -> Tensor:
    """Codes (N, h, w) of the pictures, each beside its row of `texts` (N, text_dim)."""
    device = next(vqvae.parameters()).device
    rows = torch.arange(len(pictures)).split(BATCH)
    return torch.cat(
        [
            vqvae.encode(to_float(pictures.images[r].to(device)), texts[r].to(device)).cpu()
            for r in rows
        ]
    )


def decoded(vqvae: VQVAE, codes: Tensor, texts: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] of the codes, each beside its row of `texts`."""
    device = next(vqvae.parameters()).device
    rows = torch.arange(len(codes)).split(BATCH)
    return torch.cat([vqvae.decode(codes[r].to(device), texts[r].to(device)).cpu() for r in rows])


def latent_vectors(vqvae: VQVAE, codes: Tensor) -> Tensor:
    """What the codes (N, h, w) stand for, one vector for each picture: (N, D)."""
    device = next(vqvae.parameters()).device
    return torch.cat([vqvae.latents(c.to(device)).flatten(1).cpu() for c in codes.split(BATCH)])


def vqvae_scores(
    vqvae: VQVAE, test: CaptionedImages, captions: list[str], *, codes: Tensor, seed: int
) -> Scores:
    """Judge reconstructions of the test pictures.

    Args:
        captions: (N,) the pictures' texts.
        codes: (N, h, w), of the test pictures beside their texts.
        seed: of the draw of other pictures' texts.
    """
    scores = Scores()
    c = vqvae.config
    images, texts = to_float(test.images), test.text_embeds
    decodings = decoded(vqvae, codes, texts)
    scores.take("mse, psnr, ssim", reconstruction(images, decodings), under="")
    scores.take("text_shuffled", _psnr_of_shuffled(vqvae, test, captions, seed=seed))
    scores.take("text_none", _psnr_beside(vqvae, test, torch.zeros_like(texts)))
    scores.take("codebook", _codebooks(vqvae, codes))
    cost = bits_per_pixel(vqvae.code_shape, c.n_embed, image_size=c.image_size)
    scores.take("bits_per_pixel", [("", cost)])
    return scores


def _psnr_beside(vqvae: VQVAE, test: CaptionedImages, texts: Tensor) -> Figures:
    """PSNR where encoder and decoder are given these texts (N, text_dim), not the pictures' own."""
    decodings = decoded(vqvae, encoded(vqvae, test, texts), texts)
    yield "psnr", mean_psnr(to_float(test.images), decodings)


def _psnr_of_shuffled(
    vqvae: VQVAE, test: CaptionedImages, captions: list[str], *, seed: int
) -> Figures:
    yield from _psnr_beside(vqvae, test, test.text_embeds[shuffled_rows(captions, seed=seed)])


def _codebooks(vqvae: VQVAE, codes: Tensor) -> Figures:
    """The least of all levels' figures: each has a codebook, and a collapsed one must show."""
    levels = unpack_levels(codes, vqvae.level_shapes)
    uses = [dict(codebook_use(level.numpy(), vqvae.config.n_embed)) for level in levels]
    for figure in uses[0]:
        yield figure, min(use[figure] for use in uses)
