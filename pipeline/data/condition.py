"""What a text says to the models: one embedding of the whole, and a state for each token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TextCondition:
    """B texts as BLIP's text encoder reads them, without a picture.

    Attributes:
        pooled: (B, D) float, L2-normalised, in the space of BLIP's image embeddings.
        tokens: (B, T, C) float, means over the layers' states; 0 behind a text's end.
        mask: (B, T) bool, True = a token; at least one in each row.
    """

    pooled: Tensor
    tokens: Tensor
    mask: Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> TextCondition:
        """The same on `device`, its numbers of type `dtype`; None: of the type they have."""
        pooled, tokens = (t.to(device, dtype or t.dtype) for t in (self.pooled, self.tokens))
        return TextCondition(pooled, tokens, self.mask.to(device))

    def __len__(self) -> int:
        return len(self.pooled)

    def __getitem__(self, rows: Tensor | slice) -> TextCondition:
        return TextCondition(self.pooled[rows], self.tokens[rows], self.mask[rows])
