"""How PixelSNAIL learns: cross-entropy of each code given those before it, and the text."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.training.level_codes import LevelCodes
from pipeline.training.pixelsnail_settings import PixelSNAILSettings

VALIDATION_BATCH = 128


class PixelSNAILTask:
    """What `fit` trains."""

    def __init__(
        self, model: PixelSNAIL, train: LevelCodes, val: LevelCodes, settings: PixelSNAILSettings
    ) -> None:
        self.model: nn.Module = model
        self.train, self.val, self.settings = train, val, settings
        self.n_class = model.n_class
        self.rows = len(train)

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean nats per code; some input codes are wrong, some grids have lost their text."""
        device = next(model.parameters()).device
        codes, condition, upper = self.train.batch(rows, device)
        drop = torch.rand(len(rows)) < self.settings.condition_dropout
        wrong = torch.rand(codes.shape) < self.settings.token_corruption
        noise = torch.randint(self.n_class, codes.shape)
        corrupted = torch.where(wrong.to(device), noise.to(device), codes)
        logits = model(corrupted, condition, upper=upper, drop=drop.to(device))
        # Rows of classes side by side, as the model makes them: the loss need not move them about.
        rows_of_classes = logits.permute(2, 3, 0, 1).flatten(0, 2).float()
        loss = F.cross_entropy(rows_of_classes, codes.permute(1, 2, 0).flatten())
        return loss, {"bits": loss.detach() / math.log(2)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean nats and bits per code on the validation pictures, given their texts."""
        pixelsnail = cast(PixelSNAIL, model)
        device = next(model.parameters()).device
        total = 0.0
        for rows in torch.arange(len(self.val)).split(VALIDATION_BATCH):
            codes, condition, upper = self.val.batch(rows, device)
            total += float(pixelsnail.nats(codes, condition, upper=upper).sum())
        loss = total / (len(self.val) * math.prod(pixelsnail.shape))
        return {"loss": loss, "bits": loss / math.log(2)}
