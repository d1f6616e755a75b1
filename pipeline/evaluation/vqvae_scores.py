"""What survives a picture's codes, what a wrong text costs, and whether the codebook is at work.

The figures without a name before them are of the least-error decoder, `redrawn` of the flow one:
whoever draws one of many possible pictures is further from the one than their mean is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import to_float
from pipeline.evaluation.codebook import codebook_use
from pipeline.evaluation.coding import decoded, encoded, redrawn
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.reconstruction import bits_per_pixel, mean_psnr, reconstruction
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.vqvae import VQVAE, unpack_levels


def vqvae_scores(judged: Judged, *, seed: int) -> Scores:
    """Judge reconstructions of test pictures; `seed` is of what is drawn from codes, and of the
    draw of other pictures' texts."""
    scores = Scores()
    vqvae, test, codes = judged.vqvae, judged.test, judged.test_codes.codes[:]
    images, texts = to_float(test.images[:]), test.text_embeds[:]
    decodings = decoded(vqvae, codes, texts)
    scores.take("psnr", reconstruction(images, decodings), under="")
    if judged.decoder_steps:
        drawn = redrawn(judged.decoder, codes, texts, steps=judged.decoder_steps, seed=seed)
        scores.take("redrawn", reconstruction(images, drawn))
    # Not what the text is worth: that takes a model trained without it (docs/ablations.md).
    captions = [pair.caption for pair in judged.test_codes.pairs]
    scores.take("wrong_text", _psnr_of_shuffled(vqvae, test, captions, seed=seed))
    scores.take("no_text", _psnr_beside(vqvae, test, torch.zeros_like(texts)))
    scores.take("codebook", codebooks(vqvae, codes))
    c = vqvae.config
    cost = bits_per_pixel(vqvae.code_shape, c.n_embed, image_size=c.image_size)
    scores.take("bits_per_pixel", [("", cost)])
    return scores


def _psnr_beside(vqvae: VQVAE, test: CaptionedImages, texts: Tensor) -> Figures:
    """PSNR where encoder and decoder are given these texts (N, text_dim), not the pictures' own."""
    decodings = decoded(vqvae, encoded(vqvae, test, texts), texts)
    yield "psnr", mean_psnr(to_float(test.images[:]), decodings)


def _psnr_of_shuffled(
    vqvae: VQVAE, test: CaptionedImages, captions: list[str], *, seed: int
) -> Figures:
    others = torch.from_numpy(shuffled_rows(captions, seed=seed))
    yield from _psnr_beside(vqvae, test, test.text_embeds[others])


def codebooks(vqvae: VQVAE, codes: Tensor) -> Figures:
    """The least of all levels' figures: each has a codebook, and a collapsed one must show."""
    levels = unpack_levels(codes, vqvae.level_shapes)
    uses = [dict(codebook_use(level.numpy(), vqvae.config.n_embed)) for level in levels]
    for figure in uses[0]:
        yield figure, min(use[figure] for use in uses)
