"""The section `pixelsnail` of params.yaml; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.models.pixelsnail_sizes import PixelSNAILSizes
from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pipeline.data.condition import Conditions
    from pipeline.models.pixelsnail import PixelSNAIL


class PixelSNAILSettings(TrainingSettings, PixelSNAILSizes):
    """The section `pixelsnail` of params.yaml."""

    condition_dropout: float = Field(ge=0, le=1)  # share of grids trained without their text
    token_corruption: float = Field(ge=0, lt=1)  # share of input codes replaced by random ones

    def build(
        self,
        shape: tuple[int, int],
        n_class: int,
        condition: Conditions,
        upper_shape: tuple[int, int] | None = None,
    ) -> PixelSNAIL:
        """A new model of these sizes; its weights come from torch's global generator."""
        from pipeline.models.pixelsnail import PixelSNAIL

        return PixelSNAIL(
            shape,
            n_class,
            **self.values_of(PixelSNAILSizes),
            text_dim=condition.text_dim,
            token_dim=condition.token_dim,
            upper_shape=upper_shape,
            upper_n_class=n_class if upper_shape else 0,
        )
