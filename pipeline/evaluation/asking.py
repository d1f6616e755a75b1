"""BLIP, asked by several processes together: each answers for some of its batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.maps import Arrays, Maps
from pipeline.models.blip import Blip


@dataclass(frozen=True)
class AskedBlip:
    """Answers as `Blip` does, to the last bit: its batches stay what they are."""

    blip: Blip
    maps: Maps

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        """Pictures (N, H, W, 3) uint8 → float32 (N, D), L2-normalised."""

        def embed(rows: slice) -> Arrays:
            return {"embeds": self.blip.embed_images(images[rows])}

        return self.maps.rows("embeddings", len(images), embed, of_each=self.blip.batch)["embeds"]

    def match(self, images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """How likely each picture and its text belong together: float32 (N,) in [0, 1]."""
        order = self.blip.by_length(texts)

        def match(rows: slice) -> Arrays:
            some = order[rows]
            return {"match": self.blip.match(images[some], [texts[row] for row in some.tolist()])}

        found = self.maps.rows("matching", len(texts), match, of_each=self.blip.batch)["match"]
        scores = np.empty_like(found)
        scores[order] = found
        return scores

    def caption(self, images: np.ndarray) -> list[str]:
        """What is in each picture."""

        def caption(rows: slice) -> list[str]:
            return self.blip.caption(images[rows])

        return self.maps.texts("captions", len(images), caption, of_each=self.blip.batch)
