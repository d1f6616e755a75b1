"""Pictures through codes: codes, pictures of codes, both ways, and what codes stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import to_float, to_uint8
from pipeline.decoder import Decoder
from pipeline.models.blip import Blip
from pipeline.models.vqvae import VQVAE
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


def redrawn(decoder: Decoder, codes: Tensor, texts: Tensor, *, steps: int, seed: int) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] that the flow decoder draws from the codes.

    Args:
        texts: (N, text_dim), a row for each picture.
        steps: of the flow, at least 1.
        seed: a picture depends on it, on its codes and text, and on its row.
    """
    device = decoder.device
    pictures = []
    for rows in torch.arange(len(codes)).split(BATCH):
        generators = [torch.Generator().manual_seed(derive_seed(seed, r)) for r in rows.tolist()]
        drawn = decoder.draw(
            codes[rows].to(device), texts[rows].to(device), steps=steps, generators=generators
        )
        pictures.append(drawn.cpu())
    return torch.cat(pictures)


@dataclass(frozen=True)
class ThroughCodes:
    """Takes pictures to codes and back.

    Attributes:
        steps: of the flow decoder; 0: it is not asked.
        seed: of what it draws.
    """

    decoder: Decoder
    blip: Blip
    steps: int
    seed: int

    def __call__(
        self, images: np.ndarray, texts: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Pictures (N, H, W, 3) uint8, beside their N texts, as each decoder paints their codes.

        Returns:
            Those of least error, and those that the flow decoder draws, if it is asked.
        """
        embeds, vqvae = self.blip.embed_texts(texts).pooled, self.decoder.vqvae
        codes = encoded(vqvae, CaptionedImages(torch.from_numpy(images), embeds), embeds)
        least_error = to_uint8(decoded(vqvae, codes, embeds)).numpy()
        if self.steps == 0:
            return least_error, None
        drawn = redrawn(self.decoder, codes, embeds, steps=self.steps, seed=self.seed)
        return least_error, to_uint8(drawn).numpy()


def latent_vectors(vqvae: VQVAE, codes: Tensor) -> Tensor:
    """What the codes (N, h, w) stand for, one vector for each picture: (N, D)."""
    device = next(vqvae.parameters()).device
    return torch.cat([vqvae.latents(c.to(device)).flatten(1).cpu() for c in codes.split(BATCH)])
