"""Pictures through the VQ-VAE: codes, pictures of codes, both ways, and what codes stand for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import to_float, to_uint8
from pipeline.models.blip import Blip
from pipeline.models.vqvae import VQVAE

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


def reconstruct(vqvae: VQVAE, blip: Blip, images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Pictures (N, H, W, 3) uint8 through codes and back, beside their N texts."""
    embeds = blip.embed_texts(texts).pooled
    pictures = CaptionedImages(torch.from_numpy(images), embeds)
    return to_uint8(decoded(vqvae, encoded(vqvae, pictures, embeds), embeds)).numpy()


def latent_vectors(vqvae: VQVAE, codes: Tensor) -> Tensor:
    """What the codes (N, h, w) stand for, one vector for each picture: (N, D)."""
    device = next(vqvae.parameters()).device
    return torch.cat([vqvae.latents(c.to(device)).flatten(1).cpu() for c in codes.split(BATCH)])
