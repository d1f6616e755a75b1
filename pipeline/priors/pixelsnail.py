"""PixelSNAIL as a prior: one model for each level, the lower seeing the upper's codes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.devices import warn_of_emulation
from pipeline.models.levels import level_folders, save_levels
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import pack_levels, unpack_levels
from pipeline.sampling.autoregressive import Sampler
from pipeline.sampling_settings import DrawSettings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class PixelSNAILPrior:
    """p(codes | text) of one or two levels, the top (coarse) one first."""

    def __init__(self, levels: Sequence[PixelSNAIL]) -> None:
        self.levels = list(levels)

    def to(self, device: torch.device) -> PixelSNAILPrior:
        """Move every level; returns itself."""
        for level in self.levels:
            level.to(device)
        return self

    def drawing(self, settings: DrawSettings) -> LevelDraw:
        """A sampler for each level, on copies of the weights in the precision asked for."""
        warn_of_emulation(settings.precision)
        dtype = DTYPES[settings.precision]
        return LevelDraw(
            [
                Sampler(
                    copy.deepcopy(level).to(dtype),
                    temperature=settings.temperature,
                    top_k=settings.top_k,
                    top_p=settings.top_p,
                    guidance_scale=settings.guidance_scale,
                )
                for level in self.levels
            ]
        )

    @torch.inference_mode()
    def nats(self, codes: Tensor, condition: TextCondition | None) -> Tensor:
        """-log p of each packed grid (B, h, w), over all levels' codes together; (B,) float64."""
        grids = unpack_levels(codes, [level.shape for level in self.levels])
        uppers = [None, *grids[:-1]]
        costs = [
            level.nats(grid, condition, upper=upper)
            for level, grid, upper in zip(self.levels, grids, uppers, strict=True)
        ]
        return torch.stack(costs).sum(dim=0).cpu()

    def save_pretrained(self, folder: Path) -> None:
        """Write every level's model."""
        save_levels(self.levels, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> PixelSNAILPrior:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        return cls([PixelSNAIL.from_pretrained(part) for part in level_folders(Path(folder))])


class LevelDraw:
    """Draws packed grids, batch after batch, by a sampler for each level."""

    def __init__(self, levels: Sequence[Sampler]) -> None:
        self.levels = levels

    def __call__(
        self, condition: TextCondition | None, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw one packed grid (h, w) for each generator: (B, h, w) int64."""
        grids: list[Tensor] = []
        for level in self.levels:
            upper = grids[-1] if grids else None
            grids.append(
                level.draw(condition, upper=upper, batch_size=len(generators), generator=generators)
            )
        return pack_levels(grids)
