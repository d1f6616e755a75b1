"""resize_images: pictures as they came → squares of the sizes that models read, to be mapped."""

from __future__ import annotations

from functools import partial

from pipeline.data.picture_shards import shards_in
from pipeline.data.resizing import join_shards, resize_shard
from pipeline.models.blip_sizes import picture_size
from pipeline.params import load_section
from stages import layout
from stages.sharing import do_in_shares


def main() -> None:
    """Run the stage."""
    blip_size = load_section(layout.PARAMS, "blip.image_size", int)
    vqvae_size = load_section(layout.PARAMS, "vqvae.image_size", int)
    sizes = {
        # A checkpoint brings its own size.
        layout.BLIP_PIXELS: picture_size(layout.PRETRAINED / "blip") or blip_size,
        layout.VQVAE_PIXELS: vqvae_size,
    }
    do_in_shares(
        "resize_images",
        {
            shard.stem: partial(resize_shard, shard, sizes=sizes.values())
            for shard in shards_in(layout.IMAGES)
        },
        label="shares of pictures resized",
        put_together=partial(join_shards, folders=sizes),
    )
