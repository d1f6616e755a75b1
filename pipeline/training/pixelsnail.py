"""How PixelSNAIL learns: cross-entropy of each code given those before it, and the text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.condition import TextCondition
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import unpack_levels
from pipeline.training.pixelsnail_settings import PixelSNAILSettings

VALIDATION_BATCH = 128


@dataclass(frozen=True)
class LevelCodes:
    """One level of captioned codes, for the model of that level.

    Attributes:
        captioned: all levels, packed.
        shapes: height and width of each level, the top one first.
        level: which of them.
    """

    captioned: CaptionedCodes
    shapes: list[tuple[int, int]]
    level: int

    def __len__(self) -> int:
        return len(self.captioned)

    def batch(
        self, rows: Tensor, device: torch.device
    ) -> tuple[Tensor, TextCondition, Tensor | None]:
        """Codes (B, h, w), texts, and the upper level's codes where there are any, of some rows."""
        packed, condition = self.captioned.batch(rows, device)
        grids = unpack_levels(packed, self.shapes)
        return grids[self.level], condition, grids[self.level - 1] if self.level else None


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
        loss = F.cross_entropy(logits.float(), codes)
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
