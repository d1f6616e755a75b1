"""What a text says to the models: one embedding of the whole, and a state for each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pipeline.data.mapped import Rows


class Conditions(Protocol):
    """Conditions of many texts, in memory or in files; some rows of them are a `TextCondition`."""

    @property
    def pooled(self) -> Rows:
        """(N, D)."""
        ...

    @property
    def text_dim(self) -> int:
        """D, the length of pooled embeddings."""
        ...

    @property
    def token_dim(self) -> int:
        """C, the length of token states."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor | slice, /) -> TextCondition: ...


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

    @property
    def text_dim(self) -> int:
        """D."""
        return self.pooled.shape[1]

    @property
    def token_dim(self) -> int:
        """C."""
        return self.tokens.shape[2]

    def __len__(self) -> int:
        return len(self.pooled)

    def __getitem__(self, rows: Tensor | slice, /) -> TextCondition:
        return TextCondition(self.pooled[rows], self.tokens[rows], self.mask[rows])
