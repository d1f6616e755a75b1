"""What survives a picture's codes, what a wrong text costs, and whether the codebook is at work.

The figures without a name before them are of the least-error decoder, `redrawn` of the flow one:
whoever draws one of many possible pictures is further from the one than their mean is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.data.captioned import CaptionedImages
from pipeline.data.mapped import Chosen, Rows
from pipeline.data.views import to_float
from pipeline.evaluation.codebook import codebook_use
from pipeline.evaluation.coding import BATCH, decoded, encoded, redrawn
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.maps import Arrays
from pipeline.evaluation.reconstruction import (
    bits_per_pixel,
    mean_psnr,
    means,
    picture_errors,
    picture_figures,
)
from pipeline.evaluation.scores import Figures, Scores
from pipeline.evaluation.shuffling import shuffled_rows
from pipeline.models.vqvae import VQVAE, unpack_levels


def vqvae_scores(judged: Judged, *, seed: int) -> Scores:
    """Judge reconstructions of test pictures; `seed` is of what is drawn from codes, and of the
    draw of other pictures' texts."""
    scores = Scores()
    vqvae, test, codes = judged.vqvae, judged.test, judged.test_codes.codes

    def least_error(rows: slice) -> Tensor:
        return decoded(vqvae, codes[rows], test.text_embeds[rows])

    def drawn(rows: slice) -> Tensor:
        return redrawn(
            judged.decoder, codes[rows], test.text_embeds[rows], judged.detail,
            seed=seed, first=rows.start,
        )  # fmt: skip

    scores.take("psnr", _of_reconstructions(judged, "reconstructions", least_error), under="")
    if judged.detail.decoder_steps:
        scores.take("redrawn", _of_reconstructions(judged, "drawn reconstructions", drawn))
    # Not what the text is worth: that takes a model trained without it (docs/ablations.md).
    captions = [pair.caption for pair in judged.test_codes.pairs]
    scores.take("wrong_text", _psnr_of_shuffled(judged, captions, seed=seed))
    scores.take("no_text", _psnr_beside(judged, "no text", torch.zeros(test.text_embeds.shape)))
    scores.take("codebook", codebooks(vqvae, codes[:]))
    c = vqvae.config
    cost = bits_per_pixel(vqvae.code_shape, c.n_embed, image_size=c.image_size)
    scores.take("bits_per_pixel", [("", cost)])
    return scores


def _of_reconstructions(judged: Judged, label: str, paint: Callable[[slice], Tensor]) -> Figures:
    """MSE, PSNR and SSIM of what is painted in place of test pictures, some rows at a time."""
    images = judged.test.images

    def judge(rows: slice) -> Arrays:
        return picture_figures(to_float(images[rows]), paint(rows))

    yield from means(judged.maps.rows(label, len(images), judge, of_each=BATCH))


def _psnr_beside(judged: Judged, label: str, texts: Rows) -> Figures:
    """PSNR where encoder and decoder are given these texts (N, text_dim), not the pictures' own."""
    vqvae, images = judged.vqvae, judged.test.images

    def judge(rows: slice) -> Arrays:
        some = CaptionedImages(images[rows], texts[rows])
        decodings = decoded(vqvae, encoded(vqvae, some, some.text_embeds[:]), some.text_embeds[:])
        return {"errors": picture_errors(to_float(some.images[:]), decodings)}

    yield "psnr", mean_psnr(judged.maps.rows(label, len(images), judge, of_each=BATCH)["errors"])


def _psnr_of_shuffled(judged: Judged, captions: list[str], *, seed: int) -> Figures:
    others = torch.from_numpy(shuffled_rows(captions, seed=seed))
    yield from _psnr_beside(judged, "others' texts", Chosen(judged.test.text_embeds, others))


def codebooks(vqvae: VQVAE, codes: Tensor) -> Figures:
    """The least of all levels' figures: each has a codebook, and a collapsed one must show."""
    levels = unpack_levels(codes, vqvae.level_shapes)
    uses = [dict(codebook_use(level.numpy(), vqvae.config.n_embed)) for level in levels]
    for figure in uses[0]:
        yield figure, min(use[figure] for use in uses)
