"""The sizes of a VQ-VAE, and which go together; read without torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.params import Section

QuantizerKind = Literal["ema", "cosine", "fsq"]


def fsq_levels(n_embed: int) -> list[int]:
    """Levels a dimension whose product is `n_embed`: as many eights as fit, fours for the rest.

    Raises:
        ValueError: `n_embed` is not a power of two of at least 16.
    """
    bits = n_embed.bit_length() - 1
    if n_embed != 1 << bits or bits < 4:
        raise ValueError(f"n_embed = {n_embed}: fsq takes a power of two of at least 16")
    fours = -bits % 3  # so that 2 × fours + 3 × eights = bits
    return [4] * fours + [8] * ((bits - 2 * fours) // 3)


class VQVAESizes(Section):
    """What the section `vqvae` of params.yaml says of the model."""

    image_size: int = Field(ge=8)  # height and width of the pictures, in pixels
    downsample: int = Field(ge=2)  # pixels of a picture's side to one of the (bottom) grid's
    levels: int = Field(ge=1, le=2)  # 2: a coarse top grid of half the bottom's side besides
    n_embed: int = Field(ge=2, le=2**16)  # codes in the codebook
    embed_dim: int = Field(ge=1)  # width in which they are compared
    channel: int = Field(ge=1)  # width of the features at the grid's resolution
    n_res_block: int = Field(ge=0)  # residual blocks in each encoder and each decoder
    res_channel: int = Field(ge=1)  # width inside a residual block
    quantizer: QuantizerKind
    commitment_weight: float = Field(ge=0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        # Two levels are packed into one grid whose rows are as long as the finer level's.
        step = self.downsample * (4 if self.levels == 2 else 1)
        if self.image_size % step:
            raise ValueError(f"image_size = {self.image_size}: expected a multiple of {step}")
        if self.quantizer == "fsq":
            fsq_levels(self.n_embed)
        return self


class VQVAEConfig(VQVAESizes):
    """All that a VQ-VAE is built from."""

    text_dim: int = Field(ge=1)  # width of the text's embedding
