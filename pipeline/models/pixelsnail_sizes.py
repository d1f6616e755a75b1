"""The sizes of a PixelSNAIL, and which go together; read without torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pipeline.params import Section


class PixelSNAILSizes(Section):
    """What the section `pixelsnail` of params.yaml says of the model."""

    channel: int = Field(ge=1)  # width of the features
    kernel_size: int = Field(ge=2)  # 2: the paper's block; 5: the port's; see above
    n_block: int = Field(ge=1)  # groups of residual blocks, each closed by attention
    n_res_block: int = Field(ge=1)  # gated residual blocks in a group
    res_channel: int = Field(ge=1)  # width inside a residual block
    dropout: float = Field(ge=0, lt=1)  # inside residual blocks
    attention: bool  # over all earlier codes
    cross_attention: bool  # over the text's token states, beside the pooled embedding


# Of a model that is built by hand; params.yaml names all of them.
PLAIN = {"dropout": 0.0, "attention": True, "cross_attention": False}


class PixelSNAILConfig(PixelSNAILSizes):
    """All that a PixelSNAIL is built from."""

    shape: tuple[int, int]  # height and width of the grid
    n_class: int = Field(ge=1)  # codes in the codebook
    text_dim: int = Field(0, ge=0)  # width of the pooled text; 0: a prior without text
    token_dim: int = Field(0, ge=0)  # width of the token states, for cross-attention
    upper_shape: tuple[int, int] | None = None  # of the level above; None: there is none
    upper_n_class: int = Field(0, ge=0)  # codes in that level's codebook

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if min(self.shape) < 1:
            raise ValueError(f"shape is {self.shape}: every size must be at least 1")
        if self.cross_attention and not (self.text_dim and self.token_dim):
            raise ValueError("cross_attention needs text_dim and token_dim")
        if self.upper_shape is not None:
            if self.upper_n_class < 1:
                raise ValueError(f"upper_n_class is {self.upper_n_class}, must be at least 1")
            if any(n % u for n, u in zip(self.shape, self.upper_shape, strict=True)):
                raise ValueError(
                    f"shape {self.shape} is no multiple of upper_shape {self.upper_shape}"
                )
        return self
