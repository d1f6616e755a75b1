"""resize_images: pictures as they came → squares of the sizes that models read, to be mapped."""

from __future__ import annotations

from pipeline.data.picture_shards import shards_in
from pipeline.data.resizing import join_shards, resize_shard
from pipeline.files import remove
from pipeline.models.blip_sizes import picture_size
from pipeline.params import load_section
from pipeline.progress import progress
from stages import layout


def main() -> None:
    """Run the stage."""
    blip_size = load_section(layout.PARAMS, "blip.image_size", int)
    vqvae_size = load_section(layout.PARAMS, "vqvae.image_size", int)
    sizes = {
        # A checkpoint brings its own size.
        layout.BLIP_PIXELS: picture_size(layout.PRETRAINED / "blip") or blip_size,
        layout.VQVAE_PIXELS: vqvae_size,
    }
    remove(layout.RESIZED)  # what a killed run left
    shards = shards_in(layout.IMAGES)
    parts = [layout.RESIZED / shard.stem for shard in shards]
    label = "shards of pictures resized"
    for shard, part in progress(zip(shards, parts, strict=True), total=len(shards), label=label):
        resize_shard(shard, part, sizes.values())
    join_shards(parts, sizes)
    remove(layout.RESIZED)
