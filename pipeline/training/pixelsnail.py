"""How the prior learns: cross-entropy of each code given those before it, and the text."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.data.condition import TextCondition
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import unpack_levels
from pipeline.training.pixelsnail_settings import PixelSNAILSettings

VALIDATION_BATCH = 128


@dataclass(frozen=True)
class CodedTexts:
    """One level's codes with what they are conditioned on.

    Attributes:
        codes: (N, h, w) integers.
        texts: (N,) int64, rows of `condition`.
        condition: the texts, each once.
        upper: (N, h', w') codes of the level above, or None.
    """

    codes: Tensor
    texts: Tensor
    condition: TextCondition
    upper: Tensor | None

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Tensor) -> CodedTexts:
        upper = None if self.upper is None else self.upper[rows]
        return CodedTexts(self.codes[rows], self.texts[rows], self.condition, upper)

    def batch(
        self, rows: Tensor, device: torch.device
    ) -> tuple[Tensor, TextCondition, Tensor | None]:
        """Codes, condition and upper codes of some rows, on `device`."""
        upper = None if self.upper is None else self.upper[rows].long().to(device)
        condition = self.condition[self.texts[rows]].to(device)
        return self.codes[rows].long().to(device), condition, upper


def coded_levels(
    codes: Tensor,
    *,
    level_shapes: list[tuple[int, int]],
    texts: Tensor,
    condition: TextCondition,
) -> list[CodedTexts]:
    """Each level's codes, the top one first, from the packed grids (N, h, w) of a VQ-VAE."""
    levels = unpack_levels(codes, level_shapes)
    uppers = [None, *levels[:-1]]
    return [
        CodedTexts(level, texts, condition, upper)
        for level, upper in zip(levels, uppers, strict=True)
    ]


class PixelSNAILTask:
    """What `fit` trains."""

    def __init__(
        self, model: PixelSNAIL, train: CodedTexts, val: CodedTexts, settings: PixelSNAILSettings
    ) -> None:
        self.model: nn.Module = model
        self.train, self.val, self.settings = train, val, settings
        self.n_class = model.n_class
        self.rows = len(train)

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean nats a code; some codes that go in are wrong, some rows have lost their text."""
        device = next(model.parameters()).device
        codes, condition, upper = self.train.batch(rows, device)
        drop = torch.rand(len(rows)) < self.settings.condition_dropout
        wrong = torch.rand(codes.shape) < self.settings.token_corruption
        noise = torch.randint(self.n_class, codes.shape)
        seen = torch.where(wrong.to(device), noise.to(device), codes)
        logits = model(seen, condition, upper=upper, drop=drop.to(device))
        loss = F.cross_entropy(logits.float(), codes)
        return loss, {"bits": loss.detach() / math.log(2)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean nats and bits a code on the validation pictures, given their texts."""
        loss = float(code_nats(model, self.val).mean())
        return {"loss": loss, "bits": loss / math.log(2)}


@torch.no_grad()
def code_nats(prior: nn.Module, data: CodedTexts, *, conditional: bool = True) -> Tensor:
    """Mean nats a code of each picture under the prior, (N,) float64.

    Args:
        conditional: False: as if there were no text.
    """
    device = next(prior.parameters()).device
    nats = []
    for rows in torch.arange(len(data)).split(VALIDATION_BATCH):
        codes, condition, upper = data.batch(rows, device)
        logits = prior(codes, condition if conditional else None, upper=upper)
        loss = F.cross_entropy(logits.float(), codes, reduction="none")
        nats.append(loss.flatten(1).cpu().double().mean(dim=1))
    return torch.cat(nats)
