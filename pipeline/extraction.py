"""Embeddings of many pictures and texts, shard by shard: each is one file, whoever makes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.data.condition import TextCondition
from pipeline.data.embeddings import write_pictures, write_texts
from pipeline.data.pixels import Pixels
from pipeline.models.blip import Blip

CHUNK = 512  # pictures in memory at a time


def embed_pictures(blip: Blip, names: Sequence[str], path: Path, *, pixels: Pixels) -> None:
    """Embed a shard's pictures `names`, which are among `pixels`, and write them at `path`."""
    parts = [torch.zeros(0, blip.embed_dim)]
    for start in range(0, len(names), CHUNK):
        rows = pixels.rows(names[start : start + CHUNK])
        parts.append(torch.from_numpy(blip.embed_images(pixels[rows])))
    write_pictures(path, torch.cat(parts))


def embed_texts(blip: Blip, texts: Sequence[str], path: Path) -> None:
    """Embed a shard's texts and write them at `path`."""
    # Which texts share a batch is settled by their words: their sums' last bits depend on it.
    order = sorted(range(len(texts)), key=texts.__getitem__)
    states = blip.embed_texts([texts[row] for row in order])
    own = torch.tensor(order, dtype=torch.int64).argsort()
    write_texts(path, TextCondition(states.pooled[own], states.tokens[own], states.mask[own]))
