"""The section `vqvae` of params.yaml; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from pipeline.models.vqvae_sizes import VQVAESizes
from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pipeline.models.vqvae import VQVAE


class VQVAESettings(TrainingSettings, VQVAESizes):
    """The section `vqvae` of params.yaml."""

    text_dropout: float = Field(ge=0, le=1)  # share of pictures trained as if they had no text
    max_shift: int = Field(ge=0)  # augmentation, in pixels

    @model_validator(mode="after")
    def _shift_fits(self) -> Self:
        if self.max_shift >= self.image_size:
            raise ValueError(f"max_shift = {self.max_shift}: expected less than image_size")
        return self

    def build(self, text_dim: int) -> VQVAE:
        """A new model of these sizes; its weights come from torch's global generator."""
        import torch

        from pipeline.models.vqvae import VQVAE

        model = VQVAE(**self.values_of(VQVAESizes), text_dim=text_dim)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
