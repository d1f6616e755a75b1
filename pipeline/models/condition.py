"""What a text says to the prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TextCondition:
    """B texts as BLIP's text encoder reads them.

    Attributes:
        pooled: (B, D) float, L2-normalised.
        tokens: (B, T, C) float, last hidden states.
        mask: (B, T) bool, True = a token; at least one in each row.
    """

    pooled: Tensor
    tokens: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> TextCondition:
        """The same on `device`."""
        return TextCondition(self.pooled.to(device), self.tokens.to(device), self.mask.to(device))

    def __len__(self) -> int:
        return len(self.pooled)

    def __getitem__(self, rows: Tensor | slice) -> TextCondition:
        return TextCondition(self.pooled[rows], self.tokens[rows], self.mask[rows])
