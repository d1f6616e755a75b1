"""How the VQ-VAE learns: squared error of the picture, and the pull of features to their codes."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import shifted, to_float
from pipeline.models.vqvae import VQVAE, unpack_levels
from pipeline.training.vqvae_settings import VQVAESettings

VALIDATION_BATCH = 128


class VQVAETask:
    """What `fit` trains."""

    def __init__(
        self, model: VQVAE, train: CaptionedImages, val: CaptionedImages, settings: VQVAESettings
    ) -> None:
        self.model: nn.Module = model
        self.train, self.val, self.settings = train, val, settings
        self.rows = len(train.images)

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error plus the commitment loss, on shifted pictures."""
        device = next(model.parameters()).device
        images = to_float(self.train.images[rows].to(device))
        images = shifted(images, max_shift=self.settings.max_shift)
        kept = torch.rand(len(rows), 1) >= self.settings.text_dropout
        texts = (self.train.text_embeds[rows] * kept).to(device)
        reconstructed, _, commitment = model(images, texts)
        error = F.mse_loss(reconstructed.float(), images)
        return error + commitment, {"mse": error.detach(), "commitment": commitment.detach()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Squared error and PSNR on the validation pictures, and the share of codes they use.

        Each level has its own codebook; the share is of the one that they use least of.
        """
        device = next(model.parameters()).device
        shapes = cast(VQVAE, model).level_shapes
        total, used = 0.0, torch.zeros(len(shapes), self.settings.n_embed, dtype=torch.bool)
        for rows in torch.arange(len(self.val.images)).split(VALIDATION_BATCH):
            images = to_float(self.val.images[rows].to(device))
            reconstructed, codes, _ = model(images, self.val.text_embeds[rows].to(device))
            total += float(F.mse_loss(reconstructed.clamp(-1, 1), images)) * len(rows)
            # Kept for all batches, they would keep the heap from being used again between them.
            for level, its_codes in enumerate(unpack_levels(codes.cpu(), shapes)):
                used[level, its_codes.unique()] = True
        mse = total / len(self.val.images)
        # The range is 2 wide, so its square is 4.
        psnr = 10 * math.log10(4 / mse)
        codes_used = int(used.sum(1).min()) / self.settings.n_embed
        return {"loss": mse, "psnr": psnr, "codes_used": codes_used}
