"""The sizes of a masked diffusion, and which go together; read without torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pipeline.params import Section


class MaskedDiffusionSizes(Section):
    """What the section `diffusion` of params.yaml says of the model."""

    hidden_size: int = Field(ge=1)  # width of the transformer
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    patch: int = Field(ge=1)  # codes a side that are one place of the transformer
    dropout: float = Field(ge=0, lt=1)
    uniform_share: float = Field(ge=0, lt=1)  # of what noise changes: random codes, not masks

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size = {self.hidden_size} is no multiple of heads = {self.heads}"
            )
        return self


class MaskedDiffusionConfig(MaskedDiffusionSizes):
    """All that a masked diffusion is built from."""

    shape: tuple[int, int]  # height and width of the grid
    n_class: int = Field(ge=1)  # codes in the codebook
    text_dim: int = Field(0, ge=0)  # width of the pooled text; 0: a prior without text
    token_dim: int = Field(0, ge=0)  # width of the text's token states
    upper_shape: tuple[int, int] | None = None  # of the level above; None: there is none
    upper_n_class: int = Field(0, ge=0)  # codes in that level's codebook

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if min(self.shape) < 1 or any(side % self.patch for side in self.shape):
            raise ValueError(f"patch = {self.patch} does not divide the grid's {self.shape}")
        if (self.text_dim > 0) != (self.token_dim > 0):
            raise ValueError("text_dim and token_dim: both or neither")
        if self.upper_shape is not None:
            if self.upper_n_class < 1:
                raise ValueError(f"upper_n_class is {self.upper_n_class}, must be at least 1")
            if any(n % u for n, u in zip(self.shape, self.upper_shape, strict=True)):
                raise ValueError(
                    f"shape {self.shape} is no multiple of upper_shape {self.upper_shape}"
                )
        return self
