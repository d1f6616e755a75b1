"""The section `pixelsnail` of params.yaml; read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pipeline.data.condition import TextCondition
    from pipeline.models.pixelsnail import PixelSNAIL


class PixelSNAILSettings(TrainingSettings):
    """The section `pixelsnail` of params.yaml; sizes as in `PixelSNAIL`."""

    channel: int = Field(ge=1)
    kernel_size: int = Field(ge=2)
    n_block: int = Field(ge=1)
    n_res_block: int = Field(ge=1)
    res_channel: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    attention: bool
    cross_attention: bool  # over the text's token states, beside the pooled embedding
    condition_dropout: float = Field(ge=0, le=1)  # share of rows trained without their text
    token_corruption: float = Field(ge=0, lt=1)  # share of input codes replaced by random ones

    def build(
        self,
        shape: tuple[int, int],
        n_class: int,
        condition: TextCondition,
        upper_shape: tuple[int, int] | None = None,
    ) -> PixelSNAIL:
        """A new prior of these sizes; its weights come from torch's global generator."""
        from pipeline.models.pixelsnail import PixelSNAIL

        return PixelSNAIL(
            shape=shape,
            n_class=n_class,
            channel=self.channel,
            kernel_size=self.kernel_size,
            n_block=self.n_block,
            n_res_block=self.n_res_block,
            res_channel=self.res_channel,
            dropout=self.dropout,
            attention=self.attention,
            cross_attention=self.cross_attention,
            text_dim=condition.pooled.shape[1],
            token_dim=condition.tokens.shape[2],
            upper_shape=upper_shape,
            upper_n_class=n_class if upper_shape else 0,
        )
