"""One level of captioned codes, as the model of that level is trained on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.condition import TextCondition
from pipeline.models.vqvae import unpack_levels


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

    def shifts(self, rows: Tensor, device: torch.device) -> Tensor:
        """How far the views of some rows are shifted, in pixels down and to the right: (B, 2)."""
        return self.captioned.shifts[rows].long().to(device)
