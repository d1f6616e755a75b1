"""Some of the mapped pictures, to be indexed as the tensor that they would be in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.data.pixels import Pixels


@dataclass(frozen=True)
class MappedImages:
    """N pictures, of which those that are asked for are read.

    Attributes:
        pixels: where they lie.
        rows: (N,) int64, which they are there.
    """

    pixels: Pixels
    rows: np.ndarray

    @classmethod
    def of(cls, pixels: Pixels, names: Iterable[str]) -> MappedImages:
        """The pictures of these names, in their order.

        Raises:
            UserError: one is not there.
        """
        return cls(pixels, pixels.rows(names))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Those at `rows`, uint8 (n, S, S, 3); `[:]` reads them all."""
        chosen = self.rows[rows if isinstance(rows, slice) else rows.numpy()]
        return torch.from_numpy(self.pixels[chosen])


Images = Tensor | MappedImages  # uint8 (N, H, W, 3), in memory or on the disk
