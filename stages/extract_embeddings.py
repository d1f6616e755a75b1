"""extract_embeddings: BLIP, pictures, captions → what the later models read instead of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pipeline.data.cuts import shards
from pipeline.data.embeddings import finish, shard_file
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.data.row_index import Distinct
from pipeline.devices import own_device
from pipeline.extraction import embed_pictures, embed_texts
from pipeline.files import place_copy, replacing
from pipeline.models.blip import Blip
from stages import layout
from stages.sharing import do_in_shares


def main() -> None:
    """Run the stage."""
    pairs = read_pairs(layout.PAIRS)
    asked = captioned(pairs)
    blip = Blip.from_pretrained(layout.BLIP).to(own_device())
    pixels = Pixels.open(layout.BLIP_PIXELS, blip.image_size)
    pictures = Distinct(len(pairs), lambda row: pairs[row].image)
    texts = Distinct(len(asked), lambda row: asked[row].caption)
    picture_cuts, text_cuts = (list(shards(keys)) or [range(0)] for keys in (pictures, texts))

    def of_pictures(cut: range, path: Path) -> None:
        embed_pictures(blip, pictures[cut.start : cut.stop], path, pixels=pixels)

    def of_texts(cut: range, path: Path) -> None:
        embed_texts(blip, texts[cut.start : cut.stop], path)

    def put_together(made: list[Path]) -> None:
        with replacing(layout.EMBEDDINGS) as aside:
            for out, keys, files in (
                (layout.IMAGE_EMBEDDINGS, pictures, made[: len(picture_cuts)]),
                (layout.TEXT_EMBEDDINGS, texts, made[len(picture_cuts) :]),
            ):
                folder = aside / out.name
                folder.mkdir(parents=True)
                for number, file in enumerate(files):
                    place_copy(file, shard_file(folder, number))
                finish(folder, keys)

    do_in_shares(
        "extract_embeddings",
        {f"pictures-{n:05}": partial(of_pictures, cut) for n, cut in enumerate(picture_cuts)}
        | {f"texts-{n:05}": partial(of_texts, cut) for n, cut in enumerate(text_cuts)},
        label="shares of embeddings",
        put_together=put_together,
    )
