"""Convolutions in front of BLIP's vision tower: one that starts from nothing so learns to see.

Patches of raw pixels have to find edges and things by themselves, for which a few thousand pictures
are far too few; behind convolutions a transformer learns sooner and better
(https://arxiv.org/abs/2106.14881). These stand before the tower, which stays Hugging Face's: what
they make is a picture of half the side, whose squares of 4 x 4 values in three planes are the
features of 8 x 8 pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.models.blip_sizes import SHRINKING, SQUARE, STEM, StemSizes
from pipeline.models.storage import load_model, save_model


class BlipStem(nn.Module):
    """Normalised pictures (B, 3, S, S) → what a tower takes for them, (B, 3, S / 2, S / 2)."""

    def __init__(self, **sizes: Any) -> None:
        """Build it of the fields of `StemSizes`, by name; weights from torch's global generator.

        Raises:
            ValueError: a size is missing, unknown or impossible.
        """
        super().__init__()
        self.config = config = StemSizes.of(**sizes)
        width = config.channel
        self.features = nn.Sequential(
            nn.PixelUnshuffle(2),  # (B, 12, S / 2, S / 2): the cheapest first layer
            _block(12, width),
            nn.MaxPool2d(2),
            _block(width, 2 * width),
            nn.MaxPool2d(2),  # (B, 2 channel, S / 8, S / 8)
            _block(2 * width, 4 * width),
            _block(4 * width, 4 * width),
            nn.Conv2d(4 * width, 3 * SQUARE * SQUARE, 1),
            nn.PixelShuffle(SQUARE),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return cast("Tensor", self.features(pixels))

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> BlipStem:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        return load_model(folder, cls)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def shrinking(stem: BlipStem | None) -> int:
    """How many times smaller than a picture what a tower takes for it is."""
    return SHRINKING if stem else 1


def load_stem(folder: Path, *, fed: int, tower: int) -> BlipStem | None:
    """The stem of a BLIP's folder; None where its towers see pixels, as published ones do.

    Args:
        fed: the side of pictures that the folder's preprocessor makes.
        tower: the side of what its towers take.

    Raises:
        UserError: it is damaged, or it is missing although the towers were trained behind one.
    """
    if (folder / STEM).exists():
        return BlipStem.from_pretrained(folder / STEM)
    if fed == SHRINKING * tower:
        raise UserError(f"{folder / STEM}: no such folder; its towers see pictures through it")
    return None
