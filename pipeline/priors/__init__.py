"""The prior, as every stage after its training knows it: p(codes | text), of whatever family.

A family is a module of this package whose class satisfies `Prior`, and a branch of `load_prior`.
Painter, evaluation and stages know nothing else of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import torch
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.errors import UserError
from pipeline.models.storage import model_name
from pipeline.sampling_settings import DrawSettings


class Draw(Protocol):
    """Draws grids, batch after batch; what can be kept from one to the next is kept."""

    def __call__(
        self, condition: TextCondition | None, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw one packed grid for each generator.

        Args:
            condition: the texts, a row for each grid; None: unconditional.
            generators: one for each grid, so that none depends on the others of its batch.

        Returns:
            (B, h, w) int64 in [0, n_embed), on the prior's device.
        """
        ...


class Prior(Protocol):
    """p(codes | text) over the packed grids of a VQ-VAE."""

    def to(self, device: torch.device) -> Self:
        """Move it; returns itself."""
        ...

    def drawing(self, settings: DrawSettings) -> Draw:
        """How grids are drawn with these settings.

        Raises:
            ValueError: a setting that does not fit the model.
        """
        ...

    def nats(self, codes: Tensor, condition: TextCondition | None) -> Tensor:
        """The cost of given grids.

        Args:
            codes: (B, h, w) int64, on the prior's device.
            condition: the texts, a row for each grid; None: as if there were no text.

        Returns:
            (B,) float64, -log p(codes | text) of each whole grid, on the CPU.
        """
        ...

    def save_pretrained(self, folder: Path) -> None:
        """Write the folder that `load_prior` reads."""
        ...


def load_prior(folder: Path | str) -> Prior:
    """Load the prior of a folder, of the family that the folder names.

    Raises:
        UserError: a file is missing or damaged, or the model is of no family that is known here.
    """
    folder = Path(folder)
    family = model_name(folder)
    if family == "PixelSNAIL":
        from pipeline.priors.pixelsnail import PixelSNAILPrior

        return PixelSNAILPrior.from_pretrained(folder)
    raise UserError(f"{folder}: holds a {family}, which is no prior; known: PixelSNAIL")
