"""What a text says to the models: one embedding of the whole, and a state for each token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.data.mapped import Rows


@dataclass(frozen=True)
class Conditions:
    """Conditions of N texts, in memory or in files.

    Attributes:
        pooled: (N, D), see `TextCondition`.
        tokens: (N, T, C), of any float type.
        mask: (N, T).
    """

    pooled: Rows
    tokens: Rows
    mask: Rows

    @property
    def text_dim(self) -> int:
        """D, the length of pooled embeddings."""
        return self.pooled.shape[1]

    @property
    def token_dim(self) -> int:
        """C, the length of token states."""
        return self.tokens.shape[2]

    def __len__(self) -> int:
        return len(self.pooled)

    def __getitem__(self, rows: Tensor | slice, /) -> TextCondition:
        """Some of them, in memory, their token states in float32."""
        return TextCondition(self.pooled[rows], self.tokens[rows].float(), self.mask[rows])


@dataclass(frozen=True)
class TextCondition(Conditions):
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

    def __getitem__(self, rows: Tensor | slice, /) -> TextCondition:
        """Some of them, of the types they have."""
        return TextCondition(self.pooled[rows], self.tokens[rows], self.mask[rows])
