"""Pictures beside the embeddings of their captions: what the VQ-VAE reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.images import load_images
from pipeline.data.mapped import Chosen, Rows
from pipeline.data.pairs import Pair


@dataclass(frozen=True)
class CaptionedImages:
    """Pictures with the embeddings of their captions.

    Attributes:
        images: (N, H, W, 3) uint8.
        text_embeds: (N, text_dim) float, L2-normalised.
    """

    images: Tensor
    text_embeds: Rows

    @classmethod
    def load(
        cls, pairs: Sequence[Pair], texts: TextEmbeddings, *, images: Path | str, image_size: int
    ) -> CaptionedImages:
        """Read the pictures of captioned `pairs` from the folder `images`."""
        pixels = load_images(images, [pair.image for pair in pairs], image_size)
        rows = texts.rows(pair.caption for pair in pairs)
        return cls(torch.from_numpy(pixels), Chosen(texts.condition.pooled, rows))

    def __len__(self) -> int:
        return len(self.images)
