"""The section `decoder` of params.yaml; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.models.flow_decoder_sizes import FlowDecoderSizes
from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pipeline.models.flow_decoder import FlowDecoder
    from pipeline.models.vqvae import VQVAE


class DecoderSettings(TrainingSettings, FlowDecoderSizes):
    """The section `decoder` of params.yaml."""

    text_dropout: float = Field(ge=0, le=1)  # share of pictures trained as if they had no text
    max_shift: int = Field(ge=0)  # augmentation, in pixels
    time_mean: float  # of the logits of the times trained at; above 0: nearer to the picture
    time_std: float = Field(gt=0)

    def build(self, vqvae: VQVAE) -> FlowDecoder:
        """A new model over `vqvae`; its weights come from torch's global generator.

        Raises:
            ValueError: the sizes do not go with the VQ-VAE's.
        """
        import torch

        from pipeline.models.flow_decoder import FlowDecoder

        model = FlowDecoder.beside(vqvae, **self.values_of(FlowDecoderSizes))
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
