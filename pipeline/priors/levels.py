"""What families of priors share: a model for each level, the lower seeing the upper's codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.models.levels import level_folders, save_levels
from pipeline.models.vqvae import pack_levels, unpack_levels

M = TypeVar("M", bound=Any)


class LevelPrior(Generic[M]):
    """One or two levels, the top (coarse) one first, each of the class `model`."""

    model: type[M]

    def __init__(self, levels: Sequence[M]) -> None:
        self.levels = list(levels)

    def to(self, device: torch.device) -> Self:
        """Move every level; returns itself."""
        for level in self.levels:
            level.to(device)
        return self

    def by_level(self, codes: Tensor) -> Iterator[tuple[M, Tensor, Tensor | None]]:
        """Each level's model, and its grids of packed codes (B, h, w) with the upper level's."""
        grids = unpack_levels(codes, [level.shape for level in self.levels])
        return zip(self.levels, grids, [None, *grids[:-1]], strict=True)

    def save_pretrained(self, folder: Path) -> None:
        """Write every level's model."""
        save_levels(self.levels, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        return cls([cls.model.from_pretrained(part) for part in level_folders(Path(folder))])


class LevelSampler(Protocol):
    """Draws the grids of one level."""

    def __call__(
        self,
        cond: TextCondition | None,
        generators: Sequence[torch.Generator],
        *,
        upper: Tensor | None,
        given: Tensor | None,
    ) -> Tensor:
        """Draw a grid for each generator; see `pipeline.priors.Draw`."""
        ...


class LevelDraw:
    """Draws packed grids, batch after batch, by a sampler for each level."""

    def __init__(self, samplers: Sequence[LevelSampler], shapes: list[tuple[int, int]]) -> None:
        self.samplers, self.shapes = samplers, shapes

    def __call__(
        self,
        condition: TextCondition | None,
        generators: Sequence[torch.Generator],
        given: Tensor | None = None,
    ) -> Tensor:
        """Draw one packed grid (h, w) for each generator: (B, h, w) int64."""
        kept: Sequence[Tensor | None] = [None] * len(self.shapes)
        if given is not None:
            kept = unpack_levels(given, self.shapes)
        grids: list[Tensor] = []
        for sampler, part in zip(self.samplers, kept, strict=True):
            upper = grids[-1] if grids else None
            grids.append(sampler(condition, generators, upper=upper, given=part))
        return pack_levels(grids)
