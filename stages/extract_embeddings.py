"""extract_embeddings: BLIP, pictures, captions → what the later models read instead of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.data.cuts import shards
from pipeline.data.embeddings import finish, shard_file
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.row_index import Distinct
from pipeline.devices import best_device
from pipeline.extraction import embed_pictures, embed_texts
from pipeline.files import replacing
from pipeline.models.blip import Blip
from pipeline.progress import progress
from stages import layout


def main() -> None:
    """Run the stage."""
    if os.environ.get("RANK", "0") != "0":
        return
    pairs = read_pairs(layout.PAIRS)
    asked = captioned(pairs)
    blip = Blip.from_pretrained(layout.BLIP).to(best_device())
    pictures = Distinct(len(pairs), lambda row: pairs[row].image)
    texts = Distinct(len(asked), lambda row: asked[row].caption)

    with replacing(layout.EMBEDDINGS) as aside:
        folder = aside / layout.IMAGE_EMBEDDINGS.name
        for file, names in _shards(folder, pictures, label="shards of pictures embedded"):
            embed_pictures(blip, names, file, images=layout.IMAGES)
        finish(folder, pictures)
        folder = aside / layout.TEXT_EMBEDDINGS.name
        for file, captions in _shards(folder, texts, label="shards of texts embedded"):
            embed_texts(blip, captions, file)
        finish(folder, texts)


def _shards(folder: Path, keys: Distinct, *, label: str) -> Iterator[tuple[Path, list[str]]]:
    """Yield the file of each shard, and the names or texts that it is of."""
    folder.mkdir(parents=True)
    cuts = list(shards(keys)) or [range(0)]
    for number, cut in enumerate(progress(cuts, total=len(cuts), label=label)):
        yield shard_file(folder, number), keys[cut.start : cut.stop]
