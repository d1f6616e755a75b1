"""The judge: a small convolutional network with a softmax head for each attribute of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pipeline.data.images import square
from pipeline.data.views import to_float
from pipeline.judge.settings import JudgeSizes
from pipeline.models.storage import load_model, save_model
from pipeline.sample.attributes import ALLOWED, SIZES, encode
from pipeline.sample.scene import KINDS
from pipeline.sample.titles import parse

BATCH = 256
GRID = 4  # features meet the heads as a grid of 4 x 4: where something stands helps to count it


class Judge(nn.Module):
    """Tells the attributes of a picture from its pixels, and knows no text model."""

    def __init__(self, **sizes: Any) -> None:
        """Build it of the fields of `JudgeSizes`, by name.

        Raises:
            ValueError: a size is missing, unknown or impossible.
        """
        super().__init__()
        self.config = config = JudgeSizes.of(**sizes)
        width = config.channel
        self.features = nn.Sequential(
            nn.PixelUnshuffle(2),  # (B, 12, 32, 32) for 64 pixels: the cheapest first layer
            _block(12, width),
            nn.MaxPool2d(2),  # (B, channel, 16, 16)
            _block(width, 2 * width),
            nn.MaxPool2d(2),  # (B, 2 channel, 8, 8)
            _block(2 * width, 4 * width),
            _block(4 * width, 4 * width),
            nn.AvgPool2d(config.image_size // 8 // GRID),
            nn.Flatten(),  # (B, 4 channel * 16)
            nn.Dropout(0.2),
        )
        width_of_features = 4 * width * GRID * GRID
        self.kind = nn.Linear(width_of_features, len(KINDS))
        # Each kind has heads of its own: birds are counted otherwise than candles. With common ones
        # three times as many real pictures were miscounted after as many steps.
        self.others = nn.Linear(width_of_features, len(KINDS) * sum(SIZES[1:]))

    def forward(self, images: Tensor, kinds: Tensor) -> tuple[Tensor, ...]:
        """Logits of every attribute's values, those that the kind cannot have at minus infinity.

        Args:
            images: (B, 3, H, W) in [-1, 1].
            kinds: (B,) int64, the kind that each picture is asked about.

        Returns:
            Six tensors (B, size), in the order of `ATTRIBUTES`; of the kind, all values stay.
        """
        features = self.features(images)
        every = self.others(features).view(len(features), len(KINDS), -1)
        asked = every[torch.arange(len(kinds), device=kinds.device), kinds]  # (B, others' values)
        allowed = torch.from_numpy(ALLOWED).to(images.device)[kinds]
        logits = torch.cat([self.kind(features), asked], dim=1).masked_fill(~allowed, -torch.inf)
        return logits.split(SIZES, dim=1)

    @torch.no_grad()
    def answers(self, pictures: np.ndarray, titles: Sequence[str]) -> np.ndarray:
        """What the pictures show: of each attribute the likeliest value that the title's kind has.

        Args:
            pictures: uint8 (N, H, W, 3), of any size: they are resized as the pipeline does.
            titles: (N,), titles of the sample: what each picture was asked to show.

        Returns:
            (N, 6) int64, values' numbers as `pipeline.sample.attributes.encode` gives; the first
            column, the kind, is chosen from all kinds.
        """
        pictures = self._resized(pictures)
        asked = torch.from_numpy(encode([parse(title) for title in titles])[:, 0])
        device = self.kind.weight.device
        parts = [
            torch.stack([head.argmax(dim=1) for head in self(to_float(images), kinds)], dim=1).cpu()
            for images, kinds in zip(
                torch.from_numpy(pictures).to(device).split(BATCH),
                asked.to(device).split(BATCH),
                strict=True,
            )
        ]
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """What the heads read of pictures uint8 (N, H, W, 3): features (N, D) float32."""
        images = torch.from_numpy(self._resized(pictures)).to(self.kind.weight.device)
        parts = [self.features(to_float(part)).cpu() for part in images.split(BATCH)]
        return torch.cat(parts).numpy()

    def _resized(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures of the judge's own size, resized as the pipeline does."""
        size = self.config.image_size
        if pictures.shape[1:3] == (size, size):
            return pictures
        return np.stack([square(Image.fromarray(picture), size) for picture in pictures])

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Judge:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        return load_model(Path(folder), cls)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
