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
        self,
        condition: TextCondition | None,
        generators: Sequence[torch.Generator],
        given: Tensor | None = None,
    ) -> Tensor:
        """Draw one packed grid for each generator.

        Args:
            condition: the texts, a row for each grid; None: unconditional.
            generators: one for each grid, so that none depends on the others of its batch.
            given: (B, h, w) int64, packed codes that stay as they are, and -1 at those to be drawn,
                which are the same in all grids; None: all are drawn.

        Returns:
            (B, h, w) int64 in [0, n_embed), on the prior's device.

        Raises:
            UserError: the family cannot draw these codes given those.
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

    def nats(self, codes: Tensor, condition: TextCondition | None, *, steps: int | None) -> Tensor:
        """The cost of given grids, exactly as a fixed order draws them.

        Args:
            codes: (B, h, w) int64, on the prior's device.
            condition: the texts, a row for each grid; None: as if there were no text.
            steps: in which a family that draws several codes at once draws them; None: one by one.

        Returns:
            (B,) float64, -log p(codes | text) of each whole grid, on the CPU.
        """
        ...

    def bound(self, codes: Tensor, condition: TextCondition | None, *, seed: int) -> Tensor | None:
        """What given grids cost at most, in nats, where the family was trained by such a bound.

        Args:
            seed: of the draws by which it is estimated.

        Returns:
            (B,) float64, on the CPU; None: the family was trained by `nats` itself.
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
    if family == "MaskedDiffusion":
        from pipeline.priors.diffusion import DiffusionPrior

        return DiffusionPrior.from_pretrained(folder)
    raise UserError(
        f"{folder}: holds a {family}, which is no prior; known: PixelSNAIL, MaskedDiffusion"
    )
