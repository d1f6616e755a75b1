"""The prior over a VQ-VAE's grid: one PixelSNAIL a level, the lower seeing the upper's codes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.files import replacing
from pipeline.models.pixelsnail import PixelSNAIL

TOP = "top"  # the folder of the coarse level's prior, inside the fine one's


class Prior:
    """p(codes | text) of one or two levels, the top (coarse) one first."""

    def __init__(self, levels: Sequence[PixelSNAIL]) -> None:
        self.levels = list(levels)

    def to(self, device: torch.device) -> Prior:
        """Move every level; returns itself."""
        for level in self.levels:
            level.to(device)
        return self

    def cast(self, dtype: torch.dtype) -> Prior:
        """A copy whose weights are of type `dtype`, for sampling."""
        return Prior([copy.deepcopy(level).to(dtype) for level in self.levels])

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the last level's model into `folder`, the top's into a folder of it."""
        folder = Path(folder)
        with replacing(folder) as aside:
            self.levels[-1].save_pretrained(aside)
            if len(self.levels) == 2:
                self.levels[0].save_pretrained(aside / TOP)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Prior:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        folders = [Path(folder) / TOP, Path(folder)] if (Path(folder) / TOP).exists() else [folder]
        return cls([PixelSNAIL.from_pretrained(part) for part in folders])
