"""The section `vqvae` of params.yaml; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from pipeline.models.codebook_sizes import QuantizerKind, fsq_levels
from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pipeline.models.vqvae import VQVAE


class VQVAESettings(TrainingSettings):
    """The section `vqvae` of params.yaml; sizes as in `VQVAEConfig`."""

    image_size: int = Field(ge=8)
    downsample: int = Field(ge=2)
    levels: int = Field(ge=1, le=2)
    n_embed: int = Field(ge=2, le=2**16)
    embed_dim: int = Field(ge=1)
    channel: int = Field(ge=1)
    n_res_block: int = Field(ge=0)
    res_channel: int = Field(ge=1)
    quantizer: QuantizerKind
    commitment_weight: float = Field(ge=0)
    text_dropout: float = Field(ge=0, le=1)  # share of pictures trained as if they had no text
    max_shift: int = Field(ge=0)  # augmentation, in pixels

    @model_validator(mode="after")
    def _fits(self) -> VQVAESettings:
        # Two levels are packed into one grid whose rows are as long as the finer level's.
        step = self.downsample * (4 if self.levels == 2 else 1)
        if self.image_size % step:
            raise ValueError(f"image_size = {self.image_size}: expected a multiple of {step}")
        if self.max_shift >= self.image_size:
            raise ValueError(f"max_shift = {self.max_shift}: expected less than image_size")
        if self.quantizer == "fsq":
            fsq_levels(self.n_embed)
        return self

    def build(self, text_dim: int) -> VQVAE:
        """A new model of these sizes; its weights come from torch's global generator."""
        import torch

        from pipeline.models.vqvae import VQVAE, VQVAEConfig

        names = VQVAEConfig.__dataclass_fields__.keys() - {"text_dim"}
        sizes = {name: getattr(self, name) for name in names}
        model = VQVAE(VQVAEConfig(**sizes, text_dim=text_dim))
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
