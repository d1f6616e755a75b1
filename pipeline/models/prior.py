"""The prior over a VQ-VAE's grid: one PixelSNAIL a level, the lower seeing the upper's codes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.files import replacing
from pipeline.models.condition import TextCondition
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import pack_levels
from pipeline.sampling import sample_codes

TOP = "top"  # the folder of the coarse level's prior, inside the fine one's


class Prior:
    """p(codes | text) of one or two levels, the top (coarse) one first."""

    def __init__(self, levels: Sequence[PixelSNAIL]) -> None:
        self.levels = list(levels)

    def sample(
        self,
        condition: TextCondition | None,
        *,
        generators: Sequence[torch.Generator],
        temperature: float,
        top_k: int,
        top_p: float,
        guidance_scale: float,
    ) -> Tensor:
        """Draw one packed grid of codes a row, (B, h, w) int64.

        Args:
            condition: the texts, a row a grid; None: unconditional.
            generators: one a row, so that a grid does not depend on the others of its batch.
        """
        grids: list[Tensor] = []
        for level in self.levels:
            grids.append(
                sample_codes(
                    level,
                    condition,
                    upper=grids[-1] if grids else None,
                    batch_size=len(generators),
                    temperature=temperature,
                    top_k=top_k,
                    top_p=top_p,
                    guidance_scale=guidance_scale,
                    generator=generators,
                )
            )
        return pack_levels(grids)

    def to(self, device: torch.device) -> Prior:
        """Move every level; returns itself."""
        for level in self.levels:
            level.to(device)
        return self

    def cast(self, dtype: torch.dtype) -> Prior:
        """A copy whose weights are of type `dtype`, for sampling."""
        return Prior([copy.deepcopy(level).to(dtype) for level in self.levels])

    def save_pretrained(self, folder: Path) -> None:
        """Write the last level's model into `folder`, the top's into a folder of it."""
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
