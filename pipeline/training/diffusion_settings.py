"""The section `diffusion` of params.yaml; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeline.models.masked_diffusion_sizes import MaskedDiffusionSizes
from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pipeline.data.condition import Conditions
    from pipeline.models.masked_diffusion import MaskedDiffusion


class DiffusionSettings(TrainingSettings, MaskedDiffusionSizes):
    """The section `diffusion` of params.yaml."""

    condition_dropout: float = Field(ge=0, le=1)  # share of grids trained without their text
    token_corruption: float = Field(ge=0, lt=1)  # share of visible codes replaced by random ones
    loss_weight: Literal["flat", "elbo"]  # every hidden code counts alike | every grid, for bits

    def build(
        self,
        shape: tuple[int, int],
        n_class: int,
        condition: Conditions,
        upper_shape: tuple[int, int] | None = None,
    ) -> MaskedDiffusion:
        """A new model of these sizes; its weights come from torch's global generator."""
        from pipeline.models.masked_diffusion import MaskedDiffusion

        return MaskedDiffusion(
            **self.values_of(MaskedDiffusionSizes),
            shape=shape,
            n_class=n_class,
            text_dim=condition.text_dim,
            token_dim=condition.token_dim,
            upper_shape=upper_shape,
            upper_n_class=n_class if upper_shape else 0,
        )
