"""Pictures through codes: codes, pictures of codes, both ways, and what codes stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import to_float, to_uint8
from pipeline.decoder import Decoder
from pipeline.evaluation.maps import Arrays, Maps
from pipeline.models.blip import Blip
from pipeline.models.vqvae import VQVAE
from pipeline.sampling_settings import DetailSettings
from pipeline.seeds import derive_seed

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


def redrawn(
    decoder: Decoder,
    codes: Tensor,
    texts: Tensor,
    settings: DetailSettings,
    *,
    seed: int,
    first: int = 0,
) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] that the flow decoder draws from the codes.

    Args:
        texts: (N, text_dim), a row for each picture.
        settings: of at least 1 step.
        seed: a picture depends on it, on its codes and text, and on its row.
        first: the first picture's row, where these are some of more.
    """
    device = decoder.device
    pictures = []
    for rows in torch.arange(len(codes)).split(BATCH):
        seeds = [derive_seed(seed, first + row) for row in rows.tolist()]
        generators = [torch.Generator().manual_seed(own) for own in seeds]
        drawn = decoder.draw(
            codes[rows].to(device), texts[rows].to(device), settings, generators=generators
        )
        pictures.append(drawn.cpu())
    return torch.cat(pictures)


@dataclass(frozen=True)
class ThroughCodes:
    """Takes pictures to codes and back.

    Attributes:
        maps: by which processes do that together.
        detail: how the flow decoder draws; without steps it is not asked.
        seed: of what it draws.
    """

    decoder: Decoder
    blip: Blip
    maps: Maps
    detail: DetailSettings
    seed: int

    def __call__(
        self, images: np.ndarray, texts: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Pictures (N, H, W, 3) uint8, beside their N texts, as each decoder paints their codes.

        Returns:
            Those of least error, and those that the flow decoder draws, if it is asked.
        """
        pictures = CaptionedImages(torch.from_numpy(images), self.blip.embed_texts(texts).pooled)
        found = self.maps.rows(
            "real pictures through codes",
            len(images),
            partial(self._paint, pictures),
            of_each=BATCH,
        )
        return found["least_error"], found.get("drawn")

    def _paint(self, pictures: CaptionedImages, rows: slice) -> Arrays:
        some = CaptionedImages(pictures.images[rows], pictures.text_embeds[rows])
        vqvae, texts = self.decoder.vqvae, some.text_embeds[:]
        codes = encoded(vqvae, some, texts)
        painted = {"least_error": to_uint8(decoded(vqvae, codes, texts)).numpy()}
        if self.detail.decoder_steps:
            drawn = redrawn(
                self.decoder, codes, texts, self.detail, seed=self.seed, first=rows.start
            )
            painted["drawn"] = to_uint8(drawn).numpy()
        return painted


def latent_vectors(vqvae: VQVAE, codes: Tensor) -> Tensor:
    """What the codes (N, h, w) stand for, one vector for each picture: (N, D)."""
    device = next(vqvae.parameters()).device
    return torch.cat([vqvae.latents(c.to(device)).flatten(1).cpu() for c in codes.split(BATCH)])
