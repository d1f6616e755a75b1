"""The section `decoder` of params.yaml; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field

from pipeline.models.flow_decoder_sizes import Channels, FlowDecoderSizes
from pipeline.params import Section
from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pipeline.models.flow_decoder import FlowDecoder
    from pipeline.models.vqvae import VQVAE


class GuideSettings(Section):
    """In what the guide is weaker: a narrower flow decoder that learns for fewer steps."""

    channels: Channels
    steps: int = Field(ge=0)  # 0: there is no guide


class DecoderSettings(TrainingSettings, FlowDecoderSizes):
    """The section `decoder` of params.yaml."""

    text_dropout: float = Field(ge=0, le=1)  # share of pictures trained as if they had no text
    max_shift: int = Field(ge=0)  # augmentation, in pixels
    time_mean: float  # of the logits of the times trained at; above 0: nearer to the picture
    time_std: float = Field(gt=0)
    guide: GuideSettings

    @property
    def of_guide(self) -> Self | None:
        """What the guide is trained with; None: there is none."""
        return self.model_copy(update=dict(self.guide)) if self.guide.steps else None

    def build(self, vqvae: VQVAE) -> FlowDecoder:
        """A new model over `vqvae`; its weights come from torch's global generator.

        Raises:
            ValueError: the sizes do not go with the VQ-VAE's.
        """
        import torch

        from pipeline.models.flow_decoder import FlowDecoder

        model = FlowDecoder.beside(vqvae, **self.values_of(FlowDecoderSizes))
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
