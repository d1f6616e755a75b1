"""Folders of embeddings as extract_embeddings leaves them, in shards as small as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.data import embeddings
from pipeline.data.condition import TextCondition
from pipeline.data.row_index import Distinct


def write_pictures(
    folder: Path, names: Sequence[str], vectors: torch.Tensor, *, of_each: int = 100
) -> None:
    folder.mkdir(parents=True)
    for number, own in enumerate(vectors.split(of_each)):
        embeddings.write_pictures(embeddings.shard_file(folder, number), own)
    embeddings.finish(folder, Distinct(len(names), names.__getitem__))


def write_texts(
    folder: Path, texts: Sequence[str], condition: TextCondition, *, of_each: int = 100
) -> None:
    """Each shard is as wide as its longest text, as the stage makes them."""
    folder.mkdir(parents=True)
    for number, rows in enumerate(torch.arange(len(texts)).split(of_each)):
        own = condition[rows]
        longest = int(own.mask.sum(1).max())
        own = TextCondition(own.pooled, own.tokens[:, :longest], own.mask[:, :longest])
        embeddings.write_texts(embeddings.shard_file(folder, number), own)
    embeddings.finish(folder, Distinct(len(texts), texts.__getitem__))
