"""Pictures beside the embeddings of their captions: what the VQ-VAE reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.mapped import Chosen, Rows
from pipeline.data.mapped_images import Images, MappedImages
from pipeline.data.pairs import Pair
from pipeline.data.pixels import Pixels


@dataclass(frozen=True)
class CaptionedImages:
    """Pictures with the embeddings of their captions.

    Attributes:
        images: (N, H, W, 3) uint8.
        text_embeds: (N, text_dim) float, L2-normalised.
    """

    images: Images
    text_embeds: Rows

    @classmethod
    def load(cls, pairs: Sequence[Pair], texts: TextEmbeddings, pixels: Pixels) -> CaptionedImages:
        """The pictures of captioned `pairs`, among `pixels`."""
        images = MappedImages.of(pixels, (pair.image for pair in pairs))
        rows = texts.rows(pair.caption for pair in pairs)
        return cls(images, Chosen(texts.condition.pooled, rows))

    def __len__(self) -> int:
        return len(self.images)
