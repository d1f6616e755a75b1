"""The sizes of a BLIP that is trained from scratch, and which go together; read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from pipeline.errors import UserError
from pipeline.params import Section

STEM = "stem"  # its folder in BLIP's
STEM_STRIDE = 8  # pixels to a place of what it makes
SQUARE = 4  # side of the squares that hold the features of one place
SHRINKING = STEM_STRIDE // SQUARE  # how much smaller than pictures the tower's are


class StemSizes(Section):
    """Of the convolutions in front of a vision tower."""

    channel: int = Field(ge=1)  # width of the first convolution; the last is four times as wide


class BlipSizes(Section):
    """Of a BLIP that is trained from scratch; one width for pictures and texts."""

    image_size: int = Field(ge=8)
    patch_size: int = Field(ge=1)
    stem_channel: int = Field(ge=0)  # width of the stem's first convolution; 0: no stem
    hidden_size: int = Field(ge=4)
    vision_layers: int = Field(ge=1)
    text_layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    projection_dim: int = Field(ge=1)  # of the embeddings that pictures and texts share

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size = {self.image_size}: expected a multiple of patch_size"
                f" = {self.patch_size}"
            )
        if self.stem_channel and self.patch_size % STEM_STRIDE:
            raise ValueError(
                f"patch_size = {self.patch_size}: expected a multiple of {STEM_STRIDE}, "
                f"as stem_channel = {self.stem_channel}"
            )
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size = {self.hidden_size}: expected a multiple of heads = {self.heads}"
            )
        return self


def picture_size(folder: Path) -> int | None:
    """The side of the pictures that a checkpoint in `folder` reads; None: there is none.

    Raises:
        UserError: its config does not say.
    """
    config = folder / "retrieval" / "config.json"
    if not config.parent.exists():
        return None
    try:
        side = int(json.loads(config.read_text(encoding="utf-8"))["vision_config"]["image_size"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{config}: does not say how large pictures are") from None
    return side * (SHRINKING if (folder / STEM).exists() else 1)
