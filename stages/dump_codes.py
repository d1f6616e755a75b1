"""dump_codes: every captioned picture, and shifted views of the training ones → codes in LMDB."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pipeline.codes import CodeStore
from pipeline.codes.encode import ViewBatches, encoded_views
from pipeline.codes.settings import DumpSettings
from pipeline.codes.store import joined
from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.devices import own_device
from pipeline.errors import UserError
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, load_section
from stages import layout
from stages.sharing import do_in_shares

SHARE = 32  # batches


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "dump_codes", DumpSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    vqvae = VQVAE.from_pretrained(layout.VQVAE).to(own_device())
    if (shift := settings.max_shift) >= (size := vqvae.config.image_size):
        raise UserError(
            f"{layout.PARAMS}: dump_codes.max_shift = {shift}: expected less than "
            f"vqvae.image_size = {size}"
        )
    texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
    pairs = captioned(read_pairs(layout.PAIRS))
    pictures = CaptionedImages.load(pairs, texts, Pixels.open(layout.VQVAE_PIXELS, size))
    batches = ViewBatches(pairs, views=settings.views)
    write = partial(CodeStore.write, shape=vqvae.code_shape, n_embed=vqvae.config.n_embed)

    def encode(first: int, path: Path) -> None:
        numbers = range(first, min(first + SHARE, len(batches)))
        records = encoded_views(
            vqvae, pictures, pairs, batches, numbers, max_shift=settings.max_shift, seed=seed
        )
        write(path, records)

    do_in_shares(
        "dump_codes",
        {f"{first:09d}": partial(encode, first) for first in range(0, len(batches), SHARE)},
        label="shares of codes",
        put_together=lambda made: write(layout.CODES, joined(made)),
    )
