"""The sizes of a flow decoder, and which go together; read without torch."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.params import Section

GROUPS = 8  # of channels that are normalised together
# Width at each resolution: image_size / patch a side, then half of that, and so on.
Channels = Annotated[
    tuple[Annotated[int, Field(ge=GROUPS, multiple_of=GROUPS)], ...], Field(min_length=1)
]


class FlowDecoderSizes(Section):
    """What the section `decoder` of params.yaml says of the model."""

    patch: int = Field(ge=1)  # pixels of a picture's side that become channels of one place
    channels: Channels
    n_res_block: int = Field(ge=1)  # residual blocks at each resolution, each way


class FlowDecoderConfig(FlowDecoderSizes):
    """All that a flow decoder is built from."""

    image_size: int = Field(ge=8)  # height and width of the pictures, in pixels
    code_sides: tuple[int, ...] = Field(min_length=1)  # of each level's grid, the top's first
    code_dim: int = Field(ge=1)  # width of the vectors that codes stand for
    text_dim: int = Field(ge=1)  # width of the text's embedding
    vqvae: str  # the fingerprint of the VQ-VAE whose codes it paints

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_sides(self, image_size=self.image_size, code_side=self.code_sides[-1])
        return self


def check_sides(sizes: FlowDecoderSizes, *, image_size: int, code_side: int) -> None:
    """Whether pictures can be halved that often, and codes spread evenly over the first places.

    Raises:
        ValueError: they cannot.
    """
    step = sizes.patch << (len(sizes.channels) - 1)
    if image_size % step:
        raise ValueError(
            f"patch = {sizes.patch} with {len(sizes.channels)} channels: "
            f"expected image_size = {image_size} to be a multiple of {step}"
        )
    if (image_size // sizes.patch) % code_side:
        raise ValueError(
            f"patch = {sizes.patch}: expected a divisor of the VQ-VAE's downsample, "
            f"{image_size // code_side}"
        )
